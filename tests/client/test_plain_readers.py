"""Readers that know nothing of this package: DuckDB in Python and alone, polars, pandas, Arrow."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from declared_rows import candidate, declared_rows, with_tables
from installations import settings_over
from planted_release import publish_planted

from genept.client.queries import opening_statements, sql_questions
from genept.client.release_lookup import Snippets, open_releases
from genept.common.settings import Settings
from genept.release.catalogs.frozen_catalog import make_catalog
from genept.release.catalogs.shared_catalog import refresh_catalog
from genept.release.manifest import Manifest
from genept.release.publish import CATALOG, Releases
from genept.schema.tables import TABLES
from genept.storage.object_store import ObjectStore
from genept.storage.provenance import NewPart, Origin

PYTHON = """
import json, sys, duckdb
connection = duckdb.connect()
for statement in json.load(sys.stdin):
    answer = connection.execute(statement)
print(json.dumps(answer.fetchall(), default=str))
assert not [name for name in sys.modules if name.startswith("genept")]
"""
SPACES = {"minilm-l6-v2/name-go": 4, "wide/name, go": 3}


@pytest.fixture(scope="module")
def settings(object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return settings_over(object_store, tmp_path_factory.mktemp("state"), "plain")


@pytest.fixture(scope="module")
def releases(settings: Settings) -> Releases:
    return open_releases(settings)


@pytest.fixture(scope="module")
def manifest(settings: Settings, releases: Releases) -> Manifest:
    """A release with known answers, in the catalogue of all."""
    published = publish_planted(settings, make_catalog)
    assert refresh_catalog(releases)
    return published


def in_python(duckdb_home: Path, *statements: str) -> list[list[Any]]:
    answered = subprocess.run(
        [sys.executable, "-I", "-c", PYTHON],
        input=json.dumps(statements),
        env={"HOME": str(duckdb_home), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answered.returncode == 0, answered.stderr
    rows: list[list[Any]] = json.loads(answered.stdout)
    return rows


def in_shell(duckdb_home: Path, *statements: str) -> list[list[Any]]:
    answered = subprocess.run(
        [str(Path(sys.executable).parent / "duckdb"), "-json", "-c", ";\n".join(statements)],
        env={"HOME": str(duckdb_home), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answered.returncode == 0, answered.stderr
    last = answered.stdout.strip().rpartition("\n[")[2]
    return [list(row.values()) for row in json.loads(f"[{last.removeprefix('[')}")]


def opening(releases: Releases, manifest: Manifest) -> list[str]:
    """The two statements that are printed for a release, with the keys put in."""
    access = releases.store.access
    text = opening_statements(Snippets(releases.files, manifest))
    text = text.replace("KEY_ID '…'", f"KEY_ID '{access.access_key}'")
    statements = text.replace("SECRET '…'", f"SECRET '{access.secret_key}'").split(";")
    matches = [statement.strip() for statement in statements if statement.strip()]
    assert len(matches) == 2
    return matches


@pytest.mark.parametrize("ask", [in_python, in_shell])
def test_two_statements_open_a_release_and_the_third_is_the_question(
    releases: Releases, manifest: Manifest, duckdb_home: Path, ask: Any
) -> None:
    questions = sql_questions(Snippets(releases.files, manifest))
    nearest, drugs = questions.values()
    first, *others = ask(duckdb_home, *opening(releases, manifest), nearest)
    assert first[0] == "SAME"
    assert first[1] > 0.99
    assert len(others) == 9
    assert "FOXP3" not in {symbol for symbol, _ in others}
    answers = ask(duckdb_home, *opening(releases, manifest), drugs)
    assert [row[0] for row in answers] == ["blood's", "everybody's"]
    assert answers[0][1] < 0 < answers[1][1]


def test_the_catalogue_of_one_release_opens_alike(
    releases: Releases, manifest: Manifest, duckdb_home: Path
) -> None:
    secret, _ = opening(releases, manifest)
    address = releases.address(manifest.release_id, CATALOG)
    attach = f"ATTACH 'ducklake:{address}' AS genept (READ_ONLY)"
    assert in_python(duckdb_home, secret, attach, "SELECT count(*) FROM genept.genes") == [[3]]


READERS = {
    "duckdb": """
import duckdb
connection = duckdb.connect()
connection.execute(secret)
rows = connection.read_parquet(f"{at}/**/*.parquet", hive_partitioning=True)
found = rows.aggregate("space, len(any_value(embedding)), count(*)").fetchall()
""",
    "polars": """
import polars as pl
rows = pl.scan_parquet(f"{at}/**/*.parquet", storage_options=options).collect()
found = rows.group_by("space").agg(pl.first("embedding").list.len(), pl.len()).rows()
""",
    "polars with folders": """
import polars as pl
rows = pl.scan_parquet(f"{at}/**/*.parquet", storage_options=options, hive_partitioning=True)
rows = pl.concat(
    [rows.filter(pl.col("space") == space).collect() for space in spaces], how="vertical"
)
found = rows.group_by("space").agg(pl.first("embedding").list.len(), pl.len()).rows()
""",
    "pandas": """
import pandas as pd
rows = pd.read_parquet(at[5:], filesystem=filesystem, partitioning=None)
found = [(name, len(of["embedding"].iloc[0]), len(of)) for name, of in rows.groupby("space")]
""",
    "pyarrow": """
import pyarrow.dataset as ds
rows = ds.dataset(at[5:], filesystem=filesystem).to_table().to_pandas()
found = [(name, len(of["embedding"].iloc[0]), len(of)) for name, of in rows.groupby("space")]
""",
    "pyarrow with folders": """
import pyarrow.dataset as ds
rows = ds.dataset(at[5:], filesystem=filesystem, partitioning="hive")
found = []
for space in spaces:
    some = rows.to_table(filter=ds.field("space") == space)
    found.append((space, len(some["embedding"][0]), some.num_rows))
""",
    "pyarrow.parquet": """
import pyarrow.parquet as pq
rows = pq.read_table(at[5:], filesystem=filesystem, partitioning=None).to_pandas()
found = [(name, len(of["embedding"].iloc[0]), len(of)) for name, of in rows.groupby("space")]
""",
}
BEFORE = """
import json, sys
given = json.load(sys.stdin)
at, spaces, options, secret = (given[it] for it in ("at", "spaces", "options", "secret"))
from pyarrow.fs import S3FileSystem
filesystem = S3FileSystem(**given["filesystem"])
"""
AFTER = """
assert not [name for name in sys.modules if name.startswith("genept")]
print(json.dumps(sorted([space, int(n), int(rows)] for space, n, rows in found)))
"""


@pytest.fixture(scope="module")
def spaces(settings: Settings) -> tuple[Releases, Manifest]:
    """A release with two spaces of different dimensions, whose ids need encoding in a path."""
    table = TABLES["gene_embeddings"]
    apart = settings.model_copy(update={"product": f"spaces-{secrets.token_hex(4)}"})
    releases = open_releases(apart)
    parts = [
        NewPart(
            table.name,
            declared_rows(table, partition=(space,), dimension=dimension),
            (space,),
            dimension,
        )
        for space, dimension in SPACES.items()
    ]
    built = releases.lake.build("test/spaces", Origin(code=()), lambda: parts)
    vectors = releases.lake.assemble(table.name, built)
    offered = with_tables(candidate(releases.lake), gene_embeddings=vectors)
    return releases, releases.publish(offered).manifest


@pytest.mark.parametrize("reader", READERS)
def test_a_whole_table_is_read_although_its_spaces_differ_in_dimension(
    spaces: tuple[Releases, Manifest], duckdb_home: Path, reader: str
) -> None:
    releases, manifest = spaces
    access = releases.store.access
    given = {
        "at": releases.address(manifest.release_id, "data/gene_embeddings"),
        "spaces": list(SPACES),
        "options": access.storage_options(),
        "secret": opening(releases, manifest)[0],
        "filesystem": {
            "access_key": access.access_key,
            "secret_key": access.secret_key,
            "endpoint_override": access.host,
            "scheme": "http",
            "region": access.region,
        },
    }
    answered = subprocess.run(
        [sys.executable, "-I", "-c", BEFORE + READERS[reader] + AFTER],
        input=json.dumps(given),
        env={"HOME": str(duckdb_home), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answered.returncode == 0, answered.stderr
    assert json.loads(answered.stdout) == sorted([s, n, 3] for s, n in SPACES.items())


def test_the_questions_of_the_page_are_those_that_are_asked_here() -> None:
    text = files("genept.client.pages").joinpath("site", "snippets.toml").read_text("utf-8")
    assert len(tomllib.loads(text)["sql"]) + len(tomllib.loads(text)["sql_screen"]) == 2
