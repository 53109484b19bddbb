"""A publisher on loopback: serves files with ETags and ranges, and injects faults by a script."""

from __future__ import annotations

import hashlib
import mmap
import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DATED = "Sun, 01 Feb 2026 10:00:00 GMT"


@dataclass
class Fault:
    """The response instead of the file: a status, other bytes, or a broken transfer."""

    status: int = 200
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cut_at: int | None = None  # bytes of the body after which the connection is reset
    trickle: bool = False
    hang: bool = False
    ignore_range: bool = False
    shift: int = 0  # another range than the one that was requested


class Publisher(ThreadingHTTPServer):
    """Files by path, faults of the next requests by path, and all requests so far."""

    daemon_threads = False
    block_on_close = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.files: dict[str, bytes | mmap.mmap] = {}
        self.etags: dict[str, str] = {}
        self.bodies: list[int] = []  # bytes of files in each answer
        self.most: int | None = None  # bytes after which transfers are cut, then refused
        self.faults: dict[str, list[Fault]] = {}
        self.validators = True
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.closing = threading.Event()

    @property
    def sent(self) -> int:
        """Bytes of files that were sent."""
        return sum(self.bodies)

    def requests_of(self, path: str) -> list[dict[str, str]]:
        return [headers for name, headers in self.seen if name == path]

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that close the connection, which tests do on purpose."""


@contextmanager
def publisher(server: Publisher | None = None) -> Iterator[Publisher]:
    server = server or Publisher()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 0.5
    server: Publisher

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].removeprefix("/")
        request_headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append((path, request_headers))
        faults = self.server.faults.get(path, [])
        fault = faults.pop(0) if faults else Fault()
        if fault.hang:
            self.server.closing.wait(30)
            self.close_connection = True
            return
        if self.server.most is not None and not faults:
            left = self.server.most - self.server.sent
            fault = Fault(cut_at=left) if left > 0 else Fault(status=403)
        content = fault.body if fault.body is not None else self.server.files.get(path)
        if fault.status != 200 or content is None:
            self._answer(
                fault.status if content or fault.status != 200 else 404, fault.headers, b""
            )
            return
        etag = self.server.etags.get(path) or f'"{hashlib.md5(content).hexdigest()}"'  # noqa: S324
        headers: dict[str, str] = {}
        if self.server.validators:
            headers = {"ETag": etag, "Last-Modified": DATED}
            if request_headers.get("if-none-match") == etag:
                self._answer(304, headers, b"")
                return
        span = None if fault.ignore_range else self._span(request_headers, etag, len(content))
        if span is None:
            self._answer(200, headers | fault.headers, content[:], fault)
            return
        start, stop = (at + fault.shift for at in span)
        if start >= len(content):
            self._answer(416, {"Content-Range": f"bytes */{len(content)}"}, b"")
            return
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
        self._answer(206, headers | fault.headers, content[start:stop], fault)

    def _span(
        self, request_headers: dict[str, str], etag: str, size: int
    ) -> tuple[int, int] | None:
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", request_headers.get("range", ""))
        if match is None or request_headers.get("if-range", etag) not in (etag, DATED):
            return None
        return int(match[1]), min(int(match[2] or size) + 1, size)

    def _answer(
        self, status: int, headers: dict[str, str], body: bytes, fault: Fault | None = None
    ) -> None:
        self.send_response_only(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if fault is not None and fault.cut_at is not None and fault.cut_at < len(body):
            self.wfile.write(body[: fault.cut_at])
            self.server.bodies.append(len(body[: fault.cut_at]))
            self.wfile.flush()
            self.server.closing.wait(0.05)  # a reset may overtake the bytes sent before it
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()
            self.close_connection = True
        elif fault is not None and fault.trickle:
            for byte in body:
                self.wfile.write(bytes([byte]))
                if self.server.closing.wait(0.02):
                    break
        else:
            self.server.bodies.append(len(body))
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""
