"""Text of strangers in HTML, Markdown, terminals and spreadsheets: it shows, and does nothing."""

from __future__ import annotations

import csv
import io
from html.parser import HTMLParser

import polars as pl
import pytest
from hostile_text import HOSTILE, PERMISSIVE
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.markup import escape
from rich.table import Table

from genept.common.display import (
    html_text,
    markdown_block,
    markdown_text,
    open_console,
    restored,
    visible,
    without_formulas,
)


class Seen(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)

    def handle_comment(self, data: str) -> None:
        self.elements.append("comment")

    handle_decl = handle_pi = unknown_decl = handle_comment

    def handle_data(self, data: str) -> None:
        self.text += data


def hostile(test):
    """The strings above, and sixty that hypothesis finds."""
    for text in HOSTILE:
        test = example(text)(test)
    return settings(max_examples=60)(test)


@hostile
@given(st.text())
def test_html_shows_the_text_and_has_no_element_of_it(text: str) -> None:
    seen = Seen(f'<p title="{html_text(text)}">{html_text(text)}</p>')
    assert seen.elements == ["p"]
    assert seen.text == visible(text)


@hostile
@given(st.text())
def test_markdown_shows_the_text_and_nothing_of_it_means_anything(text: str) -> None:
    page = PERMISSIVE.render(f"{markdown_text(text)}\n\n- x {markdown_text(text)}\n")
    seen = Seen(page)
    assert set(seen.elements) <= {"p", "ul", "li"}
    shown = " ".join(visible(text).split())
    assert " ".join(seen.text.split()) == " ".join(f"{shown} x {shown}".split())


@hostile
@given(st.text())
def test_a_cell_of_a_markdown_table_stays_one(text: str) -> None:
    row = f"| {markdown_text(text)} | b |"
    seen = Seen(PERMISSIVE.render(f"| a | b |\n|---|---|\n{row}\n"))
    assert seen.elements == ["table", "thead", "tr", "th", "th", "tbody", "tr", "td", "td"]
    assert " ".join(visible(text).split()) in " ".join(seen.text.split())


@hostile
@given(st.text())
def test_a_block_holds_its_text_as_it_is(text: str) -> None:
    seen = Seen(PERMISSIVE.render(f"before\n\n{markdown_block(text)}\n\nafter\n"))
    assert seen.elements == ["p", "pre", "code", "p"]
    for line in visible(text).splitlines():
        assert line.strip() in seen.text


def test_ids_can_be_read_in_the_source_of_markdown() -> None:
    plain = "pbmc_hao/lsa-384: 3.5 of 10 (GSE_1), 50 %"
    assert markdown_text(plain) == plain


@hostile
@given(st.text())
def test_a_terminal_gets_no_control_character(text: str) -> None:
    written = visible(text)
    assert all(
        character.isprintable() or character in "\n\t" or ord(character) >= 0xA0
        for character in written
    )
    assert "\x1b" not in written
    assert "\u202e" not in written


def test_consoles_print_no_control_characters_of_data_and_keep_their_own_colours() -> None:
    console = open_console(width=200)
    console.file = out = io.StringIO()
    console._force_terminal = True
    label = "\x1b]0;title\x07 [red]label\x1b[2J"
    table = Table("sample")
    table.add_row(escape(label))
    console.print(table, f"[bold]{escape(label)}[/]", label, markup=True)
    printed = out.getvalue()
    assert "\x1b]" not in printed
    assert "\x1b[2J" not in printed
    assert "\x07" not in printed
    assert printed.count("\\x1b]0;title") == 3
    assert "[red]label" in printed


FORMULAS = (
    "=cmd|' /C calc'!A0",
    "+1+cmd",
    "-2+3+cmd",
    "@SUM(A1)",
    "\tx",
    "\rx",
    "\n=1",
    " =1+1",
    "＝1",
)

HARMLESS = ("TP53", "HLA-A", "a=b", "'quoted", "-5", "+3.5", "-1e5", "", "é", "N/A")


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_is_text_to_a_spreadsheet_and_comes_back(text: str) -> None:
    rows = pl.DataFrame({text: [text, "TP53"], "n": [-1, -2], "x": [-0.5, 1.0]})
    written = without_formulas(rows).write_csv()
    header, first, second = csv.reader(io.StringIO(written))
    assert header == [f"'{text}", "n", "x"]
    assert first == [f"'{text}", "-1", "-0.5"]
    assert second[0] == "TP53"
    assert restored(first[0]) == text


@pytest.mark.parametrize("text", HARMLESS)
def test_other_text_is_left_alone(text: str) -> None:
    assert without_formulas(pl.DataFrame({"a": [text, None]}))["a"].to_list() == [text, None]
    assert restored(text) == text


@given(st.text())
def test_what_is_written_is_read_back(text: str) -> None:
    if restored(text) == text:  # but for an apostrophe before a formula, which is taken for ours
        assert restored(without_formulas(pl.DataFrame({"a": [text]}))["a"][0]) == text
