"""The audit pages of releases, served beside Dagster's UI and behind the same guard.

Pages are read from the store with the keys of a reader. Only what a release's manifest lists
under `audit` is served, as ``/release-pages/{release}/{path}``; browsers run no script of it.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Callable
from functools import cached_property
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from assets import PAGES
from genept.common import StoreError, UnreachableStoreError
from genept.release import Releases

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; sandbox allow-same-origin allow-popups",
    "Cache-Control": "private, max-age=3600",
}

AS_TEXT: Final = {"text/markdown", "application/json"}
"""Types that a browser shows rather than downloads when they are sent as plain text."""


class ReleasePages:
    """ASGI middleware that answers requests for pages of releases.

    Parameters
    ----------
    app
        Answers every other request.
    open_releases
        Opens the releases to read; called at the first request for a page.
    """

    def __init__(self, app: ASGIApp, open_releases: Callable[[], Releases]) -> None:
        self._app = app
        self._open = open_releases

    @cached_property
    def _releases(self) -> Releases:
        return self._open()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for a page, or let the application answer."""
        if scope["type"] != "http" or not scope["path"].startswith(f"{PAGES}/"):
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        release_id, _, path = scope["path"].removeprefix(f"{PAGES}/").partition("/")
        if request.method not in ("GET", "HEAD"):
            response: Response = PlainTextResponse("Pages are read by GET.\n", status_code=405)
        else:
            response = await run_in_threadpool(self._page, release_id, path)
        await response(scope, receive, send)

    def _page(self, release_id: str, path: str) -> Response:
        try:
            if path not in self._releases.manifest(release_id).audit:
                return PlainTextResponse(
                    f"Release {release_id} has no page {path}.\n", status_code=404
                )
            folder = self._releases.folder(release_id)
            body = self._releases.store.get(f"{folder}/audit/{path}")
        except UnreachableStoreError as error:
            return PlainTextResponse(f"{error}\n", status_code=503)
        except StoreError as error:
            return PlainTextResponse(f"{error}\n", status_code=404)
        kind = mimetypes.guess_type(path)[0] or "text/plain"
        return Response(body, media_type="text/plain" if kind in AS_TEXT else kind, headers=HEADERS)
