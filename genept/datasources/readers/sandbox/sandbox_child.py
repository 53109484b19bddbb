"""The child process that reads an untrusted file: it gives up its rights, then reads a file.

It has no keys, no network where the system allows that, and dies with its parent. What it is to
do comes from the parent, which it trusts; what it answers is JSON and Arrow files, because the
parent does not trust it.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pickle
import resource
import signal
import sys
import traceback
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from genept.common import advising

if TYPE_CHECKING:
    import polars as pl

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38
_CLONE_NEWUSER: Final = 0x10000000
_CLONE_NEWNET: Final = 0x40000000
_SLACK: Final = 256 << 20
"""Bytes that allocators reserve and do not use."""


class Parent:
    """The process that asked for the work, as its child sees it.

    Parameters
    ----------
    folder
        The scratch folder: everything that is left there is thrown away with it.
    requests
        Answers of the parent, one JSON document a line.
    messages
        What is sent to the parent, one JSON document a line.
    """

    def __init__(self, folder: Path, requests: IO[bytes], messages: IO[bytes]) -> None:
        self.folder = folder
        self._requests, self._messages = requests, messages

    def ask(self, **question: Any) -> Any:
        """Ask the parent's handler something, and wait for its answer.

        Parameters
        ----------
        **question
            Names and values, as JSON.

        Returns
        -------
        Any
            The handler's answer, as JSON.

        Raises
        ------
        EOFError
            The parent is gone.
        """
        self.say({"ask": question})
        line = self._requests.readline()
        if not line:
            raise EOFError("the parent process is gone")
        return json.loads(line)

    def say(self, message: dict[str, Any]) -> None:
        """Send one message, a dictionary that JSON can hold."""
        self._messages.write(json.dumps(message).encode() + b"\n")
        self._messages.flush()

    def write_table(self, name: str, rows: pl.DataFrame) -> None:
        """Leave a table in the scratch folder for `sandbox.ChildResult.table`."""
        self.write_batches(name, [rows])

    def write_batches(self, name: str, batches: Iterable[pl.DataFrame]) -> None:
        """The same of frames of one schema, at least one of them, one after the other."""
        import pyarrow as pa

        path, tables = self.folder / f"{name}.arrow", (batch.to_arrow() for batch in batches)
        first = next(tables)
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, first.schema) as writer:
            for table in chain([first], tables):
                writer.write_table(table)


def die_with_parent(parent: int) -> None:
    """Be killed when the parent process ends; only Linux can do that."""
    if sys.platform == "linux":
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before it could be said
            os._exit(1)


def main() -> None:
    """Take the request from standard input, work, answer on standard output."""
    requests, messages = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no message
    die_with_parent(int(sys.argv[1]))
    _give_up_rights()  # before any library starts a thread: a process of several may not
    request: dict[str, Any] = pickle.load(requests)  # noqa: S301, of the parent, which is trusted
    sys.path[:] = request["path"]
    parent = Parent(Path.cwd(), requests, messages)
    module, _, name = request["function"].partition(":")
    function = getattr(importlib.import_module(module), name)
    _, arguments = pickle.load(requests)  # noqa: S301
    _limit(request["memory"], request["seconds"], request["disk"])
    parent.say({"ready": True})
    try:
        with advising(request["audience"]):
            answer = {"answer": function(parent, *arguments)}
    except BaseException as error:  # whatever it is, the parent gets to know it
        answer = {"error": _described(error)}
    sys.stdout.flush()
    sys.stderr.flush()
    parent.say(answer)
    os._exit(0)  # what a hostile file left behind in libraries is not tidied up


def _described(error: BaseException) -> dict[str, Any]:
    last = traceback.extract_tb(error.__traceback__)[-1:]
    return {
        # Errors of this package are written for the owner of the file.
        "refusal": type(error).__module__.partition(".")[0] == "genept",
        "type": type(error).__name__,
        "text": str(error),
        "errno": error.errno if isinstance(error, OSError) else None,
        "where": " ".join(f"{Path(it.filename).name} line {it.lineno}" for it in last),
    }


def _limit(memory: int, seconds: int, disk: int) -> None:
    """Set the limits that the system itself enforces; the parent watches the rest."""
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_CPU, seconds, grace=5)  # the kernel's first signal says why it came
    _lower(resource.RLIMIT_FSIZE, disk)
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text()
        used = next(line for line in status.splitlines() if line.startswith("VmData:"))
        _lower(resource.RLIMIT_DATA, int(used.split()[1]) * 1024 + memory + _SLACK)


def _lower(kind: int, limit: int, *, grace: int = 0) -> None:
    _, hard = resource.getrlimit(kind)
    most = limit + grace if hard == resource.RLIM_INFINITY else min(limit + grace, hard)
    resource.setrlimit(kind, (min(limit, most), most))


def _give_up_rights() -> None:
    """No more privileges, and no network, where the system allows to give it up."""
    if sys.platform != "linux":
        return
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    user, group = os.getuid(), os.getgid()
    import ctypes

    if ctypes.CDLL(None).unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        return  # not allowed here: systemd or a container may have done it already
    with contextlib.suppress(OSError):  # without a map, files appear to have no owner
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def _prctl(option: int, value: int) -> None:
    import ctypes

    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    main()
