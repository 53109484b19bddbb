"""Scores of representations: their controls, the deciding split, ranks."""

import polars as pl

from genept.benchmarks.reports.plots import joined
from genept.benchmarks.task_scores import (
    apart,
    beside_controls,
    controls_of,
    deciding,
    mean_ranks,
    sample_tasks,
    spaces_of,
)

ROWS = {
    "minilm-l6-v2/ncbi": 0.80,
    "minilm-l6-v2/ncbi@shuffled": 0.52,
    "minilm-l6-v2/ncbi@permuted-labels": 0.50,
    "lsa-384/ncbi": 0.83,
    "lsa-384/name-go": 0.99,
    "minilm-l6-v2/name": 0.70,
    "random-384": 0.51,
}
CONTROLS = {name: "@" in name or name.startswith("random") for name in ROWS}


def scores(values=ROWS, task="tf-range", dataset="tf-range", **changes):
    shared = {"task": task, "dataset": dataset, "model": "logistic-regression",
              "split": "shuffled-5-fold-repeated", "metric": "auroc", "n": 100}  # fmt: skip
    shared |= changes
    rows = [
        shared | {"representation": name, "value": value, "ci_low": value - 0.1,
                  "ci_high": value + 0.1, "is_control": CONTROLS.get(name, False)}
        for name, value in values.items()
    ]  # fmt: skip
    return pl.DataFrame(rows)


def test_controls_of_a_text_are_tf_idf_of_it_the_name_and_its_shuffle():
    names = set(controls_of("minilm-l6-v2/ncbi", CONTROLS))
    assert names == {
        "minilm-l6-v2/ncbi@shuffled", "minilm-l6-v2/ncbi@permuted-labels", "lsa-384/ncbi",
        "minilm-l6-v2/name", "random-384",
    }  # fmt: skip
    assert "lsa-384/name-go" not in names, "another text"
    controls = ["minilm-l6-v2/ncbi@shuffled:genept-w", "lsa-384/ncbi:genept-w"]
    cells = ["minilm-l6-v2/ncbi:genept-w", *controls, "minilm-l6-v2/name-go@shuffled:genept-w"]
    marked = {name: "@" in name for name in cells}
    assert list(controls_of("minilm-l6-v2/ncbi:genept-w", marked)) == controls


def test_a_score_below_a_control_names_the_best_one():
    rows = beside_controls(scores()).rows_by_key("representation", named=True, unique=True)
    text = rows["minilm-l6-v2/ncbi"]
    assert (text["is_below"], text["best_control"]) == (True, "lsa-384/ncbi")
    assert text["best_control_value"] == 0.83
    assert not rows["lsa-384/ncbi"]["is_below"]
    assert rows["random-384"]["best_control"] is None
    assert not rows["random-384"]["is_below"]
    assert beside_controls(scores().clear()).is_empty()


def test_the_deciding_split_of_cells_leaves_groups_out_if_possible():
    def cells(dataset, split):
        return scores({"a": 0.5}, "cell-type-annotation", dataset, split=split,
                      model="10-nn-cosine", metric="macro_f1")  # fmt: skip

    decided = deciding(
        pl.concat(
            [
                cells("one", "random-80-20-seed-2023"),
                cells("one", "leave-group-out-5-fold"),
                cells("two", "random-80-20-seed-2023"),
                scores({"a": 0.5}, split="authors-stratified-5-fold"),
            ]
        )
    )
    assert sorted(decided.select("dataset", "split").rows()) == [
        ("one", "leave-group-out-5-fold"),
        ("two", "random-80-20-seed-2023"),
    ]


def test_sample_tasks_are_read_from_their_own_table():
    evaluations = pl.DataFrame(
        {
            "model": "diagnosis-tcga-brca", "model_version": ["2", "1", "1", "1"],
            "cohort": "tcga-brca",
            "representation": ["expression"] * 3 + ["expression, knn"],
            "metric": ["balanced_accuracy"] * 2 + ["ece", "balanced_accuracy"],
            "split": "grouped", "value": [0.8, 0.7, 0.1, 0.9], "ci_low": 0.6, "ci_high": 0.9,
            "n": 700, "is_control": False,
        }
    )  # fmt: skip
    (row,) = sample_tasks(evaluations).rows(named=True)
    assert (row["task"], row["dataset"], row["value"]) == ("diagnosis", "tcga-brca", 0.7)
    assert deciding(sample_tasks(evaluations)).height == 1


def test_two_labels_of_one_collection_are_two_tasks_and_drug_regimes_are_none():
    models = {
        "cancer-type-tcga11": ("tcga11", "balanced_accuracy"),
        "diagnosis-tcga11": ("tcga11", "balanced_accuracy"),
        "drug-response-gdsc": ("gdsc", "normalised_pearson"),
        "drug-response-gdsc-leave-drug-out-ridge": ("gdsc", "normalised_pearson"),
        "drug-transfer-gdsc-gdsc1": ("gdsc1", "normalised_pearson"),
    }
    cohorts, metrics = zip(*models.values(), strict=True)
    evaluations = pl.DataFrame(
        {
            "model": list(models), "model_version": "1", "cohort": cohorts, "metric": metrics,
            "representation": "expression", "split": "grouped", "value": [0.9, 0.8, 0.7, 0.6, 0.5],
            "ci_low": 0.1, "ci_high": 0.9, "n": 700, "is_control": False,
        }
    )  # fmt: skip
    assert sample_tasks(evaluations).select("task", "dataset", "value").rows() == [
        ("diagnosis", "cancer-type-tcga11", 0.9),
        ("diagnosis", "tcga11", 0.8),
        ("drug-response", "gdsc", 0.7),
    ]


def test_pooled_vectors_count_for_their_space_and_centred_ones_are_left_out():
    rows = scores({"minilm-l6-v2/ncbi:genept-w": 0.5, "minilm-l6-v2/ncbi:genept-w:centred": 0.6})
    assert spaces_of(rows)["representation"].to_list() == ["minilm-l6-v2/ncbi"]


def three_tasks():
    return pl.concat(
        scores({"a/x": 0.9, "b/x": 0.8, "c/x": low}, task, task)
        for task, low in (("dosage-sensitivity", 0.1), ("tf-range", 0.85), ("chromosome", 0.1))
    )


def test_ranks_are_means_over_tasks_that_all_representations_have():
    single = scores({"d/x": 1.0}, "gene-type", "t")
    ranks, tasks = mean_ranks(pl.concat([three_tasks(), single]))
    assert list(ranks) == ["a/x", "b/x", "c/x"]
    assert ranks["c/x"] == (3 + 2 + 3) / 3
    assert len(tasks) == 3


def comparisons(*rows):
    return pl.DataFrame(
        rows, schema=["representation", "other", "difference", "separable"], orient="row"
    )


def test_only_representations_separable_in_one_direction_are_distinguished():
    is_apart = apart(
        comparisons(
            ("a/x", "b/x", 0.2, True),
            ("a/x:genept-w", "c/x:genept-w", 0.2, True),
            ("c/x", "a/x", 0.1, True),
            ("b/x", "c/x", 0.3, False),
        )
    )
    assert is_apart("a/x", "b/x")
    assert is_apart("b/x", "a/x")
    assert not is_apart("b/x", "c/x")
    assert not is_apart("a/x", "c/x"), "ahead on one task, behind on another"


def test_bars_join_representations_that_cannot_be_distinguished():
    far = {frozenset("ad"), frozenset("ac")}
    assert joined("abcd", lambda a, b: frozenset((a, b)) in far) == [(0, 1), (1, 3)]
    assert joined("ab", lambda *_: True) == []
