"""Parser `h5ad`: an AnnData file of any age, its expression streamed by rows.

Checked for foreign storage before anything of it is read. Safe opening is in `file`, tables'
encodings and the schema of CELLxGENE in `frames`, matrices in `h5ad_matrix`.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import h5py
import numpy as np
import polars as pl
from numpy.typing import NDArray

from genept.common import SourceError
from genept.datasources.catalogue import Collection
from genept.datasources.download import Archives
from genept.datasources.formats import H5adOptions
from genept.datasources.readers.hdf5 import frames, h5ad_matrix
from genept.datasources.readers.hdf5.file import (
    as_dataset,
    as_group,
    at_path,
    child,
    open_hdf5,
    read_whole,
    refuse_foreign,
)
from genept.datasources.readers.hdf5.frames import AnnotationTable
from genept.datasources.readers.orientation import gene_like
from genept.datasources.readers.parsed import (
    ParsedCollection,
    distinct_inputs,
    observation_frame,
    refuse_repeats,
)

_FAMILIES: Final = 0.1
"""Least share of symbols of known families in a human gene list; real ones have a fifth or more."""


@dataclass(frozen=True)
class H5adContents:
    """What an h5ad holds, and how it would be read.

    `matrices` are the layouts of all expression by the name that the option `matrix` takes;
    `matrix`, `genes` and `genes_because` what is read unless the options say otherwise.
    """

    n_observations: int
    n_genes: int
    matrices: dict[str, str]
    matrix: str
    genes: str
    genes_because: str
    observation_fields: tuple[str, ...]
    gene_fields: tuple[str, ...]
    follows_cellxgene: bool


def parse_h5ad(archives: Archives, collection: Collection) -> ParsedCollection:
    """Read names and labels; expression is streamed when it is read.

    Parameters
    ----------
    archives, collection
        Downloads the source; entry of the catalogue, with the options of `H5adOptions`.

    Returns
    -------
    ParsedCollection
        Observations × genes.

    Raises
    ------
    SourceError
        The file leads out of itself, is damaged, is not of humans, or does not hold what the
        catalogue entry says.
    """
    options = H5adOptions.model_validate(collection.options)
    (source_id,) = collection.sources
    return read_h5ad(
        archives.fetch(source_id), options, unit=collection.unit, folder=archives.folder
    )


def read_h5ad(
    path: Path, options: H5adOptions, *, unit: str, folder: Path | None = None
) -> ParsedCollection:
    """Read a local h5ad; of values said to be counts, some rows are looked at.

    Parameters
    ----------
    path, options, unit
        The file; which of it is read; what its values are said to be.
    folder
        Where a matrix stored by genes is turned over; None: the system's for scratch files.

    Returns
    -------
    ParsedCollection
        As of `parse_h5ad`, which also says what is refused.
    """
    with _opened(path, options.matrix, unit) as (_, obs, var, matrix):
        schema = frames.follows_schema(obs)
        ids = _observation_ids(obs, options.observations)
        inputs = distinct_inputs(var.texts().fill_null("").to_list())
        field, _ = frames.gene_field(var) if options.genes is None else (options.genes, "")
        names = var.texts(field).fill_null("").to_list()
        odd = frames.kept_out(var, inputs, matrix.name) if schema else []
        refuse_transposed(path.name, ids, inputs)
        observations = _observations(obs, ids, _completed(options, schema))
        metadata, not_kept = obs.whole(ids)
    folder = Path(tempfile.gettempdir()) if folder is None else folder
    keep = ~np.isin(inputs, [item.input_id for item in odd])
    expression = h5ad_matrix.expression_rows(path, matrix, (len(ids), len(inputs)), keep, folder)
    if unit == "counts":
        matrix.refuse_fractions(path, expression)
    return ParsedCollection(
        input_genes=tuple(np.array(inputs, dtype=object)[keep]),
        symbols=tuple(np.array(names, dtype=object)[keep]),
        entrez_ids=None,
        observations=observations,
        expression=expression,
        responses=None,
        quarantined=(*odd, *not_kept),
        metadata=metadata,
    )


@contextmanager
def _opened(
    path: Path, requested: str | None, unit: str
) -> Iterator[tuple[h5py.File, AnnotationTable, AnnotationTable, h5ad_matrix.StoredMatrix]]:
    """The file, its tables of observations and genes, and the matrix to read."""
    with open_hdf5(path) as file:
        refuse_foreign(file)
        obs = _table(file, "obs")
        frames.refuse_other_organisms(file, obs)
        frames.refuse_generated(file, obs)
        if requested is None:
            prefers_raw = unit == "counts" and frames.follows_schema(obs)
            requested = "raw" if prefers_raw and "raw" in h5ad_matrix.matrices(file) else "X"
        matrix = h5ad_matrix.find_matrix(file, requested)
        yield file, obs, _table(file, matrix.var), matrix


def describe_h5ad(path: Path, *, unit: str = "counts") -> H5adContents:
    """Say what a local h5ad holds and what would be read of it, without reading expression.

    Parameters
    ----------
    path, unit
        Local file; what its values are said to be, which decides between X and raw.

    Returns
    -------
    H5adContents
        Sizes, matrices and fields.

    Raises
    ------
    SourceError
        The file leads out of itself, is damaged or is not of humans.
    """
    with _opened(path, None, unit) as (file, obs, var, matrix):
        genes, because = frames.gene_field(var)
        return H5adContents(
            n_observations=obs.texts().len(),
            n_genes=var.texts().len(),
            matrices=h5ad_matrix.matrices(file),
            matrix=matrix.name,
            genes=genes,
            genes_because=because,
            observation_fields=obs.fields,
            gene_fields=var.fields,
            follows_cellxgene=frames.follows_schema(obs),
        )


def read_obsm(path: Path, key: str) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """Read the vectors of the observations, ``obsm[key]``.

    Parameters
    ----------
    path, key
        Local h5ad, and name of the array.

    Returns
    -------
    ids, vectors
        Observation ids; observations × dimensions, float32, in their order.

    Raises
    ------
    SourceError
        There is no such array, it is not one row of finite numbers an observation, or ids repeat.
    """
    with open_hdf5(path) as file:
        refuse_foreign(file)
        ids = _observation_ids(_table(file, "obs"), None)
        item = child(as_group(at_path(file, "obsm")), key)
        if isinstance(item, h5py.Group):
            raise SourceError(f"{path.name}: obsm/{key} is not a dense array; write it as one")
        dataset = as_dataset(item)
        if dataset.ndim != 2 or dataset.shape[0] != len(ids) or dataset.dtype.kind not in "iuf":
            raise SourceError(
                f"{path.name}: obsm/{key} is {dataset.dtype} of shape {dataset.shape}, expected "
                f"numbers in {len(ids)} rows"
            )
        vectors = read_whole(dataset).astype(np.float32, copy=False)
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        raise SourceError(f"{path.name}: obsm/{key} is not finite at {ids[int(finite.argmin())]!r}")
    return tuple(ids), vectors


def read_obs(path: Path, fields: Sequence[str]) -> pl.DataFrame:
    """Read columns of the observations as text.

    Parameters
    ----------
    path, fields
        Local h5ad, and the columns that are wanted.

    Returns
    -------
    pl.DataFrame
        Those that there are, in the order of the file; null where a value is missing.
    """
    with open_hdf5(path) as file:
        refuse_foreign(file)
        obs = _table(file, "obs")
        return pl.DataFrame({name: obs.texts(name) for name in fields if name in obs.fields})


def refuse_transposed(what: str, ids: Sequence[str], genes: Sequence[str]) -> None:
    """Refuse a file whose observations have the names of genes, and whose genes have not."""
    of_rows, of_columns = (
        frames.share_of_ids(pl.Series(names, dtype=pl.String)) for names in (ids, genes)
    )
    are_symbols = sum(map(gene_like, genes)) > _FAMILIES * len(genes)
    if of_rows > 0.5 > of_columns and not are_symbols:
        raise SourceError(
            f"{what}: {of_rows:.0%} of the observations are named like genes: it is transposed. "
            "Write `adata.T` to a new file"
        )


def _table(file: h5py.File, path: str) -> AnnotationTable:
    uns = child(file, "uns") if "uns" in file else None
    return AnnotationTable(at_path(file, path), uns if isinstance(uns, h5py.Group) else None)


def _observation_ids(obs: AnnotationTable, field: str | None) -> list[str]:
    ids = obs.texts(field)
    if ids.null_count() or (ids == "").any():
        raise SourceError(f"{obs.where}: some observations have no id")
    names: list[str] = ids.to_list()
    refuse_repeats(
        names, f"{obs.where}: (call `adata.obs_names_make_unique()` if they are not the same) ids"
    )
    return names


def _completed(options: H5adOptions, schema: bool) -> H5adOptions:
    """What CELLxGENE's schema says of groups and labels, where the options say nothing."""
    if not schema:
        return options
    given = options.model_fields_set
    return options.model_copy(
        update={
            "group": options.group if "group" in given else frames.GROUP,
            "labels": options.labels if "labels" in given else dict(frames.LABELS),
            "missing": (*options.missing, *frames.MISSING),
        }
    )


def _observations(obs: AnnotationTable, ids: list[str], options: H5adOptions) -> pl.DataFrame:
    groups = ids
    if options.group is not None:
        of_group = obs.texts(options.group)
        if lost := int(of_group.null_count()):
            raise SourceError(
                f"{obs.where}[{options.group!r}]: {lost} observations are of no group; choose "
                "another group, or take them out"
            )
        groups = of_group.to_list()
    labels: dict[str, Sequence[str | None] | str | None] = dict(options.constants.items())
    for label, field in options.labels.items():
        labels[label] = obs.texts(field).replace(dict.fromkeys(options.missing)).to_list()
    for name, values in (("group", groups), *labels.items()):
        if isinstance(values, list) and len(values) != len(ids):
            raise SourceError(f"{obs.where}: {len(values)} values of {name} for {len(ids)} ids")
    return observation_frame(ids, groups, labels)
