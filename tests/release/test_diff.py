"""What changed between two releases: rows, columns, vectors, gene names, metrics."""

from __future__ import annotations

import json
import secrets

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from declared_rows import candidate, declared_rows, store_table, with_tables

from genept.release.diff import Differences, differences
from genept.release.manifest import Manifest
from genept.release.publish import Releases
from genept.schema.tables import TABLES
from genept.storage.lake import Lake
from genept.storage.object_store import ObjectStore


def changed(name: str, n: int, **columns: object) -> pa.Table:
    """Valid rows of a table, of which some columns are replaced."""
    rows = declared_rows(TABLES[name], n)
    for column, values in columns.items():
        at = rows.schema.get_field_index(column)
        rows = rows.set_column(at, rows.schema.field(at), pa.array(values, rows.schema.types[at]))
    return rows


@pytest.fixture(scope="module")
def published(
    object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Releases, Manifest, Manifest]:
    """A release, and one in which a vector, a gene name, a metric and a row are different."""
    product = f"tests/differences-{secrets.token_hex(4)}"
    lake = Lake(object_store, product, tmp_path_factory.mktemp("cache"))
    releases = Releases(lake, product)
    first = candidate(lake)
    vectors = declared_rows(TABLES["gene_embeddings"])["embedding"].to_pylist()
    turned = [vectors[0], (-np.array(vectors[1])).tolist(), vectors[2]]
    mapping = declared_rows(TABLES["gene_mapping"])
    outcomes = ["unknown", *mapping["outcome"].to_pylist()[1:]]
    scores = declared_rows(TABLES["benchmark_results"])["value"].to_pylist()
    second = with_tables(
        first,
        gene_embeddings=store_table(
            lake, "gene_embeddings", changed("gene_embeddings", 3, embedding=turned)
        ),
        gene_mapping=store_table(
            lake, "gene_mapping", changed("gene_mapping", 3, outcome=outcomes)
        ),
        benchmark_results=store_table(
            lake,
            "benchmark_results",
            changed("benchmark_results", 3, value=[scores[0] + 9, *scores[1:]]),
        ),
        genes=store_table(lake, "genes", declared_rows(TABLES["genes"], 5)),
    )
    return releases, releases.publish(first).manifest, releases.publish(second).manifest


@pytest.fixture(scope="module")
def changes(published: tuple[Releases, Manifest, Manifest]) -> Differences:
    releases, before, after = published
    return differences(releases.files, before, after)


def test_only_tables_that_changed_are_listed(changes: Differences) -> None:
    assert set(changes.tables) == {"gene_embeddings", "gene_mapping", "benchmark_results", "genes"}
    assert (changes.tables["genes"].rows_before, changes.tables["genes"].rows_after) == (3, 5)
    assert len(changes.unchanged) == len(TABLES) - 4


def test_vectors_are_compared_with_their_former_selves(changes: Differences) -> None:
    (drift,) = changes.vectors
    assert (drift.table, drift.compared, drift.added, drift.removed) == ("gene_embeddings", 3, 0, 0)
    assert drift.quantiles is not None
    assert drift.quantiles["lowest"] == pytest.approx(-1)
    assert drift.quantiles["median"] == pytest.approx(1)
    assert [(vector.id, vector.label) for vector in drift.worst] == [
        ("ENSG00000000002", "symbol-0001")
    ]


def test_gene_names_that_mean_something_else_are_listed_with_examples(changes: Differences) -> None:
    (change,) = changes.mappings
    assert (change.compared, change.changed) == (3, 1)
    assert change.turns == {"exact → unknown": 1}
    assert "input_id-0000" in change.examples["exact → unknown"][0]


def test_metrics_that_changed_are_listed(changes: Differences) -> None:
    (metric,) = changes.metrics
    assert metric.after == metric.before + 9
    assert not metric.within_interval


def test_what_changed_is_published_with_the_release(
    published: tuple[Releases, Manifest, Manifest], changes: Differences
) -> None:
    releases, before, after = published
    folder = releases.folder(after.release_id)
    assert "differences.json" not in before.audit
    stored = json.loads(releases.store.get(f"{folder}/audit/differences.json"))
    assert Differences.model_validate(stored) == changes
    text = releases.store.get(f"{folder}/audit/differences.md").decode()
    for line in (
        "- genes: 3 → 5 rows (+2)",
        "-1.0000 symbol-0001 ENSG00000000002",
        "exact → unknown: 1, such as input_id-0000",
        "**outside its former interval**",
    ):
        assert line in text


def test_spaces_of_another_dimension_are_not_compared(
    published: tuple[Releases, Manifest, Manifest],
) -> None:
    from genept.storage.provenance import NewPart, Origin

    releases, before, _ = published
    lake, table = releases.lake, TABLES["gene_embeddings"]
    rows = declared_rows(table, dimension=7)
    part = NewPart(table.name, rows, (rows["space"][0].as_py(),), 7)
    wider = lake.assemble(table.name, lake.build("test/wider", Origin(code=()), lambda: [part]))
    after = releases.publish(with_tables(candidate(lake), gene_embeddings=wider)).manifest
    (drift,) = differences(releases.files, before, after).vectors
    assert drift.quantiles is None
    assert drift.incomparable == "dimensions ['4', '7']"
    assert (
        pl.read_parquet(releases.files.local(after, after.tables[table.name].files[0])).height == 3
    )
