"""Published rows of benchmarks: four spaces on four tasks, one better than the next."""

import polars as pl

from genept.benchmarks.label_tables import GO_TERMS
from genept.schema.tables import TABLES

SPACES = {"minilm-l6-v2/name-ncbi": 0.8, "minilm-l6-v2/name-ncbi-go": 0.9,
          "lsa-384/name-ncbi": 0.85, "random-384": 0.5}  # fmt: skip
TASKS = ("dosage-sensitivity", "bivalent-vs-lys4", "tf-range", "haploinsufficiency")


def results():
    shared = {"model": "logistic-regression", "split": "shuffled-5-fold-repeated", "n": 90}
    rows = [
        shared | {"task": task, "dataset": task, "metric": "auroc", "representation": name,
                  "value": value, "ci_low": value - 0.05, "ci_high": value + 0.05,
                  "is_control": name == "random-384"}
        for task in TASKS for name, value in SPACES.items()
    ]  # fmt: skip
    cost = {"task": "embedding-cost", "dataset": "name-ncbi", "model": "minilm-l6-v2",
            "representation": "minilm-l6-v2/name-ncbi", "split": "all-genes", "n": 9,
            "is_control": False, "ci_low": None, "ci_high": None}  # fmt: skip
    costs = {"tokens": 3e6, "seconds": 900.0, "dollars": 0.0}
    rows += [cost | {"metric": metric, "value": value} for metric, value in costs.items()]
    return pl.DataFrame(rows, infer_schema_length=None)


def comparisons():
    rows = [
        (
            task,
            "minilm-l6-v2/name-ncbi",
            "minilm-l6-v2/name-ncbi-go",
            -0.1,
            -0.15,
            -0.05,
            0.01,
            True,
        )
        for task in TASKS
    ]
    names = ["task", "representation", "other", "difference", "ci_low", "ci_high", "p_holm"]
    return pl.DataFrame(rows, schema=[*names, "separable"], orient="row")


def released():
    confused = {"task": "gene-type", "dataset": "gene-types", "representation": "lsa-384/x",
                "model": "m", "split": "s", "truth": ["a", "a", "b"], "predicted": ["a", "b", "b"],
                "n": [8, 2, 5]}  # fmt: skip
    active = [
        ("minilm-l6-v2/name", "pbmc", program, kind, float(program == at) - 0.3, 9, 20)
        for program in range(4) for at, kind in enumerate(("B", "T", "NK"))
    ]  # fmt: skip
    members = [
        ("minilm-l6-v2/name", number, f"ENSG{number}", f"G{number}", 0.9) for number in range(4)
    ]
    terms = [("minilm-l6-v2/name", 1, GO_TERMS, "B cell activation", 9, 9, 9, 1e-9, 1e-7)]

    def frame(name, rows):
        names = [column.name for column in TABLES[name].columns]
        return pl.DataFrame(rows, schema=names, orient="row")

    return {
        "benchmark_results": results(),
        "benchmark_comparisons": comparisons(),
        "benchmark_confusions": pl.DataFrame(confused),
        "program_activity": frame("program_activity", active),
        "gene_programs": frame("gene_programs", members),
        "program_terms": frame("program_terms", terms),
    }
