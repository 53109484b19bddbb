"""A leak that is planted in NCBI's summaries is found by masking; skipped without a mirror."""

from pathlib import Path

import polars as pl
import pytest

from genept.benchmarks.resampling import paired_differences, resampled
from genept.benchmarks.runs.leaderboard import corrected
from genept.benchmarks.task_base import GeneVectors
from genept.benchmarks.task_registry import TASKS
from genept.benchmarks.task_scores import ablations, leaks
from genept.text.local.baselines import LSA
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
    """Transcription factors, whether they are dosage-sensitive, and their summaries by NCBI."""
    info = pl.read_csv(GENE_INFO, separator="\t", columns=["GeneID", "dbXrefs"], quote_char=None)
    ids = info.select(
        "GeneID", ensembl_gene_id=pl.col("dbXrefs").str.extract(r"Ensembl:(ENSG\d{11})")
    )
    summaries = pl.read_csv(
        SUMMARIES, separator="\t", columns=["GeneID", "Summary"], quote_char=None
    )
    labels = pl.read_csv(LABELS).select(
        ensembl_gene_id="ensembl_id",
        label=pl.when(dosage_sensitive="Yes").then(pl.lit("sensitive")).otherwise(pl.lit("not")),
    )
    rows = labels.join(ids, on="ensembl_gene_id").join(summaries, on="GeneID")
    once = rows.unique("ensembl_gene_id", keep="first", maintain_order=True)
    return once.with_row_index("position").with_columns(fate=pl.lit("scored"))


def compared(rows: pl.DataFrame, texts: list[str], recipes: list[Recipe]) -> pl.DataFrame:
    """Comparisons of the texts as two recipes mask them."""
    genes, scores = tuple(rows["ensembl_gene_id"]), {}
    for recipe in recipes:
        masked = texts
        for mask in recipe.masks:
            masked = [mask.apply(text, {})[0] for text in masked]
        name = f"lsa-150/{recipe.id}"
        vectors = GeneVectors(name, genes, LSA.fit(masked, 150).embed(masked))
        predicted = TASK.predict(rows, vectors, draw=0)
        scores[name] = resampled(predicted, "auroc")
    differences = paired_differences(scores, [tuple(scores)])
    return corrected(differences).with_columns(task=pl.lit(TASK.id))


def planted(rows: pl.DataFrame) -> list[str]:
    """Summaries with the word Haploinsufficient at the end, if the gene is dosage-sensitive."""
    ends = {"sensitive": " Haploinsufficient.", "not": ""}
    return [text + ends[label] for text, label in rows.select("Summary", "label").iter_rows()]


def test_the_masked_summaries_find_a_planted_label(described):
    assert described.height > 200
    recipes = [UNMASKED, MASKED]
    steps = ablations(
        compared(described, planted(described), recipes), {recipe.id: recipe for recipe in recipes}
    )
    (row,) = leaks(steps).rows(named=True)
    assert (row["adds"], row["fewer"]) == ("words of mask dosage", MASKED.id)
    assert row["difference"] > 0.05
    assert row["ci_low"] > 0


def test_unchanged_summaries_have_no_dosage_leak(described):
    recipes = [UNMASKED, MASKED]
    comparisons = compared(described, described["Summary"].to_list(), recipes)
    steps = ablations(comparisons, {recipe.id: recipe for recipe in recipes})
    assert abs(steps["difference"].item()) < 0.02
    assert leaks(steps).is_empty()
