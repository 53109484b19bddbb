"""SQL over a release, in Python and from the shell: what it reads, and that it only reads."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from all_commands import app
from declared_rows import candidate, declared_rows, store_table, with_tables
from installations import settings_over
from typer.testing import CliRunner

import genept
from genept.client.release_lookup import open_releases
from genept.common.errors import StoreError
from genept.common.settings import Settings
from genept.release.catalogs.frozen_catalog import make_catalog
from genept.release.manifest import Manifest
from genept.schema.tables import TABLES
from genept.storage.object_store import ObjectStore


@pytest.fixture(scope="module")
def settings(object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return settings_over(object_store, tmp_path_factory.mktemp("state"), "queries")


@pytest.fixture(scope="module")
def published(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Manifest, Manifest, Manifest]:
    """One without a catalogue, and two with, of three and of four genes."""
    elsewhere = settings.model_copy(update={"state_dir": tmp_path_factory.mktemp("publisher")})
    releases = open_releases(elsewhere)
    plain = releases.publish(candidate(releases.lake, first=1)).manifest
    made = [
        releases.publish(
            with_tables(
                candidate(releases.lake),
                genes=store_table(releases.lake, "genes", declared_rows(TABLES["genes"], n)),
            ),
            catalog=make_catalog,
        ).manifest
        for n in (3, 4)
    ]
    return plain, made[0], made[1]


pytestmark = pytest.mark.usefixtures("published")


def test_a_query_is_answered_from_the_current_or_a_pinned_release(
    settings: Settings, published: tuple[Manifest, ...]
) -> None:
    query = "SELECT ensembl_gene_id FROM genes ORDER BY 1"
    assert genept.sql(query, settings=settings).height == 4
    earlier = genept.sql(query, release=published[1].release_id, settings=settings)
    assert earlier["ensembl_gene_id"].to_list() == [f"ENSG{n:011}" for n in (1, 2, 3)]
    (copy,) = {
        path
        for path in (settings.state / "cache" / "parts").glob("*.ducklake")
        if path.stem == published[2].catalog["catalog/catalog.ducklake"]
    }
    copy.write_bytes(copy.read_bytes()[:-9])
    assert genept.sql(query, settings=settings).height == 4, "a damaged copy is fetched again"


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("FROM gene_vectors SELECT count(*)", 3),
        ("SELECT len(embedding) FROM gene_embeddings LIMIT 1", 4),
        ("SELECT count(*) FROM (SHOW TABLES)", len(TABLES) + 3),
        ("SELECT column_type FROM (DESCRIBE genes) WHERE column_name = 'uniprot_ids'", "VARCHAR[]"),
    ],
)
def test_tables_and_views_are_there_by_name(
    settings: Settings, query: str, answer: int | str
) -> None:
    assert genept.sql(query, settings=settings).item() == answer


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("DELETE FROM genes", "one statement that reads"),
        ("SELECT 1; SELECT 2", "one statement that reads"),
        ("COPY genes TO 'genes.csv'", "one statement that reads"),
        ("", "one statement that reads"),
        ("SELEC 1", "cannot be read: .*syntax error"),
        ("SELECT symbo FROM genes", 'refused: .*"symbo" not found.*symbol'),
    ],
)
def test_what_does_not_only_read_or_is_no_sql_is_refused(
    settings: Settings, query: str, message: str
) -> None:
    with pytest.raises(StoreError, match=f"(?s){message}"):
        genept.sql(query, settings=settings)


def test_a_release_without_a_catalogue_is_named_with_what_reads_it(
    settings: Settings, published: tuple[Manifest, ...]
) -> None:
    with pytest.raises(StoreError, match=f"{published[0].release_id} has no SQL.*load_table"):
        genept.sql("SELECT 1", release=published[0].release_id, settings=settings)


@pytest.fixture
def shell(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    return CliRunner()


def test_the_release_is_shown_with_what_opens_it(
    shell: CliRunner, published: tuple[Manifest, ...], settings: Settings
) -> None:
    shown = shell.invoke(app, ["release", "show"]).output
    attach = f"ATTACH 'ducklake:s3://lake/{settings.product}/catalog/catalog.ducklake' AS genept"
    assert f"{attach} (READ_ONLY);" in shown
    assert settings.s3_secret_key
    assert settings.s3_secret_key.get_secret_value() not in shown
    assert "list_cosine_similarity" in shown
    assert "ATTACH" not in shell.invoke(app, ["release", "show", published[0].release_id]).output


def test_the_command_prints_or_writes_the_rows(shell: CliRunner, tmp_path: Path) -> None:
    query = "SELECT symbol, uniprot_ids FROM genes ORDER BY symbol LIMIT 2"
    printed = shell.invoke(app, ["sql", query])
    assert printed.exit_code == 0, printed.output
    assert "symbol-0000" in printed.output
    rows = json.loads(shell.invoke(app, ["sql", query, "--json"]).output)
    assert [row["symbol"] for row in rows] == ["symbol-0000", "symbol-0001"]
    assert shell.invoke(app, ["sql", query, "--out", str(tmp_path / "a.parquet")]).exit_code == 0
    assert pl.read_parquet(tmp_path / "a.parquet").to_dicts() == rows
    refused = shell.invoke(app, ["sql", query, "--out", str(tmp_path / "a.csv")])
    assert "uniprot_ids: CSV holds no lists" in str(refused.exception)
    assert not (tmp_path / "a.csv").exists()
    shell.invoke(app, ["sql", "SELECT symbol FROM genes", "--out", str(tmp_path / "a.csv")])
    assert (tmp_path / "a.csv").read_text().startswith("symbol\nsymbol-0000\n")
