"""Predictors without per-drug models: six naive means, and models of the
leading factors of the residuals.

Features of drugs are Morgan fingerprints of their structures where RDKit is installed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import MultiTaskElasticNet, RidgeCV
from sklearn.multioutput import MultiOutputRegressor

Floats = NDArray[np.float64]

Codes = NDArray[np.intp]
Mask = NDArray[np.bool_]
Matrix = NDArray[np.float32]

MEAN_EFFECTS: Final = "mean-effects"
DRUG_MEAN: Final = "drug-mean"
TISSUE_DRUG_MEAN: Final = "tissue-drug-mean"
LINE_MEAN: Final = "cell-line-mean"


@dataclass(frozen=True)
class ResponsePairs:
    """Measured pairs of a line and a drug, one entry per pair.

    Parameters
    ----------
    line, drug
        Numbers of line and drug.
    tissue
        Number of the line's tissue.
    value
        Response in ln(µM).
    """

    line: Codes
    drug: Codes
    tissue: Codes
    value: Floats

    def take(self, rows: Mask) -> ResponsePairs:
        """Some of the pairs."""
        return ResponsePairs(self.line[rows], self.drug[rows], self.tissue[rows], self.value[rows])


Naive = Callable[[ResponsePairs, Mask], Floats]
"""From the training pairs to a prediction of every pair."""


def _means(codes: Codes, train: Mask, values: Floats, otherwise: Floats) -> Floats:
    """Mean over the training pairs of each pair's own code; `otherwise` where there are none."""
    n = int(codes.max()) + 1
    counts = np.bincount(codes[train], minlength=n)
    sums = np.bincount(codes[train], values[train], minlength=n)
    means = np.divide(sums, counts, out=np.zeros(n), where=counts > 0)
    return np.where(counts[codes] > 0, means[codes], otherwise)


def _global(pairs: ResponsePairs, train: Mask) -> Floats:
    return np.full(len(pairs.value), pairs.value[train].mean())


def _mean_of(field: str) -> Naive:
    """Mean over the training pairs of the same line, drug or tissue; else over all of them."""
    return lambda pairs, train: _means(
        getattr(pairs, field), train, pairs.value, _global(pairs, train)
    )


_drug, _line = _mean_of("drug"), _mean_of("line")


def _tissue_drug(pairs: ResponsePairs, train: Mask) -> Floats:
    both = pairs.tissue * (int(pairs.drug.max()) + 1) + pairs.drug
    return _means(both, train, pairs.value, _drug(pairs, train))


def _mean_effects(pairs: ResponsePairs, train: Mask) -> Floats:
    """Global mean, plus the line's and the drug's deviations from it, where they are known."""
    return _drug(pairs, train) + _line(pairs, train) - _global(pairs, train)


NAIVE: Final[dict[str, Naive]] = {
    "global-mean": _global,
    DRUG_MEAN: _drug,
    LINE_MEAN: _line,
    "tissue-mean": _mean_of("tissue"),
    TISSUE_DRUG_MEAN: _tissue_drug,
    MEAN_EFFECTS: _mean_effects,
}
"""Predictors by name."""


def out_of_fold(
    name: str, pairs: ResponsePairs, folds: NDArray[np.int64], train: Mask | None = None
) -> Floats:
    """A naive prediction of each pair from the other folds.

    Parameters
    ----------
    name
        One of `NAIVE`.
    folds
        Fold of each pair.
    train
        Pairs that may be read; the others are predicted from all of these. By default all.
    """
    seen = np.ones(len(folds), dtype=np.bool_) if train is None else train
    predicted = np.empty(len(folds)) if seen.all() else NAIVE[name](pairs, seen)
    for fold in np.unique(folds[seen]):
        predicted[folds == fold] = NAIVE[name](pairs, seen & (folds != fold))[folds == fold]
    return predicted


N_FILLING: Final = 5

N_ITERATIONS: Final = 6

PENALTIES: Final = np.logspace(-1, 2, 7)
"""Penalties of the ridge, in units of the components' mean sum of squares."""

NewModel = Callable[[int, float], Any]
"""From a seed and the components' mean sum of squares to an unfitted estimator."""


MODELS: Final[dict[str, tuple[NewModel, int]]] = {
    "ridge": (lambda _, unit: RidgeCV(alphas=PENALTIES * unit), 100),
    "elastic-net": (lambda *_: MultiTaskElasticNet(alpha=1.0, l1_ratio=0.5, max_iter=5000), 8),
    "random-forest": (
        lambda seed, _: RandomForestRegressor(
            100, min_samples_leaf=3, max_features=0.3, random_state=seed, n_jobs=1
        ),
        8,
    ),
    "boosted": (
        lambda seed, _: MultiOutputRegressor(
            HistGradientBoostingRegressor(
                max_iter=60, max_depth=3, early_stopping=False, random_state=seed
            )
        ),
        8,
    ),
}
"""Factor models by name, with how many factors each predicts. The ridge chooses its penalty by
leave-one-out error on the training units; the others' settings were fixed before any test fold was
seen."""


def filled(table: Floats, rank: int = N_FILLING) -> Floats:
    """A table with its gaps imputed from its own leading factors.

    Gaps start at zero, and are imputed in a few rounds.

    Parameters
    ----------
    table
        Units × others; NaN where nothing was measured.
    """
    measured = np.isfinite(table)
    complete = np.where(measured, table, 0.0)
    for _ in range(N_ITERATIONS):
        left, strength, right = np.linalg.svd(complete, full_matrices=False)
        guess = (left[:, :rank] * strength[:rank]) @ right[:rank]
        complete = np.where(measured, table, guess)
    return complete


@dataclass(frozen=True)
class Factors:
    """The leading factors of a table's rows.

    Parameters
    ----------
    seen
        Units that the factors were computed from, shape (units,).
    scores
        Of these units, seen units × factors.
    axes
        Factors × others.
    """

    seen: Mask
    scores: Floats
    axes: Floats

    @classmethod
    def of(cls, table: Floats, seen: Mask) -> Factors:
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
    predicted: Floats = model.predict(components) @ factors.axes[:n_factors]
    return predicted


RADIUS: Final = 2
N_BITS: Final = 1024
FINGERPRINTS: Final = "drug-fingerprints"
IDENTITY: Final = "drug-identity"


def has_rdkit() -> bool:
    """Whether the optional extra ``chemistry`` is installed.

    Returns
    -------
    bool
        True if RDKit can be imported.
    """
    return find_spec("rdkit") is not None


def drug_features(drugs: Sequence[str], smiles: Mapping[str, str]) -> tuple[str, Matrix]:
    """Features of drugs: fingerprints, or their identity where there are none.

    Parameters
    ----------
    drugs
        Names of the drugs.
    smiles
        Structure by name of the drug, such as ``CC(=O)Oc1ccccc1C(=O)O``.

    Returns
    -------
    representation, features
        What the features are; drugs × bits. A drug without a readable structure has the mean of
        the others.
    """
    if smiles and has_rdkit():
        bits = [_fingerprint(smiles[drug]) if drug in smiles else None for drug in drugs]
        if readable := [each for each in bits if each is not None]:
            mean = np.mean(readable, axis=0)
            return FINGERPRINTS, np.stack([mean if each is None else each for each in bits])
    return IDENTITY, np.eye(len(drugs), dtype=np.float32)


def _fingerprint(smiles: str) -> Matrix | None:
    from rdkit import Chem, RDLogger
    from rdkit.Chem import rdFingerprintGenerator

    RDLogger.DisableLog("rdApp.*")  # type: ignore[attr-defined,unused-ignore]
    molecule = Chem.MolFromSmiles(smiles)
    if molecule is None:
        return None
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=N_BITS)
    return np.asarray(generator.GetFingerprintAsNumPy(molecule), dtype=np.float32)
