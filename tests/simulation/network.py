"""The client of one process: boto3's calls over a network that loses, delays, repeats and cuts.

Replaces botocore with its retries ("standard" mode). Everything above it is the library's own,
including conditional writes and reading them back after a lost response.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    IncompleteReadError,
    ReadTimeoutError,
)

from genept.release.publish import Releases
from genept.storage.lake import Lake
from genept.storage.object_store import ObjectStore
from genept.storage.requests import ATTEMPTS
from simulation.bucket import refusal
from simulation.process import Died, Process
from simulation.world import CHANGES_WEIGHT_AT_WRITE, World

ENDPOINT = "http://store.invalid"
WRITES = {"put_object", "delete_objects", "delete_object"}


class Body:
    """The body of a response; if it is cut, it ends too early."""

    def __init__(self, content: bytes, is_cut: bool) -> None:
        self.content, self.is_cut = content, is_cut

    def iter_chunks(self, size: int) -> Iterator[bytes]:
        if self.is_cut:
            yield self.content[: len(self.content) // 2]
            raise IncompleteReadError(
                actual_bytes=len(self.content) // 2, expected_bytes=len(self.content)
            )
        yield self.content

    def read(self) -> bytes:
        return b"".join(self.iter_chunks(1 << 20))

    def close(self) -> None:
        pass


class Paginator:
    """Pages of a listing; others may write between two of them."""

    def __init__(self, client: Client, operation: str) -> None:
        self.client, self.operation = client, operation

    def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
        after = ""
        while True:
            page = self.client.call(self.operation, request | {"StartAfter": after})
            yield page
            if not page["IsTruncated"]:
                return
            after = page["Contents"][-1]["Key"]


class Client:
    """The methods of a boto3 client that the library uses."""

    def __init__(self, world: World, process: Process) -> None:
        self.world, self.process = world, process

    def put_object(self, **request: Any) -> dict[str, Any]:
        body = request["Body"]
        if not isinstance(body, bytes):
            body.seek(0)
            request["Body"] = body.read()
        return self.call("put_object", request)

    def get_object(self, **request: Any) -> dict[str, Any]:
        answer = self.call("get_object", request)
        is_cut = bool(answer["Body"]) and self.world.occurs("body cut")
        self.world.counters["body of an answer cut"] += is_cut
        self.process.was_cut |= is_cut
        return answer | {"Body": Body(answer["Body"], is_cut)}

    def head_object(self, **request: Any) -> dict[str, Any]:
        return self.call("head_object", request)

    def delete_objects(self, **request: Any) -> dict[str, Any]:
        return self.call("delete_objects", request)

    def delete_object(self, **request: Any) -> dict[str, Any]:
        return self.call("delete_object", request)

    def get_paginator(self, operation: str) -> Paginator:
        return Paginator(self, operation)

    def close(self) -> None:
        pass

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """One call with its retries.

        Raises
        ------
        ClientError
            The store refused.
        HTTPClientError
            No attempt was answered.
        Died
            The process died meanwhile.
        """
        if self.process.doomed:
            raise Died
        if self.world.occurs("cut off"):
            self.world.counters["process cut off from the store for a call"] += 1
            self.process.gave_up = True
            raise EndpointConnectionError(endpoint_url=ENDPOINT)
        failure: Exception | None = None
        for _ in range(ATTEMPTS):
            try:
                return self._attempt(operation, request)
            except (ConnectionClosedError, ReadTimeoutError) as error:
                failure = error
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] != 503:
                    raise
                failure = error
        self.process.gave_up = True
        self.world.counters["every attempt of a call failed"] += 1
        assert failure is not None
        raise failure

    def _attempt(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        world, process = self.world, self.process
        is_write = operation in WRITES
        self._may_suspend(operation, request)
        if world.occurs("death"):
            world.counters["process died before a call"] += 1
            self._die()
        world.pause(process)  # the request travels
        if world.occurs("outage"):
            world.outage_ends = world.steps + world.rng.randint(20, 200)
            world.counters["store out of reach of everybody for a while"] += 1
            world.log("store", f"is out of reach until step {world.outage_ends}")
        if world.occurs("request lost") or world.steps < world.outage_ends:
            world.counters["request lost"] += 1
            raise ConnectionClosedError(endpoint_url=ENDPOINT)
        if is_write and world.occurs("death"):
            world.send(process, operation, request, "write of a process that died meanwhile")
            self._die()
        if is_write and world.occurs("late"):
            world.send(process, operation, request, "write delivered late, after its timeout")
            raise ReadTimeoutError(endpoint_url=ENDPOINT)
        if world.occurs("unavailable"):
            world.counters["answer 503"] += 1
            raise refusal(503, "SlowDown", operation)
        if operation == "put_object" and world.occurs("conflict"):
            world.counters["answer 409"] += 1
            raise refusal(409, "ConditionalRequestConflict", operation)
        answer, changes = world.apply(process, operation, request)
        if is_write and world.occurs("twice"):
            world.send(process, operation, request, "write delivered twice")
        if is_write and changes and world.occurs("death"):
            world.counters["process died after a write, before its answer"] += 1
            self._die()
        if not world.quiet:
            world.pause(process)  # the answer travels
        if world.occurs("answer lost"):
            world.counters["answer of a write lost" if changes else "answer of a read lost"] += 1
            raise ConnectionClosedError(endpoint_url=ENDPOINT)
        return answer

    def _may_suspend(self, operation: str, request: dict[str, Any]) -> None:
        """Before some kinds of requests, often suspend the process or change its weight."""
        world, process = self.world, self.process
        if operation == "put_object" and request["Key"] == world.ledger.pointer_key:
            process.pointer_expected = request.get("IfMatch")
            if world.occurs("suspension before a swap"):
                world.suspend(process, world.rng.randint(50, 400))
                world.counters["process suspended before a swap"] += 1
        if world.quiet:
            return
        if operation in WRITES and world.rng.random() < CHANGES_WEIGHT_AT_WRITE:
            world.weigh(process)
        key = request.get("Key") or request.get("Prefix", "")
        if world.focus.suspends_at(operation, key) and world.occurs("suspension at a spot"):
            world.suspend_for_some_time(process)
            world.counters["process suspended before a chosen request"] += 1

    def _die(self) -> None:
        self.world.log(self.process.name, "dies")
        self.process.doomed = True
        raise Died


def connect(world: World, process: Process) -> ObjectStore:
    """The library's own store object, over the simulated network."""
    store = ObjectStore(ENDPOINT, "key", "secret", "us-east-1", "lake")
    store.__dict__["client"] = Client(world, process)
    return store


def releases_of(world: World, process: Process) -> Releases:
    """The releases, opened by one process."""
    store = connect(world, process)
    return Releases(Lake(store, world.product, process.cache / "parts"), world.product)
