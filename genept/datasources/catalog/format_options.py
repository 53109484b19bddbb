"""What each format needs to know of a collection: the `options` of its catalogue entry.

One model per format, checked when the catalogue is loaded. Parsing is in the module
of the format's name; `genept.datasources.parsers` says which. What formats have in common is
in `matrix_options`.
"""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field, model_validator

from genept.datasources.catalog.matrix_options import (
    FormatOptions,
    JoinedOptions,
    Label,
    MatrixOptions,
    NonNumeric,
    Regex,
    TextOptions,
)


class TableOptions(TextOptions):
    """Plain CSV or TSV, either way up."""

    genes_in: Literal["rows", "columns", "detect"] = "detect"


class GctOptions(TextOptions):
    """GCT 1.2 or 1.3; `genes` is Name (none) or Description."""


class GeoSeriesOptions(TextOptions):
    """A GEO series matrix.

    Fields are the sample lines without ``!Sample_`` (``source_name_ch1``), and
    ``characteristics: tissue`` for the key of a characteristic.
    """


class XenaOptions(TextOptions):
    """UCSC Xena's genes × samples; the phenotype file is a metadata table."""

    delimiter: str | None = "\t"


class DepmapOptions(TextOptions):
    """DepMap's cell lines × ``SYMBOL (ENTREZ)``; Model.csv is a metadata table."""

    delimiter: str | None = ","
    gene_pattern: Regex | None = r"(?P<symbol>.+) \((?P<entrez>[0-9]+)\)"


class Recount3Options(TextOptions):
    """recount3's gene sums; its ``.MD.gz`` files are metadata tables.

    What is published is the coverage summed over the bases of a gene, not counts.
    """

    delimiter: str | None = "\t"
    scale: Literal["read_counts", "coverage"] = "read_counts"
    average_length: str = "recount_qc.star.average_mapped_length"
    """Field of the average mapped length that coverage is divided by."""


class TenxMtxOptions(JoinedOptions):
    """10x Matrix Market: one archive or folder with three files, or the three as sources.

    `genes` is id (none) or name; `member` the folder, or what the three paths begin with.
    """

    separate: bool = False
    """The first three sources are matrix, features and barcodes."""

    @property
    def n_matrix_sources(self) -> int:
        """One archive, or three files."""
        return 3 if self.separate else 1


class ParquetOptions(JoinedOptions):
    """Parquet: one row per observation and a column per gene, the other way, or a row per value."""

    layout: Literal["wide", "long"] = "wide"
    genes_in: Literal["rows", "columns"] = "columns"
    """Of a wide table; its rows are named by `genes` or `observations`."""
    non_numeric: NonNumeric = "refuse"
    """A gene with a value that is no number, or is missing: refuse the file, or keep that gene
    out and count it."""
    value: str = "value"
    """Column of the values, where it is long."""
    ignore: tuple[str, ...] = ()
    """Columns that are neither expression nor used."""


class RectangleOptions(FormatOptions):
    """Genes × cells in a zipped CSV, labels in another."""

    counts: str
    """Path in the archive of the zip of the counts."""
    annotations: str
    """Path in the archive of the zip of the cell types."""
    tissue: str
    """Tissue of all cells."""


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


class H5adOptions(MatrixOptions):
    """An AnnData file. Fields are of `obs`; `genes` is one of `var`, none: detected.

    Where the file follows CELLxGENE's schema, `group` and `labels` that are not given are
    the schema's own (donor_id; cell_type, tissue, disease as diagnosis).
    """

    member: None = None
    """An HDF5 file is read in place, not out of an archive."""
    matrix: str | None = Field(None, pattern="^(X|raw|layers/[^/]+)$")
    """Which expression; none: X, or raw of CELLxGENE where counts are asked for."""
    missing: tuple[str, ...] = ()
    """Label values that stand for none."""


class TenxH5Options(FormatOptions):
    """What Cell Ranger writes as HDF5; it knows no labels but those that hold for all."""

    genes: Literal["id", "name"] = "id"
    """What of a feature is looked up."""
    genome: str | None = None
    """Which of several genomes; none: the only one."""
    group: Literal["library", "none"] = "library"
    """The number after a barcode's hyphen, or each cell on its own."""
    constants: dict[Label, str] = Field({})
    """Labels that hold for all cells."""


class Archs4Options(FormatOptions):
    """A selection of ARCHS4's samples: those of any named series, or named, or that match.

    Fields are of `meta/samples`; ``characteristics_ch1/tissue`` is one characteristic.
    """

    series: tuple[str, ...] = ()
    """GEO series, such as GSE150819."""
    samples: tuple[str, ...] = ()
    """GEO samples, such as GSM1158284."""
    contains: dict[str, str] = Field({})
    """Field to text that it contains, in any case; all must match."""
    max_singlecell_probability: float | None = Field(0.5, ge=0, le=1)
    """Likelier single cells are quarantined; none: all are kept."""
    genes: str | None = None
    """Field of meta/genes that is looked up; none: Ensembl ids, if any."""
    group: str = "series_id"
    """Field that no split may cut; series that share a sample are one."""
    labels: dict[Label, str] = Field({})
    """Our label to the publisher's field."""
    constants: dict[Label, str] = Field({})
    """Labels that hold for all samples."""
    missing: tuple[str, ...] = ()
    """Label values that stand for none."""

    @model_validator(mode="after")
    def _something_is_selected(self) -> Archs4Options:
        if not (self.series or self.samples or self.contains):
            raise ValueError("select samples by `series`, `samples` or `contains`")
        return self


FORMATS: Final[dict[str, type[FormatOptions]]] = {
    "table": TableOptions,
    "gct": GctOptions,
    "geo_series": GeoSeriesOptions,
    "xena": XenaOptions,
    "depmap": DepmapOptions,
    "recount3": Recount3Options,
    "tenx_mtx": TenxMtxOptions,
    "parquet": ParquetOptions,
    "rectangle": RectangleOptions,
    "gdsc": GdscOptions,
    "tcga": TcgaOptions,
    "omicsbench": OmicsbenchOptions,
    "h5ad": H5adOptions,
    "tenx_h5": TenxH5Options,
    "archs4": Archs4Options,
}
