"""Escaping of data for HTML, Markdown, terminals, spreadsheets and figures; progress bars.

What is printed or drawn is decided by the callers.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import polars as pl
from rich import progress
from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    pass

_HIDDEN: Final = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)
"""Control characters but tabs and line breaks; surrogates, separators, directions of text."""

_ACTIVE_IN_MARKDOWN: Final = re.compile(r"[\\`*\[\]<>&!~|#{}$]|(?<![^\W_])_|_(?![^\W_])")
"""Characters with a meaning in Markdown; an underscore has none within a word."""

_BEGINS_A_BLOCK: Final = re.compile(r"\A(?:[-+=:]|\d{1,9}[.)])")

FORMULA: Final = r"^[\s\x00]*[=+\-@\t\r＝＋－＠]|^[\t\r\n]"
"""Regular expression of text that a spreadsheet takes for a formula."""

NO_SCRIPTS: Final = (
    "<meta http-equiv=\"Content-Security-Policy\" content=\"script-src 'none'; object-src 'none'; "
    "base-uri 'none'; form-action 'none'\">"
)
"""For the head of every generated page: browsers run no script, and pages have none but data."""


def visible(text: str) -> str:
    """The text with what moves a cursor, colours or turns text written out, such as ``\\x1b``.

    Parameters
    ----------
    text
        Any text, such as a name from a file; its tabs and line breaks are kept.

    Returns
    -------
    str
    """
    return _HIDDEN.sub(lambda it: it[0].encode("unicode_escape", "surrogatepass").decode(), text)


def html_text(value: object) -> str:
    """A value as text or attribute value of HTML.

    Parameters
    ----------
    value
        Shown as `str` shows it.

    Returns
    -------
    str
    """
    return html.escape(visible(str(value)), quote=True)


def markdown_text(value: object) -> str:
    """A value as text in a line of Markdown: it shows literally, and starts nothing.

    What Markdown or HTML understands becomes a character reference, a line break a space. An
    underscore within a word stays, so that ids can be read in the source.

    Parameters
    ----------
    value
        Shown as `str` shows it.

    Returns
    -------
    str
    """
    text = _ACTIVE_IN_MARKDOWN.sub(lambda match: f"&#{ord(match[0])};", _one_line(value))
    return _BEGINS_A_BLOCK.sub(lambda match: f"{match[0][:-1]}&#{ord(match[0][-1])};", text)


def markdown_code(value: object) -> str:
    """A value as code in a line of Markdown, which leaves its characters as they are.

    Parameters
    ----------
    value
        Shown as `str` shows it; may contain backticks.

    Returns
    -------
    str
    """
    text = _one_line(value)
    space, fence = " " if "`" in text else "", _fence(text, 1)
    return f"{fence}{space}{text}{space}{fence}"


def _one_line(value: object) -> str:
    return " ".join(visible(str(value)).split())


def _fence(text: str, least: int) -> str:
    """More backticks than the text has in a row."""
    return max(["`" * least, *(f"{run}`" for run in re.findall(r"`+", text))], key=len)


def markdown_block(text: str) -> str:
    """Lines of text as a fenced block, whose content Markdown leaves as it is.

    Parameters
    ----------
    text
        May contain fences itself.

    Returns
    -------
    str
    """
    fence = _fence(text, 3)
    return f"{fence}text\n{visible(text)}\n{fence}"


def without_formulas(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows whose text a spreadsheet does not take for formulas; numbers are unchanged.

    A name or a value of text that begins like a formula gets an apostrophe before it, which a
    spreadsheet hides, and `restored` takes away. Text that is a number is left alone.

    Parameters
    ----------
    rows
        Any columns; categories become text.

    Returns
    -------
    pl.DataFrame
    """
    text = pl.col(pl.String, pl.Categorical).cast(pl.String)
    is_formula = text.str.contains(FORMULA) & text.cast(pl.Float64, strict=False).is_null()
    defused = pl.when(is_formula).then(text.str.replace(r"\A", "'")).otherwise(text)
    names = {name: f"'{name}" for name in rows.columns if re.match(FORMULA, name)}
    return rows.with_columns(defused).rename(names)


def restored(text: str) -> str:
    """Text of a CSV file as it was before `without_formulas`.

    Parameters
    ----------
    text
        A value or a column name.

    Returns
    -------
    str
    """
    return re.sub(rf"\A'(?={FORMULA.replace('^', '')})", "", text)


class _VisibleConsole(Console):
    """A console that writes control characters of its texts out."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=visible(segment.text))


def open_console(
    *, stderr: bool = False, soft_wrap: bool = False, width: int | None = None
) -> Console:
    """A console on which text from data moves no cursor and sets no colour or title.

    Markup in such text is still understood: `rich.markup.escape` it where it is put together.

    Parameters
    ----------
    stderr
        Whether it prints to standard error, not to standard output.
    soft_wrap, width
        Whether the terminal wraps long lines; characters in a line, by default the terminal's.

    Returns
    -------
    Console
    """
    return _VisibleConsole(stderr=stderr, highlight=False, soft_wrap=soft_wrap, width=width)


console = open_console(stderr=True)
"""Console for progress and messages, on standard error; results go to standard output."""


def plain_table(*headers: str, rows: Iterable[Iterable[str | Text]]) -> Table:
    """Rows as a table without lines; what is too long for a column goes on in the next line.

    Names in the first column are shown in one line, up to 44 letters.

    Parameters
    ----------
    headers
        Titles of the columns.
    rows
        Cells of each row. Markup in a string is not understood; style a `rich.text.Text`.

    Returns
    -------
    Table
    """
    table, cells = Table(*headers, box=None), [tuple(row) for row in rows]
    table.columns[0].min_width = min(44, max((len(row[0]) for row in cells), default=0))
    for column in table.columns:
        column.overflow = "fold"
    for row in cells:
        table.add_row(*(escape(cell) if isinstance(cell, str) else cell for cell in row))
    return table


@contextmanager
def progress_bar(
    what: str, total: float | None, *, count: progress.ProgressColumn | None = None
) -> Iterator[Callable[[float], None]]:
    """Show a bar on a terminal; elsewhere nothing is shown.

    Parameters
    ----------
    what
        Text before the bar.
    total
        Amount at which the bar is full; None if it is unknown.
    count
        Column that shows the amount; by default advanced and total, as integers.

    Yields
    ------
    Callable
        Advances the bar by an amount.
    """
    with progress.Progress(
        progress.TextColumn("  {task.description:<24}"),
        progress.BarColumn(bar_width=16),
        count or progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        progress.TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bars:
        task = bars.add_task(what, total=total)
        yield lambda amount: bars.advance(task, amount)


def duration(seconds: float) -> str:
    """A length of time, in the unit that suits it.

    Parameters
    ----------
    seconds
        How long.

    Returns
    -------
    str
        In whole units, rounded.

    Examples
    --------
    >>> duration(42), duration(900), duration(100_000)
    ('42 s', '15 min', '28 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
