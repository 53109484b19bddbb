"""Tables of an h5ad (`obs`, `var`) column by column, as text, in every encoding anndata has had.

CELLxGENE's conventions are here: what its columns mean, and whose cells they are of.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import h5py
import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from genept.common import SourceError, listed
from genept.datasources.formats import Label
from genept.datasources.readers.hdf5.file import as_dataset, as_group, child, file_name, read_whole
from genept.datasources.readers.parsed import MOST_VALUES, Quarantined

_CATEGORIES: Final = "__categories"
_EXACT: Final = 2**53
_FIRST: Final = (
    *("assay", "sex", "development_stage", "cell_type_ont", "tissue_ont", "disease_ont"),
    "cell_line",
)
"""Beginnings of names of fields that labels are mapped by: they are read before the others."""


class AnnotationTable:
    """`obs` or `var` of an open h5ad.

    Parameters
    ----------
    item
        The group, or the compound array of anndata before 0.7.
    uns
        Where anndata before 0.7 kept the categories of a compound array's columns.
    """

    def __init__(self, item: h5py.Group | h5py.Dataset, uns: h5py.Group | None = None) -> None:
        self._item, self._uns = item, uns
        self.where = f"{file_name(item)}: {item.name.lstrip('/')}"
        self.is_compound = isinstance(item, h5py.Dataset)
        if self.is_compound and as_dataset(item).dtype.names is None:
            raise SourceError(f"{self.where} is neither a group nor a table of named columns")

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the columns, the index among them."""
        names = self._item.dtype.names if self.is_compound else tuple(self._item)
        return tuple(name for name in names if name != _CATEGORIES)

    @property
    def index(self) -> str:
        """Name of the column that identifies the rows."""
        if self.is_compound:
            return next((name for name in ("index", "_index") if name in self.fields), "")
        return _text(self._item.attrs.get("_index", "_index"))

    def texts(self, name: str | None = None) -> pl.Series:
        """A column as text, by default the index; null where a value is missing.

        Raises
        ------
        SourceError
            There is no such column, or it is not of names or whole numbers.
        """
        name = self.index if name is None else name
        if name not in self.fields:
            raise SourceError(f"{self.where} has no {name!r}; found {listed(sorted(self.fields))}")
        where = f"{self.where}[{name!r}]"
        if self.is_compound:
            return _decoded(self._item.fields(name)[...], self._uns, f"{name}_categories", where)
        item = child(self._item, name)
        if isinstance(item, h5py.Group):
            return _encoded(item, where)
        # anndata 0.7 kept categories beside the columns, or in `uns`.
        for group in (self._item, self._uns):
            if group is not None and _CATEGORIES in group:
                kept = as_group(child(group, _CATEGORIES))
                if name in kept and "/" not in name:
                    return _decoded(_values(item, where), kept, name, where)
        return as_text(_values(item, where), where)

    def whole(self, ids: Sequence[str]) -> tuple[pl.DataFrame, list[Quarantined]]:
        """All columns as text beside ids, up to `MOST_VALUES`; and those that are left out."""
        columns = {"observation_id": pl.Series(ids, dtype=pl.String)}
        left_out: list[Quarantined] = []
        fields = [name for name in self.fields if name not in (self.index, "observation_id")]
        for name in sorted(fields, key=lambda name: not name.lower().startswith(_FIRST)):
            if len(columns) * len(ids) > MOST_VALUES:
                why = ("metadata_too_many", f"at most {MOST_VALUES:,} values are kept")
            elif (values := self.written(name)) is not None and values.len() == len(ids):
                columns[name] = values
                continue
            else:
                why = ("metadata_not_text", "is no column of single values")
            left_out.append(Quarantined("file", name, *why, n=len(ids)))
        return pl.DataFrame(columns), left_out

    def written(self, name: str) -> pl.Series | None:
        """A column as text, whatever its type; None where it is no column of single values."""
        try:
            return self.texts(name)
        except SourceError:
            item = None if self.is_compound else self._item.get(name)
            if not isinstance(item, h5py.Dataset) or item.ndim != 1 or item.dtype.kind != "f":
                return None
            return pl.Series(read_whole(item)).fill_nan(None).cast(pl.String)


def _encoded(group: h5py.Group, where: str) -> pl.Series:
    """A column of several arrays: categories and codes, or values and a mask."""
    parts = set(group)
    if {"categories", "codes"} <= parts:
        return _decoded(read_whole(as_dataset(child(group, "codes"))), group, "categories", where)
    if {"values", "mask"} <= parts:
        values = as_text(_values(child(group, "values"), where), where)
        mask = read_whole(as_dataset(child(group, "mask"))).astype(bool)
        if mask.shape != (values.len(),):
            raise SourceError(f"{where}: {mask.size} marks for {values.len()} values")
        return pl.select(pl.when(~pl.Series(mask)).then(values)).to_series()
    raise SourceError(f"{where} is encoded in a way that is not read here: {sorted(parts)}")


def _values(item: h5py.Group | h5py.Dataset, where: str) -> NDArray[Any]:
    dataset = as_dataset(item)
    if dataset.ndim != 1:
        raise SourceError(f"{where} has the shape {dataset.shape}, expected one value a row")
    if dataset.dtype.kind == "O" and h5py.check_string_dtype(dataset.dtype) is None:
        raise SourceError(f"{where} is not a column of text")
    return read_whole(dataset)


def as_text(values: NDArray[Any], where: str) -> pl.Series:
    """Names as they are, whole numbers and truth values as they are written, NaN as null.

    `values` is a column as it is stored; `where`, its file and field, is for messages.
    anndata's `read_elem` reads the same encodings, but has no bounds (a file of some KiB whose
    values are references to one long text fills memory), and importing it takes seconds.
    """
    kind = values.dtype.kind
    if kind in "OS":
        texts = values.tolist()
        try:  # a million ids in a fifth of the time of `Dataset.asstr`
            return pl.Series(pa.array(texts, pa.binary()).cast(pa.string()), dtype=pl.String)
        except pa.ArrowException:  # text already, or not UTF-8: which one, is said below
            return pl.Series([_text(value) for value in texts], dtype=pl.String)
    if kind in "ui":
        return pl.Series(values).cast(pl.String)
    if kind == "b":
        return pl.Series(np.where(values, "True", "False").tolist(), dtype=pl.String)
    if kind == "f":
        known = np.isfinite(values)
        # Beyond 2^53 a float is no name: several whole numbers are one.
        finite = values[known]
        if ((np.abs(finite) <= _EXACT) & (finite == np.floor(finite))).all():
            text = pl.Series(np.where(known, values, 0).astype(np.int64)).cast(pl.String)
            return pl.select(pl.when(pl.Series(known)).then(text)).to_series()
    raise SourceError(f"{where} is not a column of text or whole numbers but of {values.dtype}")


def _decoded(codes: NDArray[Any], group: h5py.Group | None, name: str, where: str) -> pl.Series:
    """Codes as the categories that `group` keeps under `name`; as they are, if it keeps none."""
    if group is None or name not in group:
        return as_text(codes, where)
    categories = as_text(_values(child(group, name), where), where)
    if codes.dtype.kind not in "ui" or codes.ndim != 1:
        raise SourceError(f"{where}: its codes are {codes.dtype} of shape {codes.shape}")
    if codes.size and (codes.min() < -1 or codes.max() >= categories.len()):
        raise SourceError(
            f"{where}: codes from {codes.min()} to {codes.max()} for {categories.len()} categories"
        )
    # The code of a missing value, -1, takes the last of these.
    return categories.extend_constant(None, 1).gather(codes.astype(np.int64))


def _text(value: object) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


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
_ENSEMBL: Final = r"^ENSG\d{11}(\.\d+)?(_PAR_Y)?$"
_ID_FIELDS: Final = frozenset({"gene_ids", "gene_id", "geneid", "feature_id", "feature_ids"})


def follows_schema(obs: AnnotationTable) -> bool:
    """Whether the observations are described as CELLxGENE demands."""
    return set(obs.fields) >= _SIGNS


def refuse_other_organisms(file: h5py.File, obs: AnnotationTable) -> None:
    """Refuse a file that says, of all or some cells, that they are not human.

    The organism was a column of `obs` up to schema 5 and is in `uns` since schema 6.
    """
    organisms: set[str] = set()
    for field in _ORGANISM:
        if field in obs.fields:
            organisms.update(obs.texts(field).drop_nulls().unique().to_list())
        if "uns" in file and isinstance(uns := child(file, "uns"), h5py.Group) and field in uns:
            item = child(uns, field)
            if isinstance(item, h5py.Dataset):
                organisms.update(map(_text, read_whole(as_dataset(item)).reshape(-1).tolist()))
    if others := sorted(name for name in organisms if name.strip().lower() not in _HUMAN):
        raise SourceError(
            f"{obs.where}: holds cells of {', '.join(others[:3])}; only Homo sapiens is "
            "ingested: choose the human ones and write them to a file of their own"
        )


def refuse_generated(file: h5py.File, obs: AnnotationTable) -> None:
    """Refuse a file that says of itself that a model generated it: it is no measurement."""
    marked = [obs.texts("generated").to_list()] if "generated" in obs.fields else []
    if "uns" in file and isinstance(uns := child(file, "uns"), h5py.Group) and "generated" in uns:
        item = child(uns, "generated")
        if isinstance(item, h5py.Dataset):
            marked.append([_text(read_whole(as_dataset(item)).reshape(-1).tolist()[0])])
    if any(value in {"True", "1"} for values in marked for value in values):
        raise SourceError(
            f"{obs.where}: marked as generated (`genept profiles generate`): a generated profile "
            "is no measurement, and is not ingested as one"
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


def gene_field(var: AnnotationTable) -> tuple[str, str]:
    """The field of `var` to look genes up by, and why: the one with most human Ensembl ids."""
    candidates = [
        field
        for field in dict.fromkeys((var.index, *var.fields))
        if field == var.index or field.lower() in _ID_FIELDS or "ensembl" in field.lower()
    ]
    shares = {field: _share_in_field(var, field) for field in candidates}
    best = max(candidates, key=lambda field: shares[field])
    if shares[best] >= 0.5:
        return best, f"{shares[best]:.1%} of {best!r} are human Ensembl ids"
    return var.index, f"no field holds human Ensembl ids, so names are the index, {var.index!r}"


def share_of_ids(names: pl.Series) -> float:
    """Which share of names are human Ensembl ids."""
    return int(names.str.contains(_ENSEMBL).sum()) / max(names.len(), 1)


def _share_in_field(var: AnnotationTable, field: str) -> float:
    try:
        return share_of_ids(var.texts(field))
    except SourceError:
        return 0.0  # a field of other things than names, such as lengths
