"""The site says what the release holds, fetches nothing, and cannot be injected into."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import pytest
from declared_rows import candidate, declared_rows, store_table, with_tables

from genept.client.pages.site_pages import PAGES, headline, release_site
from genept.client.pages.templates import PlottedScore, interval_plot
from genept.release.manifest import ReleasedSource
from genept.release.publish import Releases
from genept.schema.tables import TABLES
from genept.storage.lake import Lake

EVIL = "</script><script>alert('x')</script>"
JSON_LD = re.compile(r'<script type="application/ld\+json">(.*?)</script>', re.DOTALL)


@pytest.fixture(scope="module")
def site(planted_lake: Lake) -> Mapping[str, str]:
    """Pages of a release by their name."""
    lake = planted_lake
    collections = declared_rows(TABLES["collections"])
    at = collections.schema.get_field_index("caveat")
    evil = collections.set_column(
        at, collections.schema.field(at), [["<script>alert('x')</script>"]]
    )
    source = ReleasedSource(
        title=EVIL, version="1", released="2026", sha256="0" * 64, licence=EVIL,
        redistributable=True, citation=EVIL,
    )  # fmt: skip
    offered = replace(
        with_tables(candidate(lake), collections=store_table(lake, "collections", evil)),
        sources={EVIL: source},
    )
    releases = Releases(lake, f"tests/site-{secrets.token_hex(4)}")
    manifest = releases.publish(offered, pages=release_site).manifest
    folder = releases.folder(manifest.release_id)
    assert "site/style.css" in manifest.audit
    names = [path for path in manifest.audit if path.startswith("site/") and path.endswith(".html")]
    assert {path.removeprefix("site/").removesuffix(".html") for path in names} == set(PAGES)
    return MappingProxyType(
        {
            path.removeprefix("site/"): releases.store.get(f"{folder}/audit/{path}").decode()
            for path in names
        }
    )


def test_every_table_column_and_source_of_doubt_is_in_it(site: Mapping[str, str]) -> None:
    for name, table in TABLES.items():
        assert f'id="table-{name}"' in site["tables.html"]
        for column in table.columns:
            assert f"<td>{column.name}</td>" in site["tables.html"]
    assert '<a href="../checks/genes.html">genes</a>' in site["quality.html"]
    assert '"../checks/expression.html"' not in site["quality.html"], "there is no such page"
    assert "alert(&#39;x&#39;)" in site["quality.html"]
    assert "known issues" in site["index.html"]
    assert "ATTACH &#39;ducklake:" in site["use.html"]


def test_tables_without_rows_come_last_and_sizes_are_readable(
    planted_lake: Lake, store_prefix: str
) -> None:
    lake = planted_lake
    empty = store_table(lake, "genes", declared_rows(TABLES["genes"], 0))
    releases = Releases(lake, store_prefix)
    manifest = releases.publish(with_tables(candidate(lake), genes=empty)).manifest
    page = release_site(manifest, releases.files)["site/tables.html"].decode()
    shown = re.findall(r'<summary>(\w+) <span class="soft">([\d,]+) rows,\s+([^<]+)<', page)
    assert [table for table, *_ in shown] == [
        *(name for name in TABLES if name != "genes"),
        "genes",
    ]
    assert shown[-1][1] == "0"
    assert {size.split()[1] for *_, size in shown} <= {"bytes", "kB"}, "none has a megabyte"


def test_a_partial_release_says_in_words_what_it_is_limited_to(
    planted_lake: Lake, store_prefix: str
) -> None:
    lake = planted_lake
    limits = {"collections": ["pbmc-hao"], "spaces": ["wordllama-256/name-go"]}
    releases = Releases(lake, store_prefix)
    manifest = releases.publish(replace(candidate(lake), limits=limits)).manifest
    pages = {path: page.decode() for path, page in release_site(manifest, releases.files).items()}
    words = "partial: 1 collection (pbmc-hao) and 1 space (wordllama-256/name-go)"
    assert words in pages["site/index.html"]
    assert words in pages["site/quality.html"]


def test_nothing_is_run_or_fetched_from_elsewhere(site: Mapping[str, str]) -> None:
    pages = {}
    for name, page in site.items():
        pages[name], n = JSON_LD.subn("", page)
        assert n == (name == "index.html")
    for page in pages.values():
        assert "<script" not in page
        assert "</script" not in page
        for link in re.findall(r'(?:href|src)="([^"]*)"', page):
            assert link in (*site, "style.css") or link.startswith(("#", "../"))


def test_its_data_for_search_engines_cannot_end_their_element(site: Mapping[str, str]) -> None:
    (data,) = JSON_LD.findall(site["index.html"])
    document = json.loads(data)
    assert document["@type"] == "Dataset"
    assert document["citation"] == [EVIL]
    assert document["license"][0]["name"] == f"{EVIL}: {EVIL}"


def test_links_within_a_page_lead_somewhere(site: Mapping[str, str]) -> None:
    for page in site.values():
        for target in re.findall(r'href="#([^"]*)"', page):
            assert f'id="{target}"' in page


def test_every_page_names_where_it_is(site: Mapping[str, str]) -> None:
    for name, page in site.items():
        assert page.count('aria-current="page"') == 1
        assert f'<a href="{name}" aria-current="page">' in page
        assert page.count("<h1>") == 1


def test_a_headline_is_the_best_beside_the_best_control() -> None:
    scores = [
        PlottedScore("low", 0.2, 0.1, 0.3, False),
        PlottedScore("high", 0.7, 0.6, 0.8, False),
        PlottedScore("shuffled", 0.5, None, None, True),
        PlottedScore("random", 0.4, None, None, True),
    ]
    shown = headline("Diagnosis", "prostate", scores)
    assert (shown.best, shown.control) == (scores[1], scores[2])
    assert headline("Diagnosis", "prostate", scores[2:]).best is None


def test_scores_are_drawn_in_order_beside_the_best_control() -> None:
    drawn = interval_plot(
        [
            PlottedScore("worse", 0.2, 0.1, 0.3, False),
            PlottedScore("control", 0.8, None, None, True),
        ]
    )
    assert drawn.index("control (control)") < drawn.index(">worse<")
    assert drawn.count('class="best"') == 2
    assert 'aria-label="worse: 0.200, 95 % interval 0.100 to 0.300"' in drawn
    assert "Axis from 0.07 to 0.83" in drawn
