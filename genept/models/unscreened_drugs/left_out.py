"""Leave drugs of a screen out, and score their predicted profiles beside controls.

The predictor is the declared one; by what it compares drugs is chosen among the training drugs of
each fold. Nothing here was used to choose the variant: see docs/drugs.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from threadpoolctl import threadpool_limits

from genept.embeddings import EXPRESSION, Spaces
from genept.models.drug_response import Floats, ScreenRows
from genept.models.holdout import ANY, FrozenFolds, Regime
from genept.models.splits import Folds, grouped_folds
from genept.models.unscreened_drugs.drug_kernels import (
    BOTH,
    CONTROLS,
    PATHWAY,
    REPORTED,
    STATED,
    STRUCTURES,
    TARGETS,
    TEXT,
    VARIANT,
    DrugVariant,
    by_targets,
    kernels,
)
from genept.models.unscreened_drugs.known_drugs import Drugs
from genept.models.unscreened_drugs.profile_ridge import (
    LEAST_DRUGS,
    LEAST_LINES,
    SEED,
    Flags,
    Indices,
    Responses,
    best_kernel,
    carried_over,
    inverse_of,
    weights_of,
    weights_without,
)

N_FOLDS: Final = 10
N_LINE_FOLDS: Final = 5
N_DRAWS: Final = 3
"""How often vectors are shuffled, or drawn, for a control; its score is the mean."""

REGIMES: Final = (Regime.LEAVE_DRUG_OUT, Regime.LEAVE_TARGET_OUT, Regime.LEAVE_DRUG_AND_LINE_OUT)
CANDIDATES: Final = (BOTH, TARGETS, STRUCTURES)
"""By what drugs may be compared; one is chosen inside each fold."""

CHOSEN: Final = "chosen"
"""The declared predictor."""

MEAN_PROFILE: Final = "mean profile"
"""The control that knows nothing of drugs: what those of the training have in common."""

MAIN_CONTROLS: Final = (
    MEAN_PROFILE,
    STRUCTURES,
    STATED,
    PATHWAY,
    *(f"{TARGETS}@{each}" for each in CONTROLS),
)
"""What every representation is compared with."""


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
    variant: DrugVariant = VARIANT

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
        return self.known.take(self.chosen)

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

    @property
    def n_compounds(self) -> int:
        """How many compounds the drugs are."""
        return len(set(self.drugs.compounds.tolist())) if len(self.chosen) else 0

    @cached_property
    def same_compound(self) -> Flags:
        """Whether two drugs are one compound."""
        compounds = self.drugs.compounds
        return np.asarray(compounds[:, None] == compounds)

    @cached_property
    def kernels(self) -> dict[str, Floats]:
        """Similarities by name of what drugs are compared by, and those of controls."""
        result = kernels(self.drugs, self.spaces, self.variant)
        for name in (name for name in REPORTED if name in self.spaces):
            own = {name: self.spaces[name]}
            result[name] = by_targets(self.drugs, own, self.variant.power)
        result[MEAN_PROFILE] = np.eye(len(self.drugs.names))
        used = {name: self.spaces[name] for name in self.variant.spaces if name in self.spaces}
        for prefix, group in (
            (TARGETS, used),
            (TEXT, {k: v for k, v in used.items() if k == TEXT}),
        ):
            for control, change in CONTROLS.items() if group else ():
                for draw in range(N_DRAWS):
                    rng = np.random.default_rng(draw)
                    changed = {key: change(space, rng) for key, space in group.items()}
                    name = f"{prefix}@{control}#{draw}"
                    result[name] = by_targets(self.drugs, changed, self.variant.power)
        return result

    @property
    def comparable(self) -> bool:
        """Whether there is anything that drugs may be compared by."""
        return not self.kernels.keys().isdisjoint(CANDIDATES)

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

    @cached_property
    def scores(self) -> dict[Regime, dict[str, Floats]]:
        """Those of every regime."""
        with threadpool_limits(1):  # for matrices this small, a second thread costs more
            return {regime: self.correlations(regime) for regime in REGIMES}

    def correlations(self, regime: Regime) -> dict[str, Floats]:
        """Correlation of each drug's profile and its prediction, by representation.

        Where fewer than `LEAST_DRUGS` may be learnt from, it is 0.
        """
        if regime is Regime.LEAVE_DRUG_AND_LINE_OUT:
            return self._on_unseen_lines()
        targets = regime is Regime.LEAVE_TARGET_OUT
        best = self.best_of_fold(self.shared) if targets else self.best_without_compound
        result = {name: np.zeros(len(self.chosen)) for name in self.kernels}
        result[CHOSEN] = np.zeros(len(self.chosen))
        for fold in np.unique(self.folds).tolist():
            outside = np.flatnonzero(self.folds != fold)
            inverses = {
                name: inverse_of(kernel, outside, self.variant)
                for name, kernel in self.kernels.items()
            }
            for drug in np.flatnonzero(self.folds == fold).tolist():
                training = self.training(drug, regime)
                if len(training) < LEAST_DRUGS:
                    continue
                kept, means = np.isin(outside, training), self.responses.line_means(training)
                weights = [
                    weights_without(
                        inverse, self.kernels[name][outside, drug] + self.variant.constant, kept
                    )[kept]
                    for name, inverse in inverses.items()
                ]
                predicted = np.stack(weights) @ self.responses.profiles(training)
                for name, profile in zip(inverses, predicted, strict=True):
                    result[name][drug] = self.responses.correlation(drug, means, profile)
                result[CHOSEN][drug] = result[best[fold]][drug]
        return _averaged(result)

    @cached_property
    def best_without_compound(self) -> dict[int, str]:
        """The same, each drug predicted without its own compound."""
        return self.best_of_fold(self.same_compound)

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
        best = self.best_without_compound
        predicted = np.zeros(self.responses.deviation.shape)
        for line_fold in range(N_LINE_FOLDS):
            seen = line_folds != line_fold
            on_seen = self.responses.on_lines(seen)
            profiles = np.zeros((len(self.chosen), int(seen.sum())))
            for fold, name in best.items():
                training, asked = (
                    np.flatnonzero(at) for at in (self.folds != fold, self.folds == fold)
                )
                weights = weights_of(self.kernels[name], training, asked, self.variant)
                profiles[asked] = weights @ on_seen.profiles(training)
            features = self.screen.features[EXPRESSION]
            predicted[:, ~seen] = carried_over(features, seen, profiles)
        result = np.zeros(len(self.chosen))
        for drug in range(len(self.chosen)):
            means = self.responses.line_means(self.training(drug, Regime.LEAVE_DRUG_OUT))
            result[drug] = self.responses.correlation(drug, means, predicted[drug])
        return {CHOSEN: result}


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
