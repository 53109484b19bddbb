"""The guard of Dagster's webserver: who may send requests, from which page, and in which form.

Dagster's webserver requires no key, runs a mutation by GET and by any content type, and
answers under any host name; so another user of the machine, or a web page in the browser of a
user, could launch runs, which is running code. `Guard` is plain ASGI middleware that refuses
those requests. It does not depend on Dagster; `orchestration.webserver` installs it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from html import escape
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEALTH: Final = "/healthz"
"""Path that answers `ok` to everybody, for probes; it discloses nothing else."""

COOKIE_DAYS: Final = 30
SAFE_METHODS: Final = ("GET", "HEAD")
OWN_SITES: Final = (None, "same-origin", "none")

SECURITY_HEADERS: Final = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
POLICY: Final = (
    "frame-ancestors 'none'; form-action 'self'; connect-src 'self'; img-src 'self' data: blob:"
)
"""In addition to Dagster's own policy; a browser applies both. Pictures and requests go to this
host only, so that nothing that is rendered from data can notify another server."""


class Guard:
    """ASGI middleware: own host and origin, mutations by POST with JSON, and a token.

    Parameters
    ----------
    app
        What is guarded.
    token
        Lets a client in: as `Authorization: Bearer`, or once in the address (`?token=`), which
        is answered with a cookie.
    hosts
        `Host` headers under which the application is reached, with the port where there is one.
    sign_in_hint
        Sentence that is shown without a token: where to find it.
    """

    def __init__(self, app: ASGIApp, token: str, hosts: Iterable[str], sign_in_hint: str) -> None:
        self._app = app
        self._token = token
        self._hosts = frozenset(host.lower() for host in hosts)
        self._sign_in_hint = sign_in_hint
        self._session = hmac.new(token.encode(), b"session of the UI", hashlib.sha256).hexdigest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection, or let the application answer it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        response = self._own_response(connection)
        if response is None:
            await self._app(scope, receive, _with_security_headers(send))
        elif scope["type"] == "websocket":
            await receive()  # ASGI: read the request for the connection before refusing it
            await send({"type": "websocket.close", "code": 1008})
        else:
            await response(scope, receive, _with_security_headers(send))

    def _own_response(self, connection: HTTPConnection) -> Response | None:
        """The response in place of the application's; None if the application may answer."""
        if connection.scope["type"] == "http" and connection.scope["path"] == HEALTH:
            return PlainTextResponse("ok")
        refusal = self._wrong_host(connection.headers) or _wrong_origin(connection)
        if refusal is None and connection.scope["type"] == "http":
            refusal = _wrong_form(connection)
        if refusal is not None:
            return PlainTextResponse(f"Refused: {refusal}.\n", status_code=403)
        token = connection.query_params.get("token")
        if token is not None and connection.scope["type"] == "http":
            return (
                self._signed_in(connection)
                if self._is_token(token)
                else self._unauthorised(connection)
            )
        return None if self._is_authorised(connection) else self._unauthorised(connection)

    def _wrong_host(self, headers: Headers) -> str | None:
        hosts = headers.getlist("host")
        if len(hosts) == 1 and hosts[0].lower() in self._hosts:
            return None
        return "this address is not the UI's own (GENEPT_UI_HOSTS names further ones)"

    def _is_token(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self._token.encode())

    def _is_authorised(self, connection: HTTPConnection) -> bool:
        scheme, _, bearer = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is_token(bearer.strip()):
            return True
        session = connection.cookies.get(_cookie_name(connection), "")
        return hmac.compare_digest(session.encode(), self._session.encode())

    def _signed_in(self, connection: HTTPConnection) -> Response:
        """Set the cookie, and continue at the address without the token.

        By a page, not by a redirect: a browser that followed a link from another site sends a
        strict cookie only after a navigation that a page of the same site started.
        """
        response = _page(
            f'<meta http-equiv="refresh" content="0; url={escape(_without_token(connection))}">'
            "<title>GenePT</title>",
            200,
        )
        response.set_cookie(
            _cookie_name(connection),
            self._session,
            max_age=COOKIE_DAYS * 24 * 3600,
            httponly=True,
            samesite="strict",
            secure=_is_encrypted(connection),
        )
        return response

    def _unauthorised(self, connection: HTTPConnection) -> Response:
        if "text/html" not in connection.headers.get("accept", ""):
            return PlainTextResponse(f"A token is needed. {self._sign_in_hint}\n", status_code=401)
        here = escape(_without_token(connection))
        return _page(
            f"<title>GenePT: a token is needed</title><h1>A token is needed</h1>"
            f"<p>{escape(self._sign_in_hint)}</p>"
            f"<p>If a link brought you here and this browser opened the UI before, "
            f'<a href="{here}">'
            "continue</a>.</p>",
            401,
        )


def _wrong_origin(connection: HTTPConnection) -> str | None:
    """Why a request comes from a page of another application; None if it does not."""
    headers = connection.headers
    origin = headers.get("origin")
    if origin is not None:
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or parts.netloc.lower() != headers["host"].lower():
            return "a page of another origin asks"
    if headers.get("sec-fetch-site") not in OWN_SITES and not _is_followed_link(connection):
        return "a page of another site asks"
    return None


def _is_followed_link(connection: HTTPConnection) -> bool:
    """Whether a browser follows a link from another site; that request needs the token, too."""
    headers = connection.headers
    return (
        connection.scope["type"] == "http"
        and connection.scope["method"] == "GET"
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )


def _wrong_form(connection: HTTPConnection) -> str | None:
    """Why a request has a form that any web page can send, and might change something."""
    method, path = connection.scope["method"], connection.scope["path"]
    if method in SAFE_METHODS:
        if path.rstrip("/").lower().endswith("/graphql"):
            return "GraphQL is asked by POST"
        return None
    if method != "POST":
        return f"nothing is done by {method}"
    kind = connection.headers.get("content-type", "").partition(";")[0].strip().lower()
    return None if kind == "application/json" else "a POST has content type application/json"


def _without_token(connection: HTTPConnection) -> str:
    """Path and query of a request as an address on the same host, without the token."""
    path = "/" + quote(connection.url.path.lstrip("/\\"), safe="/%:@!$&'()*+,;=~-._")
    rest = [(key, value) for key, value in connection.query_params.multi_items() if key != "token"]
    return f"{path}?{urlencode(rest)}" if rest else path


def _cookie_name(connection: HTTPConnection) -> str:
    """One per port: browsers keep the cookies of all ports of a host together."""
    return f"genept-ui-{urlsplit('//' + connection.headers['host']).port or 'default'}"


def _is_encrypted(connection: HTTPConnection) -> bool:
    forwarded = connection.headers.get("x-forwarded-proto", "")
    return "https" in (connection.url.scheme, forwarded.strip().lower())


def _page(content: str, status: int) -> HTMLResponse:
    page = f'<!doctype html><html lang="en"><meta charset="utf-8">{content}</html>\n'
    headers = {"Cache-Control": "no-store", "Content-Security-Policy": "default-src 'none'"}
    return HTMLResponse(page, status_code=status, headers=headers)


def _with_security_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers[name] = value
            headers.append("Content-Security-Policy", POLICY)
        await send(message)

    return sending
