"""What a person at the terminal sees while work goes on: one console, one kind of progress bar.

Off a terminal (a daemon, CI) bars are silent; results and errors are printed all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

console = Console(stderr=True, highlight=False)
"""Progress and messages go to standard error; what a command answers goes to standard output."""


@contextmanager
def progress_bar(
    what: str, total: float | None, *, count: ProgressColumn | None = None
) -> Iterator[Callable[[float], None]]:
    """Show `what` advancing to `total`; yields the function that advances it."""
    with Progress(
        TextColumn("  {task.description:<24}"),
        BarColumn(bar_width=16),
        count or MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task(what, total=total)
        yield lambda amount: progress.advance(task, amount)
