"""The unit of work of GenePT-w: one shard of a collection in one space, from parquet to parquet.

The lake remembers finished units, so a killed run resumes, and any number of processes or machines
may share the units. The bytes of a unit do not depend on them.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genept.common import Workers, progress_bar
from genept.embeddings.expression import (
    AlignedVectors,
    aligned_file,
    open_aligned,
    read_aligned,
    row_groups_of,
)
from genept.embeddings.gene_lengths import Kilobases
from genept.embeddings.pooling import METHOD, TABLE_OF_KIND, pool_part
from genept.embeddings.weighted_sum import WeightedSum, kernel_name
from genept.schema.tables import TABLES
from genept.storage import Lake, NewPart, Origin, Part, write_parquet

CODE = (
    "genept.embeddings.expression",
    "genept.embeddings.gene_lengths",
    "genept.embeddings.weighted_sum",
    "genept.embeddings.weighted_sum_loops",
    "genept.embeddings.pooling",
    "genept.embeddings.pooled_shards",
    "genept.schema.tables",
)
"""Modules whose behaviour decides what is pooled."""


@dataclass(frozen=True)
class Shard:
    """One part of a collection's expression, and the space that it is to be embedded in.

    Parameters
    ----------
    kind, unit
        Of the collection.
    gene_embeddings
        Vectors of the space: its part of table `gene_embeddings`.
    axis
        The collection's part of table `gene_axis`.
    expression
        The part to embed: one shard of the collection.
    n_observations
        Of the whole collection.
    is_alone
        Whether it is all of the collection: then threads share its row groups.
    per_kilobase
        Whether it counts reads of whole transcripts, which are divided by the lengths of genes.
    """

    kind: str
    unit: str
    gene_embeddings: Part
    axis: Part
    expression: Part
    n_observations: int
    is_alone: bool
    per_kilobase: bool = False

    @property
    def partition(self) -> tuple[str, str, str]:
        """Space, method and collection."""
        return (self.gene_embeddings.partition[0], METHOD, self.expression.partition[0])

    @property
    def step(self) -> str:
        """Name under which the lake remembers it, together with its origin."""
        return f"embeddings/{'/'.join(self.partition)}/{self.expression.number:05d}"

    def origin(self, vectors: AlignedVectors | None = None) -> Origin:
        """What decides its bytes: all vectors of the space, or those of the collection's own genes.

        What is known of a gene that the collection lacks may change without changing the latter.
        """
        if vectors is None:
            inputs = {"gene_embeddings": self.gene_embeddings.sha256}
        else:
            inputs = {"gene_embeddings_of_the_axis": vectors.sha256}
        return Origin(
            code=CODE,
            inputs=inputs | {part.table: part.sha256 for part in (self.axis, self.expression)},
            settings={
                "method": METHOD,
                "unit": self.unit,
                "per_kilobase": self.per_kilobase,
                "kernel": kernel_name(),
                "n_observations": self.n_observations,
            },
            libraries=("numpy", "scipy"),
        )

    def vectors(self, lake: Lake) -> Path | AlignedVectors:
        """Gene vectors on its axis, in a file where several shards share them."""
        source = (lake, self.gene_embeddings, self.axis, self.n_observations)
        read = read_aligned if self.is_alone else aligned_file
        return read(*source, by_length=self.per_kilobase)


@dataclass(frozen=True)
class PoolingTask:
    """What a process needs to embed a shard; small, so that it can be sent.

    Parameters
    ----------
    expression
        A local copy of the part.
    vectors
        A file of `genept.embeddings.expression`; for a shard that is alone, what it would hold.
    folder
        Where its file is left until the lake takes it.
    """

    shard: Shard
    expression: Path
    vectors: Path | AlignedVectors
    folder: Path
    threads: int


def shards_of(
    kind: str,
    unit: str,
    gene_embeddings: Part,
    axis: Part,
    expression: Sequence[Part],
    *,
    per_kilobase: bool = False,
) -> list[Shard]:
    """Return everything that is to be embedded of one collection in one space.

    Parameters
    ----------
    kind, unit
        Of the collection.
    gene_embeddings
        The space's part of table `gene_embeddings`.
    axis
        The collection's part of table `gene_axis`.
    expression
        All of its parts of table `expression`: their rows are counted.
    per_kilobase
        Whether it counts reads of whole transcripts.

    Returns
    -------
    list of Shard
        One per part of `expression`.
    """
    n = sum(part.rows for part in expression)
    alone = len(expression) == 1
    return [
        Shard(kind, unit, gene_embeddings, axis, part, n, alone, per_kilobase)
        for part in expression
    ]


def embed_shards(lake: Lake, shards: Sequence[Shard], workers: int = 1) -> list[Part]:
    """Embed every observation of some shards, or recall that it was done.

    Collections of several shards are shared among spawned processes of one thread each that
    map the gene vectors into memory; a collection of one shard is pooled by threads, here.
    Each shard is stored as it arrives.

    Parameters
    ----------
    lake
        Where their parts are, and where the vectors are stored.
    shards
        Shards of any collections and spaces.
    workers
        How many processes, or threads.

    Returns
    -------
    list of Part
        Of `cell_embeddings` or `sample_embeddings`, in the order of `shards`.

    Raises
    ------
    StoreError
        If an observation has no gene with a vector: it has no place in the space. What was
        finished before stays.
    """
    lake.cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=lake.cache) as folder:
        known = [_known(lake, shard) for shard in shards]
        new = [shard for shard, part in zip(shards, known, strict=True) if part is None]
        rows = sum(shard.expression.rows for shard in new)
        with progress_bar("embedding observations", rows) as advance:
            for shard, part in _embedded(lake, new, Path(folder), workers):
                _keep(lake, shard, part)
                advance(shard.expression.rows)
    return [
        part or lake.recall(shard.step, shard.origin())[0]
        for shard, part in zip(shards, known, strict=True)
    ]


def embed_shard(task: PoolingTask) -> NewPart:
    """Write the file of one shard: what a process of its own, or this one, does."""
    shard = task.shard
    vectors, has_vector, kilobases = (
        _laid_out(task.vectors) if isinstance(task.vectors, Path) else _lay_out(task.vectors)
    )
    space, _, collection = shard.partition
    table, dimension = TABLE_OF_KIND[shard.kind], vectors.shape[1]
    pooled = pool_part(
        row_groups_of(task.expression, vectors.shape[0]),
        vectors,
        has_vector,
        kind=shard.kind,
        unit=shard.unit,
        space=space,
        collection=collection,
        threads=task.threads,
        kilobases=kilobases if shard.per_kilobase else None,
    )
    path = Path(tempfile.mkdtemp(dir=task.folder)) / "part"
    with closing(pooled) as rows:  # whatever comes: BLAS has its threads back
        written = write_parquet(path, TABLES[table], rows, dimension, shard.partition)
    return NewPart(table, written, shard.partition, dimension, shard.expression.number)


def _embedded(
    lake: Lake, shards: Sequence[Shard], folder: Path, processes: int
) -> Iterator[tuple[Shard, NewPart]]:
    for shard in shards:
        if shard.is_alone:
            yield shard, embed_shard(_task(lake, shard, folder, processes))
    shared = [shard for shard in shards if not shard.is_alone]
    tasks = (_task(lake, shard, folder, 1) for shard in shared)
    with Workers(processes) as workers:
        yield from zip(shared, workers.results(embed_shard, tasks), strict=True)


def _task(lake: Lake, shard: Shard, folder: Path, threads: int) -> PoolingTask:
    return PoolingTask(shard, lake.local(shard.expression), shard.vectors(lake), folder, threads)


@lru_cache(maxsize=1)
def _laid_out(path: Path) -> tuple[WeightedSum, NDArray[np.bool_], Kilobases]:
    """Shards of one collection in one space come one after the other: laid out once a process."""
    return _lay_out(open_aligned(path))


def _lay_out(aligned: AlignedVectors) -> tuple[WeightedSum, NDArray[np.bool_], Kilobases]:
    laid_out = WeightedSum(aligned.vectors, aligned.popularity)
    return laid_out, aligned.has_vector, aligned.kilobases


def _known(lake: Lake, shard: Shard) -> Part | None:
    """What was embedded with these gene vectors, or with others that are equal on its axis.

    So a changed gene causes collections with that gene to be embedded again, and no others.
    """
    parts = lake.known(shard.step, shard.origin())
    if parts is None:
        equal = lake.known(shard.step, _origin_by_axis(lake, shard))
        if equal is None:
            return None
        parts = lake.build(shard.step, shard.origin(), lambda: equal)
    (part,) = parts
    return part


def _keep(lake: Lake, shard: Shard, part: NewPart) -> None:
    by_axis = _origin_by_axis(lake, shard)
    lake.build(shard.step, shard.origin(), lambda: lake.build(shard.step, by_axis, lambda: [part]))


def _origin_by_axis(lake: Lake, shard: Shard) -> Origin:
    vectors = shard.vectors(lake)
    return shard.origin(open_aligned(vectors) if isinstance(vectors, Path) else vectors)
