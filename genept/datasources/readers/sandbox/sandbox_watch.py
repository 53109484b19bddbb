"""Limits of the child process that reads an untrusted file, and why it ended."""

import contextlib
import errno
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import psutil

MEBIBYTE: Final = 1 << 20

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

    Parameters
    ----------
    memory
        Bytes beyond what the process takes before it opens the file.
    seconds
        CPU seconds of each process.
    """

    memory: int = 768 * MEBIBYTE
    seconds: int = 120

    def limits(self, *files: Path, processes: int = 1, elsewhere: int = 0) -> Limits:
        """The limits for reading these files, and `elsewhere` bytes of those read by ranges."""
        size = elsewhere + sum(file.stat().st_size for file in files)
        most = psutil.virtual_memory().total * 3 // 4
        return Limits(
            memory=min(self.memory + 16 * size, max(most, self.memory)),
            seconds=self.seconds + size // MEBIBYTE,
            disk=4096 * MEBIBYTE + 64 * size,
            processes=processes,
        )


USUAL: Final = Allowance()


class Watch(threading.Thread):
    """Kills the child and its workers when they take more than they may; remembers the peak."""

    def __init__(self, process: subprocess.Popen[bytes], limits: Limits, scratch: Path) -> None:
        super().__init__(name="genept-limits", daemon=True)
        self.peak = 0
        self.broken: str | None = None
        self._process, self._limits, self._scratch = process, limits, scratch
        self._ended = threading.Event()
        self._answering, self._spared = 0.0, 0.0

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        """The clock stands still while the parent works for the child, such as fetches bytes."""
        self._answering = began = time.monotonic()
        try:
            yield
        finally:
            self._answering = 0.0
            self._spared += time.monotonic() - began

    def run(self) -> None:
        """Look at what they take, until the watch ends."""
        baseline = self._used()
        allowed = baseline + self._limits.memory * self._limits.processes
        begun, looked = time.monotonic(), 0.0
        while not self._ended.wait(_INTERVAL):
            used, now = self._used(), time.monotonic()
            self.peak = max(self.peak, used - baseline)
            if used > allowed:
                self._kill("memory")
            elif (self._answering or now) - begun - self._spared > 10 * self._limits.seconds:
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


def environment(scratch: Path) -> dict[str, str]:
    """The variables that the child is given."""
    kept = {name: value for name, value in os.environ.items() if _ENVIRONMENT.fullmatch(name)}
    return kept | _ONE_THREAD | {"TMPDIR": str(scratch)}


def printed_by(file: IO[bytes]) -> bytes:
    """The last that the child printed."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - PRINTED))
    return file.read()


def reason_of(
    what: str, limits: Limits, code: int | None, broken: str | None, last: Any, printed: bytes
) -> str:
    """Why the child gave no answer, for the owner of the file."""
    error = last.get("error") if isinstance(last, dict) else None
    if broken is None and isinstance(error, dict):
        text = plain(str(error.get("text", "")))
        if error.get("refusal") is True:
            return text
        kind = plain(str(error.get("type", "")))
        if kind != "MemoryError" and error.get("errno") not in (errno.EFBIG, errno.ENOMEM):
            where = plain(str(error.get("where", "")))
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


def plain(text: str) -> str:
    """Text of somebody who is not trusted: one line, without control characters, not too long."""
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    return line if len(line) <= LONGEST_REASON else f"{line[:LONGEST_REASON]}…"
