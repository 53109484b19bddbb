"""Untrusted files are read in a child process with limits on memory, time and disk.

The caller's side: a request, and its answer as tables of a known schema. What runs in the child is
in `genept.datasources.readers.sandbox.sandbox_child`.
"""

import contextlib
import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import polars as pl

from genept.common import SourceError, audience
from genept.datasources.readers.sandbox import sandbox_child, sandbox_watch

LONGEST_LINE: Final = 16 * sandbox_watch.MEBIBYTE
"""Bytes of one message of the child."""


@dataclass(frozen=True)
class ChildResult:
    """Result of the child process.

    Parameters
    ----------
    values
        What its function returned: JSON, of any shape until the caller has checked it.
    folder
        Its scratch folder, where it may have left tables.
    peak
        Bytes of memory that it and its workers took at most.
    printed
        Lines that it wrote to standard error, without control characters.
    """

    values: Any
    folder: Path
    peak: int
    printed: tuple[str, ...]

    def table(self, name: str, schema: Mapping[str, Any] | None = None) -> pl.DataFrame:
        """A table that the child wrote with `sandbox_child.Parent.write_table`.

        Parameters
        ----------
        name
            The name under which the child wrote it.
        schema
            The columns and types that it must have.

        Returns
        -------
        pl.DataFrame
            Checked in full: what the child wrote is not trusted.

        Raises
        ------
        SourceError
            It is missing, damaged, or of other columns.
        """
        return pl.concat(list(self.batches(name, schema)))

    def batches(self, name: str, schema: Mapping[str, Any] | None = None) -> Iterator[pl.DataFrame]:
        """The same table, one batch after the other."""
        import pyarrow as pa

        path = self.folder / f"{name}.arrow"
        try:
            # Not mapped into memory: the file must not change while it is read.
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


Handler = Callable[[dict[str, Any]], Any]
"""Answers a question of the child; the question is not to be trusted."""


@contextmanager
def limited(
    function: Callable[..., Any],
    *arguments: Any,
    what: str,
    limits: sandbox_watch.Limits,
    handler: Handler | None = None,
    folder: Path | None = None,
) -> Iterator[ChildResult]:
    """Run `function` in a limited child process; its scratch folder lives as long as the context.

    Parameters
    ----------
    function
        Of a module's top level. It is called with a `sandbox_child.Parent` and `arguments`.
    *arguments
        Values that can be pickled; they must hold no key.
    what
        Name of the file for messages.
    limits
        Memory, time, disk and processes that the child may take.
    handler
        Answers what the child asks while it runs; see `sandbox_child.Parent.ask`.
    folder
        Where the scratch folder is made; none: where the system keeps temporary files.

    Yields
    ------
    ChildResult
        What the function returned, and what it left in the scratch folder.

    Raises
    ------
    SourceError
        The function raised, the process died, or it went beyond a limit: says which.
    RuntimeError
        The process did not start.
    """
    with tempfile.TemporaryDirectory(prefix="genept-limited-", dir=folder) as scratch:
        yield _run(function, arguments, what, limits, handler, Path(scratch))


def _run(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    what: str,
    limits: sandbox_watch.Limits,
    handler: Handler | None,
    scratch: Path,
) -> ChildResult:
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
            [sys.executable, "-P", "-m", sandbox_child.__name__, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=printed,
            cwd=scratch,
            env=sandbox_watch.environment(scratch),
            start_new_session=True,
        ) as process,
    ):
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the child process has no pipes")
        watch = sandbox_watch.Watch(process, limits, scratch)
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
            process.wait()  # after an interrupt, Popen itself does not wait for what was killed
        text = sandbox_watch.printed_by(printed)
    if watch.broken is None and isinstance(last, dict) and "answer" in last:
        lines = tuple(map(sandbox_watch.plain, text.decode("utf-8", "replace").splitlines()))
        return ChildResult(last["answer"], scratch, watch.peak, lines)
    if watch.broken is None and not watch.ident:  # it never came to open a file
        raise RuntimeError(
            f"a process to read {what} did not start: {text.decode(errors='replace')}"
        )
    raise SourceError(
        sandbox_watch.reason_of(what, limits, process.returncode, watch.broken, last, text)
    )


def _conversation(
    to_child: IO[bytes], from_child: IO[bytes], watch: sandbox_watch.Watch, handler: Handler | None
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
            with watch.answering():
                answer = handler(message["ask"])
            with contextlib.suppress(BrokenPipeError):
                to_child.write(json.dumps(answer).encode() + b"\n")
                to_child.flush()
        else:
            return message
