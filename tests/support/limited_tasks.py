"""Behaviour of faulty or hostile readers, to be run in a limited child process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl

from genept.common.errors import SourceError
from genept.datasources.readers.sandbox import Parent


def sound(parent: Parent, n: int) -> dict[str, Any]:
    parent.write_table("rows", pl.DataFrame({"n": range(n)}))
    sys.stdout.write("a remark\x1b[31m\n")
    return {"n": n, "doubled": parent.ask(number=n)}


def refused(_: Parent) -> None:
    raise SourceError("mine.csv: has no genes")


def raises(_: Parent, name: str) -> None:
    if name == "recursion":
        raises(_, name)
    raise {"key": KeyError("x"), "os": OSError(5, "Input/output error"), "memory": MemoryError()}[
        name
    ]


def fills_memory(_: Parent) -> int:
    blocks = []
    while True:
        blocks.append(bytearray(b"x" * (16 << 20)))


def maps_memory(_: Parent) -> int:
    return len(bytearray(64 << 30))


def fills_memory_in_children(_: Parent) -> None:
    code = "import time; x = b'x' * (128 << 20); time.sleep(60)"
    processes = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    for process in processes:
        process.wait()


def spins(_: Parent) -> None:
    while True:
        pass


def fills_disk(parent: Parent) -> None:
    with (parent.folder / "much").open("wb") as file:
        while True:
            file.write(b"x" * (1 << 20))


def fills_disk_piecemeal(parent: Parent) -> None:
    for number in range(96):
        (parent.folder / f"much-{number}").write_bytes(b"x" * (1 << 20))
    time.sleep(60)


def dies(_: Parent, name: str) -> None:
    os.kill(os.getpid(), getattr(signal, name))
    time.sleep(60)


def leaves(_: Parent) -> None:
    os._exit(0)


def leaves_a_process(parent: Parent) -> int:
    return subprocess.Popen(["sleep", "600"], cwd=parent.folder.parent).pid


def environment(_: Parent) -> dict[str, str]:
    return dict(os.environ)


def connects(_: Parent, port: int) -> str:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError as error:
        return str(error)
    return "connected"


def sends(parent: Parent, text: bytes) -> None:
    """Send any bytes, as a process would that a hostile file has taken over."""
    parent._messages.write(text)
    parent._messages.flush()
    os._exit(0)


def leaves_file(parent: Parent, name: str, content: bytes) -> None:
    (parent.folder / name).write_bytes(content)


def waits(_: Parent, path: str) -> None:
    Path(path).write_text(str(os.getpid()))
    time.sleep(600)
