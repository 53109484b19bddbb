"""Cells of the CELLxGENE Census by query, as a file that is added like any file of one's own.

Read through TileDB-SOMA, the API of the Census (extra `census`); the Census's own client needs a
package that this project does not install. What is added is read anew, with limits, by
`genept.collections`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from genept.common import SourceError

if TYPE_CHECKING:
    import anndata

CENSUS: Final = "2025-01-30"
"""The release for the long term that the catalogue's data sets are of."""

ADDRESS: Final = "s3://cellxgene-census-public-us-west-2/cell-census/{version}/soma/"
PUBLIC: Final = {"vfs.s3.region": "us-west-2", "vfs.s3.no_sign_request": "true"}
LICENCE: Final = "CC-BY-4.0"
CITATION: Final = (
    "CZI Cell Science Program. CZ CELLxGENE Discover. Nucleic Acids Res. 2025. "
    "doi:10.1093/nar/gkae1142"
)
REMEDY: Final = "pip install 'genept-platform[census]'"
AT_ONCE: Final = 2_000
"""Cells whose counts are read at once: some 30 MB."""

FIELDS: Final[Mapping[str, str]] = {
    "tissue": "tissue_ontology_term_id",
    "disease": "disease_ontology_term_id",
    "cell_type": "cell_type_ontology_term_id",
    "assay": "assay_ontology_term_id",
}
"""What cells are chosen by, and the column that has its terms."""

COLUMNS: Final = (
    *("soma_joinid", "dataset_id", "donor_id", "cell_type", "tissue", "disease", "assay", "sex"),
    *("development_stage", "suspension_type", "self_reported_ethnicity", *FIELDS.values()),
    *("sex_ontology_term_id", "development_stage_ontology_term_id"),
)


@dataclass(frozen=True)
class CensusQuery:
    """Which cells are sought.

    Parameters
    ----------
    terms
        Ids of ontology terms, one of several, by field of `FIELDS`.
    datasets
        Ids of data sets, one of several; none: any.
    primary
        Whether cells that are repeated from another data set are left out.
    """

    terms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    datasets: tuple[str, ...] = ()
    primary: bool = True

    def __post_init__(self) -> None:
        if not self.datasets and not any(self.terms.values()):
            raise SourceError(f"say which cells are sought: {', '.join(FIELDS)} or a data set")

    @property
    def filter(self) -> str:
        """The query in the language of SOMA."""
        chosen = {FIELDS[name]: ids for name, ids in self.terms.items() if ids}
        chosen |= {"dataset_id": self.datasets} if self.datasets else {}
        parts = [f"{column} in {sorted(ids)!r}" for column, ids in chosen.items()]
        return " and ".join([*parts, "is_primary_data == True"] if self.primary else parts)


@dataclass(frozen=True)
class Census:
    """An opened release of the Census.

    Parameters
    ----------
    experiment
        Its human cells: a SOMA experiment.
    version
        The release.
    """

    experiment: Any
    version: str

    def find(self, query: CensusQuery) -> pl.DataFrame:
        """The cells that a query finds, with what is known of each.

        Parameters
        ----------
        query
            Which cells are sought.

        Returns
        -------
        pl.DataFrame
            Those of `COLUMNS` that the release has; a row for each cell, in its order.
        """
        table = self.experiment.obs
        columns = [name for name in COLUMNS if name in table.schema.names]
        rows = table.read(value_filter=query.filter, column_names=columns).concat()
        return pl.DataFrame(rows).select(columns).sort("soma_joinid")

    def counts(self, cells: pl.DataFrame, query: CensusQuery) -> anndata.AnnData:
        """Counts of some cells, with what is known of them.

        Parameters
        ----------
        cells
            Rows of `find`, one at least.
        query
            What found them; it is kept with the file.

        Returns
        -------
        anndata.AnnData
            Cells × genes, raw counts; genes by Ensembl id.
        """
        import anndata
        import scipy.sparse as sp

        measured = self.experiment.ms["RNA"]
        genes = pl.DataFrame(measured.var.read().concat()).sort("soma_joinid")
        ids = genes["soma_joinid"].to_numpy()
        blocks = [
            _block(measured.X["raw"], part["soma_joinid"].to_numpy(), ids)
            for part in cells.iter_slices(AT_ONCE)
        ]
        data = anndata.AnnData(sp.vstack(blocks, format="csr"))
        data.obs_names = [f"census-{id_}" for id_ in cells["soma_joinid"]]
        data.var_names = genes["feature_id"].to_list()
        for column in cells.drop("soma_joinid").with_columns(
            pl.col(pl.Categorical).cast(pl.String)
        ):
            data.obs[column.name] = column.to_list()
        for name in set(genes.columns) & {"feature_name", "feature_length"}:
            data.var[name] = genes[name].to_list()
        data.uns["census"] = {
            "version": self.version, "query": query.filter, "licence": LICENCE,
            "citation": CITATION, "datasets": cells["dataset_id"].unique().sort().to_list(),
        }  # fmt: skip
        return data


def _block(matrix: Any, cells: Any, genes: Any) -> Any:
    """Counts of some cells as CSR; both kinds of ids rise, and need not be without gaps."""
    import scipy.sparse as sp

    read = [
        [table[name].to_numpy() for name in ("soma_data", "soma_dim_0", "soma_dim_1")]
        for table in matrix.read((cells,)).tables()
    ]
    values, rows, columns = (
        np.concatenate([part[at] for part in read] or [np.empty(0, np.int64)]) for at in range(3)
    )
    places = np.searchsorted(cells, rows), np.searchsorted(genes, columns)
    return sp.csr_matrix((values.astype(np.float32), places), shape=(len(cells), len(genes)))


@contextmanager
def open_census(
    version: str = CENSUS,
    *,
    address: str | None = None,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Census]:
    """Open a release of the Census, without keys.

    Parameters
    ----------
    version
        The release.
    address
        Of a copy, instead of the publisher's.
    settings
        TileDB's, for a copy.

    Yields
    ------
    Census

    Raises
    ------
    SourceError
        The extra is not installed, or the release cannot be read.
    """
    try:
        import tiledbsoma  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise SourceError(
            f"reading the Census needs a package that is missing: {REMEDY}"
        ) from error
    uri = address or ADDRESS.format(version=version)
    context = tiledbsoma.SOMATileDBContext(tiledb_config=dict(settings or PUBLIC))
    try:
        with tiledbsoma.open(uri, context=context) as opened:
            yield Census(opened["census_data"]["homo_sapiens"], version)
    except (tiledbsoma.SOMAError, KeyError) as error:
        raise SourceError(
            f"{uri}: the Census cannot be read ({type(error).__name__}: {str(error)[:200]}); is "
            f"there a network, and a release {version}?"
        ) from error


def drawn_cells(cells: pl.DataFrame, most: int, seed: int) -> pl.DataFrame:
    """Some of the cells, drawn alike from all; all, if there are no more.

    Parameters
    ----------
    cells
        Rows of `Census.find`.
    most
        How many at most.
    seed
        Of the draw.

    Returns
    -------
    pl.DataFrame
        In the order of the Census.
    """
    if cells.height <= most:
        return cells
    return cells.sample(most, seed=seed).sort("soma_joinid")
