"""Parser `archs4`: chosen samples out of ARCHS4's ``human_gene_v2.x.h5``.

Counts as genes × samples, and one field of metadata a dataset; only the chosen samples' columns are
read, some of them at a time.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import h5py
import numpy as np
import polars as pl
from numpy.typing import NDArray

from genept.common import SourceError
from genept.datasources.catalogue import Collection
from genept.datasources.download import Archives, Ranged
from genept.datasources.formats import Archs4Options
from genept.datasources.readers.attributes import attribute, attribute_fields
from genept.datasources.readers.hdf5.archs4_samples import (
    ATTRIBUTES,
    SAMPLE_ID,
    SERIES,
    SampleFields,
    choose_samples,
    connected,
)
from genept.datasources.readers.hdf5.file import as_dataset, at_path, open_hdf5, refuse_foreign
from genept.datasources.readers.hdf5.frames import AnnotationTable
from genept.datasources.readers.hdf5.ranged import RangedStream, fetch_chunks
from genept.datasources.readers.hdf5.rows import DENSE_CAP
from genept.datasources.readers.hdf5.sample_columns import EXPRESSION, SampleColumns, chunks_of
from genept.datasources.readers.parsed import (
    ParsedCollection,
    Quarantined,
    distinct_inputs,
    observation_frame,
    refuse_repeats,
)

_SINGLE_CELL: Final = "singlecellprobability"
_GENE_NAMES: Final = ("symbol", "gene_symbol", "genes")
_ENSEMBL_IDS: Final = ("ensembl_gene", "ensembl_gene_id", "ensembl_id")


def parse_archs4(archives: Archives, collection: Collection) -> ParsedCollection:
    """Choose samples by their metadata; their counts are streamed when they are read.

    Parameters
    ----------
    archives, collection
        Downloads the source; entry of the catalogue, with the options of `Archs4Options`.

    Returns
    -------
    ParsedCollection
        Samples × genes; samples that ARCHS4 takes for single cells are quarantined.

    Raises
    ------
    SourceError
        The file leads out of itself or is damaged, is not of ARCHS4, or a named series or sample
        is not in it.
    """
    options = Archs4Options.model_validate(collection.options)
    (source_id,) = collection.sources
    remote = archives.ranged(source_id)
    return read_archs4(archives.fetch(source_id) if remote is None else remote, options)


def read_archs4(path: Path | Ranged, options: Archs4Options) -> ParsedCollection:
    """Read a file of ARCHS4; of one that is elsewhere, only what is needed; see `parse_archs4`."""
    stream = None if isinstance(path, Path) else RangedStream(path)
    local = path if isinstance(path, Path) else path.copy
    with open_hdf5(stream or local) as file:
        refuse_foreign(file)
        names, lookup = _genes(file, options.genes)
        samples = SampleFields(file, stream)
        expression = as_dataset(at_path(file, EXPRESSION), counted=stream is None)
        _refuse_shape(local.name, expression, (len(names), samples.n))
        chosen = choose_samples(samples, options)
        if chosen.size == 0:
            raise SourceError(f"{local.name}: no sample is of the series or samples, or matches")
        chosen, quarantined = _bulk(samples, chosen, options.max_singlecell_probability)
        if chosen.size == 0:
            raise SourceError(
                f"{local.name}: all {len(quarantined)} chosen samples are likely single cells; "
                "raise `max_singlecell_probability`"
            )
        observations = _observations(samples, chosen, options)
        metadata = _metadata(samples, chosen)
        if stream is not None:
            fetch_chunks(expression, stream, chunks_of(expression, chosen))
    return ParsedCollection(
        input_genes=distinct_inputs(names),
        symbols=tuple(lookup),
        entrez_ids=None,
        observations=observations,
        expression=SampleColumns(local, chosen, len(names)),
        responses=None,
        metadata=metadata,
        quarantined=tuple(quarantined),
    )


def _genes(file: h5py.File, requested: str | None) -> tuple[list[str], list[str]]:
    """Names of the columns, and what is looked up for them."""
    table = AnnotationTable(at_path(file, "meta/genes"))
    name = next((field for field in _GENE_NAMES if field in table.fields), _GENE_NAMES[0])
    names = table.texts(name).fill_null("")
    by = requested or next((field for field in _ENSEMBL_IDS if field in table.fields), name)
    lookup = table.texts(by).fill_null("")
    if lookup.len() != names.len():
        raise SourceError(f"{table.where}: {lookup.len()} of {by!r} for {names.len()} of {name!r}")
    return names.to_list(), lookup.to_list()


def _refuse_shape(what: str, expression: h5py.Dataset, expected: tuple[int, int]) -> None:
    if expression.shape != expected or expression.dtype.kind not in "iu":
        raise SourceError(
            f"{what}: {EXPRESSION} is {expression.dtype} of shape {expression.shape}; expected "
            f"whole numbers of {expected[0]} genes × {expected[1]} samples"
        )
    rows, columns = expression.chunks or (1, 1)
    if min(rows, expected[0]) * columns * expression.dtype.itemsize > DENSE_CAP:
        raise SourceError(f"{what}: {EXPRESSION} has chunks of {rows} × {columns}: too large")


def _bulk(
    samples: SampleFields, chosen: NDArray[np.int64], most: float | None
) -> tuple[NDArray[np.int64], list[Quarantined]]:
    if most is None:
        return chosen, []
    ids = samples.texts(SAMPLE_ID, chosen)
    likely = samples.values(_SINGLE_CELL, chosen).astype(np.float64)
    single = likely > most
    quarantined = [
        Quarantined(
            "observation", ids[row], "single_cell", f"{_SINGLE_CELL} {likely[row]:.3g} > {most}"
        )
        for row in np.flatnonzero(single)
    ]
    return chosen[~single], quarantined


def _observations(
    samples: SampleFields, chosen: NDArray[np.int64], options: Archs4Options
) -> pl.DataFrame:
    ids = samples.texts(SAMPLE_ID, chosen)
    refuse_repeats(ids, f"{samples.what}: samples")
    groups = samples.texts(options.group, chosen)
    if options.group == SERIES:
        groups = connected(groups)
    if odd := [id_ for id_, group in zip(ids, groups, strict=True) if not group]:
        raise SourceError(f"sample {odd[0]} has no {options.group!r}, by which samples are grouped")
    labels: dict[str, Sequence[str | None] | str | None] = dict(options.constants.items())
    for label, source in options.labels.items():
        field, _, key = source.partition("/")
        values: list[str | None] = [*samples.texts(field, chosen)]
        if key:
            values = [attribute(value, key) for value in values]
        labels[label] = [None if value in ("", *options.missing) else value for value in values]
    return observation_frame(ids, groups, labels)


def _metadata(samples: SampleFields, chosen: NDArray[np.int64]) -> pl.DataFrame:
    """All fields of the chosen samples that are one text each, and each of their attributes."""
    fields = {name: samples.texts(name, chosen) for name in samples.names}
    attributes = attribute_fields(fields.get(ATTRIBUTES, ()), fields)
    ids = {"observation_id": samples.texts(SAMPLE_ID, chosen)}
    return pl.DataFrame(ids | fields | attributes)
