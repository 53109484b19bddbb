"""A deployed installation: Postgres, an external store and service, and secrets for all of them.

One small release is made through two failures: Postgres is killed during the run, and the service
refuses the key and repeats it. The tests check the result: one release, no run left open, and
none of the secrets in anything that was stored or printed.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from installations import PROJECT, Installation
from loopback_openai import LoopbackService, hashed, serving
from postgres_server import PostgresServer, postgres_server

from genept.storage.embedded_store import REGION, EmbeddedStore
from genept.storage.object_store import ObjectStore

pytestmark = [pytest.mark.index, pytest.mark.soak, pytest.mark.timeout(2400)]

SECRETS = {
    "GENEPT_OPENAI_API_KEY": "sk-planted-marker-of-the-service",
    "GENEPT_S3_SECRET_KEY": "planted-marker-of-the-store",
    "GENEPT_POSTGRES_PASSWORD": "planted-marker-of-the-database",
    "GENEPT_FAILURE_WEBHOOK": "http://127.0.0.1:9/planted-marker-of-the-webhook",
}
MARKER = "planted-marker-of-the-"
SPACES = '["random-384/name-go", "loopback/name"]'
EMBEDDERS = """
[embedders.loopback]
model = "loopback-48"
dimensions = 48
max_tokens = 100
dollars_per_million_tokens = 1.0
base_url = "{url}"
"""


@dataclass
class Deployed:
    """An installation with its services; `output` is what its commands printed."""

    installation: Installation
    postgres: PostgresServer
    service: LoopbackService
    store: ObjectStore
    settings: dict[str, str]
    output: list[str] = field(default_factory=list)

    def run(self) -> subprocess.CompletedProcess[str]:
        result = self.installation.genept("run", env=self.settings, timeout=1500)
        self.output.append(result.stdout + result.stderr)
        return result

    def run_until(self, line: str) -> subprocess.Popen[str]:
        """Start a run, and return it once it has printed `line`; it continues."""
        process = subprocess.Popen(
            self.installation.command("run"),
            cwd=PROJECT,
            env=self.installation.environment(**self.settings),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert process.stderr is not None
        for printed in process.stderr:
            self.output.append(printed)
            if line in printed:
                return process
        raise AssertionError(f"it ended before {line!r}: {''.join(self.output)[-2000:]}")


@pytest.fixture(scope="module")
def deployed(
    tmp_path_factory: pytest.TempPathFactory, archives_in_place: Path
) -> Iterator[Deployed]:
    """An installation that can make a release through the two failures."""
    state = tmp_path_factory.mktemp("deployed")
    (state / "cache" / "archives").mkdir(parents=True)
    for archive in archives_in_place.glob("*.[wt]*"):
        os.link(archive, state / "cache" / "archives" / archive.name)
    store = planted_store(tmp_path_factory.mktemp("elsewhere"))
    service = LoopbackService(hashed(48))
    password = SECRETS["GENEPT_POSTGRES_PASSWORD"]
    with serving(service) as url, postgres_server(password) as postgres:
        declared = state / "embedders.toml"
        declared.write_text(EMBEDDERS.format(url=url))
        endpoint = store.ensure()
        settings = SECRETS | postgres.settings
        settings |= {
            "GENEPT_INSTANCE_CONFIG": str(PROJECT / "infra" / "postgres" / "dagster.yaml"),
            "GENEPT_S3_ENDPOINT": endpoint.url,
            "GENEPT_S3_ACCESS_KEY": endpoint.access_key,
            "GENEPT_EMBEDDERS": str(declared),
            "GENEPT_SPACES": SPACES,
            "GENEPT_COLLECTIONS": '["prostate"]',
            "GENEPT_MAX_GENES": "900",
        }
        client = ObjectStore(
            endpoint.url, endpoint.access_key, endpoint.secret_key, REGION, store.bucket
        )
        with client:
            yield Deployed(Installation(state), postgres, service, client, settings)
    store.stop()


def planted_store(folder: Path) -> EmbeddedStore:
    """A store whose secret key is the planted one."""
    (folder / "store").mkdir(mode=0o700)
    path = folder / "store" / "credentials.json"
    keys = {"access_key": "planted", "secret_key": SECRETS["GENEPT_S3_SECRET_KEY"]}
    path.write_text(json.dumps(keys | {"signing_key": "another"}))
    path.chmod(0o600)
    return EmbeddedStore(folder / "store")


def test_a_killed_postgres_and_a_refused_key_end_in_one_release(deployed: Deployed) -> None:
    process = deployed.run_until("gene_descriptions")
    deployed.postgres.kill()
    assert process.stderr is not None
    with process.stderr as rest:
        deployed.output.append(rest.read())
    process.wait(timeout=600)
    assert process.returncode not in (0, -signal.SIGKILL)
    assert "does not answer" in " ".join(deployed.output[-1].split())
    assert releases(deployed) == []

    deployed.postgres.start()
    deployed.service.faults = ["401"] * 100
    refused = deployed.run()
    assert refused.returncode == 1
    message = " ".join(refused.stderr.split())
    assert "check GENEPT_OPENAI_API_KEY" in message, refused.stderr[-3000:]
    assert releases(deployed) == []

    deployed.service.faults = []
    result = deployed.run()
    assert result.returncode == 0, result.stderr[-3000:]
    assert len(releases(deployed)) == 1
    assert set(deployed.service.charged.values()) == {1}, "no text is paid for twice"
    assert deployed.service.keys == {f"Bearer {SECRETS['GENEPT_OPENAI_API_KEY']}"}
    assert run_statuses(deployed) == ["FAILURE", "FAILURE", "SUCCESS"]


def test_no_secret_is_stored_or_printed(deployed: Deployed) -> None:
    assert releases(deployed), "there is something to search"
    places = [f"printed {line[:300]}" for line in deployed.output if MARKER in line]
    places += list(in_database(deployed.postgres))
    places += list(in_files(deployed.installation.state))
    places += list(in_objects(deployed.store))
    assert not places, "\n".join(places)


def test_the_search_finds_planted_secrets(deployed: Deployed, tmp_path: Path) -> None:
    (tmp_path / "log.err").write_text(f"refused: {MARKER}x")
    with sqlite3.connect(tmp_path / "prefect.db") as database:
        database.execute("CREATE TABLE log (message TEXT)")
        database.execute("INSERT INTO log VALUES (?)", (f"{'x' * 9000}{MARKER}x",))
    database.close()
    assert len(list(in_files(tmp_path))) >= 2
    with deployed.postgres.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE planted (body BYTEA)")
        cursor.execute("INSERT INTO planted VALUES (%s)", (zlib.compress(MARKER.encode()),))
    connection.close()
    assert list(in_database(deployed.postgres)) == ["table planted, row 0"]
    planted = tmp_path / "planted.parquet"
    pq.write_table(pa.table({"parts": [["a"], ["b", f"{MARKER}x"]]}), planted)
    deployed.store.put_if_absent("planted/one.parquet", planted.read_bytes())
    (place,) = in_objects(deployed.store)
    assert place.startswith("object planted/one.parquet")


@pytest.mark.parametrize(
    "rows", [["a", MARKER], [["a"], ["b", f"x{MARKER}"]], [{"of": MARKER}], [[{"of": [MARKER]}]]]
)
def test_a_secret_in_a_column_is_found(rows: list[object]) -> None:
    """Whatever its encoding; a search of the bytes of a parquet file would not find it."""
    assert holds(pa.chunked_array([pa.array(rows)]))
    assert not holds(pa.chunked_array([pa.array(rows[:0], pa.array(rows).type)]))
    assert not holds(pa.chunked_array([pa.array([1.0, 2.0])]))


def releases(deployed: Deployed) -> list[str]:
    return [
        info.key for info in deployed.store.list("genept/releases/") if "manifest.json" in info.key
    ]


def run_statuses(deployed: Deployed) -> list[str]:
    with deployed.postgres.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT status FROM runs ORDER BY id")
        statuses = [status for (status,) in cursor.fetchall()]
    connection.close()
    assert all(dg.DagsterRunStatus(value) for value in statuses)
    return statuses


def in_database(postgres: PostgresServer) -> Iterator[str]:
    """Rows of any table that hold the marker; Dagster compresses some of its bodies."""
    connection = postgres.connect()
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        tables = [name for (name,) in cursor.fetchall()]
        for table in tables:
            cursor.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - names of our own tables
            for number, row in enumerate(cursor.fetchall()):
                if any(MARKER in unpacked(value) for value in row):
                    yield f"table {table}, row {number}"
    connection.close()


def unpacked(value: object) -> str:
    if isinstance(value, memoryview | bytes):
        body = bytes(value)
        with contextlib.suppress(zlib.error):
            body = zlib.decompress(body)
        return body.decode(errors="replace")
    return str(value)


def in_files(folder: Path) -> Iterator[str]:
    """Files of the installation that hold the marker: compute logs, Prefect's database, caches."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or (path.parent.name == "archives"):
            continue
        body = path.read_bytes()
        if MARKER.encode() in body:
            yield f"file {path.relative_to(folder)}"
        if body.startswith(b"SQLite format 3"):
            database = sqlite3.connect(path)
            if any(MARKER in line for line in database.iterdump()):
                yield f"database {path.relative_to(folder)}"
            database.close()


def in_objects(store: ObjectStore) -> Iterator[str]:
    """Objects of the bucket that hold the marker, parquet read rather than searched."""
    for info in store.list(""):
        body = store.get(info.key)
        if MARKER.encode() in body:
            yield f"object {info.key}"
        elif info.key.endswith(".parquet"):
            table = pq.read_table(pa.BufferReader(body))
            for name, column in zip(table.column_names, table.columns, strict=True):
                if holds(column):
                    yield f"object {info.key}, column {name}"


def holds(column: pa.ChunkedArray) -> bool:
    while pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        column = pc.list_flatten(column)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return MARKER in str(column.type) or (
            pa.types.is_nested(column.type)
            and not pa.types.is_fixed_size_list(column.type)
            and MARKER in str(column.to_pylist())
        )
    return bool(pc.any(pc.match_substring(column, MARKER)).as_py())
