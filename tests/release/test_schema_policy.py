"""A published column is not dropped, retyped or added without saying so in the version."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from declared_rows import candidate, declared_rows

from genept.client.installation import Installation
from genept.common.errors import StoreError
from genept.common.settings import Settings
from genept.release import gate
from genept.release.candidate_review import review
from genept.release.gate import refuse_breaking
from genept.release.manifest import Manifest
from genept.release.publish import Releases
from genept.release.staging import ReleaseRefusedError
from genept.schema.columns import Column, Table
from genept.schema.tables import SCHEMA_VERSION, TABLES
from genept.storage.lake import Lake
from genept.storage.object_store import ObjectStore
from genept.storage.parquet import write_parquet


@pytest.fixture(scope="module")
def current(object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    product = f"tests/schema-{secrets.token_hex(4)}"
    lake = Lake(object_store, product, tmp_path_factory.mktemp("cache"))
    manifest = Releases(lake, product).publish(candidate(lake)).manifest
    assert manifest.schema_version == SCHEMA_VERSION
    return manifest.model_copy(update={"schema_version": "1.4.2"})


def with_columns(change: Callable[[tuple[Column, ...]], tuple[Column, ...]]) -> dict[str, Table]:
    return TABLES | {"genes": replace(TABLES["genes"], columns=change(TABLES["genes"].columns))}


def deprecating(manifest: Manifest, name: str) -> Manifest:
    """As if the current release had announced the end of a column of `genes`."""
    genes = manifest.tables["genes"]
    columns = tuple(
        column.model_copy(update={"deprecated": "read `symbol`"}) if column.name == name else column
        for column in genes.columns
    )
    tables = {**manifest.tables, "genes": genes.model_copy(update={"columns": columns})}
    return manifest.model_copy(update={"tables": tables})


DROPPED = with_columns(
    lambda columns: tuple(column for column in columns if column.name != "biotype")
)
RETYPED = with_columns(
    lambda columns: tuple(
        replace(column, type=pa.int64()) if column.name == "biotype" else column
        for column in columns
    )
)
OTHER_UNIT = with_columns(
    lambda columns: tuple(
        replace(column, unit="kinds") if column.name == "biotype" else column for column in columns
    )
)
EMPTIED = with_columns(
    lambda columns: tuple(
        replace(column, nullable=True) if column.name == "biotype" else column for column in columns
    )
)
ADDED = with_columns(lambda columns: (*columns, Column("locus", pa.string(), "Where it is.")))


@pytest.mark.parametrize("declared", [DROPPED, RETYPED, OTHER_UNIT, EMPTIED])
def test_what_breaks_readers_needs_notice_and_a_major_raise(
    current: Manifest, declared: dict[str, Table]
) -> None:
    with pytest.raises(ReleaseRefusedError, match=r"genes\.biotype .*were given no notice"):
        refuse_breaking(current, declared, "2.0.0")
    announced = deprecating(current, "biotype")
    with pytest.raises(ReleaseRefusedError, match=r"from 1\.4\.2 to 2\.0\.0 at least"):
        refuse_breaking(announced, declared, "1.5.0")
    refuse_breaking(announced, declared, "2.0.0")


def test_an_installation_that_skipped_the_notice_approves_the_table(current: Manifest) -> None:
    both = {name: table for name, table in DROPPED.items() if name != "gene_names"}
    for approved in ((), ["genes"]):
        remedy = r"""GENEPT_APPROVE='\["gene_names", "genes"\]'"""
        with pytest.raises(ReleaseRefusedError, match=remedy):
            refuse_breaking(current, both, "2.0.0", approved=approved)
    refuse_breaking(current, both, "2.0.0", approved=["genes", "gene_names"])
    with pytest.raises(ReleaseRefusedError, match=r"to 2\.0\.0 at least"):
        refuse_breaking(current, both, "1.5.0", approved=["genes", "gene_names"])


def test_a_table_that_is_no_longer_declared_can_be_approved(
    planted_lake: Lake, store_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    releases = Releases(planted_lake, store_prefix)
    releases.publish(candidate(planted_lake))
    fewer = {name: table for name, table in TABLES.items() if name != "gene_names"}
    monkeypatch.setattr("genept.release.candidate_review.TABLES", fewer)
    offered = candidate(planted_lake, first=1)
    with pytest.raises(StoreError, match="names gossip, and there are no such tables"):
        review(releases, offered.tables, trusted=["gossip"])
    assert not review(releases, offered.tables, trusted=["gene_names"]).approved


def test_vectors_that_were_stated_as_arrays_need_a_major_raise_alone(current: Manifest) -> None:
    """The bytes are the same; docs/decisions/0017-a-catalogue-over-plain-parquet.md."""
    vectors = current.tables["gene_embeddings"]
    stated = tuple(
        column.model_copy(update={"type": "fixed_size_list<float>[dimensions of the space]"})
        if column.name == "embedding"
        else column
        for column in vectors.columns
    )
    earlier = vectors.model_copy(update={"columns": stated})
    before = current.model_copy(update={"tables": {**current.tables, "gene_embeddings": earlier}})
    with pytest.raises(ReleaseRefusedError, match=r"gene_embeddings\.embedding changes its type"):
        refuse_breaking(before, TABLES, "1.5.0")
    refuse_breaking(before, TABLES, "2.0.0")


def test_additions_need_a_minor_raise(current: Manifest) -> None:
    for version in ("1.4.2", "1.4.9"):
        with pytest.raises(ReleaseRefusedError, match=r"genes\.locus is new: .* to 1\.5\.0"):
            refuse_breaking(current, ADDED, version)
    refuse_breaking(current, ADDED, "1.5.0")
    refuse_breaking(current, ADDED, "2.0.0")


def test_tables_come_and_go_by_the_same_rules(current: Manifest) -> None:
    more = TABLES | {"gossip": replace(TABLES["genes"], name="gossip")}
    with pytest.raises(ReleaseRefusedError, match=r"table gossip is new: .* to 1\.5\.0"):
        refuse_breaking(current, more, "1.4.2")
    fewer = {name: table for name, table in TABLES.items() if name != "genes"}
    with pytest.raises(ReleaseRefusedError, match="table genes is gone: .*were given no notice"):
        refuse_breaking(current, fewer, "2.0.0")


def test_nothing_new_needs_no_raise_and_a_version_never_falls(current: Manifest) -> None:
    refuse_breaking(current, TABLES, "1.4.2")
    with pytest.raises(ReleaseRefusedError, match="it must not decrease"):
        refuse_breaking(current, TABLES, "1.4.1")
    before_versions = current.model_copy(update={"schema_version": None})
    refuse_breaking(before_versions, DROPPED, "1.0.0")


def test_a_release_that_breaks_readers_leaves_the_pointer_alone(
    planted_lake: Lake, store_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    releases = Releases(planted_lake, store_prefix)
    releases.publish(candidate(planted_lake))
    before = releases.pointer()
    original = gate.refuse_breaking
    monkeypatch.setattr(
        "genept.release.gate.refuse_breaking",
        lambda current, approved: original(current, DROPPED, "2.0.0", approved=approved),
    )
    with pytest.raises(ReleaseRefusedError, match="genes.biotype is gone"):
        releases.publish(candidate(planted_lake, first=1))
    assert releases.pointer() == before


def test_a_run_that_would_break_readers_is_refused_before_it_claims_anything(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    access, product = lake.store.access, f"schema-{secrets.token_hex(4)}"
    installation = Installation(
        Settings(
            state_dir=tmp_path / "state",
            product=product,
            approve=("gene_names",),
            s3_endpoint=access.endpoint_url,
            s3_access_key=access.access_key,
            s3_secret_key=access.secret_key,
            bucket=access.bucket,
        )
    )
    assert installation.claim, "nothing is released yet: there is nothing to break"
    Releases(lake, product).publish(candidate(lake))
    del installation.claim
    assert installation.claim
    del installation.claim
    original, approvals = gate.refuse_breaking, []

    def refuse(current: Manifest, approved: tuple[str, ...]) -> None:
        approvals.append(approved)
        original(current, DROPPED, "2.0.0", approved=approved)

    monkeypatch.setattr("genept.release.gate.refuse_breaking", refuse)
    with pytest.raises(ReleaseRefusedError, match="genes.biotype is gone"):
        installation.claim.take("run", lambda _: "done")
    assert approvals == [("gene_names",)]
    assert not lake.store.exists(f"{product}/run.json")


def test_parquet_files_say_under_which_version_they_were_written(tmp_path) -> None:
    write_parquet(tmp_path / "it.parquet", TABLES["genes"], declared_rows(TABLES["genes"]))
    metadata = pq.read_schema(tmp_path / "it.parquet").metadata
    assert metadata[b"schema_version"] == SCHEMA_VERSION.encode()
