"""CELLxGENE's conventions in an h5ad: what its columns mean, and whose cells they are of.

What holds for any h5ad is in `h5ad`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import polars as pl

from genept.sources.errors import SourceError
from genept.sources.hdf5 import as_dataset, child, is_group, read_whole
from genept.sources.parsed import Quarantined

if TYPE_CHECKING:
    import h5py

    from genept.sources.hdf5_frames import AnnotationTable
    from genept.sources.matrix_options import Label

GROUP: Final = "donor_id"
LABELS: Final[Mapping[Label, str]] = {
    "cell_type": "cell_type",
    "tissue": "tissue",
    "diagnosis": "disease",
}
MISSING: Final = ("unknown", "na")
_SIGNS: Final = frozenset({"cell_type_ontology_term_id", "disease_ontology_term_id"})
_HUMAN: Final = frozenset({"homo sapiens", "human", "ncbitaxon:9606"})
_ORGANISM: Final = ("organism", "organism_ontology_term_id")


def follows_schema(obs: AnnotationTable) -> bool:
    """Whether the observations are described as CELLxGENE demands."""
    return set(obs.fields) >= _SIGNS


def refuse_other_organisms(file: h5py.File, obs: AnnotationTable) -> None:
    """Refuse a file that says, of all or some cells, that they are not human.

    The organism was a column of `obs` up to schema 5 and is in `uns` since schema 6.

    Raises
    ------
    SourceError
        Names the organisms.
    """
    found: set[str] = set()
    for field in _ORGANISM:
        if field in obs.fields:
            found.update(obs.texts(field).drop_nulls().unique().to_list())
        if "uns" in file and is_group(uns := child(file, "uns")) and field in uns:
            item = child(uns, field)
            if not is_group(item):
                values = pl.Series(read_whole(as_dataset(item)).reshape(-1).tolist())
                found.update(
                    one.decode("utf-8") if isinstance(one, bytes) else str(one) for one in values
                )
    strangers = sorted(one for one in found if one.strip().lower() not in _HUMAN)
    if strangers:
        raise SourceError(
            f"{obs.where}: holds cells of {', '.join(strangers[:3])}; only Homo sapiens is "
            "ingested: choose the human ones and write them to a file of their own"
        )


def kept_out(var: AnnotationTable, names: tuple[str, ...], matrix: str) -> list[Quarantined]:
    """Columns that are no measurement of a human gene: spike-ins, viruses, and zeroed genes.

    A gene with `feature_is_filtered` was set to zero in X; in raw it has its counts.
    """
    odd: dict[str, Quarantined] = {}
    if matrix == "X" and "feature_is_filtered" in var.fields:
        for name, filtered in zip(names, var.texts("feature_is_filtered"), strict=True):
            if filtered == "True":
                detail = "feature_is_filtered: set to zero in X by its publisher; raw has it"
                odd[name] = Quarantined("gene", name, "filtered_by_publisher", detail)
    if "feature_reference" in var.fields:
        for name, reference in zip(names, var.texts("feature_reference"), strict=True):
            if reference is not None and reference.lower() not in _HUMAN:
                detail = f"is a feature of {reference}, not a human gene"
                odd[name] = Quarantined("gene", name, "control_feature", detail)
    return list(odd.values())
