"""What each format needs to know of a collection: the `options` of its catalogue entry.

One model per format, checked when the catalogue is loaded. Parsing is in the module
of the format's name; `genept.sources.collections` says which.
"""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field


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


FORMATS: Final[dict[str, type[FormatOptions]]] = {
    "rectangle": RectangleOptions,
    "gdsc": GdscOptions,
    "tcga": TcgaOptions,
    "omicsbench": OmicsbenchOptions,
}
