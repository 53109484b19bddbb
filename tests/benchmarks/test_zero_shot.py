"""Types by their names alone: planted names are found, dealt names are at chance."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy.sparse import csr_matrix

from genept.benchmarks.cells.zero_shot import alike, zero_shot_rows
from genept.embeddings.representations import ObservationViews
from genept.embeddings.text_readings.label_meanings import words_of
from genept.text.embedders import Space

SPACE = Space("model", "name")
NAME = "model/name:genept-w"
TYPES = ("B_cells", "NK cells", "T_cells_CD4+", "Platelet")


def planted(n: int = 200, *, labels: tuple[str, ...] = TYPES):
    """Cells around the vector of their type's name, all shifted alike."""
    rng = np.random.default_rng(0)
    named = {words_of(label): rng.normal(size=20) for label in labels}
    truth = [labels[at] for at in rng.integers(0, len(labels), n)]
    cells = np.array([named[words_of(label)] for label in truth]) + 0.3 * rng.normal(size=(n, 20))
    observations = pl.DataFrame(
        {
            "observation_id": [f"cell{number}" for number in range(n)],
            "group_id": [f"donor{number % 5}" for number in range(n)],
            "cell_type": truth,
        }
    )
    shifted = (cells + 40.0).astype(np.float32)
    views = ObservationViews(observations, csr_matrix((n, 1)), {NAME: shifted}, ())

    def embed(texts):
        return np.array([named[text] for text in texts], np.float32) - 7.0

    return views, embed


def scores(views, embed) -> dict[tuple[str, str], float]:
    rows = zero_shot_rows(views, {NAME: SPACE}, lambda _: embed, seed=0)
    assert {row["is_control"] for row in rows} == {False, True}
    return {(row["representation"], row["metric"]): row["value"] for row in rows}


def test_the_nearest_name_is_the_type_and_dealt_names_are_at_chance() -> None:
    views, embed = planted()
    scored = scores(views, embed)
    assert scored[NAME, "macro_f1"] > 0.95
    assert scored[f"{NAME}@permuted-labels", "accuracy"] == pytest.approx(1 / len(TYPES))


def test_intervals_are_over_groups() -> None:
    views, embed = planted()
    rows = zero_shot_rows(views, {NAME: SPACE}, lambda _: embed, seed=0)
    for row in rows:
        assert row["ci_low"] <= row["value"] <= row["ci_high"]
        assert row["n"] == views.observations.height


def test_a_model_that_is_not_here_and_two_types_say_nothing() -> None:
    views, _ = planted()
    assert zero_shot_rows(views, {NAME: SPACE}, lambda _: None, seed=0) == []
    few, embed = planted(labels=TYPES[:2])
    assert zero_shot_rows(few, {NAME: SPACE}, lambda _: embed, seed=0) == []


def test_names_are_words_and_means_are_taken_away() -> None:
    assert words_of("T_cells_CD4+") == "T cells CD4+"
    cells = np.array([[5.0, 1.0], [5.0, -1.0]], np.float32)
    assert alike(cells, cells + 9.0).argmax(axis=1).tolist() == [0, 1]
