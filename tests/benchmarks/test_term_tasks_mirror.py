"""Terms with folds on the real files, where a mirror has them: bars, controls, published means."""

from pathlib import Path

import polars as pl
import pytest
from installations import PROJECT, storage_settings

from genept.benchmarks.resampling import FUSED
from genept.benchmarks.runs.leaderboard import run_tasks
from genept.benchmarks.task_base import Labels
from genept.benchmarks.task_registry import TASKS
from genept.client.platform import Platform
from genept.common.settings import Settings
from genept.nomenclature.reference import build_reference_table
from genept.text.embedders import space_of

MIRROR = PROJECT.parent / "shared" / "mirror"
FOLDER = MIRROR / "gene_embedding_benchmarks"
WHOLE, CUT = "name-ncbi-every-gene", "name-ncbi"
"""Full name and summary as they are, and cut at 256 tokens."""

WITH_GO = "name-ncbi-go-every-gene"
"""With terms of Gene Ontology, which state the answer to one of the tasks."""

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="the mirror is not here")

BARS = {"go-terms-folds": (0.90, 0.86), "omim-terms-folds": (0.87, 0.82)}
"""Lowest score of sparse TF-IDF of whole texts, and of LSA, on genes that have a summary."""

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
@pytest.mark.timeout(3600)
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
    recipes = [platform.recipes_of(space_of(f"lsa-384/{id_}"))[0] for id_ in (WHOLE, CUT, WITH_GO)]
    stored = platform.lake.assemble("gene_descriptions", platform.describe(genes, recipes))
    spaces = [space_of(f"lsa-384/{id_}") for id_ in (WHOLE, CUT, WITH_GO)]
    entrants = [platform.entrant(it, platform.embed(it, stored), stored) for it in spaces]
    tasks = {id_: TASKS[id_] for id_ in BARS}
    labels = platform.labels(genes)
    counted = labels.properties.filter(pl.col("task").is_in(list(BARS))).group_by("task").len()
    assert dict(counted.iter_rows()) == {"go-terms-folds": 84_827, "omim-terms-folds": 90_658}
    has_summary = pl.col("parts").list.eval(pl.element().str.starts_with("summary@")).list.any()
    summarised = platform.lake.read(stored).filter(has_summary)["ensembl_gene_id"].unique()
    of_summary = pl.col("ensembl_gene_id").is_in(summarised.to_list())
    labels = Labels(labels.properties.filter(of_summary), labels.pairs)
    parts, _ = run_tasks(platform.lake, labels, entrants, tasks=tasks)
    results, compared = (
        platform.lake.read([part for part in parts if part.table == table])
        for table in ("benchmark_results", "benchmark_comparisons")
    )
    for id_, (bar, bar_of_lsa) in BARS.items():
        rows = results.filter(task=id_)
        value = dict(rows.select("representation", "value").iter_rows())
        assert value[f"tf-idf/{WHOLE}"] >= bar
        assert value[f"lsa-384/{CUT}"] >= bar_of_lsa
        chance = [name for name in value if "@" in name or name.startswith("random")]
        assert len(chance) == (7 if id_.startswith("go") else 9)
        assert all(0.45 < value[control] < 0.55 for control in chance)
        assert rows["n"].n_unique() == 1, "all are scored on the same genes"
        pair = {"representation": FUSED, "other": f"tf-idf/{WHOLE}"}
        (gain,) = compared.filter(task=id_, **pair).iter_rows(named=True)
        assert gain["ci_low"] > 0, f"{id_}: what is fused is ahead of plain words"
