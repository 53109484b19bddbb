"""Lineages in descriptions: planted types rank above the others, shuffled genes do not."""

import polars as pl
import pytest
from described_cells import COLLECTION, TYPES, described_cells, text_vectors
from planted import MINILM

from genept.benchmarks.cells.description_lineages import LINEAGE_TASK, lineage_parts
from genept.benchmarks.reports.expression_figures import lineage_figure
from genept.embeddings.collection_tables import CollectionTables
from genept.schema.tables import TABLES

LABELS = f"{MINILM.id}:labels"


@pytest.fixture
def of(lake, monkeypatch):
    cells = described_cells(lake, monkeypatch)
    own = text_vectors(cells)
    tables = {
        name: table
        for name, table in cells.tables.items()
        if name not in ("gene_programs", "program_terms")
    }
    return CollectionTables(
        lake, tables, cells.collections, cells.spaces,
        lambda _: lambda texts: [own[text] for text in texts],
    )  # fmt: skip


def test_own_lineages_are_scored_beside_two_controls(of):
    (part,) = lineage_parts(of)
    assert part.partition == (LINEAGE_TASK, COLLECTION.id)
    rows = of.lake.read(part)
    scores = rows.rows_by_key("representation", named=True, unique=True)
    assert set(scores) == {LABELS, f"{LABELS}@other-groups", f"{LABELS}@shuffled"}
    own, others, shuffled = (
        scores[name] for name in (LABELS, f"{LABELS}@other-groups", f"{LABELS}@shuffled")
    )
    assert (own["value"], own["n"], own["split"]) == (1.0, len(TYPES), "cell_type")
    assert others["value"] == 0.25  # one of the two others is above, or neither
    assert shuffled["ci_low"] < 0.5 < shuffled["ci_high"]
    assert abs(shuffled["value"] - 0.5) < 0.1
    assert not own["is_control"]
    assert others["is_control"]
    assert shuffled["is_control"]
    assert lineage_parts(of) == [part]


def test_terms_that_have_a_type_in_their_name_are_scored_too(lake, monkeypatch):
    names = [f"{kind} activation" for kind in TYPES]
    cells = described_cells(lake, monkeypatch, dict(enumerate(names)))
    (part,) = lineage_parts(cells)
    scores = lake.read(part).rows_by_key("representation", named=True, unique=True)
    assert scores["go-terms"]["value"] == 1.0
    assert scores["go-terms@shuffled"]["value"] < 0.7


def test_no_lineages_no_scores(lake, monkeypatch):
    assert lineage_parts(described_cells(lake, monkeypatch)) == []


def test_the_figure_shows_every_collection(of):
    (part,) = lineage_parts(of)
    rows = of.lake.read(part)
    both = pl.concat([rows, rows.with_columns(dataset=pl.lit("other"))])
    (figure,) = lineage_figure(both)
    assert figure.png.startswith(b"\x89PNG")
    assert f"other, cell_type, {LABELS} 1.00 [1.00, 1.00]" in figure.words
    assert not list(lineage_figure(rows.clear()))
    assert not list(lineage_figure(pl.DataFrame()))
    assert set(rows.columns) == {column.name for column in TABLES["benchmark_results"].columns}
