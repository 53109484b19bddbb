"""Ingest of a user's own collection, in a process with limits.

The child reads the files and makes the parts; it has no keys, so its parent checks each part and
stores it. Shards are stored one after the other, so that a killed ingest resumes where it stopped.
What is made of the files is `genept.collections.ingestion`.
"""

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from stat import S_ISREG
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from genept.collections import ingestion
from genept.collections.ranges_for_child import (
    AskedRanges,
    bytes_of,
    fetch_for_child,
    ranged_sources,
)
from genept.collections.shards import SHARD_OBSERVATIONS, spans_of
from genept.collections.user_collections import local_archives, named_by_owner
from genept.common import SourceError, Workers, console
from genept.datasources import Collection, Source, parse_collection
from genept.datasources.download import Ranged, RangedCopy
from genept.datasources.readers import Allowance, Parent, limited
from genept.nomenclature import Reference
from genept.schema.tables import STORED
from genept.storage import (
    Lake,
    NewPart,
    Origin,
    Part,
    WrittenFile,
    sha256_of_file,
)

_OF_SHARDS: Final = ("expression", "shard_observations", "shard_inputs", "shard_genes")
_SMALL: Final = tuple(name for name in ingestion.TABLES_READ if name != "expression")
_MOST_SHARDS: Final = 1 << 20


def parts_in_child(
    lake: Lake, request: ingestion.IngestRequest, *, allowance: Allowance
) -> Iterator[NewPart | Part]:
    """Make the parts of a user's own collection; used in place of `ingestion.parts_here`.

    Parameters
    ----------
    lake, request
        As for `ingestion.parts_here`.
    allowance
        Limits of the child.

    Yields
    ------
    NewPart or Part
        The same parts as `ingestion.parts_here`.

    Raises
    ------
    SourceError
        The collection cannot be ingested, or the process that read it died or exceeded a limit.
    """
    archives, collection, origin = request.archives, request.collection, request.origin
    sources = [archives.catalogue.source(id_) for id_ in collection.sources]
    ranged = ranged_sources(archives, collection.sources)
    files = {source.id: archives.fetch(source.id) for source in sources if source.id not in ranged}
    lake.cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=lake.cache) as own_folder:
        receiver = PartReceiver(lake, collection, origin, Path(own_folder), ranged)
        with limited(
            _ingested,
            collection,
            sources,
            files,
            {id_: opened.copy for id_, opened in ranged.items()},
            request.open_reference(),
            origin,
            request.processes,
            what=sources[0].title,
            limits=allowance.limits(
                *files.values(), processes=request.processes + 1, elsewhere=bytes_of(ranged)
            ),
            handler=receiver.answer,
            folder=lake.cache,
        ) as answer:
            for line in answer.printed:
                console.print(line, markup=False)
            tables = answer.values if isinstance(answer.values, list) else []
            if not set(tables) <= set(_SMALL) or len(set(tables)) != len(tables):
                raise receiver.nonsense()
            for name in tables:
                yield NewPart(name, answer.table(name), (collection.id,))
            yield from (part for part in receiver.parts if part.table == "expression")


class PartReceiver:
    """Stores what a child process has made, after checking it: the child is not trusted.

    Parameters
    ----------
    own_folder
        Where files are copied to before they are checked, out of the child's reach.
    ranged
        Files that the child reads by ranges, by source id.
    """

    def __init__(
        self, lake: Lake, collection: Collection, origin: Origin, own_folder: Path,
        ranged: Mapping[str, Ranged] | None = None,
    ) -> None:  # fmt: skip
        self.parts: list[Part] = []
        self._ranged = ranged or {}
        self._lake, self._collection, self._origin = lake, collection, origin
        self._own_folder, self._steps = own_folder, dict[int, tuple[str, Origin]]()

    def answer(self, question: dict[str, Any]) -> Any:
        """Answer a request of the child: list what is stored, store a shard, or fetch ranges."""
        if "ranges_of" in question:
            return fetch_for_child(self._ranged, question)
        if "observations" in question:
            return self._plan(question["observations"])
        return self.store_parts(question.get("shard"), question.get("parts"))

    def _plan(self, n_observations: Any) -> list[tuple[int, list[dict[str, Any]]]]:
        """The shards that are stored already, with their parts."""
        if not isinstance(n_observations, int) or not (
            0 <= n_observations <= SHARD_OBSERVATIONS * _MOST_SHARDS
        ):
            raise self.nonsense()
        spans = spans_of(n_observations)
        folder, self._steps = ingestion.shard_steps(self._collection.id, self._origin, spans)
        known = self._lake.remembered(folder, self._steps)
        return [(number, self._kept(parts)) for number, parts in known.items()]

    def store_parts(self, number: Any, made: Any) -> list[dict[str, Any]]:
        """Store the parts of a shard, unless the lake has them; return where they are."""
        if not isinstance(number, int) or number not in self._steps:
            raise self.nonsense()
        if not isinstance(made, dict) or not set(made) <= set(_OF_SHARDS):
            raise self.nonsense()
        new = [
            NewPart(table, self._taken(table, path), (self._collection.id,), number=number)
            for table, path in made.items()
        ]
        return self._kept(self._lake.build(*self._steps[number], partial(list, new)))

    def _kept(self, parts: list[Part]) -> list[dict[str, Any]]:
        """Describe stored parts to the child."""
        self.parts += parts
        counts = [part for part in parts if part.table != "expression"]
        return [
            asdict(part) | {"path": str(self._lake.local(part)) if part in counts else None}
            for part in parts
        ]

    def _taken(self, table: str, path: Any) -> WrittenFile:
        """Copy a file of the child's to where it cannot change any more, and check it."""
        if not isinstance(path, str):
            raise self.nonsense()
        copy = self._own_folder / f"{table}.parquet"
        try:
            # Whatever it names: only what has the columns of the table is stored.
            opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(opened, "rb") as file, copy.open("wb") as kept:
                if not S_ISREG(os.fstat(opened).st_mode):
                    raise self.nonsense()
                while block := file.read(1 << 22):
                    kept.write(block)
            with pq.ParquetFile(copy) as parquet:
                rows, schema = parquet.metadata.num_rows, parquet.schema_arrow
        except (OSError, ValueError, pa.ArrowException) as error:
            raise self.nonsense() from error
        if not schema.equals(STORED[table].schema(), check_metadata=False):
            raise self.nonsense()
        return WrittenFile(copy, sha256_of_file(copy), copy.stat().st_size, rows)

    def nonsense(self) -> SourceError:
        """The refusal of an answer that no unmodified child gives."""
        return SourceError(
            f"collection {self._collection.id}: the process that read it handed over what cannot "
            "be: its file may be made to attack its readers"
        )


class _ChildLake:
    """What `collection_parts` needs of a lake, in a process that cannot reach one."""

    def __init__(self, parent: Parent) -> None:
        self.cache, self._parent = parent.folder, parent
        self._local: dict[str, Path] = {}

    def remembered(
        self, _: str, steps: Mapping[int, tuple[str, Origin]], /
    ) -> dict[int, list[Part]]:
        """The shards that are stored already."""
        ends = [sum(origin.settings["rows"]) for _, origin in steps.values()]
        known = self._parent.ask(observations=max(ends, default=0))
        return {number: self._parts(entries) for number, entries in known}

    def build(
        self, step: str, _: Origin, compute: Callable[[], Iterable[NewPart | Part]], /
    ) -> list[Part]:
        """Have the parent store a shard."""
        files = {
            part.table: part.rows.path
            for part in compute()
            if isinstance(part, NewPart) and isinstance(part.rows, WrittenFile)
        }
        kept = self._parent.ask(
            shard=int(step.rpartition("/")[2]),
            parts={table: str(path) for table, path in files.items()},
        )
        for path in files.values():
            path.unlink()
        return self._parts(kept)

    def _parts(self, entries: list[dict[str, Any]]) -> list[Part]:
        parts = []
        for entry in entries:
            place = entry.pop("path")
            part = Part(**{**entry, "partition": tuple(entry["partition"])})
            if place is not None:
                self._local[part.sha256] = Path(place)
            parts.append(part)
        return parts

    def read(self, part: Part) -> pl.DataFrame:
        """What was counted in a shard."""
        return pl.read_parquet(self._local[part.sha256])


def _ingested(
    parent: Parent,
    collection: Collection,
    sources: Sequence[Source],
    files: dict[str, Path],
    copies: dict[str, RangedCopy],
    reference: Reference,
    origin: Origin,
    processes: int,
) -> list[str]:
    """In the child: ingest, hand shards over, write the other tables; return their names."""
    ranged = {id_: AskedRanges(copy, id_, parent) for id_, copy in copies.items()}
    archives = local_archives(files, sources, parent.folder / "sources", ranged=ranged)
    request = ingestion.IngestRequest(archives, collection, lambda: reference, origin, processes)
    made: list[str] = []
    with Workers(processes) as workers, named_by_owner(sources):
        parsed = parse_collection(archives, collection)
        for part in ingestion.collection_parts(_ChildLake(parent), request, parsed, workers):
            if isinstance(part, NewPart) and isinstance(part.rows, pl.DataFrame):
                parent.write_table(part.table, part.rows)
                made.append(part.table)
    return made
