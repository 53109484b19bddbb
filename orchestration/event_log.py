"""The event log of a run in SQLite, written over connections that stay open.

Where the instance has a database server, its pool of connections does that, and nothing changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import dagster as dg
import sqlalchemy
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from sqlalchemy.engine import Connection, Engine

MOST_HELD: Final = 4
"""Databases that are held open: the index of all runs, that of the run, and two more."""


@contextmanager
def held_connections(instance: dg.DagsterInstance) -> Iterator[None]:
    """Hold the databases of the event log open for the time of a run of this process.

    Dagster opens and closes the database of a run, or the index of all runs, once for every event
    and every question. With the last connection SQLite copies its journal into the database and
    deletes it, which waits for the disk; each new connection reads the schema and compiles the
    statements again.

    Parameters
    ----------
    instance
        An instance of Dagster; other processes may use it meanwhile.
    """
    storage = instance.event_log_storage
    with ExitStack() as stack:
        if isinstance(storage, SqliteEventLogStorage):
            stack.enter_context(_held(storage))
        yield


def _commit_without_sync(connection: Any, _record: object) -> None:
    """Let a commit wait for the journal, and not for the disk.

    Dagster keeps a write-ahead log, which a killed process leaves whole. After a power failure the
    last events may be missing: the run that wrote them is over then, and is closed as killed.
    """
    connection.execute("PRAGMA synchronous=NORMAL")


@contextmanager
def _held(storage: SqliteEventLogStorage) -> Iterator[None]:
    engines: dict[str, Engine] = {}
    open_once = storage._connect

    @contextmanager
    def connect(shard: str) -> Iterator[Connection]:
        if shard not in engines and len(engines) < MOST_HELD:
            with open_once(shard):  # makes the tables of a new database
                pass
            arguments = {"timeout": SQLITE_BUSY_TIMEOUT_SECONDS}
            address = storage.conn_string_for_shard(shard)
            engines[shard] = sqlalchemy.create_engine(address, connect_args=arguments)
            sqlalchemy.event.listen(engines[shard], "connect", _commit_without_sync)
        with ExitStack() as stack:
            if (engine := engines.get(shard)) is None:
                yield stack.enter_context(open_once(shard))
            else:
                stack.enter_context(storage._db_lock)
                yield stack.enter_context(engine.begin())

    storage._connect = connect  # type: ignore[method-assign]
    try:
        yield
    finally:
        del storage._connect
        for engine in engines.values():
            engine.dispose()
