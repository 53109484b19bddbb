"""The leaderboard in a real lake: which spaces are scored, beside which controls, and reuse."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from gene_spaces import GENES, YES, N, space

from genept.benchmarks.gene_tasks import PropertyTask
from genept.benchmarks.resampling import resampled
from genept.benchmarks.runs import entry_predictions, stored_steps
from genept.benchmarks.runs.leaderboard import run_tasks
from genept.benchmarks.task_base import Labels, random_vectors
from genept.release.staging import collections_in
from genept.schema.tables import TABLES
from genept.storage.lake import Lake

RANDOM = "random-384"

TASK = PropertyTask(
    id="t",
    dataset="d",
    title="t",
    positive="yes",
    metrics=("auroc",),
    clean="shuffled-5-fold-repeated",
    heads=("logistic-regression",),
    stated_by=("go",),
    draws=4,
    further_draws=1,
)


def labels():
    rows = pl.DataFrame(
        {
            "task": ["t"] * N,
            "position": range(N),
            "input_id": GENES,
            "ensembl_gene_id": GENES,
            "outcome": ["ensembl_id"] * N,
            "label": ["yes" if is_positive else "no" for is_positive in YES],
            "fate": ["scored"] * N,
        }
    )
    return Labels(rows, pl.DataFrame(schema={"task": pl.String}))


@pytest.fixture
def spaces(lake: Lake):
    return [
        space(lake, "good/text", 3.0),
        space(lake, "fair/text", 1.0, seed=2),
        space(lake, "small/text", 3.0, genes=N // 2),
        space(lake, "leaky/go", 9.0, tells=["name", "go"]),
    ]


def run_all(lake, spaces):
    return run_tasks(lake, labels(), spaces, tasks={"t": TASK})


def test_spaces_are_scored_beside_their_controls_and_differences_are_reported(lake: Lake, spaces):
    parts, remarks = run_all(lake, spaces)
    results = lake.read([part for part in parts if part.table == "benchmark_results"])
    assert not results.select(TABLES["benchmark_results"].key).is_duplicated().any()
    clean = results.filter(split=TASK.clean, metric="auroc")
    value = dict(zip(clean["representation"], clean["value"], strict=True))
    assert value["good/text"] > value["fair/text"] > value[RANDOM]
    assert set(value) == {RANDOM} | {
        f"{name}{control}"
        for name in ("good/text", "fair/text", "ensemble/text")
        for control in ("", "@shuffled", "@permuted-labels")
    }
    assert all(
        (0.3 < score < 0.7) == ("@" in name or name == RANDOM) for name, score in value.items()
    )
    assert remarks == {
        "t/small/text": "has vectors for 60 of 120 genes, and 80% are needed",
        "t/leaky/go": "it states the answer: go",
    }
    (compared,) = [part for part in parts if part.table == "benchmark_comparisons"]
    row = lake.read(compared).filter(representation="good/text", other=RANDOM).row(0, named=True)
    assert row["separable"]
    assert row["p"] <= row["p_holm"] < 0.05
    assert row["difference"] == pytest.approx(value["good/text"] - value[RANDOM])


def test_genes_that_a_space_does_not_know_are_counted(lake: Lake, spaces):
    nine_tenths = space(lake, "most/text", 2.0, genes=9 * N // 10)
    parts, remarks = run_all(lake, [*spaces, nine_tenths])
    results = lake.read([part for part in parts if part.table == "benchmark_results"])
    assert set(results.filter(metric="auroc")["n"]) == {108}
    reason = "some space that takes part has no vector of them"
    assert remarks["t/12 of 120 genes"] == reason


def test_only_predictions_of_a_changed_input_are_made_again(lake: Lake, spaces, monkeypatch):
    parts, _ = run_all(lake, spaces)
    predicted = []
    real = entry_predictions.predicted

    def watched(lake, task, name, members):
        predicted.append(name)
        return real(lake, task, name, members)

    monkeypatch.setattr(entry_predictions, "predicted", watched)
    assert run_all(lake, spaces)[0] == parts
    assert predicted == []
    spaces[1] = space(lake, "fair/text", 1.5, seed=2)
    run_all(lake, spaces)
    assert predicted == ["fair/text", "ensemble/text"]


def test_a_task_without_labels_is_named_and_makes_empty_tables(lake: Lake, spaces):
    nothing = Labels(labels().properties.clear(), labels().pairs)
    parts, remarks = run_tasks(lake, nothing, spaces, tasks={"t": TASK})
    assert {part.table: part.rows for part in parts} == {
        "benchmark_comparisons": 0,
        "benchmark_confusions": 0,
    }
    assert "no labels" in remarks["t"]


def test_a_task_of_few_labels_is_named_and_the_others_are_run(lake: Lake, spaces):
    few_task = replace(TASK, id="few")
    few = (
        labels()
        .properties.head(20)
        .with_columns(task=pl.lit("few"), label=pl.Series(["yes"] * 16 + ["no"] * 4))
    )
    both = Labels(pl.concat([labels().properties, few]), labels().pairs)
    parts, remarks = run_tasks(lake, both, spaces, tasks={"few": few_task, "t": TASK})
    assert remarks["few"].startswith("only 4 genes are no, and 15 are needed")
    results = lake.read([part for part in parts if part.table == "benchmark_results"])
    assert set(results["task"]) == {"t"}


def test_a_control_is_the_mean_of_independent_draws(lake: Lake, spaces):
    parts, _ = run_all(lake, spaces[:1])
    results = lake.read([part for part in parts if part.table == "benchmark_results"])
    random_row = results.filter(representation=RANDOM, metric="auroc", split=TASK.clean)
    rows = labels().properties
    single = [
        resampled(TASK.predict(rows, random_vectors(GENES, draw=draw), draw=draw), "auroc").value
        for draw in range(TASK.draws)
    ]
    assert random_row["value"].item() == pytest.approx(np.mean(single))
    assert np.ptp(single) > 0.05, "single draws differ widely"
    assert random_row["n"].item() == N


def test_results_of_each_data_set_are_a_part_of_their_own(lake: Lake, spaces):
    other = replace(TASK, id="u", dataset="of-others")
    more = labels().properties.with_columns(task=pl.lit("u"))
    both = Labels(pl.concat([labels().properties, more]), labels().pairs)
    parts, _ = run_tasks(lake, both, spaces[:1], tasks={"t": TASK, "u": other})
    pieces = [part for part in parts if part.table == "benchmark_comparisons"]
    assert [collections_in(lake, part) for part in pieces] == [{"d"}, {"of-others"}]
    assert lake.assemble("benchmark_comparisons", parts).rows == sum(part.rows for part in pieces)


def test_spaces_of_several_recipes_form_one_ensemble_on_request(lake: Lake):
    several = [space(lake, "good/text", 1.0), space(lake, "fair/other", 1.0, seed=2)]
    parts, _ = run_tasks(lake, labels(), several, tasks={"t": TASK}, together=True)
    results = lake.read([part for part in parts if part.table == "benchmark_results"])
    decided = results.filter(split=TASK.clean, metric="auroc")
    value = dict(decided.select("representation", "value").iter_rows())
    assert value["ensemble/all"] > max(value["good/text"], value["fair/other"])


def test_memory_is_given_back_after_every_step(lake: Lake, spaces, monkeypatch):
    """A worker would else hold what its largest step took, to the end."""
    events, real = [], entry_predictions.predicted

    def predicted(copies, inputs, name, members):
        events.append(name)
        return real(copies, inputs, name, members)

    monkeypatch.setattr(entry_predictions, "predicted", predicted)
    monkeypatch.setattr(stored_steps, "give_memory_back", lambda: events.append("given back"))
    run_tasks(lake, labels(), spaces[:1], tasks={"t": TASK})
    names = [event for event in events if event != "given back"]
    assert len(names) > 1
    assert all(events[events.index(name) + 1] == "given back" for name in names)


@pytest.mark.slow
def test_several_processes_give_what_one_gives(lake: Lake, spaces, object_store, tmp_path):
    alone = run_all(lake, spaces)
    other = Lake(lake.store, f"{lake.product}-other", tmp_path / "other")
    again = [space(other, "good/text", 3.0), space(other, "fair/text", 1.0, seed=2), *spaces[2:]]
    for number, given in enumerate(spaces[2:], start=2):
        again[number] = space(other, given.name, 3.0, genes=given.part.rows, tells=given.tells)
    shared = run_tasks(other, labels(), again, tasks={"t": TASK}, processes=2)
    assert shared[1] == alone[1]
    assert [part.sha256 for part in shared[0]] == [part.sha256 for part in alone[0]]
    assert {part.table for part in shared[0]} >= {"benchmark_results", "benchmark_comparisons"}


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_where_it_was(lake: Lake, spaces, monkeypatch):
    predicted, ends_at = [], 2
    real = entry_predictions.predicted

    def killed(copies, inputs, name, members):
        if len(predicted) == ends_at:
            raise KeyboardInterrupt
        predicted.append(name)
        return real(copies, inputs, name, members)

    monkeypatch.setattr(entry_predictions, "predicted", killed)
    with pytest.raises(KeyboardInterrupt):
        run_all(lake, spaces)
    ends_at = None
    run_all(lake, spaces)
    assert predicted == ["good/text", "fair/text", "ensemble/text", "controls"]
    again = replace(TASK, id="u", dataset="of-others")
    more = labels().properties.with_columns(task=pl.lit("u"))
    both = Labels(pl.concat([labels().properties, more]), labels().pairs)
    predicted.clear()
    seen = []
    run_tasks(
        lake, both, spaces[:2], tasks={"t": TASK, "u": again},
        advance=lambda title, share: seen.append((title, share)),
    )  # fmt: skip
    assert predicted == ["good/text", "fair/text", "ensemble/text", "controls"]
    assert {title.partition(":")[0] for title, _ in seen} == {"u"}, "a scored task is not asked"
    assert seen[0][1] >= 0.5
