"""An OpenAI-compatible service on loopback: embeddings, files and batches, and counts of charges.

It answers as the real service does (base64 on request, usage, echoed model) and counts every text
that it charged for: all its work, or only what it delivered correctly. Faults are injected by a
script, one per request, in order. Run as a program, it serves until it is killed, for tests and
benchmarks that kill other processes.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from email import message_from_bytes
from email.policy import HTTP
from typing import Any, Literal

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from genept.text.composition import text_sha256
from genept.text.local.baselines import RandomVectors

Embed = Callable[[Sequence[str]], np.ndarray]
BEFORE_WORK = ("429", "429 retry-after", "500", "quota", "401", "400")
ERRORS = {
    "429": (429, "rate_limit_exceeded"),
    "429 retry-after": (429, "rate_limit_exceeded"),
    "500": (500, "server_error"),
    "quota": (429, "insufficient_quota"),
    "401": (401, "invalid_api_key"),
    "400": (400, "context_length_exceeded"),
}


class LoopbackService:
    """The service's state; `embed` makes the vectors, `per_text` are the seconds that one takes.

    It charges for the work, which is the worst case; with `charges_for = "delivery"` it does not
    charge for spoilt responses, so that a text which is charged twice was requested needlessly.
    """

    def __init__(self, embed: Embed | None = None, per_text: float = 0.0) -> None:
        self.embed = embed or RandomVectors(48).embed
        self.per_text = per_text
        self.tokens_of: Callable[[Sequence[str]], list[int]] = lambda texts: [
            len(text.split()) for text in texts
        ]
        self.url = ""
        self.faults: list[str] = []
        self.charges_for: Literal["work", "delivery"] = "work"
        self.charged: Counter[str] = Counter()
        self.requests: list[int] = []
        self.keys: set[str] = set()
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.finished = True
        """Whether batches that took `batch_seconds` by `clock` are finished."""
        self.ends_as = "completed"
        """Status of a batch that has ended."""
        self.batch_seconds = 0.0
        self.clock: Callable[[], float] = time.time
        self.stated: dict[str, str] = {}
        """Headers of every answer to a request for embeddings."""
        self.spoil_batch: Callable[[list[dict[str, Any]]], list[dict[str, Any]]] = lambda lines: (
            lines
        )
        self._routes = Starlette(
            routes=[
                Route("/v1/embeddings", self.embeddings, methods=["POST"]),
                Route("/v1/files", self.upload, methods=["POST"]),
                Route("/v1/files/{id}/content", self.content),
                Route("/v1/batches", self.create_batch, methods=["POST"]),
                Route("/v1/batches", self.list_batches),
                Route("/v1/batches/{id}", self.batch),
                Route("/charged", self.register),
            ]
        )

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass on the server's transport: Starlette wraps `send`, and a reset needs it."""
        await self._routes(scope | {"transport": send.__self__.transport}, receive, send)

    async def embeddings(self, request: Request) -> Response:
        body = await request.json()
        self.keys.add(request.headers.get("authorization", ""))
        texts = body["input"]
        fault = self.faults.pop(0) if self.faults else ""
        if fault in BEFORE_WORK:
            status, code = ERRORS[fault]
            error = {"message": f"{code}: {request.headers['authorization']}", "code": code}
            headers = {"Retry-After": "0.3"} if "retry-after" in fault else {}
            return JSONResponse({"error": error | {"type": code}}, status, headers)
        if fault == "reset":
            return Reset()
        if fault == "hang":
            await asyncio.sleep(3)
            return PlainTextResponse("too late", 504)
        self.requests.append(len(texts))
        undelivered = spoiled_rows(fault, len(texts)) if self.charges_for == "delivery" else ()
        self.charged.update(text for row, text in enumerate(texts) if row not in undelivered)
        await asyncio.sleep(self.per_text * len(texts))
        answer = await asyncio.to_thread(self.answer, texts, body)
        response = spoiled(answer, fault)
        response.headers.update(self.stated)
        return response

    def answer(self, texts: Sequence[str], body: dict[str, Any]) -> dict[str, Any]:
        vectors = self.embed(texts)
        as_base64 = body.get("encoding_format") == "base64"
        rows = [
            {
                "object": "embedding",
                "index": row,
                "embedding": base64.b64encode(v.tobytes()).decode() if as_base64 else v.tolist(),
            }
            for row, v in enumerate(vectors)
        ]
        tokens = sum(self.tokens_of(texts))
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return {"object": "list", "data": rows, "model": body["model"], "usage": usage}

    async def upload(self, request: Request) -> Response:
        head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
        parts = message_from_bytes(head + await request.body(), policy=HTTP).iter_parts()
        contents = {part.get_param("name", header="content-disposition"): part for part in parts}
        id_ = f"file-{len(self.files)}"
        self.files[id_] = contents["file"].get_payload(decode=True)
        return JSONResponse({"id": id_, "object": "file", "purpose": "batch"})

    async def content(self, request: Request) -> Response:
        return Response(self.files[request.path_params["id"]])

    async def create_batch(self, request: Request) -> Response:
        body = await request.json()
        id_ = f"batch-{len(self.batches)}"
        self.batches[id_] = {
            "id": id_,
            "object": "batch",
            "endpoint": body["endpoint"],
            "input_file_id": body["input_file_id"],
            "completion_window": body["completion_window"],
            "metadata": body["metadata"],
            "created_at": int(self.clock()),
            "status": "validating",
        }
        for line in self._lines(body["input_file_id"]):
            assert line["url"] == body["endpoint"], "the real service refuses such a file"
            self.charge(line["body"])
        if self.faults and self.faults[0] == "lost create":
            self.faults.pop(0)
            return Reset()
        return JSONResponse(self.batches[id_])

    async def list_batches(self, request: Request) -> Response:
        return JSONResponse(
            {"object": "list", "data": list(self.batches.values()), "has_more": False}
        )

    async def batch(self, request: Request) -> Response:
        batch = self.batches[request.path_params["id"]]
        batch["status"] = "in_progress"
        if self.finished and self.clock() - batch["created_at"] >= self.batch_seconds:
            if "output_file_id" not in batch:
                self._finish(batch)
            batch["status"] = self.ends_as
            if self.ends_as == "failed":
                reason = {"code": "invalid_file", "message": "no batch for you"}
                batch["errors"] = {"object": "list", "data": [reason]}
        return JSONResponse(batch)

    def charge(self, body: dict[str, Any]) -> None:
        """Count what a line of a batch asks."""
        self.charged[body["input"]] += 1

    def answer_one(self, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to a line of a batch."""
        return self.answer([body["input"]], body)

    async def register(self, request: Request) -> Response:
        return JSONResponse({"charged": self.charged, "requests": self.requests})

    def _lines(self, file_id: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.files[file_id].splitlines()]

    def _finish(self, batch: dict[str, Any]) -> None:
        lines = [
            {
                "custom_id": line["custom_id"],
                "response": {
                    "status_code": 200,
                    "body": self.answer_one(line["body"]),
                },
                "error": None,
            }
            for line in self._lines(batch["input_file_id"])
        ]
        lines = self.spoil_batch(lines[::-1])  # a batch's output comes in any order
        for kind in ("output", "error"):
            of_kind = [line for line in lines if (line["error"] is None) == (kind == "output")]
            if of_kind:
                batch[f"{kind}_file_id"] = f"{batch['id']}-{kind}"
                self.files[f"{batch['id']}-{kind}"] = "\n".join(map(json.dumps, of_kind)).encode()


class Reset(Response):
    """Ends the connection as a crash would."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        sock = scope["transport"].get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        scope["transport"].abort()


def spoiled_rows(fault: str, n_rows: int) -> range:
    """Rows of a response that `fault` makes unusable in `spoiled`."""
    spoilt_row = min(1, n_rows - 1)
    match fault:
        case "truncated" | "cut" | "html" | "dimension" | "model":
            return range(n_rows)
        case "missing" | "duplicate":
            return range(1, 3)
        case "stray":
            return range(2, 3)
        case "nan" | "null" | "zero" | "norm":
            return range(spoilt_row, spoilt_row + 1)
    return range(0)


def spoiled(answer: dict[str, Any], fault: str) -> Response:  # noqa: PLR0912 - a table
    """A response that was computed and charged for, and then spoilt by a fault."""
    rows = answer["data"]
    vectors = [np.frombuffer(base64.b64decode(row["embedding"]), np.float32) for row in rows]

    def with_vector(row: int, value: Any) -> None:
        encoded = base64.b64encode(value.tobytes()).decode() if value is not None else None
        rows[row] = rows[row] | {"embedding": encoded}

    spoilt_row = min(1, len(rows) - 1)
    match fault:
        case "truncated":
            return Response(json.dumps(answer)[:200], media_type="application/json")
        case "cut":
            content = json.dumps(answer)
            headers = {"content-length": str(len(content))}
            return Cut(content[:200], headers=headers, media_type="application/json")
        case "html":
            return Response("<html>please log in</html>", media_type="text/html")
        case "missing":
            answer["data"] = rows[:1] + rows[3:]
        case "duplicate":
            rows[2] = rows[2] | {"index": 1}
        case "shuffled":
            answer["data"] = rows[::-1]
        case "stray":
            rows[2] = rows[2] | {"index": 99}
        case "dimension":
            for row, vector in enumerate(vectors):
                with_vector(row, vector[:-1])
        case "nan":
            spoilt = vectors[spoilt_row].copy()
            spoilt[3] = np.nan
            with_vector(spoilt_row, spoilt)
        case "null":
            with_vector(spoilt_row, None)
        case "zero":
            with_vector(spoilt_row, vectors[spoilt_row] * np.float32(0))
        case "norm":
            with_vector(spoilt_row, vectors[spoilt_row] * np.float32(3))
        case "model":
            answer["model"] = "another-model"
        case "no usage":
            del answer["usage"]
        case "floats":
            for row, vector in zip(rows, vectors, strict=True):
                row["embedding"] = vector.tolist()
    return JSONResponse(answer)


class Cut(Response):
    """A body that ends before its stated length."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        scope["transport"].close()


@contextmanager
def serving(service: LoopbackService) -> Iterator[str]:
    """The service under a port of its own; yields its base URL."""
    config = uvicorn.Config(
        service.app,
        host="127.0.0.1",
        port=0,
        interface="asgi3",
        log_level="critical",
        lifespan="off",
        ws="none",
    )
    server = uvicorn.Server(config)
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
    finally:
        server.should_exit = server.force_exit = True
        thread.join()
        listening.close()


def hashed(dimensions: int) -> Embed:
    """Cheap vectors that depend on the text alone, so that benchmarks do not measure them."""
    table = RandomVectors(dimensions).embed([str(number) for number in range(256)])

    def embed(texts: Sequence[str]) -> np.ndarray:
        digests = np.array([list(bytes.fromhex(text_sha256(text))[:3]) for text in texts])
        mixed = table[digests].reshape(len(texts), 3, dimensions).sum(axis=1)
        unit: np.ndarray = mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
        return unit.astype(np.float32)

    return embed


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--dimensions", type=int, default=48)
    parser.add_argument("--per-text", type=float, default=0.0)
    options = parser.parse_args()
    with serving(LoopbackService(hashed(options.dimensions), options.per_text)) as url:
        print(url, flush=True)  # noqa: T201 - the parent reads it
        threading.Event().wait()


if __name__ == "__main__":
    main()
