"""Code that reads a release, to be copied: one snippet per library, and whole analyses.

Text made from a manifest and addresses. It is shown by `genept.cli` and on the page of
`genept.client.catalogue_page`; tests run it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from genept.release import Manifest, ReleasedFiles

PREFERRED_SPACE: Final = "minilm-l6-v2/name-go"
GENE: Final = "FOXP3"
TISSUES: Final = ("haematopoietic", "leukemia", "lymphoma", "myeloma")
"""What screens call the tissue that blood comes from."""

LEAST_LINES: Final = 20


@dataclass(frozen=True)
class Snippets:
    """Snippets that read one release, whichever is current when they run.

    Parameters
    ----------
    files
        Files of the releases, with their bucket.
    manifest
        Manifest of the release that the snippets read.
    """

    files: ReleasedFiles
    manifest: Manifest

    def readers(self) -> dict[str, str]:
        """How each library reads table `genes`, by library."""
        genes, folder = self._address("data/genes/*.parquet"), self._address("data/genes")
        folder = folder.removeprefix("s3://")
        return {
            "polars": f"""import genept, polars as pl
genes = pl.scan_parquet("{genes}", storage_options=genept.storage_options()).collect()""",
            "pandas": f"""import genept, pandas as pd
genes = pd.read_parquet("{folder}", filesystem=genept.filesystem())""",
            "pyarrow": f"""import genept, pyarrow.parquet as pq
genes = pq.read_table("{folder}", filesystem=genept.filesystem())""",
            "duckdb": f"""import genept
genes = genept.duckdb_connection().read_parquet("{genes}").fetchall()""",
        }

    def r(self) -> str:
        """The same in R; its package `arrow` finds the keys in the environment."""
        address = self._address(self.manifest.tables["genes"].files[0].path)
        bucket, _, key = address.removeprefix("s3://").partition("/")
        endpoint = self.files.store.access.endpoint_url
        where = f', endpoint_override = "{endpoint}"' if endpoint else ""
        return f"""library(arrow)  # keys: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY
bucket <- s3_bucket("{bucket}"{where})
genes <- read_parquet(bucket$path("{key}"))"""

    def questions(self) -> dict[str, str]:
        """Whole analyses, by the question that they answer; those that the release has data for."""
        snippets = {}
        if space := self.space():
            snippets[f"the ten genes nearest to {GENE}"] = self._nearest(space)
            snippets["the text that was embedded"] = self._text(space)
        if self.manifest.tables["drug_responses"].files:
            snippets["the drugs that haematopoietic lines respond to most"] = self._responses()
        return snippets

    def space(self) -> str | None:
        """A space to show: the usual one, or the first that is no control."""
        spaces = self._values("gene_embeddings")
        real = [space for space in spaces if "random" not in space and "@" not in space]
        return PREFERRED_SPACE if PREFERRED_SPACE in real else next(iter((*real, *spaces)), None)

    def _nearest(self, space: str) -> str:
        return f"""import genept, polars as pl
release, space, gene = "{self.manifest.release_id}", "{space}", "{GENE}"
genes = genept.load_table("gene_embeddings", space=space, release=release)
symbols = genes.select("symbol").collect()["symbol"]  # in the order of the vectors
ids, vectors = genept.load_embeddings(space=space, release=release)
cosines = vectors @ dict(zip(symbols, vectors))[gene]
nearest = pl.DataFrame({{"symbol": symbols, "cosine": cosines}}).filter(pl.col("symbol") != gene)
print(nearest.top_k(10, by="cosine"))"""

    def _text(self, space: str) -> str:
        recipe = space.rpartition("/")[2].partition("@")[0]
        return f"""import genept, polars as pl
release, recipe, gene = "{self.manifest.release_id}", "{recipe}", "{GENE}"  # space: model/recipe
texts = genept.load_table("gene_descriptions", recipe=recipe, release=release)
print(texts.filter(pl.col("symbol") == gene).collect()["text"].item())"""

    def _responses(self) -> str:
        screen = self._values("drug_responses")[0]
        tissues = ", ".join(f'"{tissue}"' for tissue in TISSUES)
        return f"""import genept, polars as pl
release, screen = "{self.manifest.release_id}", "{screen}"
blood = pl.col("tissue").is_in([{tissues}])  # by any name
lines = genept.load_table("observations", collection_id=screen, release=release)
responses = genept.load_table("drug_responses", collection_id=screen, release=release)
value = pl.col("value")  # ln IC50: the lower, the stronger; to be compared within a drug
within_drug = ((value - value.mean()) / value.std()).over("drug_id")
# Blood responds to nearly everything: what counts is what a line has beyond its own mean.
beyond = pl.col("within_drug") - pl.col("within_drug").mean().over("observation_id")
print(
    responses.with_columns(within_drug=within_drug)
    .with_columns(beyond=beyond)
    .join(lines.filter(blood).select("observation_id"), on="observation_id")
    .group_by("drug_id")
    .agg(
        pl.mean("beyond"),
        standard_error=pl.std("beyond") / pl.len().sqrt(),
        ln_ic50=pl.mean("value"),
        lines=pl.len(),
    )
    .filter(pl.col("lines") >= {LEAST_LINES})
    .sort("beyond")
    .head(10)
    .collect()
)"""

    def _values(self, table: str) -> list[str]:
        """Values of the first column that a table is split by."""
        return sorted({file.partition[0] for file in self.manifest.tables[table].files})

    def _address(self, path: str) -> str:
        return self.files.store.uri(f"{self.files.folder}/{self.manifest.release_id}/{path}")
