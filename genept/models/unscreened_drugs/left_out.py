"""Leave drugs of a screen out, and score their predicted profiles beside controls.

The predictor is the declared one; by what it compares drugs is chosen among the training drugs of
each fold. Nothing here was used to choose the variant: see docs/drugs.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl
from sklearn.linear_model import RidgeCV

from genept.benchmarks import mean_score
from genept.embeddings import EXPRESSION, Spaces
from genept.models.drug_response.predictors import PENALTIES, Floats
from genept.models.drug_response.regimes import principal_components
from genept.models.drug_response.screen_rows import ScreenRows
from genept.models.holdout import ANY, FrozenFolds, Regime
from genept.models.splits import Folds, grouped_folds
from genept.models.unscreened_drugs.drug_kernels import (
    BOTH,
    CONTROLS,
    FINGERPRINTS,
    PATHWAY,
    REPORTED,
    STATED,
    STRUCTURES,
    TARGETS,
    TEXT,
    VARIANT,
    WITH_PATHWAY,
    Drugs,
    Variant,
    by_targets,
    kernels,
)
from genept.models.unscreened_drugs.profile_ridge import (
    LEAST_DRUGS,
    LEAST_LINES,
    Flags,
    Indices,
    Responses,
    best_kernel,
    weights_of,
)

N_FOLDS: Final = 10
N_LINE_FOLDS: Final = 5
SEED: Final = 0
N_DRAWS: Final = 3
"""How often vectors are shuffled, or drawn, for a control; its score is the mean."""

REGIMES: Final = (Regime.LEAVE_DRUG_OUT, Regime.LEAVE_TARGET_OUT, Regime.LEAVE_DRUG_AND_LINE_OUT)
CANDIDATES: Final = (BOTH, TARGETS, STRUCTURES)
"""By what drugs may be compared; one is chosen inside each fold."""

CHOSEN: Final = "chosen"
"""The declared predictor."""

MEAN_PROFILE: Final = "mean profile"
"""The control that knows nothing of drugs: what those of the training have in common."""

MAIN_CONTROLS: Final = (MEAN_PROFILE, STRUCTURES, STATED, PATHWAY, *(f"{TARGETS}@{each}" for each in CONTROLS))
"""What every representation is compared with."""

IS_CONTROL: Final = frozenset({FINGERPRINTS, *MAIN_CONTROLS})


class SharedTargetError(ValueError):
    """A drug of the training shares a target with one that is tested as if it did not."""


@dataclass(frozen=True)
class LeftOut:
    """The drugs of a screen that can be left out: with a stated target, in enough lines.

    Parameters
    ----------
    screen
        The screen.
    known
        What is known of the drugs of the screen, in their order.
    spaces
        Gene vectors by space.
    variant
        The declared predictor.
    """

    screen: ScreenRows
    known: Drugs
    spaces: Spaces
    variant: Variant = field(default=VARIANT)

    @cached_property
    def _all(self) -> Responses:
        return Responses.of(self.screen.pairs, len(self.screen.drugs), len(self.screen.ids))

    @cached_property
    def chosen(self) -> Indices:
        """Numbers of these drugs in the screen."""
        stated = np.array([bool(genes) for genes in self.known.targets])
        return np.flatnonzero(stated & (self._all.measured.sum(axis=1) >= LEAST_LINES))

    @cached_property
    def drugs(self) -> Drugs:
        """What is known of them."""
        known = self.known
        columns = (known.names, known.synonyms, known.targets, known.smiles, known.pathways)
        return Drugs(*(tuple(column[at] for at in self.chosen) for column in columns))

    @cached_property
    def responses(self) -> Responses:
        """Their responses."""
        return self._all.take(self.chosen)

    @cached_property
    def folds(self) -> Folds:
        """Fold of each drug; drugs of one compound are in one fold."""
        return grouped_folds(self.drugs.compounds, None, N_FOLDS, SEED)

    @cached_property
    def shared(self) -> Flags:
        """Whether two drugs share a target."""
        return self.drugs.shares_target()

    @cached_property
    def same_compound(self) -> Flags:
        """Whether two drugs are one compound."""
        compounds = self.drugs.compounds
        return np.asarray(compounds[:, None] == compounds)

    @cached_property
    def kernels(self) -> dict[str, Floats]:
        """Similarities by name of what drugs are told by, and those of controls."""
        result = kernels(self.drugs, self.spaces, self.variant)
        for name in (name for name in REPORTED if name in self.spaces):
            own = {name: self.spaces[name]}
            result[name] = by_targets(self.drugs, own, self.variant.power)
        result[MEAN_PROFILE] = np.eye(len(self.drugs.names))
        used = {name: self.spaces[name] for name in self.variant.spaces if name in self.spaces}
        for prefix, group in ((TARGETS, used), (TEXT, {k: v for k, v in used.items() if k == TEXT})):
            for control, change in CONTROLS.items() if group else ():
                for draw in range(N_DRAWS):
                    changed = change(np.random.default_rng(draw), group)
                    name = f"{prefix}@{control}#{draw}"
                    result[name] = by_targets(self.drugs, changed, self.variant.power)
        return result

    def frozen(self, regime: Regime) -> FrozenFolds:
        """The folds as they are published."""
        names = np.array(self.drugs.names)
        anywhere = np.full(len(names), ANY)
        return FrozenFolds(regime, anywhere, names, self.drugs.compounds, self.folds)

    def training(self, drug: int, regime: Regime) -> Indices:
        """Numbers of the drugs that a prediction of one may be learnt from.

        Raises
        ------
        SharedTargetError
            One of them is the same compound, or, where targets are left out, shares a target.
        """
        kept = self.folds != self.folds[drug]
        if regime is Regime.LEAVE_TARGET_OUT:
            kept &= ~self.shared[drug]
        training = np.flatnonzero(kept)
        refuse_leak(self.drugs, training, drug, targets=regime is Regime.LEAVE_TARGET_OUT)
        return training

    def correlations(self, regime: Regime) -> dict[str, Floats]:
        """Correlation of each drug's profile and its prediction, by representation.

        Where fewer than `LEAST_DRUGS` may be learnt from, it is 0.
        """
        if regime is Regime.LEAVE_DRUG_AND_LINE_OUT:
            return self._on_unseen_lines()
        together = self.shared if regime is Regime.LEAVE_TARGET_OUT else self.same_compound
        best = self.best_of_fold(together)
        result = {name: np.zeros(len(self.chosen)) for name in self.kernels}
        result[CHOSEN] = np.zeros(len(self.chosen))
        for drug in range(len(self.chosen)):
            training = self.training(drug, regime)
            if len(training) < LEAST_DRUGS:
                continue
            profiles = self.responses.profiles(training)
            means = self.responses.line_means(training)
            for name, kernel in self.kernels.items():
                asked = np.array([drug])
                weights = weights_of(kernel, training, asked, self.variant)
                result[name][drug] = self.responses.correlation(drug, means, weights[0] @ profiles)
            result[CHOSEN][drug] = result[best[int(self.folds[drug])]][drug]
        return _averaged(result)

    def best_of_fold(self, together: Flags) -> dict[int, str]:
        """What drugs are compared by in each fold, chosen on its training drugs."""
        return {
            fold: best_kernel(
                self.kernels, CANDIDATES, self.responses,
                np.flatnonzero(self.folds != fold), self.variant, together,
            )
            for fold in np.unique(self.folds).tolist()
        }  # fmt: skip

    def _on_unseen_lines(self) -> dict[str, Floats]:
        """The chosen predictor for drugs and lines that were both left out.

        The predicted profile over the lines of the training is carried over to the others by a
        ridge regression on components of their expression.
        """
        groups = self.screen.groups
        line_folds = grouped_folds(groups, None, N_LINE_FOLDS, SEED)
        best = self.best_of_fold(self.same_compound)
        predicted = np.zeros(self.responses.deviation.shape)
        for line_fold in range(N_LINE_FOLDS):
            seen = line_folds != line_fold
            on_seen = self.responses.on_lines(seen)
            profiles = np.zeros((len(self.chosen), int(seen.sum())))
            for fold, name in best.items():
                training, asked = (np.flatnonzero(at) for at in (self.folds != fold, self.folds == fold))
                weights = weights_of(self.kernels[name], training, asked, self.variant)
                profiles[asked] = weights @ on_seen.profiles(training)
            features = self.screen.features[EXPRESSION]
            predicted[:, ~seen] = carried_over(features, seen, profiles)
        result = np.zeros(len(self.chosen))
        for drug in range(len(self.chosen)):
            means = self.responses.line_means(self.training(drug, Regime.LEAVE_DRUG_OUT))
            result[drug] = self.responses.correlation(drug, means, predicted[drug])
        return {CHOSEN: result}


def carried_over(features: np.ndarray, seen: Flags, profiles: Floats) -> Floats:
    """Carry profiles over to lines in which nothing was measured, by their expression.

    Parameters
    ----------
    features
        Expression, shape (lines, genes).
    seen
        Which lines the profiles are of, shape (lines,).
    profiles
        Shape (drugs, seen lines).

    Returns
    -------
    NDArray
        Shape (drugs, other lines).
    """
    components = principal_components(features, seen, standardised=True, seed=SEED)
    Z = components[seen]
    unit = float((Z**2).sum() / Z.shape[1]) or 1.0
    ridge = RidgeCV(alphas=PENALTIES * unit, alpha_per_target=True).fit(Z, profiles.T)
    return np.asarray(ridge.predict(components[~seen]).reshape(-1, len(profiles)).T)


def refuse_leak(drugs: Drugs, training: Indices, drug: int, *, targets: bool) -> None:
    """Refuse training drugs that are the tested compound or, if wanted, share a target with it.

    Raises
    ------
    SharedTargetError
        Names both drugs, and the target that they share.
    """
    compounds = drugs.compounds
    if len(same := training[compounds[training] == compounds[drug]]):
        raise SharedTargetError(
            f"{drugs.names[same[0]]} is in the training and {drugs.names[drug]} in the test, and "
            "they are one compound by a name or structure: put them in one fold"
        )
    for other in training if targets else ():
        if shared := drugs.targets[other] & drugs.targets[drug]:
            raise SharedTargetError(
                f"{drugs.names[other]} is in the training and {drugs.names[drug]} in the test, and "
                f"both act on {min(shared)}: leave it out of the training"
            )


def _averaged(scores: Mapping[str, Floats]) -> dict[str, Floats]:
    """Scores with the draws of a control averaged."""
    names = dict.fromkeys(name.partition("#")[0] for name in scores)
    return {
        name: np.mean([scores[each] for each in scores if each.partition("#")[0] == name], axis=0)
        for name in names
    }


def score_rows(collection: str, left_out: LeftOut) -> Iterator[dict[str, object]]:
    """Rows of table `unscreened_drug_scores`: each representation against each main control.

    Parameters
    ----------
    collection
        Id of the screen.
    left_out
        The drugs that are left out.

    Yields
    ------
    dict
        A row. The predictor for unseen lines is compared with no other: `other` is null.
    """
    groups = left_out.drugs.compounds
    for regime in REGIMES:
        scores = left_out.correlations(regime)
        controls = [name for name in MAIN_CONTROLS if name in scores]
        for name, values in scores.items():
            value = mean_score(values, groups, seed=SEED)
            for other in [each for each in _compared(name, controls) if each in scores] or [None]:
                row = {
                    "collection_id": collection,
                    "regime": str(regime),
                    "representation": name,
                    "other": other or "none",
                    "value": value.value,
                    "ci_low": value.ci_low,
                    "ci_high": value.ci_high,
                    "difference": None,
                    "difference_low": None,
                    "difference_high": None,
                    "n_drugs": len(values),
                    "is_control": name in IS_CONTROL or "@" in name,
                    "variant": left_out.variant.sha256,
                }
                if other is not None:
                    gain = mean_score(values - scores[other], groups, seed=SEED)
                    row |= {
                        "difference": gain.value,
                        "difference_low": gain.ci_low,
                        "difference_high": gain.ci_high,
                    }
                yield row


def _compared(name: str, controls: Sequence[str]) -> list[str]:
    """What a representation is compared with: its own controls, too, if it has any."""
    own = [f"{name}@{control}" for control in CONTROLS]
    return [other for other in dict.fromkeys([*controls, *own]) if other != name]


def left_out_rows(collection: str, left_out: LeftOut) -> pl.DataFrame:
    """Rows of table `left_out_drugs`: the fold and the score of each drug.

    Parameters
    ----------
    collection
        Id of the screen.
    left_out
        The drugs that are left out.

    Returns
    -------
    pl.DataFrame
        One row per regime and drug.
    """
    rows = []
    for regime in REGIMES[:2]:
        frozen = left_out.frozen(regime)
        scores = left_out.correlations(regime)[CHOSEN]
        for at, name in enumerate(left_out.drugs.names):
            training = left_out.training(at, regime)
            rows.append(
                {
                    "collection_id": collection,
                    "regime": str(regime),
                    "drug_id": name,
                    "group": left_out.drugs.compounds[at],
                    "fold": int(left_out.folds[at]),
                    "n_training": len(training),
                    "n_lines": int(left_out.responses.measured[at].sum()),
                    "correlation": float(scores[at]),
                    "folds_sha256": frozen.sha256,
                }
            )
    return pl.DataFrame(rows)
