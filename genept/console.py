"""What a person at the terminal sees while work goes on: one console, one kind of progress bar.

Off a terminal (a daemon, CI) bars are silent; results and errors are printed all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from genept.escaping import visible


class _Visible:
    """Something to be printed, without the control characters of the data in it."""

    def __init__(self, printed: ConsoleRenderable) -> None:
        self._printed = printed

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self._printed, options):
            yield segment if segment.control else segment._replace(text=visible(segment.text))


class _ShowControlCharacters(RenderHook):
    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Visible(one) for one in renderables]


def open_console(
    *, stderr: bool = False, soft_wrap: bool = False, width: int | None = None
) -> Console:
    """A console on which text from data moves no cursor and sets no colour or title.

    Markup in such text is still understood: `rich.markup.escape` it where it is put together.
    """
    opened = Console(stderr=stderr, highlight=False, soft_wrap=soft_wrap, width=width)
    opened.push_render_hook(_ShowControlCharacters())
    return opened


console = open_console(stderr=True)
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
