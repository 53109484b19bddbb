"""`genept describe`: groups of a release's table; observations, described when asked for."""

from __future__ import annotations

import json
import secrets
from dataclasses import replace

import polars as pl
import pytest
from declared_rows import candidate, with_tables
from described_cells import COLLECTION, TYPES, described_cells, text_vectors
from planted import MINILM
from typer.testing import CliRunner

from genept.cli.app import app
from genept.client import released_descriptions
from genept.client.known_spaces import KnownSpaces
from genept.client.release_lookup import open_releases, released_files
from genept.client.released_descriptions import ReleasedDescriptions
from genept.common import StoreError
from genept.embeddings.text_readings.collection_descriptions import TABLE, describe_collections


def run(*arguments: str) -> str:
    """What a command prints. An error of the store leaves as it does from `main`."""
    result = CliRunner().invoke(app, ["describe", *arguments])
    if isinstance(result.exception, StoreError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module", autouse=True)
def released(object_store, tmp_path_factory):
    """A release of a small collection of typed cells, which the environment's settings name."""
    access = object_store.access
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "STATE_DIR": tmp_path_factory.mktemp("state"),
            "S3_ENDPOINT": access.endpoint_url,
            "S3_ACCESS_KEY": access.access_key,
            "S3_SECRET_KEY": access.secret_key,
            "PRODUCT": f"words-{secrets.token_hex(4)}",
        }.items():
            patch.setenv(f"GENEPT_{name}", str(value))
        patch.setenv("COLUMNS", "200")
        known = open_releases()
        of = described_cells(known.lake, patch)
        own = text_vectors(of)
        patch.setattr(
            KnownSpaces, "embed_names", lambda *_: lambda texts: [own[text] for text in texts]
        )
        (part,) = describe_collections(of)[COLLECTION.id]
        described = known.lake.assemble(TABLE, [part])
        known.publish(with_tables(candidate(known.lake), **of.tables, **{TABLE: described}))
        yield known.lake.read(part)


def test_every_group_is_printed_as_a_paragraph(released):
    printed = run("cells", COLLECTION.id)
    for text in released.filter(kind="paragraph")["text"]:
        assert text in printed
    assert "effect (SD)" not in printed


def test_one_group_is_printed_with_its_evidence():
    printed = run("cells", COLLECTION.id, "--by", "cell_type", "--group", "T cell")
    assert "The 40 observations of cell type T cell" in printed
    assert "of cell type B cell" not in printed
    (line,) = (line for line in printed.splitlines() if "GO term" in line)
    assert "process 1" in line


def test_rows_are_written_and_printed_as_json(released, tmp_path):
    out = tmp_path / "words.parquet"
    run("cells", COLLECTION.id, "--out", str(out))
    assert pl.read_parquet(out).equals(released)
    run("cells", COLLECTION.id, "--out", str(out.with_suffix(".csv")))
    assert pl.read_csv(out.with_suffix(".csv")).height == released.height
    rows = [json.loads(line) for line in run("cells", COLLECTION.id, "--json").splitlines()]
    assert [row["text"] for row in rows] == released["text"].to_list()


def test_one_cell_is_described_with_the_cells_nearest_to_it():
    printed = run("cells", COLLECTION.id, "--observation", "cell-004")  # a T cell
    assert "Observation cell-004 of planted-cells, with the" in printed
    assert "process 1" in printed
    rows = ReleasedDescriptions(COLLECTION.id).observation("cell-004")
    assert rows["grouping"].unique().to_list() == ["observation"]
    assert rows.filter(kind="gene")["q"].null_count() == rows.filter(kind="gene").height > 0
    assert rows.filter(kind="go_term")["q"].max() < 0.05


def test_cells_beyond_a_number_are_drawn_for_the_nearest(monkeypatch):
    monkeypatch.setattr(released_descriptions, "LARGEST", 100)
    rows = ReleasedDescriptions(COLLECTION.id).observation("cell-004")
    assert rows.filter(kind="paragraph")["n_observations"].item() == 15
    assert "process 1" in rows.filter(kind="go_term")["name"].to_list()


def test_another_space_is_computed(monkeypatch):
    stored = ReleasedDescriptions(COLLECTION.id).groups(space=MINILM.id)
    assert set(stored["space"].drop_nulls()) == {MINILM.id}
    with pytest.raises(StoreError, match="gene_embeddings"):
        run("cells", COLLECTION.id, "--space", "minilm-l6-v2/nothing")
    described = ReleasedDescriptions(COLLECTION.id)
    computed = described._computed(["cell_type"], MINILM.id)
    labels = computed.filter(kind="label", rank=1)
    assert labels["name"].to_list() == list(TYPES)
    assert computed.filter(kind="go_term").equals(stored.filter(kind="go_term"))


def test_a_release_from_before_the_table_is_described_when_asked():
    stored = ReleasedDescriptions(COLLECTION.id).groups("cell_type")
    before = ReleasedDescriptions(COLLECTION.id)
    kept = {name: of for name, of in before.release.manifest.tables.items() if name != TABLE}
    manifest = before.release.manifest.model_copy(update={"tables": kept})
    before.release = replace(before.release, manifest=manifest)
    computed = before.groups("cell_type")
    assert computed.filter(kind="go_term").equals(stored.filter(kind="go_term"))
    assert before.groups("cell_type", "T cell")["group_label"].unique().to_list() == ["T cell"]
    with pytest.raises(StoreError, match="no label 'tissue' makes groups"):
        before.groups("tissue")
    with pytest.raises(StoreError, match=f"before there was a table '{TABLE}': `genept run`"):
        released_files(manifest, TABLE, {})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cells", "planted-cell"), "did you mean 'planted-cells'"),
        (("samples", COLLECTION.id), "planted-cells holds cells, not samples"),
        (("cells", COLLECTION.id, "--by", "tissue"), "no label 'tissue' makes groups"),
        (("cells", COLLECTION.id, "--group", "T cells"), "did you mean 'T cell'"),
        (("cells", COLLECTION.id, "--observation", "nobody"), "no observation 'nobody'"),
        (("cells", COLLECTION.id, "--observation", "cell-004", "--by", "tissue"), "by itself"),
        (("cells", COLLECTION.id, "--out", "words.txt"), ".parquet or .csv"),
        (("cells", COLLECTION.id, "--release", "x"), "no release 'x'"),
    ],
)
def test_errors_say_what_there_is(arguments, message):
    with pytest.raises(StoreError, match=message):
        run(*arguments)
