"""An S3 server in memory with one fault, which the library must detect."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree

Fault = Literal[
    "none",
    "ignores If-None-Match",
    "ignores If-Match",
    "forgets earlier ETags",
    "checks, then writes",
    "lists late",
    "does not know the header",
]
NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


class FaultyS3(ThreadingHTTPServer):
    """One bucket without access control."""

    daemon_threads = True

    def __init__(self, fault: Fault) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.fault = fault
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.objects: dict[str, bytes] = {}
        self.listed: set[str] = set()
        self.puts = 0
        self.lock = threading.Lock()

    def put(self, key: str, body: bytes, absent: bool, etag: str | None) -> int:
        """Write conditionally, with the fault of this server; return the HTTP status."""
        self.puts += 1
        if self.fault == "does not know the header" and (absent or etag):
            return 501
        if self.fault == "checks, then writes":
            if not self._fits(key, absent, etag):
                return 412
            time.sleep(0.05)
            self.objects[key] = body
            return 200
        with self.lock:
            if not self._fits(key, absent, etag):
                return 412
            self.objects[key] = body
            return 200

    def _fits(self, key: str, absent: bool, etag: str | None) -> bool:
        if absent and self.fault != "ignores If-None-Match" and key in self.objects:
            return False
        if etag and self.fault != "ignores If-Match":
            earlier = self.fault == "forgets earlier ETags" and etag != f'"{"0" * 32}"'
            return earlier or etag == etag_of(self.objects.get(key, b""))
        return True


def etag_of(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyS3

    def _key(self) -> str:
        return unquote(urlsplit(self.path).path).removeprefix("/lake").removeprefix("/")

    def do_PUT(self) -> None:
        body = self._body()
        absent, etag = self.headers.get("If-None-Match") == "*", self.headers.get("If-Match")
        status = self.server.put(self._key(), body, absent, etag)
        code = {412: "PreconditionFailed", 501: "NotImplemented"}.get(status, "")
        self._answer(status, f"<Error><Code>{code}</Code></Error>" if code else "", etag_of(body))

    def do_GET(self) -> None:
        if "list-type" in parse_qs(urlsplit(self.path).query):
            self._list(parse_qs(urlsplit(self.path).query).get("prefix", [""])[0])
        elif (body := self.server.objects.get(self._key())) is None:
            self._answer(404, "<Error><Code>NoSuchKey</Code></Error>")
        else:
            self._answer(200, body, etag_of(body))

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:
        for key in ElementTree.fromstring(self._body()).iter(f"{NAMESPACE}Key"):  # noqa: S314
            self.server.objects.pop(str(key.text), None)
        self._answer(200, "<DeleteResult/>")

    def _list(self, prefix: str) -> None:
        keys = sorted(key for key in list(self.server.objects) if key.startswith(prefix))
        if self.server.fault == "lists late":
            keys, self.server.listed = (
                [key for key in keys if key in self.server.listed],
                self.server.listed | set(keys),
            )
        contents = "".join(
            f"<Contents><Key>{key}</Key><Size>1</Size><ETag>x</ETag>"
            "<LastModified>2026-01-01T00:00:00Z</LastModified></Contents>"
            for key in keys
        )
        self._answer(
            200, f"<ListBucketResult><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>"
        )

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "aws-chunked" not in self.headers.get("Content-Encoding", ""):
            return body
        size, _, rest = body.partition(b"\r\n")
        return rest[: int(size.split(b";")[0], 16)]

    def _answer(self, status: int, body: str | bytes, etag: str = "") -> None:
        content = body if isinstance(body, bytes) else body.encode()
        self.send_response_only(status)
        if etag:
            self.send_header("ETag", etag)
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@contextmanager
def faulty_s3(fault: Fault) -> Iterator[FaultyS3]:
    """A running server."""
    server = FaultyS3(fault)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
