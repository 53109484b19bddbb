"""What the simulation replaces in the library: clocks, random numbers and tables; and its data.

Everything that is replaced is named here, once. A name that no longer exists fails at once.
"""

from __future__ import annotations

import json
import secrets
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import tenacity.nap
import tenacity.wait
from declared_rows import declared_rows

from genept.release import garbage, rollback, staging
from genept.release.manifest import Manifest, Pointer
from genept.schema.columns import Table
from genept.schema.tables import TABLES
from genept.storage.documents import Document
from genept.storage.hashes import sha256_of
from genept.storage.lake import Lake
from genept.storage.parquet import WrittenFile, write_parquet
from genept.storage.provenance import NewPart, Origin, Part, StoredTable
from simulation.invariants import RELEASES_KEPT
from simulation.world import World

FEW = ("collections", "embedding_origins", "genes", "observations")
"""Tables of a simulated release; the first two have no rows."""

_world: list[World] = []
cached_beginnings: dict[int, Any] = {}
"""Beginnings that were simulated and can be reused until the library is patched again."""


class SimulatedDatetime(datetime):
    """`datetime` whose `now` is the clock of the calling process."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        return _world[-1].clock().astimezone(tz)


@contextmanager
def seams() -> Iterator[pytest.MonkeyPatch]:
    """Patch the library to use the world that `in_world` sets."""
    cached_beginnings.clear()
    whole = dict(TABLES)
    with pytest.MonkeyPatch.context() as patch:
        for name in list(TABLES):
            if name in FEW:
                patch.setitem(TABLES, name, _shortened(TABLES[name]))
            else:
                patch.delitem(TABLES, name)
        for name, module in list(sys.modules.items()):
            if (
                name.startswith(("genept.storage.", "genept.release."))
                and getattr(module, "datetime", None) is datetime
            ):
                patch.setattr(module, "datetime", SimulatedDatetime)
        patch.setattr(secrets, "token_hex", lambda n_bytes=32: _world[-1].nonce(n_bytes))
        patch.setattr(tenacity.nap, "time", types.SimpleNamespace(sleep=_wait))
        patch.setattr(tenacity.wait, "random", types.SimpleNamespace(uniform=_between))
        patch.setattr(garbage, "RELEASES_KEPT", RELEASES_KEPT)
        _simulate_later_version(patch)
        for module in (staging, rollback):
            patch.setattr(module, "progress_bar", _no_bar)
        yield patch
    TABLES.clear()  # in their order again
    TABLES.update(whole)


@contextmanager
def in_world(world: World) -> Iterator[None]:
    """Give the library the clocks and random numbers of this world."""
    _world.append(world)
    try:
        yield
    finally:
        _world.pop()


def _wait(seconds: float) -> None:
    world = _world[-1]
    if world.running is not None:
        world.running.asleep = world.steps + round(2 * seconds)
        world.pause(world.running)


def _between(low: float, high: float) -> float:
    return _world[-1].rng.uniform(low, high)


@contextmanager
def _no_bar(*_: object, **__: object) -> Iterator[Any]:
    yield lambda _: None


def _shortened(table: Table) -> Table:
    """The table with its key and one more column: long declarations are slow to parse."""
    others = [column for column in table.columns if column.name not in table.key]
    names = {*table.key, table.collection, others[0].name}
    return replace(table, columns=tuple(column for column in table.columns if column.name in names))


NEW_FIELD = "added_by_a_later_version"


def _simulate_later_version(patch: pytest.MonkeyPatch) -> None:
    """Processes of a later version write optional fields, which they know when they read."""
    written, parse = Document.body, Document.parse.__func__  # type: ignore[attr-defined]

    def body(self: Document) -> bytes:
        document = written(self)
        if not (_is_later() and isinstance(self, (Pointer, Manifest))):
            return document
        fields = json.loads(document) | {NEW_FIELD: "optional"}
        for table in fields.get("tables", {}).values():
            table[NEW_FIELD] = 1
        _world[-1].counters[f"{type(self).__name__.lower()} written by a later version"] += 1
        return json.dumps(fields, indent=1).encode()

    def parsed(cls: type[Document], document: bytes, address: str) -> Document:
        if _is_later() and NEW_FIELD.encode() in document:
            fields = json.loads(document)
            fields.pop(NEW_FIELD, None)
            for table in fields.get("tables", {}).values():
                table.pop(NEW_FIELD, None)
            document = json.dumps(fields).encode()
        return parse(cls, document, address)

    patch.setattr(Document, "body", body)
    patch.setattr(Document, "parse", classmethod(parsed))


def _is_later() -> bool:
    running = _world[-1].running
    return running is not None and running.is_later


# --- data ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Piece:
    """A part of a table: its number of rows, and which of several contents it has."""

    table: str
    partition: tuple[str, ...]
    rows: int
    variant: int


@dataclass(frozen=True)
class Content:
    """Content of a release."""

    pieces: tuple[Piece, ...] = field(default=())

    def pieces_of(self, table: str) -> list[Piece]:
        """The pieces of one table."""
        return [piece for piece in self.pieces if piece.table == table]

    @property
    def version(self) -> str:
        """The data version of a release with this content."""
        versions = {
            table: sha256_of(
                table,
                [(piece.partition, _template(piece)[1].sha256) for piece in self.pieces_of(table)],
            )
            for table in FEW
        }
        return sha256_of(versions, True, {})


def new_content(rng: Random) -> Content:
    """Draw a content: some rows of genes, and one or two collections."""
    collections = [("a",), ("b",)][: rng.randint(1, 2)]
    return Content(
        (
            Piece("genes", (), rng.choice((5, 20, 40)), rng.randint(0, 1)),
            *(
                Piece("observations", name, rng.choice((3, 20)), rng.randint(0, 1))
                for name in collections
            ),
        )
    )


def other_values(content: Content) -> Content:
    """Content with as many rows of every table: it is not held when it follows the first."""
    return Content(tuple(replace(piece, variant=1 - piece.variant) for piece in content.pieces))


def build(lake: Lake, content: Content, table: str) -> StoredTable:
    """Build a table in the lake: each of its pieces is a step."""
    parts: list[Part] = []
    for piece in content.pieces_of(table):
        origin = Origin(code=(), settings={"piece": repr(piece)})
        parts += lake.build(f"simulated/{table}", origin, lambda piece=piece: [_new(lake, piece)])
    return lake.assemble(table, parts)


def _new(lake: Lake, piece: Piece) -> NewPart:
    body, written = _template(piece)
    lake.cache.mkdir(parents=True, exist_ok=True)
    path = lake.cache / f"scratch-{_world[-1].nonce(4)}"
    path.write_bytes(body)
    ready = WrittenFile(path, written.sha256, written.bytes, written.rows)
    return NewPart(piece.table, ready, piece.partition)


@cache
def _template(piece: Piece) -> tuple[bytes, WrittenFile]:
    """The parquet file of a piece, made once."""
    table = TABLES[piece.table]
    rows = declared_rows(table, piece.rows, partition=piece.partition, first=10 * piece.variant)
    with TemporaryDirectory() as folder:
        written = write_parquet(Path(folder) / "part", table, rows, None, piece.partition)
        return written.path.read_bytes(), written
