"""The simulated client answers as boto3 does on the real server; faults have their effects."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from genept.common.errors import ConflictError, UnreachableStoreError
from genept.storage.object_store import ObjectStore
from genept.storage.requests import error_code, http_status
from simulation.library import in_world
from simulation.network import Client, connect
from simulation.process import Process
from simulation.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(0, tmp_path)
    world.quiet = True
    return world


def results_of(world: World, act: Any) -> list[Any]:
    """Result or error of `act`, in a process that is alone on the network."""
    outcomes: list[Any] = []

    def body(process: Process) -> None:
        try:
            outcomes.append(act(process))
        except Exception as error:
            outcomes.append(error)

    with in_world(world):
        world.start("process", body)
        world.run_processes()
    return outcomes


def described(call: Any, operation: str, request: dict[str, Any], prefix: str) -> Any:
    """The parts of a response that do not depend on the server; status and code of a refusal."""
    try:
        answer = getattr(call, operation)(**request)
    except ClientError as error:
        if operation == "put_object" and http_status(error) in {404, 412}:
            return 412, "PreconditionFailed"  # where there is no object, AWS answers IfMatch by 404
        return http_status(error), error_code(error)
    body = b"".join(answer["Body"].iter_chunks(10)) if "Body" in answer else None
    return body, answer.get("ETag"), answer.get("ContentLength"), answer.get("Metadata")


def random_requests(prefix: str, seed: int) -> list[tuple[str, dict[str, Any]]]:
    rng, requests = Random(seed), []
    for number in range(120):
        key = f"{prefix}/{rng.choice('abc')}"
        body = rng.choice((b"one", b"two", f"{number}".encode()))
        kind = rng.choice(("create", "swap", "get", "head", "delete"))
        address: dict[str, Any] = {"Bucket": "lake", "Key": key}
        if kind == "create":
            requests.append(("put_object", address | {"Body": body, "IfNoneMatch": "*"}))
        elif kind == "swap":
            requests.append(("put_object", address | {"Body": body, "IfMatch": rng.choice("01")}))
        elif kind == "delete":
            deletion = {"Objects": [{"Key": key}], "Quiet": True}
            requests.append(("delete_objects", {"Bucket": "lake", "Delete": deletion}))
        else:
            requests.append((f"{kind}_object", address))
    return requests


def test_every_request_is_answered_as_by_the_real_server(
    object_store: ObjectStore, store_prefix: str, world: World
) -> None:
    def answers(client: Any) -> list[Any]:
        """Responses to random requests, whose `IfMatch` is the right ETag or a wrong one."""
        results = []
        for operation, request in random_requests(store_prefix, 7):
            if "IfMatch" in request:
                try:
                    etag = client.head_object(Bucket="lake", Key=request["Key"])["ETag"]
                except ClientError:
                    etag = '"0"'
                request["IfMatch"] = etag if request["IfMatch"] == "1" else '"0"'
            results.append(described(client, operation, request, store_prefix))
        pages = client.get_paginator("list_objects_v2").paginate(
            Bucket="lake", Prefix=f"{store_prefix}/"
        )
        results.append([
            (item["Key"], item["Size"], item["ETag"])
            for page in pages for item in page.get("Contents", [])
        ])  # fmt: skip
        return results

    world.ledger.observe = lambda *_: None  # type: ignore[method-assign] # the requests rewrite objects
    real = answers(object_store.client)
    (simulated,) = results_of(world, lambda process: answers(Client(world, process)))
    assert simulated == real
    assert {answer[0] for answer in real if answer and isinstance(answer[0], int)} == {404, 412}


def test_a_lost_answer_is_repeated_and_the_refusal_read_back(world: World) -> None:
    losses = iter([True])
    world.occurs = lambda fault: fault == "answer lost" and next(losses, False)  # type: ignore
    store_of = lambda process: connect(world, process)  # noqa: E731
    assert results_of(world, lambda process: store_of(process).put_if_absent("a/b", b"body")) == [
        True
    ]
    assert world.counters["answer of a write lost"] == 1
    (refused,) = results_of(world, lambda process: store_of(process).put_if_absent("a/b", b"other"))
    assert isinstance(refused, ConflictError)


def test_the_store_is_unreachable_when_no_attempt_is_answered(world: World) -> None:
    world.occurs = lambda fault: fault == "request lost"  # type: ignore[method-assign]
    (error,) = results_of(world, lambda process: connect(world, process).get("a/b"))
    assert isinstance(error, UnreachableStoreError)
    assert world.counters["request lost"] == 4


def test_a_late_write_takes_effect_after_its_sender_got_an_error(world: World) -> None:
    world.occurs = lambda fault: fault == "late"  # type: ignore[method-assign]

    def write_and_read(process: Process) -> object:
        client = Client(world, process)
        with pytest.raises(ReadTimeoutError):
            client._attempt("put_object", {"Bucket": "lake", "Key": "a", "Body": b""})
        return world.stored("a")

    assert results_of(world, write_and_read) == [None]
    assert world.stored("a") is not None, "it arrived after the client gave up"


def test_a_process_that_dies_does_nothing_more(world: World) -> None:
    world.occurs = lambda fault: fault == "death"  # type: ignore[method-assign]

    def ignore_errors(process: Process) -> None:
        for key in "abc":
            try:
                Client(world, process).put_object(Bucket="lake", Key=key, Body=b"")
            except ConnectionClosedError:
                continue
            except BaseException:  # noqa: S112 (as code that ignores errors does)
                continue

    results_of(world, ignore_errors)
    assert world.bucket.objects == {}
    assert world.counters["process died before a call"] == 1
