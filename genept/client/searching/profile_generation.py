"""A profile over genes for a text, from a release: rows, nearest observations, files.

Whatever holds it says that it was generated: a column and the metadata of parquet, `obs` and `uns`
of h5ad. How it is generated is `genept.embeddings.text_readings.generated_profiles`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from numpy.typing import NDArray

from genept.client.searching.label_search import is_searchable
from genept.client.searching.search import SpaceSearch
from genept.client.vectors import Matrix
from genept.common import StoreError, replacement
from genept.embeddings.text_readings import (
    FEWEST_PROFILES,
    TypeProfiles,
    beside_lineages,
    generate_profile,
    likely_terms,
    lineage_of_text,
    measured_of,
    profile_similarity,
    text_vectors,
)

if TYPE_CHECKING:
    from anndata import AnnData

    from genept.client.searching.released_expression import ReleasedExpression

Floats = NDArray[np.float64]

BY_TYPES: Final = "labelled-types-and-genes-of-the-text"
BY_GENES: Final = "genes-of-the-text"
PROFILE_FILES: Final = (".parquet", ".h5ad")
"""Endings of files that a profile is written to."""

NEAREST: Final = 10
NOTE: Final = "generated from a text by a model; it is no measurement"
IN_UNIT: Final = ("expected", "ci_low", "ci_high")
NEAREST_TYPE: Final = "nearest_type"
GENES_OF_TEXT: Final = 20


@dataclass(frozen=True)
class TextProfile:
    """A profile over genes that was generated for a text.

    Parameters
    ----------
    genes
        One row for each gene of the collection, highest deviation first, null where less than one
        in a hundred observations expresses it: `ensembl_gene_id`,
        `symbol`, `deviation` from the mean of the types and its `error` in deviations of the gene
        over observations, `expected`, `ci_low`, `ci_high` in `about["unit"]`, `nearest_type`: the
        mean that was measured of the labelled type `about["nearest_type"]`, `generated`.
    nearest
        The observations that are most like it: `observation_id`, `label`, `correlation`.
    about
        `generated`, `note`, `text`, `method`, `space`, `collection`, `label`, `types`,
        `nearest_type`: the labelled type whose text and lineage are most like it,
        `genes_not_measured`: of the `GENES_OF_TEXT` genes nearest to the text those that the
        collection has not, or too rarely, `release`, `unit`, `licence`, `citation`, `generated_at`.
    """

    genes: pl.DataFrame
    nearest: pl.DataFrame
    about: dict[str, Any]

    def write(self, path: Path) -> None:
        """Write it whole as parquet or h5ad, by the file's ending.

        Parameters
        ----------
        path
            Where to, in an existing folder.

        Raises
        ------
        StoreError
            For another ending.
        """
        if path.suffix not in PROFILE_FILES:
            raise StoreError(f"{path}: its ending must be {' or '.join(PROFILE_FILES)}")
        if path.suffix == ".h5ad":
            with TemporaryDirectory(dir=path.parent) as folder:
                self.as_anndata().write_h5ad(part := Path(folder) / path.name)
                part.replace(path)
            return
        table = self.genes.to_arrow()
        about = json.dumps(self.about | {"nearest": self.nearest.to_dicts()})
        table = table.replace_schema_metadata({"generated": "true", "genept": about})
        with replacement(path, 0o644) as file:
            pq.write_table(table, file)

    def as_anndata(self) -> AnnData:
        """The profile as the only observation of an AnnData, on the genes that are not null.

        Returns
        -------
        AnnData
            `X` what is expected, or deviations where no types were labelled; layers `deviation`,
            `error`, `ci_low`, `ci_high`, `nearest_type`; `obs` and `uns` say that it was generated.
        """
        import anndata
        import pandas as pd

        rows = self.genes.drop_nulls("deviation").sort("ensembl_gene_id")
        row = {name: rows[name].to_numpy().astype(np.float32)[None] for name in rows.columns[2:8]}
        known = self.about["method"] == BY_TYPES
        obs = pd.DataFrame(
            {"generated": [True], "text": [self.about["text"]]}, index=["generated-profile"]
        )
        var = rows.select("ensembl_gene_id", "symbol").to_pandas().set_index("ensembl_gene_id")
        return anndata.AnnData(
            X=row["expected" if known else "deviation"],
            obs=obs,
            var=var,
            layers={name: row[name] for name in ("deviation", "error", *IN_UNIT[1:], NEAREST_TYPE)},
            uns=self.about | {"nearest": self.nearest.to_pandas()},
        )


def generate_for_text(
    search: SpaceSearch, text: str, collection: str, *, n: int = NEAREST
) -> TextProfile:
    """Generate a profile for a text on the genes of a collection, with the types labelled there.

    Parameters
    ----------
    search
        A space of a release.
    text
        Any text.
    collection
        Whose genes, types and observations are used. With fewer than three labelled types the
        genes that the text speaks of are all that there is.
    n
        How many of the nearest observations to name.

    Returns
    -------
    TextProfile
        Marked as generated.

    Raises
    ------
    StoreError
        If there is no such collection or space, or the space cannot be given a text.
    """
    vector = search.embed([text])
    of = search.expression_of(collection)
    types = of.types if len(of.types) >= FEWEST_PROFILES else ()
    texts = search.label_texts
    phrasings = texts.phrasings(of) if types else []
    centred = text_vectors(texts.centre, [*phrasings, vector])
    known = beside_lineages(centred, _lineages(search, of, centred[-1], len(types)))
    similar = of.similarity(search.genes, [*phrasings, vector])
    profiles = TypeProfiles.of(
        of.expression, of.unit, of.labels, types, known[:-1], similar[:, :-1]
    )
    profile = generate_profile(profiles, known[-1], similar[:, -1])
    like = int(np.argmax(known[:-1] @ known[-1])) if types else 0
    likeness = profile_similarity(profiles, profile.deviation, of.expression)
    best = np.argsort(-likeness, kind="stable")[:n]
    nearest = pl.DataFrame({
        "observation_id": of.observations["observation_id"][best.tolist()],
        "label": of.labels[best],
        "correlation": likeness[best],
    })  # fmt: skip
    columns = {
        "ensembl_gene_id": of.genes, "deviation": profile.deviation, "error": profile.error,
        "expected": profile.expected, "ci_low": profile.low, "ci_high": profile.high,
        NEAREST_TYPE: measured_of(profiles, like) if types else np.full(len(of.genes), np.nan),
    }  # fmt: skip
    rows = pl.DataFrame(columns).with_columns(pl.col(pl.Float64).fill_nan(None))
    rows = rows.join(search.all_symbols, on="ensembl_gene_id", how="left", maintain_order="left")
    rows = rows.select("ensembl_gene_id", "symbol", pl.exclude("ensembl_gene_id", "symbol"))
    rows = rows.with_columns(generated=pl.lit(True)).sort(
        "deviation", descending=True, nulls_last=True, maintain_order=True
    )
    about = _about(search, of, text, types) | {
        NEAREST_TYPE: types[like] if types else "",
        "genes_not_measured": _not_measured(search, vector[0], rows),
    }
    return TextProfile(rows, nearest, about)


def _lineages(search: SpaceSearch, of: ReleasedExpression, text: Floats, n_types: int) -> Floats:
    """Lineages of the types, and that of a text by the names of terms that it resembles.

    Without columns where types have no terms, or too many observations to fit maps on.
    """
    texts = search.label_texts
    if not n_types or not is_searchable(of) or not texts.ontology():
        return np.zeros((n_types + 1, 0))
    fitted = search.fitted(of.collection)
    likely = likely_terms([fitted.terms], [fitted.names], text)
    terms = [query.terms for query in texts.queries(of)]
    of_types, of_text = lineage_of_text(likely, terms, texts.ontology())
    return np.concatenate([of_types, of_text[None]])


def _not_measured(search: SpaceSearch, vector: Matrix, rows: pl.DataFrame) -> list[str]:
    """Of the genes nearest to a text, symbols of those that no profile can tell of."""
    known = set(rows.drop_nulls("deviation")["ensembl_gene_id"])
    nearest = [id_ for id_, _ in search.genes.nearest(vector, GENES_OF_TEXT)]
    symbols = dict(search.all_symbols.filter(pl.col("ensembl_gene_id").is_in(nearest)).iter_rows())
    return [symbols.get(id_) or id_ for id_ in nearest if id_ not in known]


def _about(
    search: SpaceSearch, of: ReleasedExpression, text: str, types: tuple[str, ...]
) -> dict[str, Any]:
    unit = of.unit if of.unit in ("zscore", "log2", "log1p") else "log1p of 10,000 per observation"
    return {
        "generated": True,
        "note": NOTE,
        "text": text,
        "method": BY_TYPES if types else BY_GENES,
        "space": search.space,
        "collection": of.collection,
        "label": of.label or "" if types else "",
        "types": list(types),
        "release": search.release.manifest.release_id,
        "unit": unit,
        "licence": str(of.about["licence"]),
        "citation": str(of.about["citation"]),
        "generated_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
