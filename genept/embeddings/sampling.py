"""Which observations of a large collection are embedded where each one costs: seeded, recorded."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import Any, Final

import polars as pl

LABELS: Final = ("cell_type", "diagnosis", "tissue_subtype", "tissue")


@dataclass(frozen=True)
class Sampling:
    """At most `cap` observations of a collection, each label in proportion.

    Every label keeps at least one observation while `cap` allows it. Who is chosen depends on
    the seed and the ids alone, not on the order of rows.

    Parameters
    ----------
    label
        Column of `observations` whose values are to keep their shares; none: at random.
    """

    cap: int
    label: str | None = None
    seed: int = 2023

    def __post_init__(self) -> None:
        if self.cap < 1:
            raise ValueError(f"a sample has at least one observation, not {self.cap}")

    def choose(self, observations: pl.DataFrame) -> tuple[list[str], dict[str, Any]]:
        """Chosen ids in order, and the record of how they were chosen."""
        strata = self._strata(observations)
        sizes = {name: len(ids) for name, ids in strata.items()}
        shares = _proportional(sizes, min(self.cap, observations.height))
        chosen = sorted(
            one
            for name, ids in strata.items()
            for one in sorted(ids, key=self._draw)[: shares[name]]
        )
        return chosen, asdict(self) | {
            "n_observations": observations.height,
            "n_chosen": len(chosen),
            "chosen_of_label": {name: [shares[name], sizes[name]] for name in sizes},
        }

    def _strata(self, observations: pl.DataFrame) -> dict[str, list[str]]:
        ids = observations["observation_id"].to_list()
        if self.label is None:
            return {"": ids}
        strata: dict[str, list[str]] = {}
        labels = observations[self.label].cast(pl.String).to_list()
        for one, label in sorted(zip(ids, labels, strict=True), key=lambda pair: pair[1] or ""):
            strata.setdefault("(none)" if label is None else label, []).append(one)
        return strata

    def _draw(self, observation_id: str) -> bytes:
        return hashlib.sha256(f"{self.seed}:{observation_id}".encode()).digest()


def _proportional(sizes: dict[str, int], total: int) -> dict[str, int]:
    """Shares of `total` in proportion to `sizes`, at least one each; remainders by size."""
    population = sum(sizes.values())
    shares = {name: total * size // population for name, size in sizes.items()}
    by_size = sorted(sizes, key=lambda name: (-sizes[name], name))
    for name in by_size if total >= len(sizes) else []:
        shares[name] = max(shares[name], 1)
    by_remainder = sorted(by_size, key=lambda name: -(total * sizes[name] % population))
    while (left := total - sum(shares.values())) != 0:
        for name in by_remainder if left > 0 else by_size:
            if left > 0 and shares[name] < sizes[name]:
                shares[name], left = shares[name] + 1, left - 1
            elif left < 0 and shares[name] > 1:
                shares[name], left = shares[name] - 1, left + 1
    return shares


def label_of(observations: pl.DataFrame) -> str | None:
    """The finest label that a collection's observations have, if they have any."""
    return next((one for one in LABELS if observations[one].null_count() < len(observations)), None)
