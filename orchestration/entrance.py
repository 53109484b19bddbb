"""How a person gets into the UI of `genept ui`: the token, and the link that holds it.

The token is new with every start, so that one that became known is worth nothing afterwards,
unless `GENEPT_UI_TOKEN` (`GENEPT_VIEWER_TOKEN` for the read-only UI) sets it.
"""

from __future__ import annotations

import os
import secrets
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import urlencode

from starlette.types import ASGIApp

from genept.settings import Settings
from orchestration.guard import Guard
from orchestration.webserver import own_hosts

HOW_TO_ENTER = "Open the link that `genept ui` printed when it started; it is also in {file}."


@dataclass(frozen=True)
class Entrance:
    """The token of one start, and the file that leads to the UI while it runs."""

    settings: Settings
    token: str
    file: Path

    @staticmethod
    def make(settings: Settings, *, read_only: bool) -> Entrance:
        """The entrance of a new start."""
        given = settings.viewer_token if read_only else settings.ui_token
        token = secrets.token_urlsafe(32) if given is None else given.get_secret_value()
        name = "viewer.html" if read_only else "ui.html"
        return Entrance(settings, token, settings.state / name)

    def guarded(self, app: ASGIApp, host: str, port: int) -> Guard:
        """The application behind the guard."""
        how_to_enter = HOW_TO_ENTER.format(file=self.file)
        return Guard(app, self.token, own_hosts(self.settings, host, port), how_to_enter)

    @contextmanager
    def link(self, port: int, *, open_browser: bool) -> Iterator[str]:
        """The link with the token; it is kept in a file that only this user reads, while it holds.

        A browser is given the file, since other users of the machine may read its arguments.
        """
        address = f"http://127.0.0.1:{port}/?{urlencode({'token': self.token})}"
        content = (
            '<!doctype html><meta charset="utf-8">'
            f'<meta http-equiv="refresh" content="0; url={escape(address)}">'
            f'<title>GenePT</title><a href="{escape(address)}">Dagster UI</a>\n'
        )
        self.file.unlink(missing_ok=True)
        descriptor = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as page:
            page.write(content)
        if open_browser and _has_desktop():
            webbrowser.open(self.file.as_uri())
        try:
            yield address
        finally:
            with suppress(FileNotFoundError):
                if self.file.read_text() == content:  # or another start has made it its own
                    self.file.unlink()


def _has_desktop() -> bool:
    """Whether a person sits before the terminal, and at a screen that shows a browser."""
    shown = sys.platform == "darwin" or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    return shown and sys.stderr.isatty()
