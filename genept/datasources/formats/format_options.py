"""What a format needs to know of a collection: the `options` of its catalogue entry.

One model per format, checked when the catalogue is loaded; first what matrices have in common.
`FORMATS` in `known_formats.py` names the model of each format; those of package archives are there.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from genept.datasources.source import Entry

NonNumeric = Literal["refuse", "quarantine"]


class FormatOptions(Entry):
    """What a format needs to know of a collection."""

    @property
    def n_sources(self) -> int:
        """How many sources the collection names."""
        return 1


def _compiles(pattern: str) -> str:
    try:
        if re.compile(pattern).groups == 0:
            raise ValueError(f"{pattern!r} has no group (in parentheses) to take out")
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
    return pattern


Regex = Annotated[str, AfterValidator(_compiles)]
"""A regular expression whose groups are what is wanted of a name."""
Encoding = Literal["utf-8", "utf-16", "latin-1"]
Label = Literal["batch", "cell_type", "tissue", "tissue_subtype", "diagnosis"]


class MatrixOptions(FormatOptions):
    """What any matrix of observations needs to say: where its names, labels and groups are."""

    member: str | None = None
    """Path inside the archive; none: the file itself."""
    genes: str | None = None
    """Field of the gene names that are looked up; none: the first, or index."""
    observations: str | None = None
    """Field of the observation ids; none: the first, or index."""
    group: str | None = None
    """Field that no split may cut; none: each observation stands alone."""
    labels: dict[Label, str] = Field({})
    """Our label to the publisher's field."""
    constants: dict[Label, str] = Field({})
    """Labels that hold for all observations."""
    allowed: dict[Label, dict[str, str]] = Field({})
    """Per label, published value to ours; any other value puts its observation in quarantine. A
    label that is not here keeps its published values."""
    group_pattern: Regex | None = None
    """Regular expression whose first group, at the start of the group's field (or of the
    observation id), is the group: '(GTEX-[^-]+)'."""
    only: dict[str, str] = Field({})
    """Field to the one value whose observations are taken."""


class TableFile(Entry):
    """One table beside the matrix: the position of its source, and how it is read."""

    source: int = Field(1, ge=0)
    """Position among the collection's sources, from 0."""
    member: str | None = None
    """Path inside the archive; none: the file itself."""
    delimiter: str | None = None
    """None: detected."""
    encoding: Encoding = "utf-8"
    sheet: str | None = None
    """Sheet of an Excel workbook; none: the first."""
    missing: tuple[str, ...] = ()
    """Values that stand for none, beside empty ones: 'NA' in tables of R."""


class MetadataTable(TableFile):
    """A table of observations, joined to the matrix by their ids."""

    id: str | None = None
    """Column of the observation ids; none: the first."""
    name: str | None = None
    """Its fields are then called `name.column`, to tell two tables apart."""
    spelling: Literal["exact", "r_names"] = "exact"
    """r_names: the matrix has the ids as R's `make.names` spells them: X1 for 1, s.1 for s-1."""


class LookupTable(TableFile):
    """A pinned table of names: what is published, and what it means here."""

    published: str
    """Column of published names."""
    ours: str
    """Column of the names used here."""


class ResponseTable(TableFile):
    """Drug responses: one row per measurement. Without a unit they mean nothing."""

    line: str
    """Column of the cell line."""
    line_field: str | None = None
    """Field of the observations that it names; none: the observation id."""
    spelling: Literal["exact", "normal_form"] = "exact"
    """normal_form: upper case, letters and digits only, on both sides."""
    drug: str
    """Column of the drug."""
    value: str
    """Column of the response."""
    measure: str
    """What was measured: ln_ic50, auc, …"""
    unit: Literal["ln(µM)", "log10(µM)", "log10(M)", "µM", "nM", "fraction"]
    only: dict[str, str] = Field({})
    """Column to the one value whose rows are taken."""
    drugs: LookupTable | None = None
    """Dictionary; others are in quarantine."""
    synonyms: LookupTable | None = None
    """Other names of cell lines."""


class JoinedOptions(MatrixOptions):
    """A matrix with tables beside it: of its observations, of drug responses."""

    metadata: tuple[MetadataTable, ...] = ()
    unmatched: Literal["refuse", "quarantine"] = "refuse"
    """Observations that only the matrix or only a table has."""
    responses: ResponseTable | None = None

    @property
    def n_sources(self) -> int:
        """As many as the tables name."""
        tables: list[TableFile | None] = [*self.metadata]
        if self.responses:
            tables += [self.responses, self.responses.drugs, self.responses.synonyms]
        return max([self.n_matrix_sources, *(table.source + 1 for table in tables if table)])

    @property
    def n_matrix_sources(self) -> int:
        """How many of the sources, from the first, hold the matrix itself."""
        return 1


class TextOptions(JoinedOptions):
    """What any matrix of numbers in text needs to say."""

    delimiter: str | None = Field(None, min_length=1, max_length=1)
    """None: detected."""
    decimal: Literal[".", ","] = "."
    encoding: Encoding = "utf-8"
    missing: Literal["refuse", "impute_gene_mean"] = "refuse"
    non_numeric: NonNumeric = "refuse"
    """A gene with a value that is no number, or is missing and may not be: refuse the file, or
    keep that gene out and count it."""
    floor: float | None = Field(None, allow_inf_nan=False)
    """Values below it are set to it, and counted."""
    gene_pattern: Regex | None = None
    r"""Regular expression with the group `symbol`, and `entrez` if ids are there, that a gene's
    name must fit: '(?P<symbol>.+) \((?P<entrez>[0-9]+)\)'."""
    ignore: tuple[str, ...] = ()
    """Columns that are neither expression nor used."""


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
    """Where a wide table has its genes; its rows are named by `genes` or `observations`."""
    non_numeric: NonNumeric = "refuse"
    """A gene with a value that is no number, or is missing: refuse the file, or keep that gene
    out and count it."""
    value: str = "value"
    """Column of the values, where it is long."""
    ignore: tuple[str, ...] = ()
    """Columns that are neither expression nor used."""


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
