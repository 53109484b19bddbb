"""A screen of which each drug's profile is a function of the vector of its target, in memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genept.embeddings import EXPRESSION, KnownVectors, Spaces
from genept.models.drug_response import ResponsePairs, ScreenRows
from genept.models.unscreened_drugs.drug_kernels import ONTOLOGY, TEXT
from genept.models.unscreened_drugs.known_drugs import Drugs
from genept.models.unscreened_drugs.left_out import LeftOut

N_LINES, N_TARGETS, WIDTH, N_KINDS = 90, 24, 16, 6
GENES = tuple(f"ENSG{number:011d}" for number in range(1, 200))


def lines_of(state: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Expression that lines of a state have, lines × genes."""
    loadings = np.random.default_rng(7).normal(size=(state.shape[1], 40))
    return (state @ loadings + 0.1 * rng.normal(size=(len(state), 40))).astype(np.float32)


@dataclass(frozen=True)
class Planted:
    """A screen, what is known of its drugs, and gene vectors."""

    screen: ScreenRows
    drugs: Drugs
    spaces: Spaces
    state: np.ndarray

    @property
    def left_out(self) -> LeftOut:
        return LeftOut(self.screen, self.drugs, self.spaces)


def planted(seed: int = 0, *, signal: float = 1.0, missing: float = 0.1) -> Planted:
    """Two drugs of each of 24 targets, in 90 lines; targets of one kind have like vectors.

    Parameters
    ----------
    seed
        Of everything that is drawn.
    signal
        Size of the profiles; the noise has size .5.
    missing
        Share of the pairs that are not measured.
    """
    rng = np.random.default_rng(seed)
    kinds = rng.normal(size=(N_KINDS, WIDTH))
    vectors = rng.normal(size=(len(GENES), WIDTH)).astype(np.float32)
    for target in range(N_TARGETS):
        vectors[target] = kinds[target % N_KINDS] + 0.3 * rng.normal(size=WIDTH)
    state = rng.normal(size=(N_LINES, WIDTH))
    names = tuple(f"drug-{number:02d}" for number in range(2 * N_TARGETS))
    target_of = [number // 2 for number in range(len(names))]
    centred = vectors[target_of] - vectors.mean(axis=0)
    profiles = centred / np.linalg.norm(centred, axis=1, keepdims=True) @ state.T
    value = signal * profiles + 0.5 * rng.normal(size=profiles.shape)
    value += rng.normal(0, 3, size=(len(names), 1)) + rng.normal(size=N_LINES)
    drug, line = np.nonzero(rng.random(value.shape) >= missing)
    ids = np.array([f"line-{number:03d}" for number in range(N_LINES)])
    tissue = np.arange(N_LINES) % 5
    screen = ScreenRows(
        ids, ids.tolist(), ids, np.array([f"tissue {each}" for each in tissue]),
        {EXPRESSION: lines_of(state, rng)}, np.array(names),
        ResponsePairs(line, drug, tissue[line], value[drug, line]),
    )  # fmt: skip
    return Planted(screen, drugs_of(names, target_of), spaces_of(vectors), state)


def drugs_of(names: tuple[str, ...], target_of: list[int]) -> Drugs:
    """Drugs with one target each, and nothing else that is known."""
    nothing = (None,) * len(names)
    targets = tuple(frozenset({GENES[target]}) for target in target_of)
    return Drugs(names, ((),) * len(names), targets, nothing, nothing)


def spaces_of(vectors: np.ndarray) -> Spaces:
    """The same vectors as two spaces."""
    return {name: KnownVectors.of(GENES, vectors) for name in (TEXT, ONTOLOGY)}
