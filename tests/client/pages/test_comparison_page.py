"""The page that compares spaces stands alone and says what was not scored; data are escaped."""

from __future__ import annotations

import re

import polars as pl
from planted_scores import released

from genept.client.pages.comparison_page import render_comparison
from genept.text.recipes import load_recipes

EVIL = "<script>alert('x')</script>"


def page(tables: dict[str, pl.DataFrame], unavailable: dict[str, str]) -> str:
    html = render_comparison(
        lambda name: tables.get(name, pl.DataFrame()),
        load_recipes(),
        {"minilm-l6-v2/name-ncbi": 384},
        unavailable,
        "Spaces of a release",
    )
    assert html is not None
    return html.decode()


def test_the_page_stands_alone_and_has_every_score_with_its_interval() -> None:
    html = page(released(), {"bge-base/name-go": "needs a folder"})
    links = re.findall(r'(?:href|src)="([^"]*)"', html)
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in links)
    assert "<script" not in html
    assert html.count("0.750 to 0.850") == 4
    assert "<b>0.900</b>" in html
    assert "bge-base/name-go: needs a folder" in html
    for target in re.findall(r'href="#([^"]*)"', html):
        assert f'id="{target}"' in html


def test_what_comes_from_data_is_escaped() -> None:
    tables = released()
    tables["benchmark_results"] = tables["benchmark_results"].with_columns(
        pl.col("representation").replace("lsa-384/name-ncbi", EVIL)
    )
    assert EVIL not in page(tables, {"x": EVIL})


def test_nothing_is_drawn_of_nothing() -> None:
    assert render_comparison(lambda _: pl.DataFrame(), {}, {}, {}, "x") is None
