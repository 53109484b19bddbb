"""What each format needs to know of a collection: the `options` of its catalogue entry.

One model per format, checked when the catalogue is loaded. Parsing is in the module
of the format's name; `genept.sources.collections` says which.
"""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class FormatOptions(BaseModel):
    """What a format needs to know of a collection."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    n_sources: ClassVar[int] = 1


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


class RectangleOptions(FormatOptions):
    """Genes × cells in a zipped CSV, labels in another."""

    counts: str
    annotations: str
    tissue: str


class GdscOptions(FormatOptions):
    """Cell lines as torch tensors, gene names, responses, and a line annotation.

    The annotation comes from the second of the collection's sources.
    """

    n_sources: ClassVar[int] = 2

    expression: str
    genes: str
    responses: str
    annotations: str


class TcgaOptions(FormatOptions):
    """Which cohort, and which column of which file holds the diagnosis."""

    cohort: str
    tissue: str
    label_file: str
    label_column: str
    labels: dict[str, str] = Field({}, description="Code to name; empty: names as published.")


class OmicsbenchOptions(FormatOptions):
    """Which study, and what its conditions are called here."""

    study: str
    tissue: str
    diagnoses: dict[str, str]


class H5adOptions(MatrixOptions):
    """An AnnData file. Fields are of `obs`; `genes` is one of `var`, none: detected.

    Where the file follows CELLxGENE's schema, `group` and `labels` that are not given are
    the schema's own (donor_id; cell_type, tissue, disease as diagnosis).
    """

    member: None = Field(None, description="An HDF5 file is read in place, not out of an archive.")
    matrix: str | None = Field(
        None,
        pattern=r"^(X|raw|layers/[^/]+)$",
        description="Which expression; none: X, or raw of CELLxGENE where counts are asked for.",
    )
    missing: tuple[str, ...] = Field((), description="Label values that stand for none.")


class TenxH5Options(FormatOptions):
    """What Cell Ranger writes as HDF5; it knows no labels but those that hold for all."""

    genes: Literal["id", "name"] = Field("id", description="What of a feature is looked up.")
    genome: str | None = Field(None, description="Which of several genomes; none: the only one.")
    group: Literal["library", "none"] = Field(
        "library", description="The number after a barcode's hyphen, or each cell on its own."
    )
    constants: dict[Label, str] = Field({}, description="Labels that hold for all cells.")


class Archs4Options(FormatOptions):
    """A selection of ARCHS4's samples: those of any named series, or named, or that match.

    Fields are of `meta/samples`; ``characteristics_ch1/tissue`` is one characteristic.
    """

    series: tuple[str, ...] = Field((), description="GEO series, such as GSE150819.")
    samples: tuple[str, ...] = Field((), description="GEO samples, such as GSM1158284.")
    contains: dict[str, str] = Field(
        {}, description="Field to text that it contains, in any case; all must match."
    )
    max_singlecell_probability: float | None = Field(
        0.5, ge=0, le=1, description="Likelier single cells are quarantined; none: all are kept."
    )
    genes: str | None = Field(
        None, description="Field of meta/genes that is looked up; none: Ensembl ids, if any."
    )
    group: str = Field(
        "series_id", description="Field that no split may cut; series that share a sample are one."
    )
    labels: dict[Label, str] = Field({}, description="Our label to the publisher's field.")
    constants: dict[Label, str] = Field({}, description="Labels that hold for all samples.")
    missing: tuple[str, ...] = Field((), description="Label values that stand for none.")

    @model_validator(mode="after")
    def _something_is_selected(self) -> Archs4Options:
        if not (self.series or self.samples or self.contains):
            raise ValueError("select samples by `series`, `samples` or `contains`")
        return self


FORMATS: Final[dict[str, type[FormatOptions]]] = {
    "rectangle": RectangleOptions,
    "gdsc": GdscOptions,
    "tcga": TcgaOptions,
    "omicsbench": OmicsbenchOptions,
    "h5ad": H5adOptions,
    "tenx_h5": TenxH5Options,
    "archs4": Archs4Options,
}
