"""A leak that is planted in NCBI's own summaries, and found by masking; skipped without them."""

from pathlib import Path

import polars as pl
import pytest

from genept.benchmarks.leaderboard import corrected
from genept.benchmarks.metrics.resampling import paired_differences, resampled
from genept.benchmarks.task_scores import ablations, leaks
from genept.benchmarks.tasks.base import GeneVectors
from genept.benchmarks.tasks.task_registry import TASKS
from genept.text.baselines import LSA
from genept.text.recipes import Recipe, load_recipes

MIRROR = Path(__file__).parents[3] / "shared" / "mirror"
LABELS = MIRROR / "gene_properties" / "dosage_sensitive_tfs.csv"
SUMMARIES = MIRROR / "ncbi" / "gene_summary.gz"
GENE_INFO = MIRROR / "ncbi" / "Homo_sapiens.gene_info.gz"
TASK = TASKS["dosage-sensitivity"]
MASKED = load_recipes()["ncbi-dosage-masked"]
UNMASKED = load_recipes()["ncbi"]

pytestmark = pytest.mark.skipif(not SUMMARIES.exists(), reason="no mirror of public sources")


@pytest.fixture(scope="module")
def described() -> pl.DataFrame:
    """Transcription factors, whether they are dosage-sensitive, and what NCBI says of them."""
    info = pl.read_csv(GENE_INFO, separator="\t", columns=["GeneID", "dbXrefs"], quote_char=None)
    ids = info.select(
        "GeneID", ensembl_gene_id=pl.col("dbXrefs").str.extract(r"Ensembl:(ENSG\d{11})")
    )
    said = pl.read_csv(SUMMARIES, separator="\t", columns=["GeneID", "Summary"], quote_char=None)
    labels = pl.read_csv(LABELS).select(
        ensembl_gene_id="ensembl_id",
        label=pl.when(dosage_sensitive="Yes").then(pl.lit("sensitive")).otherwise(pl.lit("not")),
    )
    rows = labels.join(ids, on="ensembl_gene_id").join(said, on="GeneID")
    once = rows.unique("ensembl_gene_id", keep="first", maintain_order=True)
    return once.with_row_index("position").with_columns(fate=pl.lit("scored"))


def compared(rows: pl.DataFrame, texts: list[str], recipes: list[Recipe]) -> pl.DataFrame:
    """Comparisons of the texts as two recipes leave them."""
    genes, scores = tuple(rows["ensembl_gene_id"]), {}
    for recipe in recipes:
        left = texts
        for mask in recipe.masks:
            left = [mask.apply(text, {})[0] for text in left]
        name = f"lsa-150/{recipe.id}"
        vectors = GeneVectors(name, genes, LSA.fit(left, 150).embed(left))
        found = TASK.predict(rows, vectors, draw=0)
        scores[name] = resampled(found, "auroc", n_resamples=200)
    apart = paired_differences(scores, [tuple(scores)])
    return corrected(apart).with_columns(task=pl.lit(TASK.id))


def planted(rows: pl.DataFrame) -> list[str]:
    """The label in a word, at the end of every summary that it is true of."""
    ends = {"sensitive": " Haploinsufficient.", "not": ""}
    return [text + ends[label] for text, label in rows.select("Summary", "label").iter_rows()]


def test_the_masked_summaries_find_a_planted_label(described):
    assert described.height > 200
    recipes = [UNMASKED, MASKED]
    found = ablations(
        compared(described, planted(described), recipes), {one.id: one for one in recipes}
    )
    (row,) = leaks(found).rows(named=True)
    assert (row["adds"], row["fewer"]) == ("words of mask dosage", MASKED.id)
    assert row["difference"] > 0.05
    assert row["ci_low"] > 0


def test_the_summaries_as_they_are_state_no_dosage(described):
    recipes = [UNMASKED, MASKED]
    asked = compared(described, described["Summary"].to_list(), recipes)
    found = ablations(asked, {one.id: one for one in recipes})
    assert abs(found["difference"].item()) < 0.02
    assert leaks(found).is_empty()
