"""What may not be passed on is marked in all that is made of it, and left out when asked."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest
from declared_rows import DIMENSION, declared_rows, default_partition, store_table

from genept.release.staging import LicenceError, Restricted, collections_in, passed_on, stage
from genept.schema.tables import TABLES
from genept.storage.lake import Lake
from genept.storage.provenance import NewPart, Origin, Part, StoredTable


def rows_of(name: str, collections: list[str], **values: list[object]) -> pa.Table:
    table = TABLES[name]
    rows = declared_rows(table, 3).to_pylist()[: len(collections)]
    for row, collection in zip(rows, collections, strict=True):
        row[table.collection] = collection
        row["task" if name.startswith("benchmark") else "model"] = "planted"
    for column, given in values.items():
        for row, value in zip(rows, given, strict=True):
            row[column] = value
    return pa.Table.from_pylist(
        [{column: row[column] for column in table.schema(4).names} for row in rows],
        schema=table.schema(4),
    )


@pytest.fixture
def tables(lake: Lake) -> dict[str, StoredTable]:
    def both(name: str, **terms: bool) -> StoredTable:
        parts = [
            replace(part, number=number)
            for number, collection in enumerate(("open", "closed"))
            for part in store_table(
                lake,
                name,
                rows_of(
                    name,
                    [collection],
                    **({"redistributable": [collection == "open"]} if terms else {}),
                ),
            ).parts
        ]
        return lake.assemble(name, parts)

    mixed = rows_of("model_evaluations", ["open", "closed"])
    return {
        "embedding_origins": lake.assemble("embedding_origins", []),
        "collections": both("collections", redistributable=True),
        "genes": store_table(lake, "genes"),
        "observations": both("observations"),
        "benchmark_results": both("benchmark_results"),
        "benchmark_comparisons": both("benchmark_comparisons"),
        "benchmark_confusions": both("benchmark_confusions"),
        "model_evaluations": store_table(lake, "model_evaluations", mixed),
    }


def test_the_mark_goes_with_all_that_is_made_of_a_collection(lake: Lake, tables) -> None:
    staged = stage(lake, "tests/licences", tables, lake.cache)
    marks = {
        (name, file.collections): file.redistributable
        for name, table in staged.items()
        for file in table.files
    }
    assert marks == {
        ("collections", ("open",)): True,
        ("collections", ("closed",)): False,
        ("genes", ()): True,
        ("observations", ("open",)): True,
        ("observations", ("closed",)): False,
        ("benchmark_results", ("open",)): True,
        ("benchmark_results", ("closed",)): False,
        ("benchmark_comparisons", ("open",)): True,
        ("benchmark_comparisons", ("closed",)): False,
        ("benchmark_confusions", ("open",)): True,
        ("benchmark_confusions", ("closed",)): False,
        ("model_evaluations", ("closed", "open")): False,
    }


def test_a_public_release_leaves_out_every_part_of_it(lake: Lake, tables) -> None:
    kept, left_out = passed_on(lake, tables, "leave_out")
    assert left_out == ("closed",)
    named = {
        collection
        for table in kept.values()
        for part in table.parts
        for collection in collections_in(lake, part)
    }
    assert named == {"open"}
    assert kept["genes"] == tables["genes"]
    assert not kept["model_evaluations"].parts


def test_a_public_release_may_refuse_instead(lake: Lake, tables) -> None:
    with pytest.raises(LicenceError, match="^closed may not be redistributed"):
        passed_on(lake, tables, "refuse")
    free, _ = passed_on(lake, tables, "leave_out")
    assert passed_on(lake, free, "refuse") == (free, ())


def test_a_private_release_keeps_everything(lake: Lake, tables) -> None:
    assert passed_on(lake, tables, "keep") == (tables, ())


def vectors_of(lake: Lake, name: str, space: str) -> StoredTable:
    rows = rows_of(name, ["open"]).to_pylist()
    values = {
        "space": space,
        "collection_id": "open",
        "method": "outside",
        "redistributable": False,
    }
    rows = [{column: values.get(column, row[column]) for column in row} for row in rows]
    return store_table(lake, name, pa.Table.from_pylist(rows, schema=TABLES[name].schema(4)))


def test_vectors_of_another_model_carry_a_mark_of_their_own(lake: Lake, tables) -> None:
    """In an open collection: their rows, who they missed, and scores made of them."""
    scores = rows_of("benchmark_results", ["open"], representation=["scgpt/x:outside:centred"])
    (scored,) = store_table(lake, "benchmark_results", scores).parts
    others = [
        part for part in tables["benchmark_results"].parts if part.partition != scored.partition
    ]
    tables |= {
        "embedding_origins": vectors_of(lake, "embedding_origins", "scgpt/x"),
        "unmatched_vectors": vectors_of(lake, "unmatched_vectors", "scgpt/x"),
        "cell_embeddings": lake.assemble(
            "cell_embeddings",
            [
                part
                for space in ("scgpt/x", "scgpt/xy")
                for part in vectors_of(lake, "cell_embeddings", space).parts
            ],
        ),
        "benchmark_results": lake.assemble("benchmark_results", [*others, scored]),
    }
    kept, left_out = passed_on(lake, tables, "leave_out")
    assert left_out == ("closed", "scgpt/x of open")
    assert [part.partition[0] for part in kept["cell_embeddings"].parts] == ["scgpt/xy"]
    assert not kept["unmatched_vectors"].parts
    assert not kept["benchmark_results"].parts
    assert kept["embedding_origins"].parts, "what was left out is recorded"
    staged = stage(lake, "tests/vectors", tables, lake.cache)
    marks = {file.partition[0]: file.redistributable for file in staged["cell_embeddings"].files}
    assert marks == {"scgpt/x": False, "scgpt/xy": True}
    with pytest.raises(LicenceError, match="^closed, scgpt/x of open may not be redistributed"):
        passed_on(lake, tables, "refuse")


def test_before_the_first_collection_nothing_is_restricted(lake: Lake, tables) -> None:
    tables = {**tables, "collections": lake.assemble("collections", [])}
    assert Restricted.of(lake, tables).names == ()
    (genes,) = stage(lake, "tests/no-collections", tables, lake.cache)["genes"].files
    assert genes.redistributable


def test_the_terms_of_a_registered_space_go_with_every_vector_in_it(lake: Lake, tables) -> None:
    def vectors(name: str, space: str, **terms: bool) -> list[Part]:
        table = TABLES[name]
        partition = (space, *default_partition(table)[1:])
        rows = declared_rows(table, partition=partition)
        if table.collection:
            rows = rows.set_column(
                rows.column_names.index(table.collection),
                rows.schema.field(table.collection),
                [["open"] * rows.num_rows],
            )
            partition = (*partition[:2], "open")
        new = NewPart(name, rows, partition, DIMENSION)
        origin = Origin(code=(), settings={"space": space, **terms})
        return lake.build(f"test/{name}", origin, lambda: [new])

    own, free = "own/closed", "own/open"
    tables = {
        **tables,
        "gene_embeddings": lake.assemble(
            "gene_embeddings",
            [
                *vectors("gene_embeddings", own, redistributable=False),
                *vectors("gene_embeddings", free, redistributable=True),
            ],
        ),
        "cell_embeddings": lake.assemble(
            "cell_embeddings",
            [*vectors("cell_embeddings", own), *vectors("cell_embeddings", free)],
        ),
    }
    assert Restricted.of(lake, tables).names == ("closed", own)
    staged = stage(lake, "tests/own-space", tables, lake.cache)
    for name in ("gene_embeddings", "cell_embeddings"):
        marks = {file.partition[0]: file.redistributable for file in staged[name].files}
        assert marks == {own: False, free: True}
    kept, left_out = passed_on(lake, tables, "leave_out")
    assert left_out == ("closed", own)
    for name in ("gene_embeddings", "cell_embeddings"):
        assert [part.partition[0] for part in kept[name].parts] == [free]
    with pytest.raises(LicenceError, match="own/closed may not be redistributed"):
        passed_on(lake, tables, "refuse")


def test_screens_of_perturbations_that_are_restricted_are_left_out(lake: Lake, tables) -> None:
    """With everything that was computed from them; every other table keeps its parts."""
    of = {
        "perturbation_screens": rows_of(
            "perturbation_screens", ["my-screen"], redistributable=[False]
        ),
        "perturbation_effects": rows_of("perturbation_effects", ["my-screen"]),
        "perturbation_scores": rows_of("perturbation_scores", ["my-screen"]),
    }
    screens = {name: store_table(lake, name, rows) for name, rows in of.items()}
    kept, left_out = passed_on(lake, tables | screens, "leave_out")
    assert not any(kept[name].parts for name in screens)
    assert set(left_out) == {"closed", "my-screen"}
    assert kept["genes"] == tables["genes"]


def test_predictions_of_a_restricted_screen_are_left_out(lake: Lake, tables) -> None:
    """Of drugs that it did not measure, and how well its own were predicted; others stay."""
    names = (
        *("unscreened_drug_scores", "left_out_drugs"),
        *("unscreened_drugs", "unscreened_drug_responses"),
    )
    both = {
        name: lake.assemble(
            name,
            [
                part
                for collection in ("open", "closed")
                for part in store_table(lake, name, rows_of(name, [collection])).parts
            ],
        )
        for name in names
    }
    kept, left_out = passed_on(lake, tables | both, "leave_out")
    assert left_out == ("closed",)
    staged = stage(lake, "tests/unscreened", tables | both, lake.cache)
    for name in names:
        assert [part.partition for part in kept[name].parts] == [("open",)]
        assert set(lake.read(kept[name])["collection_id"]) == {"open"}
        marks = {file.partition[0]: file.redistributable for file in staged[name].files}
        assert marks == {"open": True, "closed": False}
    with pytest.raises(LicenceError, match="^closed may not be redistributed"):
        passed_on(lake, tables | both, "refuse")
