"""Types of cells by the names of the types alone: no label of a cell is read before it is scored.

A cell gets the type whose published name, embedded by the model of the space, is nearest to its
vector by cosine, each side less its own mean. Types read through genes are in `types_by_genes`,
scores with a classifier in `cell_types`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from genept.benchmarks.cells.cell_types import METRICS, Cells, Labels, unit_rows
from genept.benchmarks.resampling import Resampled, resampled_labels
from genept.embeddings import EmbedNames, ObservationViews
from genept.embeddings.text_readings import words_of
from genept.text import Space

ZERO_SHOT: Final = "zero-shot-cell-types"
NEAREST_NAME: Final = "nearest-name-cosine"
FEWEST_TYPES: Final = 3
"""Two names less their mean are one direction and its opposite."""


def alike(cells: Cells, names: Cells) -> Cells:
    """Cosines of cells and names, each less its own mean, shape (cells, names)."""
    return unit_rows(cells - cells.mean(axis=0)) @ unit_rows(names - names.mean(axis=0)).T


def zero_shot_rows(
    views: ObservationViews, spaces: Mapping[str, Space], embed_names: EmbedNames, *, seed: int
) -> list[dict[str, Any]]:
    """Rows of `benchmark_results` for every space whose model can embed a name.

    Parameters
    ----------
    views
        Cells with a published type.
    spaces
        Space of each representation in `views`.
    embed_names
        Opens the model of a space.
    seed
        Of the resamples; their units are groups, or cells where all are of one group.

    Returns
    -------
    list of dict
        Beside each space its control: the same names dealt to other types, mean over all shifts.
    """
    truth = views.observations["cell_type"].to_numpy().astype(np.str_)
    types = np.unique(truth)
    groups = views.observations["group_id"]
    units = groups if groups.n_unique() > 1 else views.observations["observation_id"]
    rows: list[dict[str, Any]] = []
    for name, space in spaces.items():
        embed = embed_names(space)
        if embed is None or len(types) < FEWEST_TYPES:
            continue
        nearest = alike(views.spaces[name], embed([words_of(label) for label in types])).argmax(1)
        shared = {"task": ZERO_SHOT, "model": NEAREST_NAME, "split": "all-cells"}
        for shown, shifts in ((name, [0]), (f"{name}@permuted-labels", range(len(types)))):
            scores = _mean_scores(truth, types, nearest, shifts, units.to_numpy(), seed)
            of = shared | {"representation": shown, "is_control": shown != name}
            rows += [
                of | {"metric": metric} | asdict(resampled.score(len(truth)))
                for metric, resampled in scores.items()
            ]
    return rows


def _mean_scores(
    truth: Labels,
    types: Labels,
    nearest: NDArray[np.intp],
    shifts: Sequence[int],
    units: Labels,
    seed: int,
) -> dict[str, Resampled]:
    """Scores by metric, mean over shifts of the names along the types."""
    scored = [
        resampled_labels(truth, np.roll(types, shift)[nearest], units, METRICS, seed=seed)
        for shift in shifts
    ]
    return {
        metric: Resampled(
            float(np.mean([each[metric].value for each in scored])),
            np.mean([each[metric].draws for each in scored], axis=0),
        )
        for metric in METRICS
    }
