"""What a matrix of observations needs to say whatever its format: names, labels, groups, tables.

What is particular to a format is in `format_options`; none of it reads a file.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

NonNumeric = Literal["refuse", "quarantine"]


class FormatOptions(BaseModel):
    """What a format needs to know of a collection."""

    model_config = ConfigDict(extra="forbid", frozen=True)

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

    member: str | None = Field(None, description="Path inside the archive; none: the file itself.")
    genes: str | None = Field(
        None, description="Field of the gene names that are looked up; none: the first, or index."
    )
    observations: str | None = Field(
        None, description="Field of the observation ids; none: the first, or index."
    )
    group: str | None = Field(
        None, description="Field that no split may cut; none: each observation stands alone."
    )
    labels: dict[Label, str] = Field({}, description="Our label to the publisher's field.")
    constants: dict[Label, str] = Field({}, description="Labels that hold for all observations.")
    allowed: dict[Label, dict[str, str]] = Field(
        {},
        description="Per label, published value to ours; any other value puts its observation "
        "in quarantine. A label that is not here keeps its published values.",
    )
    group_pattern: Regex | None = Field(
        None,
        description="Regular expression whose first group, at the start of the group's field (or "
        "of the observation id), is the group: '(GTEX-[^-]+)'.",
    )
    only: dict[str, str] = Field(
        {}, description="Field to the one value whose observations are taken."
    )


class TableFile(BaseModel):
    """One table beside the matrix: the position of its source, and how it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: int = Field(1, ge=0, description="Position among the collection's sources, from 0.")
    member: str | None = Field(None, description="Path inside the archive; none: the file itself.")
    delimiter: str | None = Field(None, description="None: detected.")
    encoding: Encoding = "utf-8"
    sheet: str | None = Field(None, description="Sheet of an Excel workbook; none: the first.")
    missing: tuple[str, ...] = Field(
        (), description="Values that stand for none, beside empty ones: 'NA' in tables of R."
    )


class MetadataTable(TableFile):
    """A table of observations, joined to the matrix by their ids."""

    id: str | None = Field(None, description="Column of the observation ids; none: the first.")
    name: str | None = Field(
        None, description="Its fields are then called `name.column`, to tell two tables apart."
    )
    spelling: Literal["exact", "r_names"] = Field(
        "exact",
        description="r_names: the matrix has the ids as R's `make.names` spells them: X1 for 1, "
        "s.1 for s-1.",
    )


class LookupTable(TableFile):
    """A pinned table of names: what is published, and what it means here.

    Attributes
    ----------
    published, ours
        Its column of published names, and that of the names used here.
    """

    published: str
    ours: str


class ResponseTable(TableFile):
    """Drug responses: one row per measurement. Without a unit they mean nothing."""

    line: str = Field(description="Column of the cell line.")
    line_field: str | None = Field(
        None, description="Field of the observations that it names; none: the observation id."
    )
    spelling: Literal["exact", "normal_form"] = Field(
        "exact", description="normal_form: upper case, letters and digits only, on both sides."
    )
    drug: str = Field(description="Column of the drug.")
    value: str = Field(description="Column of the response.")
    measure: str = Field(description="What was measured: ln_ic50, auc, …")
    unit: Literal["ln(µM)", "log10(µM)", "log10(M)", "µM", "nM", "fraction"]
    only: dict[str, str] = Field({}, description="Column to the one value whose rows are taken.")
    drugs: LookupTable | None = Field(None, description="Dictionary; others are in quarantine.")
    synonyms: LookupTable | None = Field(None, description="Other names of cell lines.")


class JoinedOptions(MatrixOptions):
    """A matrix with tables beside it: of its observations, of drug responses."""

    metadata: tuple[MetadataTable, ...] = ()
    unmatched: Literal["refuse", "quarantine"] = Field(
        "refuse", description="Observations that only the matrix or only a table has."
    )
    responses: ResponseTable | None = None

    @property
    def n_sources(self) -> int:
        """As many as the tables name."""
        tables: list[TableFile] = [*self.metadata]
        if self.responses:
            named = (self.responses, self.responses.drugs, self.responses.synonyms)
            tables += [it for it in named if it]
        return max([self.n_matrix_sources, *(it.source + 1 for it in tables)])

    @property
    def n_matrix_sources(self) -> int:
        """How many of the sources, from the first, hold the matrix itself."""
        return 1


class TextOptions(JoinedOptions):
    """What any matrix of numbers in text needs to say."""

    delimiter: str | None = Field(None, min_length=1, max_length=1, description="None: detected.")
    decimal: Literal[".", ","] = "."
    encoding: Encoding = "utf-8"
    missing: Literal["refuse", "impute_gene_mean"] = "refuse"
    non_numeric: NonNumeric = Field(
        "refuse",
        description="A gene with a value that is no number, or is missing and may not be: refuse "
        "the file, or keep that gene out and count it.",
    )
    floor: float | None = Field(
        None, allow_inf_nan=False, description="Values below it are set to it, and counted."
    )
    gene_pattern: Regex | None = Field(
        None,
        description="Regular expression with the group `symbol`, and `entrez` if ids are there, "
        "that a gene's name must fit: '(?P<symbol>.+) \\((?P<entrez>[0-9]+)\\)'.",
    )
    ignore: tuple[str, ...] = Field((), description="Columns that are neither expression nor used.")
