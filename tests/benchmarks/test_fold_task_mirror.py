"""Terms with folds on the real files, where a mirror has them: bars, controls, published means."""

from pathlib import Path

import polars as pl
import pytest
from installations import PROJECT, storage_settings

from genept.benchmarks.leaderboard import run_tasks
from genept.benchmarks.task_registry import TASKS
from genept.client.platform import Platform
from genept.common.settings import Settings
from genept.nomenclature.reference import build_reference_table
from genept.text.embedders import space_of

MIRROR = PROJECT.parent / "shared" / "mirror"
FOLDER = MIRROR / "gene_embedding_benchmarks"
RECIPE, SUMMARY = "name-ncbi", "ncbi"
"""Full name and summary; and the summary alone: genes without one are left out for all."""

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="the mirror is not here")

BARS = {"go-terms-folds": (0.90, 0.86), "omim-terms-folds": (0.87, 0.82)}
"""Lowest score of sparse TF-IDF, and of LSA, of the full name and the summary."""

PUBLISHED = {
    "GenePT 3-large": "GENEPT-MODEL3",
    "GenePT ada-002": "GENEPT-ADA",
    "BioConceptVec fastText": "BIOCONCEPTVEC-FASTTEXT",
    "Mashup": "MASHUP",
    "ESM-2": "ESM2",
    "scGPT human": "SCGPT-HUMAN",
    "Gene2vec": "GENE2VEC",
}


@pytest.mark.parametrize(
    ("task", "file"),
    [("go-terms-folds", "go"), ("omim-terms-folds", "omim")],
)
def test_published_means_are_those_of_the_published_tables(task: str, file: str) -> None:
    table = pl.read_csv(FOLDER / f"single_gene_{file}_AUROC.tsv", separator="\t")
    means = table.select(name="", mean=pl.mean_horizontal(pl.exclude("")))
    mean = dict(means.iter_rows())
    scores = TASKS[task].published_scores
    assert {name: round(mean[of], 3) for name, of in PUBLISHED.items()} == scores
    assert list(scores.values()) == sorted(scores.values(), reverse=True)


@pytest.mark.index
@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_plain_words_reach_the_bars_on_the_genes_that_are_held_out(
    tmp_path: Path, object_store, store_prefix, real_archives
) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "archives").symlink_to(real_archives.folder)
    settings = Settings(
        state_dir=tmp_path,
        product=store_prefix.rpartition("-")[2],
        mirrors=(str(MIRROR),),
        **storage_settings(object_store),
    )
    platform = Platform(settings)
    genes = build_reference_table(platform.lake, platform.archives, "genes").part()
    recipes = [platform.recipes[id_] for id_ in (RECIPE, SUMMARY)]
    stored = platform.lake.assemble("gene_descriptions", platform.describe(genes, recipes))
    lsa, summary = (space_of(f"lsa-384/{id_}") for id_ in (RECIPE, SUMMARY))
    entrants = [platform.entrant(it, platform.embed(it, stored), stored) for it in (lsa, summary)]
    tasks = {id_: TASKS[id_] for id_ in BARS}
    labels = platform.labels(genes)
    counted = labels.properties.filter(pl.col("task").is_in(list(BARS))).group_by("task").len()
    assert dict(counted.iter_rows()) == {"go-terms-folds": 84_827, "omim-terms-folds": 90_658}
    parts, _ = run_tasks(platform.lake, labels, entrants, tasks=tasks)
    results = platform.lake.read([part for part in parts if part.table == "benchmark_results"])
    for id_, (bar, bar_of_lsa) in BARS.items():
        rows = results.filter(task=id_)
        value = dict(rows.select("representation", "value").iter_rows())
        assert value[f"tf-idf/{RECIPE}"] >= bar
        assert value[lsa.id] >= bar_of_lsa
        chance = ("random-384", f"{lsa.id}@shuffled", f"{lsa.id}@permuted-labels")
        assert all(0.45 < value[control] < 0.55 for control in chance)
        assert rows["n"].min() >= 50, "terms"
