"""Dagster's own webserver behind the guard: `python -m orchestration.webserver`.

Also the access to the UI of `genept ui`: the token, and the link that holds it.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import click
from pydantic import ValidationError
from pydantic_settings import SettingsError
from starlette.types import ASGIApp

from genept.client import open_releases
from genept.common import Settings, StoreError
from genept.release import Releases
from orchestration.guard import Guard
from orchestration.release_pages import ReleasePages

LOOPBACK: Final = ("127.0.0.1", "localhost")

CLOSING_SECONDS: Final = 5
"""How long open requests may take when the server ends."""


def serve(
    arguments: Sequence[str],
    guarded: Callable[[ASGIApp, str, int], Guard],
    listener: socket.socket | None = None,
) -> None:
    """Serve Dagster's UI behind a guard until the process is stopped.

    Parameters
    ----------
    arguments
        Options of `dagster-webserver`.
    guarded
        Puts the guard before the application, given host and port.
    listener
        Socket that is bound already; without it, host and port of the arguments are.

    Raises
    ------
    StoreError
        If the guard cannot be put before the server of this release of Dagster.
    """
    import dagster_webserver.cli
    import uvicorn

    def serve_guarded(app: ASGIApp, *, host: str, port: int, log_level: str) -> None:
        config = uvicorn.Config(
            guarded(app, host, port),
            host=host,
            port=port,
            log_level=log_level,
            access_log=False,  # an address may hold the token
            server_header=False,
            timeout_graceful_shutdown=CLOSING_SECONDS,
        )
        uvicorn.Server(config).run(sockets=None if listener is None else [listener])

    # Dagster has no option for middleware. Its command serves by `uvicorn.run`, so that is what
    # puts the guard in; if it ever serves otherwise, nothing is served.
    uvicorn.run = serve_guarded  # type: ignore[assignment]
    if getattr(dagster_webserver.cli, "uvicorn", None) is not uvicorn:
        raise StoreError(
            "this release of dagster-webserver does not serve by uvicorn: the guard cannot be put "
            "before it. Install the versions of requirements.lock"
        )
    try:
        dagster_webserver.cli.cli.main(
            list(arguments), auto_envvar_prefix="DAGSTER_WEBSERVER", standalone_mode=False
        )
    except click.Abort:  # what click makes of Ctrl-C
        raise KeyboardInterrupt from None


def own_hosts(settings: Settings, host: str, port: int) -> list[str]:
    """`Host` headers of a server: loopback, what it is bound to, and what the settings name."""
    names = [*LOOPBACK, *([host] if host not in (*LOOPBACK, "0.0.0.0", "::") else [])]  # noqa: S104
    with_port = [f"{name}:{port}" for name in names]
    return [*with_port, *(names if port == 80 else ()), *settings.ui_hosts]


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve with the token of the environment, which has to be set.

    Raises
    ------
    SystemExit
        With a message, if a setting is wrong or the token is missing.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        serve(arguments, _guarded(Settings(), read_only="--read-only" in arguments))
    except KeyboardInterrupt:
        return
    except click.ClickException as error:
        raise SystemExit(error.format_message()) from None
    except (StoreError, SettingsError, ValidationError) as error:
        raise SystemExit(str(error)) from None


def _guarded(settings: Settings, *, read_only: bool) -> Callable[[ASGIApp, str, int], Guard]:
    name = "GENEPT_VIEWER_TOKEN" if read_only else "GENEPT_UI_TOKEN"
    token = settings.viewer_token if read_only else settings.ui_token
    if token is None:
        raise StoreError(
            f"{name} is not set, and without a token whoever reaches the port would be let in. "
            "Make one with: openssl rand -hex 32"
        )
    secret = token.get_secret_value()
    sign_in_hint = (
        f"Open this address with ?token=… and the value of {name} once; "
        "scripts send it as `Authorization: Bearer …`."
    )
    return lambda app, host, port: Guard(
        ReleasePages(app, lambda: _releases(settings)),
        secret,
        own_hosts(settings, host, port),
        sign_in_hint,
    )


def _releases(settings: Settings) -> Releases:
    """The releases, for a webserver that is deployed: it starts no store of its own."""
    if settings.s3_endpoint is None:
        raise StoreError(
            "this webserver cannot read the store: set GENEPT_S3_ENDPOINT and the keys of a reader "
            "for it (docs/deployment.md)"
        )
    return open_releases(settings)


SIGN_IN_HINT = "Open the link that `genept ui` printed when it started; it is also in {file}."


@dataclass(frozen=True)
class UiAccess:
    """The token of one start of the UI, and the file with the link to it while it runs."""

    settings: Settings
    token: str
    file: Path

    @staticmethod
    def make(settings: Settings, *, read_only: bool) -> UiAccess:
        """The access of a new start of the UI."""
        configured = settings.viewer_token if read_only else settings.ui_token
        token = secrets.token_urlsafe(32) if configured is None else configured.get_secret_value()
        name = "viewer.html" if read_only else "ui.html"
        return UiAccess(settings, token, settings.state / name)

    def guarded(self, app: ASGIApp, host: str, port: int) -> Guard:
        """The application behind the guard."""
        sign_in_hint = SIGN_IN_HINT.format(file=self.file)
        pages = ReleasePages(app, lambda: open_releases(self.settings))
        return Guard(pages, self.token, own_hosts(self.settings, host, port), sign_in_hint)

    @contextmanager
    def link(self, port: int, *, open_browser: bool) -> Iterator[str]:
        """The link with the token; while it is valid, it is in a file that only this user reads.

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
                if self.file.read_text() == content:  # otherwise another start has replaced it
                    self.file.unlink()


def _has_desktop() -> bool:
    """Whether this is an interactive terminal on a machine that can show a browser."""
    can_show = sys.platform == "darwin" or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    return can_show and sys.stderr.isatty()


if __name__ == "__main__":
    main()
