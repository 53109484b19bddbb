"""Chat completions on loopback beside embeddings, and counts of what was charged.

It answers as the real service does, by a function of the test's own, and counts every question with
its seed. Faults are injected by a script, one per request, in order. Run as a program, it serves
until it is killed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from loopback_openai import BEFORE_WORK, ERRORS, Cut, LoopbackService, Reset, serving
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

Write = Callable[[dict[str, Any]], str]


def echo(body: dict[str, Any]) -> str:
    """An answer that depends on the question and the seed alone."""
    return f"an answer to {question(body)} drawn by {body.get('seed')}"


def question(body: dict[str, Any]) -> str:
    return body["messages"][-1]["content"]


class LoopbackChats(LoopbackService):
    """The service's state; `write` makes the answers, `seconds` is what one takes."""

    def __init__(self, write: Write = echo, seconds: float = 0.0) -> None:
        super().__init__()
        self.write, self.seconds = write, seconds
        self.bodies: list[dict[str, Any]] = []
        self.asked: Counter[str] = Counter()
        self.under_way = self.most_under_way = 0
        self._routes.router.routes += [
            Route("/v1/chat/completions", self.chat, methods=["POST"]),
            Route("/asked", self.questions),
        ]

    async def chat(self, request: Request) -> Response:
        body = await request.json()
        self.keys.add(request.headers.get("authorization", ""))
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
        self.charge(body)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await asyncio.sleep(self.seconds)
        self.under_way -= 1
        response = spoiled(self.completion(body), fault)
        response.headers.update(self.stated)
        return response

    def charge(self, body: dict[str, Any]) -> None:
        if "messages" in body:
            self.bodies.append(body)
            self.asked[f"{question(body)} @{body.get('seed')}"] += 1
        else:
            super().charge(body)

    def answer_one(self, body: dict[str, Any]) -> dict[str, Any]:
        return self.completion(body) if "messages" in body else super().answer_one(body)

    def completion(self, body: dict[str, Any]) -> dict[str, Any]:
        text = self.write(body)
        read = sum(len(message["content"].split()) for message in body["messages"])
        written = len(text.split())
        message = {"role": "assistant", "content": text, "refusal": None}
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {
                "prompt_tokens": read,
                "completion_tokens": written,
                "total_tokens": read + written,
            },
        }

    async def questions(self, request: Request) -> Response:
        return JSONResponse(self.asked)


def spoiled(answer: dict[str, Any], fault: str) -> Response:
    """A response that was made and charged for, and then spoilt by a fault."""
    choice = answer["choices"][0]
    match fault:
        case "truncated":
            return Response(json.dumps(answer)[:120], media_type="application/json")
        case "cut":
            content = json.dumps(answer)
            headers = {"content-length": str(len(content))}
            return Cut(content[:120], headers=headers, media_type="application/json")
        case "html":
            return Response("<html>please log in</html>", media_type="text/html")
        case "model":
            answer["model"] = "another-model"
        case "refusal":
            choice["message"] |= {"content": None, "refusal": "I do not write about this."}
        case "filter":
            choice |= {"finish_reason": "content_filter"}
            choice["message"] |= {"content": None}
        case "no choices":
            answer["choices"] = []
        case "null":
            choice["message"] |= {"content": None}
        case "length":
            choice |= {"finish_reason": "length"}
            choice["message"] |= {"content": choice["message"]["content"][:-1]}
        case "no usage":
            del answer["usage"]
    return JSONResponse(answer)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=0.0)
    options = parser.parse_args()
    with serving(LoopbackChats(seconds=options.seconds)) as url:
        print(url, flush=True)  # noqa: T201 - the parent reads it
        threading.Event().wait()


if __name__ == "__main__":
    main()
