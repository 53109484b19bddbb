"""Pairs with nested folds: no label of a test pair chooses, and no gene is on both sides."""

import json
from functools import partial
from pathlib import Path

import polars as pl
import pytest
from planted_folds import nested_folds
from planted_kinds import ENSEMBL, N_GENES, area_of, kind_of, names, telling
from scipy.sparse import csr_array

from genept.benchmarks.classifiers import LOGISTIC
from genept.benchmarks.pairs.pair_labels import gene_pairs
from genept.benchmarks.split_tasks.nested_pairs import DRAWN, NESTED, outer_folds
from genept.benchmarks.task_base import GeneVectors, Labels, random_vectors
from genept.benchmarks.task_registry import TASKS
from genept.datasources.download.available import AvailableFile
from genept.datasources.download.streams import open_bytes

TASK = TASKS["tf-targets"]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    """Pairs of genes of one kind belong together."""
    path = tmp_path_factory.mktemp("folds") / "folds.json"
    file = nested_folds(lambda a, b: kind_of(a) == kind_of(b), N_GENES)
    path.write_text(json.dumps(file), encoding="utf-8")
    opener = partial(open_bytes, path, None, path.name)
    available = {"tf-target-folds": AvailableFile("tf-target-folds", path, "0" * 64, "x", opener)}
    pairs = gene_pairs(available, names())
    return TASK.rows(Labels(pl.DataFrame(), pairs))


def test_what_vectors_tell_of_new_genes_is_scored_and_noise_is_not(rows: pl.DataFrame) -> None:
    assert TASK.unfit(rows) is None
    product, total = f"{LOGISTIC}:product", LOGISTIC
    predicted = TASK.predict(rows, telling())
    assert area_of(predicted, NESTED, product) > 0.9
    assert area_of(predicted, NESTED, total) < 0.7
    assert area_of(predicted, DRAWN, product) > 0.9
    noise = TASK.predict(rows, random_vectors(ENSEMBL, 32), draw=0)
    assert set(noise["split"]) == {NESTED}
    assert 0.4 < area_of(noise, NESTED, product) < 0.6
    sparse = GeneVectors("sparse", tuple(ENSEMBL), csr_array(telling().dense))
    assert area_of(TASK.predict(rows, sparse), NESTED, product) > 0.9


def test_no_label_of_a_test_pair_changes_its_score(rows: pl.DataFrame) -> None:
    tested = pl.col("split").str.starts_with("test|")
    flipped = rows.with_columns(label=pl.when(tested).then(1 - pl.col("label")).otherwise("label"))
    first = TASK.predict(rows, telling(), draw=0).filter(fold=0)
    again = TASK.predict(flipped, telling(), draw=0).filter(fold=0)
    assert first["score"].equals(again["score"])
    assert not first["truth"].equals(again["truth"])


def test_no_gene_of_a_test_pair_is_trained_on_even_if_it_has_two_names(rows: pl.DataFrame) -> None:
    merged = rows.with_columns(pl.col("gene_a", "gene_b").replace(ENSEMBL[1], ENSEMBL[0]))
    for given in (rows, merged):
        folds = list(outer_folds(given))
        assert [fold.number for fold in folds] == [0, 1, 2]
        for fold in folds:
            sides = [{*side["gene_a"], *side["gene_b"]} for side in (fold.training, fold.test)]
            assert not sides[0] & sides[1]
            assert fold.training.height > 500


def test_drawn_pairs_are_of_the_same_genes_as_often(rows: pl.DataFrame) -> None:
    predicted = TASK.predict(rows, telling()).filter(split=DRAWN, fold=1)
    counts = [
        pl.concat([part["unit"], part["partner"]]).value_counts().sort("unit")
        for part in predicted.sort("truth").partition_by("truth", maintain_order=True)
    ]
    drawn, related = (dict(each.iter_rows()) for each in counts)
    assert all(drawn.get(gene, 0) <= n for gene, n in related.items())
    assert sum(drawn.values()) > 0.4 * sum(related.values()), "half of the genes are of one kind"


def test_too_few_pairs_are_said(rows: pl.DataFrame) -> None:
    few = rows.filter((pl.col("label") == 0) | (pl.int_range(pl.len()) % 40 == 0))
    assert "pairs of fold 0 belong together" in str(TASK.unfit(few))


MIRROR = Path(__file__).resolve().parents[3] / "shared" / "mirror" / "gene_embedding_benchmarks"


@pytest.mark.skipif(not MIRROR.is_dir(), reason="the mirror is not here")
def test_published_scores_are_those_of_the_published_table() -> None:
    table = pl.read_csv(MIRROR / "paired_gene_tf_product_outerloop_avgs.tsv", separator="\t")
    mean = dict(table.select("embedding", "outer_AUC").iter_rows())
    names_there = {
        "ESM-1b": "ESMB1", "ESM-2": "ESM2", "GenePT 3-large": "GENEPT-MODEL3",
        "GenePT ada-002": "GENEPT-ADA", "BioConceptVec fastText": "BIOCONCEPTVEC-FASTTEXT",
        "scGPT human": "SCGPT-HUMAN", "Mashup": "MASHUP", "Gene2vec": "GENE2VEC",
    }  # fmt: skip
    expected = {name: round(mean[there], 3) for name, there in names_there.items()}
    assert TASK.published_scores == expected
