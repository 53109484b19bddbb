"""One SQLAlchemy engine per SQLite file of the instance, as long as the process lives.

Dagster 1.13 makes an engine for every event that it stores, and compiles every statement anew:
a third of what a small run costs. Connections are still opened and closed each time, so nothing
else changes; on Postgres Dagster keeps its engine itself.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from dagster._core.storage import sql
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage
from sqlalchemy.engine import Engine
from sqlalchemy.pool import NullPool


def share_engines() -> None:
    """Have Dagster's SQLite storages ask here for their engines; once more changes nothing."""
    for storage in (sqlite_event_log, sqlite_run_storage, sqlite_schedule_storage):
        vars(storage)["create_engine"] = _engine


def _engine(url: str, **options: Any) -> Engine:
    """The engine of an address, made when it is first asked for."""
    timeout = options.get("connect_args", {}).get("timeout")
    return _made(url, timeout)


@cache
def _made(url: str, timeout: int | None) -> Engine:
    arguments = {} if timeout is None else {"timeout": timeout}
    return sql.create_engine(url, poolclass=NullPool, connect_args=arguments)
