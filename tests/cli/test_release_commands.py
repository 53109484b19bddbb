"""`genept release …`, `search` and `neighbours`: asked from the shell, of a real small release."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from declared_rows import candidate, declared_frame, declared_rows, store_table, with_tables
from typer.testing import CliRunner

import genept.client.searching.search
from genept.cli import run_report
from genept.cli.app import app
from genept.client.release_lookup import open_releases
from genept.common.errors import StoreError
from genept.release.candidate_review import HeldError, review
from genept.release.fencing import Claim, RunState
from genept.release.manifest import Manifest
from genept.release.publish import Releases
from genept.schema.tables import TABLES
from genept.storage.garbage_list import MarkList
from genept.storage.object_store import ObjectStore
from genept.storage.provenance import NewPart, Origin

SPACE = "minilm-l6-v2/name-go"
SYMBOLS = ["TP53", "MDM2", "FOXP3", "ACTB"]
VECTORS = np.array([[1, 0, 0], [0.9, 0.1, 0], [0, 1, 0], [0, 0, 1]], dtype=np.float32)


def run(*arguments: str, answers: str | None = None) -> str:
    """What a command prints. An error of the store leaves as it does from `main`."""
    result = CliRunner().invoke(app, list(arguments), input=answers)
    if isinstance(result.exception, StoreError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module", autouse=True)
def known(
    object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Releases]:
    """The releases that the environment's settings name."""
    access = object_store.access
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "STATE_DIR": tmp_path_factory.mktemp("state"),
            "S3_ENDPOINT": access.endpoint_url,
            "S3_ACCESS_KEY": access.access_key,
            "S3_SECRET_KEY": access.secret_key,
            "PRODUCT": f"shell-{secrets.token_hex(4)}",
        }.items():
            patch.setenv(f"GENEPT_{name}", str(value))
        patch.setenv("COLUMNS", "200")
        yield open_releases()


@pytest.fixture(scope="module", autouse=True)
def two(known: Releases) -> tuple[Manifest, Manifest]:
    """Two releases: the second knows a gene more, and a space of four genes."""
    vectors = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    rows = declared_frame(TABLES["gene_embeddings"], 4, partition=(SPACE,), dimension=3)
    rows = rows.with_columns(
        pl.Series("symbol", SYMBOLS), pl.Series("embedding", vectors, dtype=pl.Array(pl.Float32, 3))
    )
    first = with_tables(
        candidate(known.lake),
        gene_names=store_table(known.lake, "gene_names", declared_rows(TABLES["gene_names"], 3)),
    )
    new = NewPart(
        "gene_embeddings", rows.to_arrow().cast(TABLES["gene_embeddings"].schema(3)), (SPACE,), 3
    )
    parts = known.lake.build("test/space", Origin(code=()), lambda: [new])
    second = with_tables(
        first,
        genes=store_table(known.lake, "genes", declared_rows(TABLES["genes"], 4)),
        gene_embeddings=known.lake.assemble("gene_embeddings", parts),
    )
    return known.publish(first).manifest, known.publish(second).manifest


def test_a_release_is_cited_as_text_and_as_bibtex(
    two: tuple[Manifest, Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = two
    assert f"Release {second.release_id}" in run("release", "cite")
    assert "10.1038/s41551-024-01284-6" in run("release", "cite")
    cited = run("release", "cite", first.release_id, "--bibtex")
    assert cited.startswith(f"@misc{{genept-{first.release_id},\n")
    assert f"/releases/{first.release_id}/}}" in cited
    monkeypatch.setenv("GENEPT_DOI", "10.1234/genept")
    assert "doi = {10.1234/genept}" in run("release", "cite", "--bibtex")


def test_releases_are_listed_and_shown(two: tuple[Manifest, Manifest]) -> None:
    first, second = two
    lines = run("release", "list").splitlines()
    assert [line.split()[0] for line in lines if line[:2] == "20"] == [
        manifest.release_id for manifest in sorted(two, key=lambda manifest: manifest.release_id)
    ]
    assert "current" in next(line for line in lines if second.release_id in line)
    shown = run("release", "show")
    assert f"previous       {first.release_id}" in shown
    assert "the ten genes nearest to FOXP3" in shown
    for library in ("polars", "pandas", "pyarrow", "duckdb", "R"):
        assert f"\n# {library}\n" in shown
    assert first.data_version[:16] in run("release", "show", first.release_id)
    with pytest.raises(StoreError, match=f"no release 'x'; .*{second.release_id}"):
        run("release", "show", "x")


def test_two_releases_are_compared(two: tuple[Manifest, Manifest]) -> None:
    first, second = two
    assert "genes" in run("release", "diff", first.release_id)
    printed = json.loads(run("release", "diff", first.release_id, second.release_id, "--json"))
    assert {first.release_id, second.release_id} <= set(map(str, printed.values()))


def test_a_table_is_explained(two: tuple[Manifest, Manifest]) -> None:
    shown = run("table", "genes", "--rows", "2")
    assert TABLES["genes"].meaning in " ".join(shown.split())  # wrapped to the terminal's width
    for column in TABLES["genes"].columns:
        assert column.name in shown


def test_without_a_name_the_tables_are_listed(two: tuple[Manifest, Manifest]) -> None:
    shown = run("table")
    for name, table in two[1].tables.items():
        first = [name, f"{table.rows:,}", *table.meaning.split()[:3]]
        assert first in [line.split()[:5] for line in shown.splitlines()]


def test_a_damaged_release_is_said_file_by_file(
    known: Releases, two: tuple[Manifest, Manifest]
) -> None:
    first, second = two
    assert f"{second.release_id}: " in run("release", "verify")
    (file,) = first.tables["genes"].files
    key = f"{known.folder(first.release_id)}/{file.path}"
    body = known.store.get(key)
    known.store.client.put_object(Bucket=known.store.bucket, Key=key, Body=body[:-1])
    with pytest.raises(StoreError, match=r"\(1 faults\): restore the objects from a backup"):
        run("release", "verify", first.release_id)
    with pytest.raises(StoreError, match=f"{first.release_id} is damaged"):
        run("release", "rollback", "--reason", "x")
    known.store.client.put_object(Bucket=known.store.bucket, Key=key, Body=body)


def test_going_back_asks_why_and_is_taken_back(
    known: Releases, two: tuple[Manifest, Manifest]
) -> None:
    first, second = two
    printed = run("release", "rollback", answers="drifted\n")
    assert f"{first.release_id} is current, number 3 of all swaps" in printed
    assert f"denied: {second.release_id}, drifted" in printed
    assert "taken back: drifted" in run("release", "list")
    assert "is not denied any more" in run("release", "allow", second.release_id)
    with pytest.raises(StoreError, match="is not denied; denied are: none"):
        run("release", "allow", second.release_id)
    with pytest.raises(StoreError, match="there is no earlier release"):
        run("release", "rollback", "--reason", "further")
    pointer, etag = known.pointer_with_etag()
    assert pointer is not None
    known.swap(known.following(pointer, second, second.stored_sha256, datetime.now(UTC)), etag)


def test_garbage_is_listed_before_it_is_deleted(
    known: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    orphan = f"{known.lake.prefix}/genes/{'0' * 64}.parquet"
    known.store.put_if_absent(orphan, b"a killed run made this")
    left = known.lake.cache / "tmpdead" / "part"
    left.parent.mkdir(parents=True, exist_ok=True)
    left.write_bytes(b"half")
    assert "there is nothing to collect" in run("release", "gc")

    def go_to(day: float) -> None:
        class Later(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:
                return datetime.now(tz) + timedelta(days=day)

        monkeypatch.setattr(run_report, "datetime", Later)
        monkeypatch.setattr(MarkList, "touch", lambda _: Later.now(UTC))

    go_to(31)
    printed = run("release", "gc")
    assert "lake parts of genes: 1 objects, 22 bytes; no record, table or release" in printed
    assert "; listed since 20" in printed
    assert "on this machine: " in printed
    assert "nothing was deleted; `genept release gc --yes` deletes what has been listed" in printed
    assert left.exists()
    printed = run("release", "gc", "--yes")
    assert re.search(
        r"deleted [\d,]+ bytes; 22 bytes wait until they have been .* 24 hours", printed
    )
    assert known.store.exists(orphan)
    assert not left.exists()
    go_to(32.1)
    assert "deleted " in run("release", "gc", "--yes")
    assert not known.store.exists(orphan)
    assert "there is nothing to collect" in run("release", "gc")


def test_garbage_is_not_collected_from_a_run_that_may_be_at_work(
    known: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is at work is the orchestrator's to say; where it does not know, a person may."""
    Claim(known).take("nightly", lambda _: "done")
    states: dict[str, RunState | None] = {"nightly": "at work"}
    point = SimpleNamespace(load=lambda: states.get)
    monkeypatch.setattr(run_report, "entry_points", lambda group: [point])
    with pytest.raises(StoreError, match="run nightly is at work since 20"):
        run("release", "gc", "--yes")
    states.clear()
    with pytest.raises(StoreError, match="does not know whether .* say so with --given-up nightly"):
        run("release", "gc", "--yes")
    monkeypatch.setattr(run_report, "entry_points", lambda group: [])
    with pytest.raises(StoreError, match="does not know whether"):
        run("release", "gc", "--yes")
    assert "nothing to collect" in run("release", "gc")
    assert "nothing to collect" in run("release", "gc", "--yes", "--given-up", "nightly")
    assert "nothing to collect" in run("release", "gc", "--yes")


def test_a_lost_manifest_is_named_by_the_list_and_by_the_collector(
    known: Releases, two: tuple[Manifest, Manifest]
) -> None:
    third = known.publish(with_tables(
        candidate(known.lake, first=7),
        gene_names=store_table(known.lake, "gene_names", declared_rows(TABLES["gene_names"], 2)),
    )).manifest  # fmt: skip
    key = known.manifest_key(two[1].release_id)
    body = known.store.get(key)
    known.store.delete([key])
    listed = run("release", "list")
    assert f"{two[1].release_id}  its manifest is missing: restore it from a backup" in listed
    assert f"{two[0].release_id}  whether it was ever current is unknown" in listed
    assert third.release_id in listed
    printed = run("release", "gc")
    assert f"the manifest of {two[1].release_id} is missing" in printed
    assert f"--accept-missing {two[1].release_id}" in printed
    assert "is missing" not in run("release", "gc", "--accept-missing", two[1].release_id)
    known.store.put_if_absent(key, body)
    pointer, etag = known.pointer_with_etag()
    assert pointer is not None
    known.swap(known.following(pointer, two[1], two[1].stored_sha256, datetime.now(UTC)), etag)


def test_what_is_held_is_shown_approved_and_published(
    known: Releases, two: tuple[Manifest, Manifest]
) -> None:
    built = {
        name: known.lake.table(name, table.data_version) for name, table in two[1].tables.items()
    }
    without = built | {"gene_embeddings": known.lake.assemble("gene_embeddings", [])}
    with pytest.raises(StoreError, match="nothing is held against"):
        run("release", "approve", "--reason", "ahead of time")
    with pytest.raises(HeldError):
        review(known, without, built={"space": []}, run="run-7")
    gone = f"gene_embeddings, space {SPACE}: all 4 rows are gone (it is not built any more"
    for command in (["list"], ["show"]):
        printed = run("release", *command)
        assert f"(run run-7), against release {two[1].release_id}:" in printed
        assert gone in printed
    assert "held since" not in run("release", "show", two[0].release_id)
    with pytest.raises(StoreError, match="nothing is held of genes; of gene_embeddings is"):
        run("release", "approve", "genes", "--reason", "why")
    printed = run("release", "approve", "--by", "ada", answers="not needed any more\n")
    assert gone in printed
    assert f"gene_embeddings: approved against {two[1].release_id} by ada" in printed
    assert "is approved: run again" in run("release", "list")
    with pytest.raises(StoreError, match="approved already .* by ada: not needed any more"):
        run("release", "approve", "--reason", "twice")
    assert review(known, without).approved[0].by == "ada"
    review(known, built)
    assert "held" not in run("release", "list")


# --- asking the space --------------------------------------------------------------------


def answers(printed: str) -> list[tuple[str, str]]:
    """Cosine and name of every line of an answer."""
    return re.findall(r"(-?[01]\.\d{3})\s+(\S+)", printed)


def test_the_neighbours_of_a_gene() -> None:
    nearest = answers(run("neighbours", "TP53", "-n", "2"))
    assert nearest[0] == ("0.994", "MDM2")
    assert len(nearest) == 2
    assert answers(run("neighbours", "ENSG00000000001", "-n", "1")) == nearest[:1]
    with pytest.raises(StoreError, match="NOBODY"):
        run("neighbours", "NOBODY")
    with pytest.raises(StoreError, match="did you mean 'minilm-l6-v2/name-go'"):
        run("neighbours", "TP53", "--space", "minilm-l6-v2/name-og")


def test_a_text_finds_the_nearest_genes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedder has tests of its own; here a text is where it is put."""
    monkeypatch.setattr(
        genept.client.searching.search.SpaceSearch,
        "embed",
        lambda _, texts: np.array([[0, 2, 0.2]] * len(texts), np.float32),
    )
    printed = run("search", "regulatory T cells", "-n", "2")
    assert [name for _, name in answers(printed)] == ["FOXP3", "MDM2"]
    with pytest.raises(StoreError, match="--in tissues: choose genes, cells or samples"):
        run("search", "anything", "--in", "tissues")
