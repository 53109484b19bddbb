"""A collection of a release as one file that other tools open: h5ad, or a folder of zarr.

Expression, labels with their ontology terms, genes, and the vectors of any number of spaces. Cells
have the columns that CELLxGENE's schema asks for. Reading into memory is `genept.client.api`.
"""

from __future__ import annotations

import re
import secrets
import shutil
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from genept.client.api import load_anndata, load_table
from genept.client.release_lookup import LATEST, resolve
from genept.client.searching import KIND_OF, collection_row
from genept.client.vectors import placed_vectors
from genept.common import Settings, StoreError

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

ENDINGS: Final = (".h5ad", ".zarr")

SCHEMA_VERSION: Final = "7.1.0"
"""Of CELLxGENE's schema."""

UNKNOWN: Final = "unknown"

HUMAN: Final = "NCBITaxon:9606"

LABELS: Final = (
    *("cell_type", "tissue", "tissue_subtype", "diagnosis", "assay", "sex", "development_stage"),
    "cell_line",
)
"""Labels of the author: the schema keeps most of these names for those of its own."""

MAY_BE_UNKNOWN: Final = ("cell_type", "development_stage", "sex")
"""What the schema lets be unknown."""


@dataclass(frozen=True)
class ExportedCollection:
    """A collection with its vectors, ready to be written.

    Parameters
    ----------
    data
        `X` in the collection's unit, `obsm["X_…"]` the vectors of each space, NaN for an
        observation without one; `uns["spaces"]` says which is which.
    lacking
        What CELLxGENE's schema asks of single cells and nobody said, in words; empty if nothing is
        lacking, or for samples.
    n_left_out
        Genes of single cells that are in no release of GENCODE that lengths are known of; the
        schema knows none of them.
    """

    data: AnnData
    lacking: tuple[str, ...]
    n_left_out: int

    def write(self, path: Path) -> None:
        """Write it whole, or not at all.

        Parameters
        ----------
        path
            Where to; the ending decides: .h5ad, or .zarr for a folder.

        Raises
        ------
        StoreError
            For another ending, or if a folder of that name exists.
        """
        if path.suffix not in ENDINGS:
            raise StoreError(f"{path}: its ending must be {' or '.join(ENDINGS)}")
        if path.is_dir():
            raise StoreError(f"{path} exists: name another, or delete it first")
        import anndata

        part = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}")
        try:
            if path.suffix == ".h5ad":
                self.data.write_h5ad(part, compression="gzip")
            else:
                with warnings.catch_warnings():  # on what a later release writes by default
                    warnings.simplefilter("ignore", UserWarning)
                    with anndata.settings.override(zarr_write_format=2):  # which more tools read
                        self.data.write_zarr(part)
            part.replace(path)
        finally:
            if part.is_dir():
                shutil.rmtree(part)
            part.unlink(missing_ok=True)


def export_collection(
    collection: str,
    *,
    spaces: Sequence[str] | None = None,
    assay: str | None = None,
    disease: str | None = None,
    release: str = LATEST,
    settings: Settings | None = None,
) -> ExportedCollection:
    """Put a collection of a release together for other tools.

    Parameters
    ----------
    collection
        Its id.
    spaces
        Spaces whose GenePT-w vectors are added; None: all that the release has of it.
    assay, disease
        Term of EFO, and of MONDO or ``PATO:0000461`` for normal, of every cell that has none.
    release, settings
        As for `genept.load_table`.

    Returns
    -------
    ExportedCollection
        In memory.

    Raises
    ------
    StoreError
        If there is no such collection, space or release.
    """
    about = load_table("collections", release=release, settings=settings).collect()
    row = collection_row(about, collection)
    table = "cell_embeddings" if row["kind"] == KIND_OF["cells"] else "sample_embeddings"
    resolved = resolve(release, settings)
    manifest = resolved.manifest
    known = sorted(
        file.partition[0]
        for file in manifest.tables[table].files
        if file.partition[1:] == ("genept-w", collection)
    )
    data = load_anndata(collection, release=manifest.release_id, settings=settings)
    data.uns["spaces"] = {}
    for space in dict.fromkeys(known if spaces is None else spaces):
        key = f"X_{re.sub(r'[^A-Za-z0-9_.-]', '_', space)}"
        data.obsm[key] = placed_vectors(resolved, data.obs_names.to_list(), space, collection)
        data.uns["spaces"][key] = space
    if row["kind"] != KIND_OF["cells"]:
        data.obs = _categories(data.obs.dropna(axis=1, how="all"))
        return ExportedCollection(data, (), 0)
    n_genes = data.n_vars
    data = data[:, data.var["length"].notna().to_numpy()].copy()
    named = row["group_axis"] == "donor"
    data.obs, lacking = _cells(data.obs, {"assay": assay, "disease": disease}, named=named)
    data.var = data.var[["symbol"]].astype({"symbol": str})
    data.var["feature_is_filtered"] = False
    data.var.index.name = None
    data.uns["organism_ontology_term_id"] = HUMAN
    data.uns["author_citation"] = data.uns.pop("citation")  # the schema keeps that name
    if row["unit"] != "counts":
        lacking = (*lacking, f"raw counts: its unit is {row['unit']}")
    return ExportedCollection(data, lacking, n_genes - data.n_vars)


def _cells(
    obs: pd.DataFrame, given: dict[str, str | None], *, named: bool
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Labels of cells as the schema names them; labels of the author have names of their own."""
    own = obs.rename(columns={name: f"author_{name}" for name in LABELS})
    own = own.dropna(axis=1, how="all").copy()
    lacking = []
    for name in (*MAY_BE_UNKNOWN, "assay", "disease", "tissue"):
        column = f"{name}_ontology_term_id"
        values = obs[column].fillna(given.get(name) or UNKNOWN)
        own[column] = values
        if name not in MAY_BE_UNKNOWN and (n := int((values == UNKNOWN).sum())):
            lacking.append(f"{name} of {n:,} cells")
    own["tissue_type"] = "tissue"
    own["donor_id"] = own["group_id"] if named else UNKNOWN
    own["suspension_type"] = "cell"
    own["self_reported_ethnicity_ontology_term_id"] = UNKNOWN
    own["is_primary_data"] = False
    return _categories(own), tuple(lacking)


def _categories(obs: pd.DataFrame) -> pd.DataFrame:
    """Columns of text as categories, without nulls."""
    texts = [name for name in obs.columns if any(isinstance(value, str) for value in obs[name])]
    return obs.assign(**{name: obs[name].fillna("").astype("category") for name in texts})
