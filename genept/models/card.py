"""Model cards: what a model was made of, how good it is, and what it is not for; Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from genept.models.comparisons import calibration
from genept.models.evidence import Cohort, Evidence, Interval, Predictions

LIMITS = (
    "Research use: not for diagnosis of people, nor for any decision about them.",
    "Probabilities are calibrated on samples of the same collections; elsewhere they are not.",
    "A class that is not listed cannot be predicted: such a sample is given another one.",
)


def model_card(
    *,
    model: str,
    version: str,
    label: str,
    chosen: str,
    cohorts: Sequence[Cohort],
    left_out: dict[str, int],
    evidence: Evidence,
    abstain_below: float,
    caveats: Sequence[str] = (),
) -> str:
    """The card of one version, from its evidence."""
    out = evidence.holdout
    lines = [
        f"# {model}",
        "",
        f"Reads `{label}` from a bulk sample; version `{version}`.",
        f"Chosen by nested grouped cross-validation: **{chosen}**.",
        *("", "## Data", ""),
        *_table(("cohort", "samples", "data"), ((c.id, c.n, c.data_sha256) for c in cohorts)),
        "",
        f"Trained on {len(evidence.out_of_fold.ids)} samples; {len(out.ids)} were held out.",
        *(f"Left out, in too few groups: {name} ({n} samples)." for name, n in left_out.items()),
        *("", "## Metrics", ""),
        *_table(
            ("on the holdout", "value", "95 % interval", "n"),
            ((name, *_shown(found)) for name, found in evidence.scores.items()),
        ),
        *("", "Balanced accuracy out of fold, every contender and control:", ""),
        *_table(
            ("representation, head", "value", "95 % interval", "n"),
            (
                (name, *_shown(found))
                for name, found in {
                    **evidence.contenders,
                    "permuted labels": evidence.permuted,
                }.items()
            ),
        ),
        "",
        _gain(evidence.embedding_gain),
        *("", "### Confusion matrix of the holdout (rows: published, columns: predicted)", ""),
        *_table(("", *out.classes), _confusion(out)),
        *("", "### Classes", ""),
        *_table(("class", "held out", "recall", "precision"), _per_class(out)),
        *("", "### Calibration", ""),
        *_table(("probability", "samples", "right"), _reliability(evidence)),
        "",
        _calibration(evidence, abstain_below),
        *("", "## Cohorts", ""),
        *_table(("cohort", "held out", "accuracy"), _per_cohort(out)),
        *("", "## Limits", ""),
        *(f"- {limit}" for limit in (*LIMITS, *caveats)),
    ]
    return "\n".join(lines) + "\n"


def _table(head: Sequence[object], rows: Iterator[Sequence[object]]) -> list[str]:
    shown = [[str(cell).replace("|", "/") for cell in row] for row in (head, *rows)]
    shown.insert(1, ["---"] * len(head))
    return [f"| {' | '.join(row)} |" for row in shown]


def _shown(found: Interval) -> tuple[str, str, int]:
    interval = "" if found.low is None else f"{found.low:.3f} – {found.high:.3f}"
    return f"{found.value:.3f}", interval, found.n


def _gain(found: Interval | None) -> str:
    if found is None or found.low is None or found.high is None:
        return "Expression with and without the embedding were not both contenders."
    said = "nothing that can be told from chance"
    if found.low > 0:
        said = "something"
    elif found.high < 0:
        said = "less than nothing"
    return (
        f"The embedding added {said} to expression: {found.value:+.3f} balanced accuracy "
        f"[{found.low:+.3f}, {found.high:+.3f}], linear head, same folds."
    )


def _confusion(out: Predictions) -> Iterator[Sequence[object]]:
    for label in out.classes:
        row = out.predicted[out.truth == label]
        yield (label, *(int((row == one).sum()) for one in out.classes))


def _per_class(out: Predictions) -> Iterator[Sequence[object]]:
    for label in out.classes:
        true, predicted = out.truth == label, out.predicted == label
        hits = int((true & predicted).sum())
        yield (
            label,
            int(true.sum()),
            f"{hits / true.sum():.3f}" if true.any() else "",
            f"{hits / predicted.sum():.3f}" if predicted.any() else "",
        )


def _per_cohort(out: Predictions) -> Iterator[Sequence[object]]:
    cohorts, right = np.asarray(out.cohorts), out.predicted == out.truth
    for cohort in sorted(set(out.cohorts)):
        rows = cohorts == cohort
        yield cohort, int(rows.sum()), f"{right[rows].mean():.3f}"


def _reliability(evidence: Evidence) -> Iterator[Sequence[object]]:
    seen, out = evidence.out_of_fold, evidence.holdout
    top = np.concatenate([seen.shares.max(axis=1), out.shares.max(axis=1)])
    right = np.concatenate([seen.predicted == seen.truth, out.predicted == out.truth])
    bins = np.minimum((top * 10).astype(np.intp), 9)
    for one in np.unique(bins):
        rows = bins == one
        yield f"{one / 10:.1f} – {(one + 1) / 10:.1f}", int(rows.sum()), f"{right[rows].mean():.3f}"


def _calibration(evidence: Evidence, abstain_below: float) -> str:
    seen, out = evidence.out_of_fold, evidence.holdout
    shares = np.concatenate([seen.shares, out.shares])
    truth = np.searchsorted(out.classes, np.concatenate([seen.truth, out.truth]))
    found = calibration(shares, truth)
    kept = shares.max(axis=1) >= abstain_below
    right = shares.argmax(axis=1) == truth
    return (
        f"Slope {found.slope:.2f}, expected calibration error {found.ece:.3f}, Brier score "
        f"{found.brier:.3f}, on samples that the model did not see. Below a probability of "
        f"{abstain_below} it abstains: it answers {kept.mean():.1%}, of which "
        f"{right[kept].mean():.1%} are right."
    )
