"""Parser `tenx_h5`: Cell Ranger's feature-barcode matrix as HDF5, versions 2 and 3.

Features × barcodes by columns is barcodes × features by rows, so rows are read directly.
Version 3 keeps all features in one group `matrix`, version 2 one group a genome.
"""

from pathlib import Path
from typing import Final

import h5py
import numpy as np
import polars as pl

from genept.common import SourceError
from genept.datasources.catalogue import Collection
from genept.datasources.download import Archives
from genept.datasources.formats import TenxH5Options
from genept.datasources.readers.assembly import selected_genes
from genept.datasources.readers.hdf5.file import (
    as_dataset,
    as_group,
    child,
    file_name,
    open_hdf5,
    read_whole,
    refuse_foreign,
)
from genept.datasources.readers.hdf5.frames import AnnotationTable
from genept.datasources.readers.hdf5.rows import SparseRows, sparse_parts
from genept.datasources.readers.parsed import (
    ParsedCollection,
    Quarantined,
    distinct_inputs,
    observation_frame,
    refuse_repeats,
)

_GENES: Final = "Gene Expression"
_VERSION_2: Final = {"data", "indices", "indptr", "shape", "barcodes", "genes", "gene_names"}


def parse_tenx_h5(archives: Archives, collection: Collection) -> ParsedCollection:
    """Read barcodes and features; counts are streamed when they are read.

    Features other than gene expression, and those of other genomes than the chosen one,
    are quarantined.

    Parameters
    ----------
    archives, collection
        Downloads the source; entry of the catalogue, with the options of `TenxH5Options`.

    Returns
    -------
    ParsedCollection
        Cells × genes.

    Raises
    ------
    SourceError
        The file leads out of itself or is damaged, is not of Cell Ranger, or holds several
        genomes and none is chosen.
    """
    options = TenxH5Options.model_validate(collection.options)
    (source_id,) = collection.sources
    return read_tenx_h5(archives.fetch(source_id), options)


def read_tenx_h5(path: Path, options: TenxH5Options) -> ParsedCollection:
    """Read a local file of Cell Ranger; see `parse_tenx_h5`."""
    with open_hdf5(path) as file:
        refuse_foreign(file)
        group = _group(file, options.genome)
        features = _features(group)
        barcodes = AnnotationTable(group).texts("barcodes").to_list()
        refuse_repeats(barcodes, f"{path.name}: barcodes")
        name = group.name.lstrip("/")
        chunk = _refuse_matrix(group, features.height, len(barcodes), f"{path.name}: {name}")
    genome = _genome(path, features, options.genome)
    features = features.with_columns(input=pl.Series(distinct_inputs(features["name"].to_list())))
    keep = ((features["type"] == _GENES) & (features["genome"] == genome)).to_numpy()
    genes = features.filter(pl.Series(keep))
    lookup = [name.removeprefix(f"{genome}_") for name in genes[options.genes]]
    cells = SparseRows(path, name, (len(barcodes), features.height), sort=True, chunk=chunk)
    groups = [barcode.rpartition("-")[2] if "-" in barcode else "1" for barcode in barcodes]
    return ParsedCollection(
        input_genes=tuple(genes["input"]),
        symbols=tuple(lookup),
        entrez_ids=None,
        observations=observation_frame(
            barcodes,
            groups if options.group == "library" else barcodes,
            {str(label): value for label, value in options.constants.items()},
        ),
        expression=selected_genes(cells, np.flatnonzero(keep)),
        responses=None,
        quarantined=tuple(_left_out(features.filter(pl.Series(~keep)))),
    )


def _group(file: h5py.File, genome: str | None) -> h5py.Group:
    """`matrix`, or the genome's group of version 2."""
    what = file_name(file)
    if "matrix" in file:
        return as_group(child(file, "matrix"))
    members = {name: child(file, name) for name in file}
    genomes = [
        name
        for name, item in members.items()
        if isinstance(item, h5py.Group) and set(item) >= _VERSION_2
    ]
    if not genomes:
        raise SourceError(
            f"{what}: has neither the group `matrix` of Cell Ranger 3 nor a genome's of 2; found "
            f"{sorted(file)[:12]}"
        )
    return as_group(members[_single_genome(what, sorted(genomes), genome)])


def _features(group: h5py.Group) -> pl.DataFrame:
    """Name, id, type and genome of every feature."""
    if "features" in group:
        table = AnnotationTable(child(group, "features"))
        columns = {"id": "id", "name": "name", "type": "feature_type", "genome": "genome"}
        features = {ours: table.texts(theirs).fill_null("") for ours, theirs in columns.items()}
    else:
        table = AnnotationTable(group)
        ids = table.texts("genes")
        features = {
            "id": ids,
            "name": table.texts("gene_names"),
            "type": pl.repeat(_GENES, ids.len(), eager=True),
            "genome": pl.repeat(group.name.lstrip("/"), ids.len(), eager=True),
        }
    lengths = {name: values.len() for name, values in features.items()}
    if len(set(lengths.values())) != 1:
        raise SourceError(f"{table.where}: its columns differ in length: {lengths}")
    return pl.DataFrame(features)


def _refuse_matrix(group: h5py.Group, n_features: int, n_barcodes: int, where: str) -> int:
    """Check shape and offsets; the bytes of the largest chunk."""
    shape = tuple(read_whole(as_dataset(child(group, "shape"))).reshape(-1).tolist())
    if shape != (n_features, n_barcodes):
        raise SourceError(
            f"{where} says its shape is {shape}, but there are {n_features} features and "
            f"{n_barcodes} barcodes"
        )
    parts = sparse_parts(group)
    parts.refuse_offsets(n_barcodes, n_features)
    return parts.chunk


def _genome(path: Path, features: pl.DataFrame, genome: str | None) -> str:
    genes = features.filter(pl.col("type") == _GENES)
    if genes.is_empty():
        types = sorted(features["type"].unique())
        raise SourceError(f"{path.name}: has no features of type {_GENES!r}, only {types}")
    return _single_genome(path.name, sorted(genes["genome"].unique()), genome)


def _single_genome(what: str, genomes: list[str], genome: str | None) -> str:
    if genome is None and len(genomes) == 1:
        return genomes[0]
    if genome is None or genome not in genomes:
        raise SourceError(
            f"{what}: holds the genomes {genomes}; set the option `genome` to the human one"
        )
    return genome


def _left_out(features: pl.DataFrame) -> list[Quarantined]:
    kept_out = []
    for row in features.iter_rows(named=True):
        if row["type"] != _GENES:
            reason, detail = "control_feature", f"{row['id']} is of type {row['type']!r}"
        else:
            reason, detail = "other_genome", f"{row['id']} is of the genome {row['genome']!r}"
        kept_out.append(Quarantined("gene", row["input"], reason, detail))
    return kept_out
