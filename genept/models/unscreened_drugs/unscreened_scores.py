"""Tables `unscreened_drug_scores` and `left_out_drugs`: how well left-out drugs are predicted.

The predictions are made in `genept.models.unscreened_drugs.left_out`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from genept.benchmarks import mean_score
from genept.models.holdout import Regime
from genept.models.unscreened_drugs.drug_kernels import CONTROLS, FINGERPRINTS
from genept.models.unscreened_drugs.left_out import (
    CHOSEN,
    MAIN_CONTROLS,
    MEAN_PROFILE,
    REGIMES,
    LeftOut,
)
from genept.models.unscreened_drugs.profile_ridge import SEED

IS_CONTROL: Final = frozenset({FINGERPRINTS, *MAIN_CONTROLS})
"""Representations that are no candidates of the predictor."""

NO_CONTROL: Final = "none"
NOT_BETTER: Final = "drugs of this screen are predicted no better than by its mean profile"


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
        A row; where there is nothing to compare with, `other` is ``none``.
    """
    groups = left_out.drugs.compounds
    for regime in REGIMES:
        scores = left_out.scores[regime]
        controls = [name for name in MAIN_CONTROLS if name in scores]
        for name, values in scores.items():
            value = mean_score(values, groups, seed=SEED)
            compared = [each for each in _compared(name, controls) if each in scores]
            for other in compared or [NO_CONTROL]:
                row = {
                    "collection_id": collection,
                    "regime": str(regime),
                    "representation": name,
                    "other": other,
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
                if compared:
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
        scores = left_out.scores[regime][CHOSEN]
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


@dataclass(frozen=True)
class Gate:
    """What the scores of a screen say about predicting drugs that it did not measure.

    Parameters
    ----------
    refusal
        Why nothing is predicted; None if it is.
    expected
        Mean correlation of a left-out drug's profile and its prediction, by regime.
    findings
        Each question with its answer, in words.
    """

    refusal: str | None
    expected: Mapping[Regime, float]
    findings: Sequence[str]

    @classmethod
    def of(cls, scores: pl.DataFrame) -> Gate:
        """Ask whether the chosen predictor is better than the mean profile, in both regimes.

        Parameters
        ----------
        scores
            Rows of table `unscreened_drug_scores` of the screen.

        Returns
        -------
        Gate
            It refuses unless the lower end of the interval of the gain is above 0 in both.
        """
        chosen = scores.filter(representation=CHOSEN)
        expected: dict[Regime, float] = {}
        findings, passed = [], True
        for regime in (Regime.LEAVE_DRUG_OUT, Regime.LEAVE_TARGET_OUT):
            against = chosen.filter(regime=str(regime), other=MEAN_PROFILE)
            for row in against.iter_rows(named=True):
                expected[regime] = row["value"]
                low = row["difference_low"]
                good = low is not None and low > 0
                passed &= good
                findings.append(
                    f"{regime}: {row['value']:.3f}, {row['difference']:+.3f} over the mean profile "
                    f"(at least {low if low is None else round(low, 3)}): "
                    f"{'better' if good else 'not shown to be better'}"
                )
        complete = len(expected) == 2
        return cls(None if passed and complete else NOT_BETTER, expected, findings)
