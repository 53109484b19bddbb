"""Values that differ between two releases: vectors by cosine, gene mappings, metrics.

Only partitions whose bytes differ are read, one at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from genept.release.manifest import Manifest, ReleasedFile
from genept.release.released_files import ReleasedFiles
from genept.storage import Document

WORST: Final = 10
EXAMPLES: Final = 5
QUANTILES: Final = {"lowest": 0.0, "1 %": 0.01, "5 %": 0.05, "median": 0.5}
METRICS: Final = {
    "benchmark_results": ("task", "dataset", "representation", "model", "split", "metric"),
    "model_evaluations": ("model", "representation", "cohort", "metric", "split"),
}
"""Columns that identify a metric, by table, without the version of the model."""


class ChangedVector(Document):
    """A vector that changed, and its cosine with the old one."""

    id: str
    label: str
    cosine: float


class VectorDrift(Document):
    """How much the vectors of one partition changed; `incomparable` says why none is compared."""

    table: str
    partition: str
    compared: int
    added: int
    removed: int
    quantiles: dict[str, float] | None
    worst: tuple[ChangedVector, ...] = ()
    incomparable: str | None = None


class MappingChange(Document):
    """Gene names of a collection that have another outcome, or another gene."""

    collection: str
    compared: int
    changed: int
    turns: dict[str, int]
    examples: dict[str, tuple[str, ...]]


class MetricChange(Document):
    """A metric whose value changed, and whether it is within its former confidence interval."""

    table: str
    name: str
    before: float
    after: float
    within_interval: bool


Pair = tuple[str, list[ReleasedFile], list[ReleasedFile]]


def vector_drifts(files: ReleasedFiles, before: Manifest, after: Manifest) -> Iterator[VectorDrift]:
    """Compare the partitions of vectors that both releases have and that differ."""
    tables = [
        name
        for name, table in after.tables.items()
        if any(file.dimension is not None for file in table.files)
    ]
    for name in tables:
        key = after.tables[name].key[-1]
        for partition, old, new in _changed(name, before, after):
            dimensions = {file.dimension for file in (*old, *new)}
            if len(dimensions) > 1:
                yield VectorDrift(
                    table=name, partition=partition, compared=0,
                    added=sum(file.rows for file in new), removed=sum(file.rows for file in old),
                    quantiles=None, incomparable=f"dimensions {sorted(map(str, dimensions))}",
                )  # fmt: skip
                continue
            (dimension,) = dimensions
            vectors = pl.col("embedding").cast(pl.Array(pl.Float32, dimension or 0))
            then = _read(files, before, old).with_columns(vectors)
            now = _read(files, after, new).with_columns(vectors)
            yield _drift(name, partition, key, then, now)


def _drift(
    name: str, partition: str, key: str, then: pl.DataFrame, now: pl.DataFrame
) -> VectorDrift:
    label = "symbol" if "symbol" in now.columns else key
    rows = then.select(key, then=pl.int_range(pl.len())).join(
        now.select(key, pl.col(label).alias("label"), now=pl.int_range(pl.len())), on=key
    )
    cosines = _cosines(
        then["embedding"].to_numpy()[rows["then"].to_numpy()],
        now["embedding"].to_numpy()[rows["now"].to_numpy()],
    )
    order = np.argsort(cosines, kind="stable")[:WORST]
    worst = [
        ChangedVector(
            id=rows[key][int(at)], label=str(rows["label"][int(at)]), cosine=float(cosines[at])
        )
        for at in order
        if cosines[at] < 1 - 1e-6
    ]
    return VectorDrift(
        table=name,
        partition=partition,
        compared=rows.height,
        added=now.height - rows.height,
        removed=then.height - rows.height,
        quantiles={
            label: float(np.quantile(cosines, q, method="lower")) for label, q in QUANTILES.items()
        }
        if rows.height
        else None,
        worst=tuple(worst),
        incomparable=None if rows.height else "they share no row",
    )


def _cosines(
    then: npt.NDArray[np.float32], now: npt.NDArray[np.float32]
) -> npt.NDArray[np.float64]:
    products = np.einsum("ij,ij->i", then, now, dtype=np.float64)
    norms = np.linalg.norm(then.astype(np.float64), axis=1) * np.linalg.norm(
        now.astype(np.float64), axis=1
    )
    cosines: npt.NDArray[np.float64] = products / norms
    return cosines


def mapping_changes(
    files: ReleasedFiles, before: Manifest, after: Manifest
) -> Iterator[MappingChange]:
    """Compare the gene mappings of each collection."""
    columns = ["input_id", "outcome", "ensembl_gene_id"]
    for collection, old, new in _changed("gene_mapping", before, after):
        then, now = _read(files, before, old, columns), _read(files, after, new, columns)
        both = then.join(now, on="input_id", suffix="_now")
        moved = both.filter(
            pl.col("outcome").ne(pl.col("outcome_now"))
            | pl.col("ensembl_gene_id").ne_missing(pl.col("ensembl_gene_id_now"))
        ).with_columns(
            turn=pl.when(pl.col("outcome") == pl.col("outcome_now"))
            .then(pl.format("{}, another gene", "outcome"))
            .otherwise(pl.format("{} → {}", "outcome", "outcome_now")),
            example=pl.format(
                "{} ({} → {})",
                "input_id",
                pl.col("ensembl_gene_id").fill_null("none"),
                pl.col("ensembl_gene_id_now").fill_null("none"),
            ),
        )
        if moved.is_empty():
            continue
        turns = (
            moved.group_by("turn")
            .agg(pl.len(), pl.col("example").sort().head(EXAMPLES))
            .sort("len", "turn", descending=[True, False])
        )
        yield MappingChange(
            collection=collection,
            compared=both.height,
            changed=moved.height,
            turns=dict(zip(turns["turn"], turns["len"], strict=True)),
            examples={row["turn"]: tuple(row["example"]) for row in turns.iter_rows(named=True)},
        )


def metric_changes(files: ReleasedFiles, before: Manifest, after: Manifest) -> list[MetricChange]:
    """Compare the metrics of both releases; the largest change comes first."""
    metrics = []
    for table, key in METRICS.items():
        for _, old, new in _changed(table, before, after):
            then, now = _read(files, before, old), _read(files, after, new)
            both = then.join(now, on=list(key), suffix="_now").filter(
                pl.col("value") != pl.col("value_now")
            )
            metrics += [
                MetricChange(
                    table=table,
                    name=" · ".join(str(row[part]) for part in key),
                    before=row["value"],
                    after=row["value_now"],
                    within_interval=row["ci_low"] is None
                    or row["ci_low"] <= row["value_now"] <= row["ci_high"],
                )
                for row in both.iter_rows(named=True)
            ]
    return sorted(
        metrics, key=lambda metric: (-abs(metric.after - metric.before), metric.table, metric.name)
    )


def _changed(table: str, before: Manifest, after: Manifest) -> Iterator[Pair]:
    """Partitions of a table that both releases have, with different bytes."""
    if table not in before.tables or table not in after.tables:
        return
    new = after.tables[table].by_partition
    for partition, then in before.tables[table].by_partition.items():
        now = new.get(partition, then)
        if [file.sha256 for file in then] != [file.sha256 for file in now]:
            yield partition, then, now


def _read(
    files: ReleasedFiles,
    manifest: Manifest,
    chosen: list[ReleasedFile],
    columns: list[str] | None = None,
) -> pl.DataFrame:
    return pl.concat(
        pl.read_parquet(files.local(manifest, file), columns=columns, glob=False) for file in chosen
    )
