"""Untrusted files are read in a child process with limits on memory, time and disk.

Whatever becomes of the child (an exception, a signal, a limit) is a `SourceError` here. Nothing
that it answers is trusted: the answer is JSON, and tables are Arrow files that are checked against
a schema. What runs in the child is in `genept.sources.limited_child`; what is read there is the
business of the callers.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import polars as pl
import psutil

from genept.sources.advice import audience
from genept.sources.errors import SourceError

MEBIBYTE: Final = 1 << 20
LONGEST_LINE: Final = 16 * MEBIBYTE
"""Bytes of one message of the child."""
LONGEST_REASON: Final = 2_000
PRINTED: Final = 64 << 10
"""Bytes of what the child printed that are looked at."""
_INTERVAL: Final = 0.02
_ENVIRONMENT: Final = re.compile(
    r"PATH|HOME|LANG|LANGUAGE|LC_\w+|TZ|PYTHON(PATH|HASHSEED|WARNINGS)|VIRTUAL_ENV"
    r"|(DY)?LD_\w+|NUMBA_\w+|XDG_CACHE_HOME"
)
"""Variables that the child is given: none of them holds a key."""
_ONE_THREAD: Final = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",  # mimalloc reserves a GiB, which the limit would count
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "POLARS_MAX_THREADS": "2",
    "MALLOC_ARENA_MAX": "2",
}
_OUT_OF_MEMORY: Final = (b"memory allocation of", b"bad_alloc", b"out of memory", b"MemoryError")


@dataclass(frozen=True)
class Limits:
    """What reading one file may take.

    Parameters
    ----------
    memory
        Bytes beyond what the process takes before it opens the file.
    seconds
        CPU seconds of each process; the clock may show ten times as many.
    disk
        Bytes of scratch files.
    processes
        How many worker processes the child may have; each may take `memory`.
    """

    memory: int
    seconds: int
    disk: int
    processes: int = 1


@dataclass(frozen=True)
class Allowance:
    """What a small file may take; see settings `file_memory` and `file_seconds`.

    A larger one may take 16 times its size more memory, though not more than three quarters of
    the machine's, and a second more for each MiB.
    """

    memory: int = 768 * MEBIBYTE
    seconds: int = 120

    def limits(self, *files: Path, processes: int = 1) -> Limits:
        """The limits for reading these files."""
        size = sum(file.stat().st_size for file in files)
        most = psutil.virtual_memory().total * 3 // 4
        return Limits(
            memory=min(self.memory + 16 * size, max(most, self.memory)),
            seconds=self.seconds + size // MEBIBYTE,
            disk=4096 * MEBIBYTE + 64 * size,
            processes=processes,
        )


USUAL: Final = Allowance()


@dataclass(frozen=True)
class Answer:
    """What the child found.

    Parameters
    ----------
    values
        What its function returned: JSON, of any shape until the caller has checked it.
    folder
        Its scratch folder, where it may have left tables.
    peak
        Bytes of memory that it and its workers took at most.
    """

    values: Any
    folder: Path
    peak: int
    printed: tuple[str, ...]

    def table(self, name: str, schema: Mapping[str, Any] | None = None) -> pl.DataFrame:
        """A table that the child wrote with `limited_child.write_table`.

        Parameters
        ----------
        schema
            The columns and types that it must have.

        Raises
        ------
        SourceError
            It is missing, damaged, or of other columns.
        """
        return read_table(self.folder / f"{name}.arrow", schema)


Handler = Callable[[dict[str, Any]], Any]
"""Answers a question of the child; the question is not to be trusted."""


@contextmanager
def limited(
    function: Callable[..., Any],
    *arguments: Any,
    what: str,
    limits: Limits,
    handler: Handler | None = None,
    folder: Path | None = None,
) -> Iterator[Answer]:
    """Run `function` in a limited child process; its scratch folder lives as long as the context.

    Parameters
    ----------
    function
        Of a module's top level. It is called with a `limited_child.Parent` and `arguments`,
        which must be picklable and hold no key.
    what
        Name of the file for messages.
    handler
        Answers what the child asks while it runs; see `limited_child.Parent.ask`.
    folder
        Where the scratch folder is made; none: where the system keeps temporary files.

    Raises
    ------
    SourceError
        The function raised, the process died, or it went beyond a limit: says which.
    """
    with tempfile.TemporaryDirectory(prefix="genept-limited-", dir=folder) as scratch:
        yield _run(function, arguments, what, limits, handler, Path(scratch))


def read_table(path: Path, schema: Mapping[str, Any] | None = None) -> pl.DataFrame:
    """A table in an uncompressed Arrow file of somebody who is not trusted, checked in full."""
    return pl.concat(list(read_batches(path, schema)))


def read_batches(path: Path, schema: Mapping[str, Any] | None = None) -> Iterator[pl.DataFrame]:
    """The same, one batch after the other."""
    import pyarrow as pa

    try:
        # Not mapped into memory: the file is not to change under whoever reads it.
        with pa.OSFile(str(path)) as file, pa.ipc.open_file(file) as reader:
            for number in range(max(reader.num_record_batches, 1)):
                table = (
                    pa.Table.from_batches([reader.get_batch(number)])
                    if reader.num_record_batches
                    else reader.schema.empty_table()
                )
                table.validate(full=True)
                frame = pl.DataFrame(pl.from_arrow(table))
                if schema is not None and dict(frame.schema) != dict(schema):
                    raise SourceError(
                        f"{path.name}: the reading process left other columns than expected"
                    )
                yield frame
    except (pa.ArrowException, OSError, pl.exceptions.PolarsError) as error:
        raise SourceError(f"{path.name}: what the reading process left is damaged") from error


def _run(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    what: str,
    limits: Limits,
    handler: Handler | None,
    scratch: Path,
) -> Answer:
    request = {
        "function": f"{function.__module__}:{function.__qualname__}",
        "path": [str(Path(entry).absolute()) for entry in sys.path],
        "memory": limits.memory,
        "seconds": limits.seconds,
        "disk": limits.disk,
        # What is read under limits is always somebody's own file.
        "audience": "sidecar" if audience() == "sidecar" else "command_line",
    }
    with (
        tempfile.TemporaryFile() as printed,
        subprocess.Popen(
            [sys.executable, "-P", "-m", "genept.sources.limited_child", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=printed,
            cwd=scratch,
            env=_environment(scratch),
            start_new_session=True,
        ) as process,
    ):
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the child process has no pipes")
        watch = _Watch(process, limits, scratch)
        try:
            with contextlib.suppress(BrokenPipeError):
                for part in (request, (function.__module__, arguments)):
                    pickle.dump(part, process.stdin)
                process.stdin.flush()
            last = _conversation(process.stdin, process.stdout, watch, handler)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=5)  # it says no more, and is killed if it stays
        finally:
            watch.end()
        text = _printed(printed)
    if watch.broken is None and isinstance(last, dict) and "answer" in last:
        lines = tuple(map(_plain, text.decode("utf-8", "replace").splitlines()))
        return Answer(last["answer"], scratch, watch.peak, lines)
    if watch.broken is None and not watch.ident:  # it never came to open a file
        raise RuntimeError(
            f"a process to read {what} did not start: {text.decode(errors='replace')}"
        )
    raise SourceError(_reason(what, limits, process.returncode, watch.broken, last, text))


def _conversation(
    to_child: IO[bytes], from_child: IO[bytes], watch: _Watch, handler: Handler | None
) -> Any:
    """Answer the child's questions until its last message; that, or None if there was none."""
    while True:
        line = from_child.readline(LONGEST_LINE)
        if not line.endswith(b"\n"):
            return None  # it died, or says more than it may
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            return None
        if not isinstance(message, dict):
            return None
        if "ready" in message:
            watch.start()
        elif "ask" in message:
            if handler is None or not isinstance(message["ask"], dict):
                return None
            with contextlib.suppress(BrokenPipeError):
                to_child.write(json.dumps(handler(message["ask"])).encode() + b"\n")
                to_child.flush()
        else:
            return message


class _Watch(threading.Thread):
    """Kills the child and its workers when they take more than they may; remembers the peak."""

    def __init__(self, process: subprocess.Popen[bytes], limits: Limits, scratch: Path) -> None:
        super().__init__(name="genept-limits", daemon=True)
        self.peak = 0
        self.broken: str | None = None
        self._process, self._limits, self._scratch = process, limits, scratch
        self._ended = threading.Event()

    def run(self) -> None:
        baseline = self._used()
        allowed = baseline + self._limits.memory * self._limits.processes
        begun, looked = time.monotonic(), 0.0
        while not self._ended.wait(_INTERVAL):
            used, now = self._used(), time.monotonic()
            self.peak = max(self.peak, used - baseline)
            if used > allowed:
                self._kill("memory")
            elif now - begun > 10 * self._limits.seconds:
                self._kill("seconds")
            elif now - looked > 1:
                looked = now
                if _size_of(self._scratch) > self._limits.disk:
                    self._kill("disk")

    def end(self) -> None:
        """Stop watching; whatever is left of the child's process group is killed."""
        self._ended.set()
        if self.is_alive():
            self.join()
        self._kill_group()

    def _used(self) -> int:
        total = 0
        with contextlib.suppress(psutil.Error):
            child = psutil.Process(self._process.pid)
            for process in (child, *(child.children(recursive=True))):
                with contextlib.suppress(psutil.Error):
                    total += process.memory_info().rss
        return total

    def _kill(self, why: str) -> None:
        self.broken = self.broken or why
        self._kill_group()

    def _kill_group(self) -> None:
        # The group may outlive its leader; its number is not given away before it is empty.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)


def _size_of(folder: Path) -> int:
    total = 0
    for path, _, files in os.walk(folder):
        for file in files:
            with contextlib.suppress(OSError):
                total += (Path(path) / file).lstat().st_blocks * 512
    return total


def _environment(scratch: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if _ENVIRONMENT.fullmatch(name)}
    return kept | _ONE_THREAD | {"TMPDIR": str(scratch)}


def _printed(file: IO[bytes]) -> bytes:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - PRINTED))
    return file.read()


def _reason(
    what: str, limits: Limits, code: int | None, broken: str | None, last: Any, printed: bytes
) -> str:
    """Why the child gave no answer, for the owner of the file."""
    error = last.get("error") if isinstance(last, dict) else None
    if broken is None and isinstance(error, dict):
        text = _plain(str(error.get("text", "")))
        if error.get("refusal") is True:
            return text
        kind = _plain(str(error.get("type", "")))
        if kind != "MemoryError" and error.get("errno") not in (errno.EFBIG, errno.ENOMEM):
            where = _plain(str(error.get("where", "")))
            return (
                f"{what}: cannot be read ({kind}: {text}; {where}): it is damaged, or in a layout "
                "that is not read here. Write it anew; if it comes back so, report this"
            )
        broken = "disk" if error.get("errno") == errno.EFBIG else "memory"
    name = _signal(code)
    if broken is None and name == "SIGXCPU":
        broken = "seconds"
    if broken is None and (
        name == "SIGKILL" or (name == "SIGABRT" and any(it in printed for it in _OUT_OF_MEMORY))
    ):
        broken = "memory"
    if broken == "memory":
        return (
            f"{what}: reading it takes more than {limits.memory / MEBIBYTE:,.0f} MiB of memory, so "
            "it is refused: it is damaged or made to fill memory. If it is what it should be, "
            "raise GENEPT_FILE_MEMORY (bytes), or write it in smaller chunks"
        )
    if broken == "seconds":
        return (
            f"{what}: reading it takes more than {limits.seconds:,} CPU seconds, so it is refused: "
            "it is damaged or made to keep its readers busy. If it is what it should be, raise "
            "GENEPT_FILE_SECONDS"
        )
    if broken == "disk":
        return (
            f"{what}: reading it takes more than {limits.disk / MEBIBYTE:,.0f} MiB of scratch "
            "files, so it is refused as a decompression bomb"
        )
    end = f"by {name}" if name else f"with code {code}"
    return (
        f"{what}: the process that read it was ended {end}: the file is damaged, or made to "
        "attack its readers. Write it anew; if it comes back so, report this"
    )


def _signal(code: int | None) -> str | None:
    if code is None or code >= 0:
        return None
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def _plain(text: str) -> str:
    """Text of somebody who is not trusted: one line, without control characters, not too long."""
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    return line if len(line) <= LONGEST_REASON else f"{line[:LONGEST_REASON]}…"
