"""Late fusion: what adds is taken in, on training folds alone, and controls stay at chance."""

import numpy as np
import polars as pl
import pytest

from genept.benchmarks.resampling import FUSED, is_common_control
from genept.benchmarks.task_base import GeneVectors
from genept.benchmarks.terms.late_fusion import chosen_members, mean_score
from genept.benchmarks.terms.term_tasks import FoldsTask

TASK = FoldsTask(id="f", dataset="folds", title="f")
SPLITS = ("cv_fold1", "cv_fold2", "cv_fold3", "holdout")
N = 400
GENES = tuple(f"ENSG{number:011}" for number in range(N))
RNG = np.random.default_rng(0)
HALVES = RNG.normal(size=(2, N))
MEMBER = HALVES.sum(axis=0) + 0.3 * RNG.normal(size=N) > 0.5


def rows(is_member=MEMBER):
    return pl.DataFrame(
        {
            "task": "f",
            "position": range(N),
            "input_id": GENES,
            "ensembl_gene_id": GENES,
            "outcome": "entrez_id",
            "label": "GO:1",
            "split": [SPLITS[row % 4] for row in range(N)],
            "is_member": is_member,
            "fate": "scored",
        }
    )


def members():
    """Each of two spaces knows a half of what makes a member; a third knows nothing."""
    known = [np.stack([half, *RNG.normal(size=(3, N))], axis=1) for half in HALVES]
    every = [*known, RNG.normal(size=(N, 4))]
    return [
        GeneVectors(name, GENES, matrix.astype(np.float32))
        for name, matrix in zip(("a/text", "b/net", "c/noise"), every, strict=True)
    ]


def test_the_mean_does_not_depend_on_the_scale_of_a_score():
    scores = RNG.normal(size=(2, 50))
    assert mean_score([scores[0], 100 * scores[1] - 7]) == pytest.approx(mean_score([*scores]))
    assert mean_score([scores[0], np.full(50, 3.0)]) == pytest.approx(mean_score([scores[0]]) / 2)


def test_what_adds_is_chosen_and_noise_is_not():
    truth = [MEMBER[fold::3] for fold in range(3)]
    scores = {
        name: [values[fold::3] for fold in range(3)]
        for name, values in zip("abc", (*HALVES, RNG.normal(size=N)), strict=True)
    }
    assert set(chosen_members(scores, truth)) == {"a", "b"}
    assert chosen_members({"a": scores["a"]}, truth) == ["a"]


def test_two_halves_fused_are_ahead_of_each_and_controls_are_at_chance():
    given = members()
    fused = TASK.predict_fused(rows(), given)["score"].mean()
    alone = [TASK.predict(rows(), vectors)["score"].mean() for vectors in given]
    assert fused > max(alone) + 0.03
    mixed = [TASK.predict_fused(rows(), [v.shuffled(draw) for v in given], draw=draw)
             for draw in range(5)]  # fmt: skip
    dealt = [TASK.predict_fused(TASK.permuted(rows(), draw), given, draw=draw) for draw in range(5)]
    for control in (mixed, dealt):
        assert 0.4 < pl.concat(control)["score"].mean() < 0.6


def test_held_out_labels_choose_no_member():
    turned = rows().with_columns(
        is_member=pl.when(split="holdout").then(~pl.col("is_member")).otherwise("is_member")
    )
    given = members()
    one, other = (TASK.predict_fused(known, given)["score"].mean() for known in (rows(), turned))
    assert other == pytest.approx(1 - one)


def test_it_is_compared_with_sparse_words_of_every_recipe():
    assert is_common_control(FUSED, "tf-idf/name")
    assert not is_common_control("a/name", "tf-idf/name-go")
