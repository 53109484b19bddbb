"""What can be told apart: paired differences between representations, corrected over all tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import erfc, sqrt
from typing import Any, Final

import numpy as np
import polars as pl

from genept.benchmarks.resampling import Resampled

LEVEL: Final = 0.05
_LABELS: Final = {"truth": pl.String, "predicted": pl.String}
_SCHEMA: Final = {"representation": pl.String, "other": pl.String} | dict.fromkeys(
    ("difference", "ci_low", "ci_high", "p"), pl.Float64
)


def holm(p: Sequence[float]) -> list[float]:
    """P values corrected by Holm's step-down procedure, in the order given (Holm 1979)."""
    order = np.argsort(p, kind="stable")
    stepped = np.asarray(p, dtype=np.float64)[order] * np.arange(len(p), 0, -1)
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return [float(one) for one in corrected]


def rivals(
    deciding: Mapping[str, Resampled], is_control: Mapping[str, bool]
) -> list[tuple[str, str]]:
    """Pairs worth a test: all that know something, and each of them with its controls.

    A control is one's own (`is_own_control`), or everybody's: without an ``@``.
    """
    knowing = [name for name in deciding if not is_control[name]]
    pairs = [(a, b) for at, a in enumerate(knowing) for b in knowing[at + 1 :]]
    for name in knowing:
        own = [other for other in deciding if is_own_control(name, other)]
        common = [other for other in deciding if is_control[other] and "@" not in other]
        pairs += [(name, other) for other in (*own, *common)]
    return [(a, b) for a, b in pairs if len(deciding[a].draws) == len(deciding[b].draws)]


def is_own_control(name: str, other: str) -> bool:
    """Whether `other` is `name` mixed up: ``space@shuffled:genept-w``, ``name@permuted-labels``."""
    space, colon, method = name.partition(":")
    return other in (f"{space}@shuffled{colon}{method}", f"{name}@permuted-labels")


def paired_differences(
    scores: Mapping[str, Resampled], pairs: Sequence[tuple[str, str]]
) -> pl.DataFrame:
    """Difference of each pair of representations that were scored under the same draws.

    Returns
    -------
    pl.DataFrame
        representation, other, difference, ci_low, ci_high, p: two-sided, by the normal
        approximation, because percentiles of some hundred draws cannot be corrected.
    """
    rows: list[dict[str, Any]] = []
    for one, other in pairs:
        a, b = scores[one], scores[other]
        difference = Resampled(a.value - b.value, a.draws - b.draws)
        low, high = difference.interval
        spread = float(difference.draws.std(ddof=1))
        p = erfc(abs(difference.value) / (spread * sqrt(2))) if spread > 0 else 1.0
        rows.append(
            {
                "representation": one,
                "other": other,
                "difference": difference.value,
                "ci_low": low,
                "ci_high": high,
                "p": p,
            }
        )
    return pl.DataFrame(rows, schema=_SCHEMA)


def corrected(differences: pl.DataFrame) -> pl.DataFrame:
    """The same rows with `p_holm`, over all of them, and whether they are `separable`."""
    adjusted = pl.Series("p_holm", holm(differences["p"].to_list()), pl.Float64)
    return differences.with_columns(adjusted, (adjusted < LEVEL).alias("separable"))


def in_words(comparisons: pl.DataFrame) -> list[str]:
    """Which differences are real and which are not, a sentence each; of a task real ones first."""
    said = []
    ordered = comparisons.sort(
        "task", ~pl.col("separable"), -pl.col("difference").abs(), "representation", "other"
    )
    for row in ordered.iter_rows(named=True):
        ahead, behind = row["representation"], row["other"]
        low, high, by = row["ci_low"], row["ci_high"], row["difference"]
        if by < 0:
            ahead, behind, by, low, high = behind, ahead, -by, -high, -low
        verdict = (
            f"{ahead} is ahead of {behind} by {by:.3f} [{low:.3f}, {high:.3f}]"
            if row["separable"]
            else f"{ahead} and {behind} cannot be told apart ({by:+.3f} [{low:.3f}, {high:.3f}])"
        )
        # By the normal approximation to some hundred draws: smaller ones are not known.
        p = "below 1e-6" if row["p_holm"] < 1e-6 else f"{row['p_holm']:.2g}"
        said.append(f"{row['task']}: {verdict}, corrected p {p}")
    return said


def confusions(truth: Sequence[str], predicted: Sequence[str]) -> pl.DataFrame:
    """How often each label was taken for which: truth, predicted, n."""
    rows = pl.DataFrame({"truth": truth, "predicted": predicted}, schema_overrides=_LABELS)
    counted = rows.group_by("truth", "predicted").agg(pl.len().cast(pl.Int64).alias("n"))
    return counted.sort("truth", "predicted")
