"""Options of public archives of bulk samples: recount3, ARCHS4."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from genept.datasources.formats.format_options import FormatOptions, Label, TextOptions


class Recount3Options(TextOptions):
    """recount3's gene sums; its ``.MD.gz`` files are metadata tables.

    What is published is the coverage summed over the bases of a gene, not counts.
    """

    delimiter: str | None = "\t"
    scale: Literal["read_counts", "coverage"] = "read_counts"
    average_length: str = "recount_qc.star.average_mapped_length"
    """Field of the average mapped length that coverage is divided by."""
    n_projects: int = Field(1, ge=1)
    """Sources are those of one project after the other; tables count from its first."""

    @property
    def n_sources(self) -> int:
        """As many for each project."""
        return self.n_projects * super().n_sources


class Archs4Options(FormatOptions):
    """A selection of ARCHS4's samples: those of any named series, or named, or that match.

    Fields are of `meta/samples`; ``characteristics_ch1/tissue|organ`` is the first of those keys.
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
