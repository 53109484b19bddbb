"""Long parquet tables: a row per value, turned into rows of observations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from numpy.typing import NDArray

from genept.common.errors import SourceError, listed, option
from genept.datasources.catalog.entries import Collection
from genept.datasources.catalog.format_options import ParquetOptions
from genept.datasources.download.archives import Archives
from genept.datasources.readers.assembly import Matrix
from genept.datasources.readers.observations import wanted_fields
from genept.datasources.readers.spool import Buckets, Spool, made_once, write_panel
from genept.datasources.readers.text.matrix import spool_folder, spool_key
from genept.datasources.readers.values import MAX_EXACT

_LONG_ROWS = 1 << 20


def _long(
    archives: Archives, collection: Collection, options: ParquetOptions, path: Path
) -> Matrix:
    """Observation, gene, value: names in order of appearance, values sorted on disk."""
    id_field, gene_field = options.observations, options.genes
    if id_field is None or gene_field is None:
        raise SourceError(
            f"a long table needs {option('observations', 'sample')} and {option('genes', 'gene')}"
        )
    lazy = pl.scan_parquet(path)
    known = lazy.collect_schema()
    for name in (id_field, gene_field, options.value):
        if name not in known:
            raise SourceError(f"{path.name}: has no column {name!r}; found {listed(known.names())}")
    if not known[options.value].is_numeric():
        raise SourceError(f"{path.name}: column {options.value!r} is text, not numbers")
    wanted = [name for name in wanted_fields(options) if name in known]
    frame = _distinct(lazy, id_field, [pl.col(name).first() for name in wanted])
    genes = _distinct(lazy, gene_field, [])[gene_field].to_list()
    ids = frame[id_field].to_list()
    _refuse_varying(lazy, id_field, wanted, path)

    def make(folder: Path) -> None:
        n = lazy.select(pl.len()).collect().item()
        buckets = Buckets(folder, (len(ids), len(genes)), n)
        for batch in _batches(path, (id_field, gene_field, options.value)):
            rows = _positions(batch[id_field], ids)
            columns = _positions(batch[gene_field], genes)
            largest = batch[options.value].cast(pl.Float64).max()
            if collection.unit == "counts" and isinstance(largest, float) and largest > MAX_EXACT:
                raise SourceError(
                    f"{path.name}: {options.value!r} holds the count {largest:,.0f}, above "
                    f"{MAX_EXACT:,}: float32 would round it"
                )
            values = batch[options.value].cast(pl.Float32)
            if values.null_count() or not values.is_finite().all():
                raise SourceError(
                    f"{path.name}: {options.value!r} holds missing or infinite values"
                )
            buckets.add(rows, columns, values.to_numpy())
        write_panel(folder, 0, buckets.blocks(path.name))

    folder = made_once(spool_folder(archives, collection), spool_key(archives, collection), make)
    spool = Spool(folder, (len(ids), len(genes)), (len(genes),))
    return Matrix(spool, genes, ids, frame, spool.stored())


def _distinct(lazy: pl.LazyFrame, name: str, also: Sequence[pl.Expr]) -> pl.DataFrame:
    grouped = lazy.group_by(pl.col(name).cast(pl.String), maintain_order=True).agg(*also)
    frame = grouped.collect()
    if frame[name].null_count():
        raise SourceError(f"column {name!r} is empty in some rows")
    return frame


def _refuse_varying(lazy: pl.LazyFrame, id_field: str, wanted: Sequence[str], path: Path) -> None:
    for name in wanted:
        counts = lazy.group_by(id_field).agg(pl.col(name).n_unique().alias("n"))
        varying = counts.filter(pl.col("n") > 1).collect()
        if varying.height:
            raise SourceError(
                f"{path.name}: {name!r} has several values for {varying[id_field][0]!r}"
            )


def _batches(path: Path, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    with pq.ParquetFile(path, pre_buffer=False) as file:
        for batch in file.iter_batches(_LONG_ROWS, columns=list(columns)):
            yield pl.DataFrame(batch)


def _positions(names: pl.Series, known: list[str]) -> NDArray[np.int64]:
    kind = pl.Enum(known)
    return names.cast(pl.String).cast(kind).to_physical().cast(pl.Int64).to_numpy()
