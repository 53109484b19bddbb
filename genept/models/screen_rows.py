"""A screen in memory: lines with their features, drugs, measured pairs; and which are asked about.

Reading it from the lake is `genept.models.screens`'s, training on it is
`genept.models.drug_retraining`'s.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from genept.models.drug_pipeline import RESISTANT, SENSITIVE, drug_codes, pair_features
from genept.models.naive import DRUG_MEAN, NAIVE, Floats, Pairs

MANY: Final = 50_000
ASKED: Final = 0.07
"""Share of the pairs that the gate looks at in a screen of more than `MANY`."""
SENTINEL_SHIFT: Final = 3.0
Matrix = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class ScreenRows:
    """One screen.

    Parameters
    ----------
    ids, members, groups, tissues
        Of each line: its id, the line as published, its connected group, its tissue.
    features
        Lines × features, by representation.
    """

    ids: npt.NDArray[np.str_]
    members: Sequence[str]
    groups: npt.NDArray[np.str_]
    tissues: npt.NDArray[np.str_]
    features: Mapping[str, Matrix]
    drugs: npt.NDArray[np.str_]
    pairs: Pairs

    @cached_property
    def pair_ids(self) -> npt.NDArray[np.str_]:
        """Names of the pairs, such as ``A549 × Erlotinib``."""
        first = np.char.add(self.ids[self.pairs.line], " × ")
        return np.char.add(first, self.drugs[self.pairs.drug])

    @cached_property
    def codes(self) -> Floats:
        """Code of each pair's drug."""
        found: Floats = drug_codes(self.drugs.tolist())[self.pairs.drug]
        return found

    @cached_property
    def asked(self) -> Mask:
        """Which pairs the gate looks at: decided by their names, so that they stay the same."""
        if len(self.pair_ids) <= MANY:
            return np.ones(len(self.pair_ids), dtype=np.bool_)
        starts = (hashlib.sha256(str(one).encode()).hexdigest()[:8] for one in self.pair_ids)
        return np.array([int(one, 16) < ASKED * 16**8 for one in starts], dtype=np.bool_)

    def shown(self, representation: str, pairs: npt.NDArray[np.intp]) -> Matrix:
        """Features of some pairs, as a Pipeline reads them."""
        lines = self.features[representation][self.pairs.line[pairs]]
        return pair_features(lines, self.codes[pairs])

    def sensitivity(self, train: Mask) -> npt.NDArray[np.str_]:
        """Whether each response lies below its drug's mean over the training pairs."""
        below = self.pairs.value < NAIVE[DRUG_MEAN](self.pairs, train)
        return np.where(below, SENSITIVE, RESISTANT)

    def with_sentinels(
        self, labels: npt.NDArray[np.str_], sentinel: Mask, train: Mask
    ) -> ScreenRows:
        """The screen with responses far out on the side that the sentinels' labels name."""
        mean = NAIVE[DRUG_MEAN](self.pairs, train)
        spread = float((self.pairs.value - mean)[train].std())
        side = np.where(labels == SENSITIVE, -1.0, 1.0)
        value = np.where(sentinel, mean + side * SENTINEL_SHIFT * spread, self.pairs.value)
        return replace(self, pairs=replace(self.pairs, value=value))

    def in_disorder(self, train: Mask, *, seed: int) -> ScreenRows:
        """The screen with the features of its training lines dealt out anew."""
        lines = np.unique(self.pairs.line[train])
        dealt = np.arange(len(self.ids))
        dealt[lines] = np.random.default_rng(seed).permutation(lines)
        features = {name: matrix[dealt] for name, matrix in self.features.items()}
        return replace(self, features=features)
