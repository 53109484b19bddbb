"""The promotion gate: fifteen questions that a candidate must answer before it is champion.

Each point is a named function of typed evidence, in `genept.models.gate_alone` and
`genept.models.gate_compared`. Acting on the verdicts is the registry's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from genept.models import gate_alone, gate_compared
from genept.models.evidence import Candidate, Champion
from genept.models.verdicts import REFUSE, Answer, Verdict, Verdicts

Point = Callable[[Candidate, Champion | None], Answer]


def _alone(ask: Callable[[Candidate], Answer]) -> Point:
    return lambda candidate, _: ask(candidate)


POINTS: Final[dict[str, Point]] = {
    "groups_stay_whole": _alone(gate_alone.groups_stay_whole),
    "fitted_inside": _alone(gate_alone.fitted_inside),
    "holdout_is_frozen": _alone(gate_alone.holdout_is_frozen),
    "sentinels_stay_unknown": _alone(gate_alone.sentinels_stay_unknown),
    "permuted_labels_teach_nothing": _alone(gate_alone.permuted_labels_teach_nothing),
    "beats_baselines": _alone(gate_alone.beats_baselines),
    "not_worse_than_champion": gate_compared.not_worse_than_champion,
    "nothing_is_forgotten": gate_compared.nothing_is_forgotten,
    "no_data_set_is_forgotten": gate_compared.no_data_set_is_forgotten,
    "is_calibrated": gate_compared.is_calibrated,
    "is_reproducible": _alone(gate_alone.is_reproducible),
    "evidence_is_complete": gate_compared.evidence_is_complete,
    "is_stored_safely": _alone(gate_alone.is_stored_safely),
    "compared_with_the_present": gate_compared.compared_with_the_present,
    "has_a_card": _alone(gate_alone.has_a_card),
}
"""In the order of the gate's numbers."""


def judge(candidate: Candidate, champion: Champion | None) -> Verdicts:
    """Ask all fifteen points; a point that cannot be answered refuses."""
    points = []
    for number, (name, ask) in enumerate(POINTS.items(), start=1):
        try:
            outcome, evidence = ask(candidate, champion)
        except (ValueError, ZeroDivisionError) as error:
            outcome, evidence = REFUSE, f"cannot be answered: {error}"
        points.append(
            Verdict.model_validate(
                {"point": number, "name": name, "outcome": outcome, "evidence": evidence}
            )
        )
    return Verdicts(
        model=candidate.manifest.model,
        version=candidate.manifest.version,
        collection=candidate.manifest.collection,
        champion_version=champion.manifest.version if champion else None,
        points=tuple(points),
    )
