"""The formats of collections, by name, and the options of those of one archive each.

What formats of matrices need is in `format_options`; the parser of each is named in `PARSERS` of
`genept.datasources.parsers`. A format of another distribution comes through `reader_plugins`.
"""

from __future__ import annotations

from typing import Final

from pydantic import Field

from genept.datasources.formats import format_options, sample_archives
from genept.datasources.formats.format_options import FormatOptions
from genept.datasources.formats.reader_plugins import plugin_reader


class RectangleOptions(FormatOptions):
    """Genes × cells in a zipped CSV, labels in another."""

    counts: str
    """Path in the archive of the zip of the counts."""
    annotations: str
    """Path in the archive of the zip of the cell types."""
    tissue: str
    """Tissue of all cells."""


class NumberedCellsOptions(FormatOptions):
    """Cells × genes in a CSV without names of cells, and their labels in another, in order."""

    counts: str
    """Path in the archive of the counts."""
    labels: str
    """Path in the archive of the cell types."""
    column: str
    """Its column of cell types."""


class GdscOptions(FormatOptions):
    """Cell lines as torch tensors, gene names, responses, and a line annotation."""

    expression: str
    """Path in the first source: pickled tensors."""
    genes: str
    """Path in the first source: gene names, in the order of the tensors."""
    responses: str
    """Path in the first source: ln(IC50) per line and drug."""
    annotations: str
    """Path in the second source: the gzipped table of lines."""
    structures: str | None = None
    """Path in the first source: a pickled dictionary from drugs to SMILES, which models of drug
    response read."""

    @property
    def n_sources(self) -> int:
        """The annotation has a source of its own."""
        return 2


class TcgaOptions(FormatOptions):
    """Which cohort, and which column of which file holds the diagnosis."""

    cohort: str
    """Folder of the cohort in the archive."""
    tissue: str
    """Tissue of all observations."""
    label_file: str
    """File in that folder that has the diagnoses."""
    label_column: str
    """Its column of diagnoses."""
    patient: str = "patient"
    """The column of that file that names patients."""
    labels: dict[str, str] = Field({})
    """Code to name; empty: names as published."""


class OmicsbenchOptions(FormatOptions):
    """Which study, and what its conditions are called here."""

    study: str
    """Folder of the study in the archive."""
    tissue: str
    """Tissue of all samples."""
    diagnoses: dict[str, str]
    """Published condition to diagnosis; another condition is refused."""


FORMATS: Final[dict[str, type[FormatOptions]]] = {
    "table": format_options.TableOptions,
    "gct": format_options.GctOptions,
    "geo_series": format_options.GeoSeriesOptions,
    "xena": format_options.XenaOptions,
    "depmap": format_options.DepmapOptions,
    "recount3": sample_archives.Recount3Options,
    "tenx_mtx": format_options.TenxMtxOptions,
    "parquet": format_options.ParquetOptions,
    "rectangle": RectangleOptions,
    "numbered_cells": NumberedCellsOptions,
    "gdsc": GdscOptions,
    "tcga": TcgaOptions,
    "omicsbench": OmicsbenchOptions,
    "h5ad": format_options.H5adOptions,
    "tenx_h5": format_options.TenxH5Options,
    "archs4": sample_archives.Archs4Options,
}


def options_of(format_: str) -> type[FormatOptions]:
    """Return the model of a format's options; `ValueError` if there is no such format.

    Parameters
    ----------
    format_
        One of ours, or of another distribution.

    Returns
    -------
    type
    """
    reader = None if format_ in FORMATS else plugin_reader(format_)
    if options := reader.options if reader else FORMATS.get(format_):
        return options
    raise ValueError(f"unknown format {format_!r}; known are {sorted(FORMATS)}")
