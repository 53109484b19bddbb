"""Directions of perturbations as a task: signal is found, hidden genes are apart, noise is none."""

import numpy as np
import polars as pl
import pytest

from genept.client.editing.edit_directions import PREFIX, direction_tasks, perturbed_genes
from genept.client.editing.edit_scores import DRAWS, TaskScorer, hidden_genes

N, WIDTH, MEASURED = 240, 12, 30
GENES = [f"ENSG{number:011d}" for number in range(N)]
SCREEN = "made"


def vectors(seed: int) -> dict[str, np.ndarray]:
    rows = np.random.default_rng(seed).standard_normal((N, WIDTH)).astype(np.float32)
    return dict(zip(GENES, rows, strict=True))


SEEN, OTHER = vectors(0), vectors(1)


def effects() -> pl.DataFrame:
    """Directions that follow the vectors `SEEN`; every fourth perturbation is of the test."""
    up = np.stack(list(SEEN.values())) @ np.random.default_rng(2).standard_normal((WIDTH, MEASURED))
    row, column = np.indices(up.shape).reshape(2, -1)
    return pl.DataFrame(
        {
            "screen": SCREEN,
            "perturbed_input": [f"P{at}" for at in row],
            "perturbed_gene": [GENES[at] for at in row],
            "measured_input": [f"M{at}" for at in column],
            "measured_gene": [f"ENSG9{at:010d}" for at in column],
            "differential": True,
            "direction": np.where(up.ravel() > 0, "up", "down"),
            "split": np.where(row % 4 == 0, "test", "train"),
        }
    )


@pytest.fixture(scope="module")
def task():
    tasks = direction_tasks({SCREEN: effects()}, GENES)
    assert list(tasks) == [PREFIX + SCREEN]
    return tasks[PREFIX + SCREEN]


def test_perturbations_of_the_test_are_never_read(task):
    training = [gene for number, gene in enumerate(GENES) if number % 4]
    assert list(task.genes) == training
    assert perturbed_genes({SCREEN: effects()}) == training


def test_the_hidden_genes_are_those_of_every_task(task):
    hidden = np.array(task.genes)[hidden_genes(task.genes)]
    assert 0 < len(hidden) < len(task.genes) / 2
    assert set(task.training_genes) == set(task.genes) - set(hidden)


def test_vectors_that_tell_directions_score_and_others_do_not(task):
    assert task.score(SEEN, permuted=False) > 0.75
    assert task.score(OTHER, permuted=False) == pytest.approx(0.5, abs=0.06)
    assert task.score(SEEN, permuted=True) == pytest.approx(0.5, abs=0.06)


def test_a_score_does_not_read_hidden_genes(task):
    hidden = set(task.genes) - set(task.training_genes)
    changed = SEEN | {gene: OTHER[gene] for gene in hidden}
    assert task.score(changed, permuted=False) == task.score(SEEN, permuted=False)


def test_hidden_genes_tell_what_editing_changed(task):
    random = np.random.default_rng(0)
    better = task.change(OTHER, SEEN, random)
    assert better.difference > 0.2
    assert np.quantile(better.draws, 0.025) > 0
    assert better.draws.shape == (DRAWS,)
    same = task.change(SEEN, SEEN, random)
    assert (same.difference, set(same.draws)) == (0, {0.0})


def test_it_is_averaged_with_other_tasks(task):
    scorer = TaskScorer({"a": task, "b": task}, ("a",))
    by_task, gain = scorer.hidden(OTHER, SEEN)
    assert by_task["a"][:2] == by_task["b"][:2]
    assert gain[0] == by_task["a"][1]
    assert gain[1] < gain[0] < gain[2]
    assert scorer.others == ("b",)
    assert scorer.training_genes == frozenset(task.training_genes)


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(lambda rows: rows.filter(pl.col("split") == "test"), id="no training"),
        pytest.param(lambda rows: rows.head(20 * MEASURED), id="few perturbations"),
        pytest.param(lambda rows: rows.with_columns(direction=pl.lit("up")), id="one direction"),
        pytest.param(
            lambda rows: rows.with_columns(direction=pl.lit(None, pl.String)), id="no directions"
        ),
    ],
)
def test_a_screen_that_cannot_be_scored_is_no_task(rows):
    assert direction_tasks({SCREEN: rows(effects())}, GENES) == {}


def test_genes_without_evidence_are_left_out():
    (task,) = direction_tasks({SCREEN: effects()}, GENES[:160]).values()
    assert set(task.genes) == {gene for number, gene in enumerate(GENES[:160]) if number % 4}
