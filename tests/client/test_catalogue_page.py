"""The catalogue page says what the release holds, fetches nothing, and cannot be injected into."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from declared_rows import candidate, declared_rows, store_table, with_tables

from genept.client.catalogue_page import release_site
from genept.client.templates import PlottedScore, interval_plot
from genept.release.manifest import ReleasedSource
from genept.release.publish import Releases
from genept.schema.tables import TABLES
from genept.storage.lake import Lake

EVIL = "</script><script>alert('x')</script>"
JSON_LD = re.compile(r'<script type="application/ld\+json">(.*?)</script>', re.DOTALL)


@pytest.fixture
def page(lake: Lake, store_prefix: str) -> str:
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
    releases = Releases(lake, store_prefix)
    manifest = releases.publish(offered, pages=release_site).manifest
    folder = releases.folder(manifest.release_id)
    assert "site/style.css" in manifest.audit
    return releases.store.get(f"{folder}/audit/site/index.html").decode()


def test_every_table_column_and_source_of_doubt_is_on_the_page(page: str) -> None:
    for name, table in TABLES.items():
        assert f'id="table-{name}"' in page
        for column in table.columns:
            assert f"<td>{column.name}</td>" in page
    assert '<a href="../checks/genes.html">genes</a>' in page
    assert '"../checks/expression.html"' not in page, "there is no such page in this release"
    assert "alert(&#39;x&#39;)" in page


def test_nothing_is_run_or_fetched_from_elsewhere(page: str) -> None:
    page, n = JSON_LD.subn("", page)
    assert n == 1
    assert "<script" not in page
    assert "</script" not in page
    links = re.findall(r'(?:href|src)="([^"]*)"', page)
    assert all(link.startswith(("#", "../", "style.css")) for link in links)


def test_its_data_for_search_engines_cannot_end_their_element(page: str) -> None:
    (data,) = JSON_LD.findall(page)
    document = json.loads(data)
    assert document["@type"] == "Dataset"
    assert document["citation"] == [EVIL]
    assert document["license"][0]["name"] == f"{EVIL}: {EVIL}"


def test_links_within_the_page_lead_somewhere(page: str) -> None:
    for target in re.findall(r'href="#([^"]*)"', page):
        assert f'id="{target}"' in page


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
