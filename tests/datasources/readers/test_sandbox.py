"""A file is read in a child process: whatever happens there is a refusal here, and no more."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import limited_tasks as tasks
import polars as pl
import psutil
import pytest

from genept.common.errors import SourceError
from genept.datasources.readers.sandbox import Allowance, ChildResult, Limits, limited

LIMITS = Limits(memory=256 << 20, seconds=20, disk=64 << 20)


def run(function, *arguments, handler=None, limits=LIMITS) -> ChildResult:
    with limited(function, *arguments, what="mine.h5ad", limits=limits, handler=handler) as answer:
        return answer


def test_an_answer_and_its_tables_arrive_and_the_child_may_ask():
    with limited(
        tasks.sound, 3, what="x", limits=LIMITS, handler=lambda request: 2 * request["number"]
    ) as answer:
        assert answer.values == {"n": 3, "doubled": 6}
        assert answer.table("rows", {"n": pl.Int64})["n"].to_list() == [0, 1, 2]
        assert answer.printed == ("a remark [31m",)
        with pytest.raises(SourceError, match="other columns"):
            answer.table("rows", {"n": pl.String})
        folder = answer.folder
    assert not folder.exists()


def test_a_refusal_keeps_its_words():
    with pytest.raises(SourceError, match=r"^mine\.csv: has no genes$"):
        run(tasks.refused)


@pytest.mark.parametrize(
    ("function", "arguments", "says"),
    [
        (tasks.raises, ("key",), "cannot be read .KeyError: 'x'; limited_tasks.py line"),
        (tasks.raises, ("os",), "cannot be read .OSError: .*Input/output error"),
        (tasks.raises, ("recursion",), "cannot be read .RecursionError"),
        (tasks.raises, ("memory",), "more than 256 MiB of memory"),
        (tasks.fills_memory, (), "more than 256 MiB of memory.*GENEPT_FILE_MEMORY"),
        (tasks.maps_memory, (), "more than 256 MiB of memory"),
        (tasks.fills_memory_in_children, (), "more than 256 MiB of memory"),
        (tasks.fills_disk, (), "more than 64 MiB of scratch files"),
        (tasks.fills_disk_piecemeal, (), "more than 64 MiB of scratch files"),
        (tasks.dies, ("SIGSEGV",), "was ended by SIGSEGV"),
        (tasks.dies, ("SIGABRT",), "was ended by SIGABRT"),
        (tasks.dies, ("SIGKILL",), "of memory"),
        (tasks.leaves, (), "was ended with code 0"),
    ],
)
def test_whatever_befalls_the_child_is_a_refusal_that_names_the_file(function, arguments, says):
    with pytest.raises(SourceError, match=rf"(?s)^mine\.h5ad: .*{says}"):
        run(function, *arguments)


def test_a_child_that_is_busy_for_ever_is_ended_by_its_processor_time():
    with pytest.raises(SourceError, match="more than 1 CPU seconds"):
        run(tasks.spins, limits=Limits(memory=1 << 30, seconds=1, disk=1 << 20))


def test_the_child_has_no_key_and_no_network(monkeypatch):
    for name in ("GENEPT_S3_SECRET_KEY", "AWS_SECRET_ACCESS_KEY", "OPENAI_API_KEY", "PGPASSWORD"):
        monkeypatch.setenv(name, "a-key")
    assert "a-key" not in run(tasks.environment).values.values()
    with socket.create_server(("127.0.0.1", 0)) as server:
        outcome = run(tasks.connects, server.getsockname()[1]).values
    alone = subprocess.run(["unshare", "-Un", "true"], check=False, capture_output=True)
    if alone.returncode:
        pytest.skip("this system lets nobody give up the network")
    assert "unreachable" in outcome


def test_nothing_of_the_child_outlives_it():
    process = run(tasks.leaves_a_process).values
    for _ in range(200):
        if not psutil.pid_exists(process) or psutil.Process(process).status() == "zombie":
            return
        time.sleep(0.02)
    raise AssertionError("a process that the child began is still there")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
def test_the_child_dies_with_its_parent(tmp_path):
    code = (
        "import limited_tasks, sys; sys.path.insert(0, '.');"
        "from genept.datasources.readers import Limits, limited\n"
        f"with limited(limited_tasks.waits, {str(tmp_path / 'pid')!r}, what='x',"
        " limits=Limits(1 << 30, 60, 1 << 20)): pass"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "support")}
    parent = subprocess.Popen([sys.executable, "-c", code], env=environment)
    try:
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            assert parent.poll() is None
            time.sleep(0.05)
    finally:
        parent.kill()
        parent.wait()
    child = int((tmp_path / "pid").read_text())
    for _ in range(250):
        if not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie":
            return
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    raise AssertionError("the child outlives its parent")


@pytest.mark.parametrize(
    "text",
    [
        b"no JSON\n",
        b"\x80\x04\x95.\n",
        b"[" * 100_000 + b"\n",
        b"x" * (17 << 20),
        b'{"ask": 3}\n',
        b'{"ask": {"a": 1}}\n',
        b'{"error": 7}\n',
        json.dumps({"error": {"text": ["x"], "refusal": "yes", "errno": {}}}).encode() + b"\n",
    ],
    ids=["text", "pickle", "deep", "long", "odd", "unasked", "error", "fields"],
)
def test_what_a_child_says_that_was_taken_over_is_a_refusal_too(text):
    with pytest.raises(SourceError, match="mine.h5ad: "):
        run(tasks.sends, text)


@pytest.mark.parametrize("content", [b"", b"ARROW1\0\0" + b"\xff" * 64 + b"ARROW1"])
def test_a_damaged_table_of_the_child_is_a_refusal(content):
    with (
        limited(tasks.leaves_file, "rows.arrow", content, what="x", limits=LIMITS) as answer,
        pytest.raises(SourceError, match=r"rows\.arrow: .*damaged"),
    ):
        answer.table("rows")


def test_limits_grow_with_the_file(tmp_path):
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"x")
    with large.open("wb") as file:
        file.truncate(64 << 20)
    of_small, of_large = map(Allowance(1 << 28, 60).limits, (small, large))
    assert of_small.seconds == 60
    assert of_small.memory == (1 << 28) + 16
    assert of_large.seconds == 124
    assert of_large.memory == min((1 << 28) + (1 << 30), psutil.virtual_memory().total * 3 // 4)


def test_an_interrupt_leaves_no_child_behind(monkeypatch):
    """After an interrupt Popen itself waits for a quarter of a second only, here not at all."""
    children = []

    class Impatient(subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            self._sigint_wait_secs = 0
            children.append(self)

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", Impatient)
    with (
        pytest.raises(KeyboardInterrupt),
        limited(tasks.sound, 3, what="x", limits=LIMITS, handler=interrupt),
    ):
        pass
    assert [child.returncode for child in children] == [-signal.SIGKILL]
