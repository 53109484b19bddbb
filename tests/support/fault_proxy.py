"""A proxy on loopback that injects network faults into requests, by a script.

Host and all signed headers pass unchanged, so the server behind it accepts requests
that a client signed for the proxy's address.
"""

from __future__ import annotations

import http.client
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Literal
from urllib.parse import urlsplit

Fault = Literal["503", "409", "reset", "lost response", "cut body", "hang", "error under 200"]
AT_RANDOM: dict[str, tuple[Fault, ...]] = {
    "GET": ("503", "reset", "cut body"),
    "HEAD": ("503", "reset"),
    "PUT": ("503", "409", "reset", "lost response"),
    "POST": ("503", "reset"),
}
HOP_BY_HOP = {"connection", "transfer-encoding", "expect", "keep-alive"}


class FaultProxy(ThreadingHTTPServer):
    """Forwards to `upstream`, and injects the planned faults into requests of each method."""

    daemon_threads = False
    block_on_close = True

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = urlsplit(upstream).netloc
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.seen: list[str] = []
        self.answered: list[tuple[str, int]] = []
        self.closing = threading.Event()
        self._script: dict[str, list[Fault]] = {}
        self._lock = threading.Lock()
        self._rate, self._random = 0.0, Random(0)  # noqa: S311

    def plan(self, method: str, *faults: Fault) -> None:
        """Inject these faults into the next requests of `method`, one each, in this order."""
        with self._lock:
            self._script[method] = list(faults)

    def shake(self, rate: float) -> None:
        """Inject a fault, drawn with a fixed seed, into this share of all other requests."""
        self._rate = rate

    def remaining(self) -> int:
        """Number of planned faults that were not injected."""
        with self._lock:
            return sum(len(faults) for faults in self._script.values())

    def next_fault(self, method: str) -> Fault | None:
        with self._lock:
            self.seen.append(method)
            faults = self._script.get(method)
            if faults:
                return faults.pop(0)
            if self._random.random() < self._rate:
                return self._random.choice(AT_RANDOM[method])
            return None

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that close the connection, which tests do on purpose."""


@contextmanager
def fault_proxy(upstream: str) -> Iterator[FaultProxy]:
    """A running proxy; closed, with all its connections, at the end."""
    proxy = FaultProxy(upstream)
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield proxy
    finally:
        proxy.closing.set()
        proxy.shutdown()
        thread.join()
        proxy.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 0.5  # an idle connection must not keep the proxy from closing
    server: FaultProxy

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        match self.server.next_fault(self.command):
            case "503":
                self._answer(503, [], b"<Error><Code>SlowDown</Code></Error>")
            case "409":
                self._answer(409, [], b"<Error><Code>ConditionalRequestConflict</Code></Error>")
            case "error under 200":
                self._answer(200, [], b"<Error><Code>InternalError</Code></Error>")
            case "reset":
                self._reset()
            case "lost response":
                self._forward(body)
                self._reset()
            case "cut body":
                self._answer(*self._forward(body), cut=True)
            case "hang":
                self.server.closing.wait(30)
                self._reset()
            case None:
                self._answer(*self._forward(body))

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any  # noqa: N815

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self.server.upstream, timeout=30)
        try:
            connection.putrequest(
                self.command, self.path, skip_host=True, skip_accept_encoding=True
            )
            for name, value in self.headers.items():
                if name.lower() not in HOP_BY_HOP:
                    connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def _answer(
        self, status: int, headers: list[tuple[str, str]], body: bytes, *, cut: bool = False
    ) -> None:
        self.server.answered.append((self.command, len(body)))
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in HOP_BY_HOP | {"content-length"}:
                self.send_header(name, value)
        length = dict(headers).get("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        if cut:
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
        elif self.command != "HEAD":
            self.wfile.write(body)

    def _reset(self) -> None:
        """End the connection as a crash would: with a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""
