"""What is left of a screen, as a few factors: its lines or drugs are then told by their features.

Many drugs act alike. Instead of one model for each of hundreds of drugs, a model predicts the
leading factors of all responses of a line (or, for a drug that was never seen, of a drug);
all drugs share what it learns. Scoring it is `genept.models.drug_regimes`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import MultiTaskElasticNet, RidgeCV
from sklearn.multioutput import MultiOutputRegressor

from genept.models.naive import Floats

N_FILLING: Final = 5
N_ITERATIONS: Final = 6
PENALTIES: Final = np.logspace(-1, 2, 7)
"""Of the ridge, in units of the components' mean sum of squares."""
NewModel = Callable[[int, float], Any]
"""From a seed and the components' mean sum of squares to an unfitted estimator."""


def _ridge(_: int, unit: float) -> Any:
    return RidgeCV(alphas=PENALTIES * unit)


def _elastic_net(_: int, __: float) -> Any:
    return MultiTaskElasticNet(alpha=1.0, l1_ratio=0.5, max_iter=5000)


def _random_forest(seed: int, _: float) -> Any:
    return RandomForestRegressor(
        100, min_samples_leaf=3, max_features=0.3, random_state=seed, n_jobs=1
    )


def _boosted(seed: int, _: float) -> Any:
    return MultiOutputRegressor(
        HistGradientBoostingRegressor(
            max_iter=60, max_depth=3, early_stopping=False, random_state=seed
        )
    )


MODELS: Final[dict[str, tuple[NewModel, int]]] = {
    "ridge": (_ridge, 100),
    "elastic-net": (_elastic_net, 8),
    "random-forest": (_random_forest, 8),
    "boosted": (_boosted, 8),
}
"""By name, with how many factors it predicts. The ridge chooses its penalty by leave-one-out
error on the training units; the others' settings were fixed before any test fold was seen."""


def filled(table: Floats, rank: int = N_FILLING) -> Floats:
    """A table whose gaps are filled in by its own leading factors.

    Starts from zeros; after a few rounds the gaps no longer pull at the factors.

    Parameters
    ----------
    table
        Units × others; NaN where nothing was measured.
    """
    measured = np.isfinite(table)
    found = np.where(measured, table, 0.0)
    for _ in range(N_ITERATIONS):
        left, strength, right = np.linalg.svd(found, full_matrices=False)
        guess = (left[:, :rank] * strength[:rank]) @ right[:rank]
        found = np.where(measured, table, guess)
    return found


@dataclass(frozen=True)
class Factors:
    """The leading factors of a table's rows.

    Parameters
    ----------
    seen
        Which units the table was measured of.
    scores
        Of these units, units × factors.
    axes
        Factors × others.
    """

    seen: NDArray[np.bool_]
    scores: Floats
    axes: Floats

    @classmethod
    def of(cls, table: Floats, seen: NDArray[np.bool_]) -> Factors:
        """Factors of the rows that are `seen`; no other row is read.

        Parameters
        ----------
        table
            Units × others; NaN where nothing was measured.
        """
        left, strength, right = np.linalg.svd(filled(table[seen]), full_matrices=False)
        return cls(seen, left * strength, right)


def predict_table(name: str, components: Floats, factors: Factors, *, seed: int) -> Floats:
    """Predict the whole table from the components of its units.

    Parameters
    ----------
    components
        Units × components.

    Returns
    -------
    Floats
        Units × others.
    """
    new_model, n_factors = MODELS[name]
    Z = components[factors.seen]
    unit = float((Z**2).sum() / Z.shape[1]) or 1.0
    model = new_model(seed, unit).fit(Z, factors.scores[:, :n_factors])
    found: Floats = model.predict(components) @ factors.axes[:n_factors]
    return found
