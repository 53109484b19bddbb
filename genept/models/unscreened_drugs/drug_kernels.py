"""How alike two drugs are: by their targets' vectors, their structures, their stated targets.

What is predicted from it is in `genept.models.unscreened_drugs.profile_ridge`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer

from genept.embeddings import KnownVectors, Spaces
from genept.models.drug_response import IDENTITY, Floats, drug_features, has_rdkit
from genept.models.unscreened_drugs.known_drugs import Drugs
from genept.storage import sha256_of

TEXT: Final = "lsa-384/name-ncbi-go"
NETWORK: Final = "network-200/interactions"
ONTOLOGY: Final = "go-200/co-annotation"
SPACES: Final = (TEXT, ONTOLOGY)
"""Spaces that drugs are compared in, where they are available."""

REPORTED: Final = (*SPACES, NETWORK)
"""Spaces that are scored each by itself."""

TARGETS: Final = "target vectors"
STRUCTURES: Final = "structures"
BOTH: Final = "target vectors + structures"
WITH_PATHWAY: Final = "target vectors + structures + pathway"
STATED: Final = "stated targets"
FINGERPRINTS: Final = "fingerprints"
PATHWAY: Final = "pathway"

_PATHWAY_SHARE: Final = 0.3
_SMILES: Final = re.compile(r"[A-Za-z0-9@+\-\[\]()\\/%=#$.:~*]+")


@dataclass(frozen=True)
class DrugVariant:
    """What is declared of the predictor; it was chosen on drugs that the test does not have.

    Parameters
    ----------
    spaces
        Ids of the spaces whose cosines are averaged.
    power
        A similarity by targets is max(mean cosine, 0) to this power.
    shortest, longest
        Lengths of the pieces of SMILES that two structures are compared by.
    constant
        Added to every similarity, so that what most drugs have in common is predicted, too.
    penalty
        Penalty of the kernel ridge regression, where a drug is 1 alike to itself.
    """

    spaces: tuple[str, ...] = SPACES
    power: float = 2.0
    shortest: int = 1
    longest: int = 4
    constant: float = 0.2
    penalty: float = 1.0

    @property
    def sha256(self) -> str:
        """Hash of the declaration."""
        return sha256_of(asdict(self))


VARIANT: Final = DrugVariant()
"""The declared predictor."""


def kernels(drugs: Drugs, spaces: Spaces, variant: DrugVariant = VARIANT) -> dict[str, Floats]:
    """Similarities of drugs by name of what they are compared by; 1 on every diagonal.

    Parameters
    ----------
    drugs
        The drugs.
    spaces
        Gene vectors by space.
    variant
        How they are compared.

    Returns
    -------
    dict of str to NDArray
        Shape (n, n) each. What no drug has is left out: structures, fingerprints where RDKit is
        not installed, pathways.
    """
    result = {}
    used = [name for name in variant.spaces if name in spaces]
    if used:
        result[TARGETS] = by_targets(drugs, {name: spaces[name] for name in used}, variant.power)
    if any(drugs.smiles):
        result[STRUCTURES] = by_structure(drugs.smiles, variant)
    if {TARGETS, STRUCTURES} <= result.keys():
        result[BOTH] = together(result[TARGETS], result[STRUCTURES])
    if any(drugs.pathways):
        result[PATHWAY] = by_label(drugs.pathways)
        if BOTH in result:
            with_label = result[TARGETS] + _PATHWAY_SHARE * result[PATHWAY]
            result[WITH_PATHWAY] = together(with_label / (1 + _PATHWAY_SHARE), result[STRUCTURES])
    result[STATED] = by_stated_targets(drugs)
    if any(drugs.smiles) and has_rdkit():
        known = {name: each for name, each in zip(drugs.names, drugs.smiles, strict=True) if each}
        result[FINGERPRINTS] = tanimoto(drug_features(drugs.names, known)[1].astype(np.float64))
    return result


def by_targets(drugs: Drugs, spaces: Spaces, power: float) -> Floats:
    """Compare drugs by the mean vector of their targets.

    Parameters
    ----------
    drugs
        The drugs.
    spaces
        Gene vectors of the spaces whose cosines are averaged.
    power
        Applied to the mean cosine, which counts as 0 where it is negative.

    Returns
    -------
    NDArray
        Shape (n, n).
    """
    cosines = np.zeros((len(drugs.names), len(drugs.names)))
    for space in spaces.values():
        centre = space.centre([*space.number])
        vectors = np.zeros((len(drugs.names), space.vectors.shape[1]))
        for at, genes in enumerate(drugs.targets):
            if known := sorted(gene for gene in genes if gene in space.number):
                vectors[at] = space.centred(known, centre).mean(axis=0)
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors /= np.where(length > 0, length, 1)
        cosines += vectors @ vectors.T
    return _diagonal(np.maximum(cosines / len(spaces), 0) ** power)


def by_structure(smiles: Sequence[str | None], variant: DrugVariant = VARIANT) -> Floats:
    """Compare structures by the pieces of text that their SMILES have in common (Tanimoto).

    Parameters
    ----------
    smiles
        Structures; one that is None is like no other.
    variant
        Says how long the pieces are.

    Returns
    -------
    NDArray
        Shape (n, n).
    """
    lengths = (variant.shortest, variant.longest)
    pieces = CountVectorizer(analyzer="char", ngram_range=lengths, lowercase=False, binary=True)
    return tanimoto(pieces.fit_transform([each or "" for each in smiles]).toarray().astype(float))


def by_stated_targets(drugs: Drugs) -> Floats:
    """Compare drugs by the targets that are the same: the cosine of their lists.

    Returns
    -------
    NDArray
        Shape (n, n).
    """
    size = np.array([max(len(genes), 1) for genes in drugs.targets], dtype=np.float64)
    shared = np.array([[len(a & b) for b in drugs.targets] for a in drugs.targets], dtype=float)
    return _diagonal(shared / np.sqrt(size[:, None] * size))


def by_label(labels: Sequence[str | None]) -> Floats:
    """Compare drugs by a label: 1 if it is the same.

    Returns
    -------
    NDArray
        Shape (n, n).
    """
    same = [[float(a is not None and a == b) for b in labels] for a in labels]
    return _diagonal(np.array(same))


def together(targets: Floats, structures: Floats) -> Floats:
    """Compare drugs by two similarities: each by itself, and both at once.

    Parameters
    ----------
    targets, structures
        Similarities, shape (n, n).

    Returns
    -------
    NDArray
        Mean of the two and of their geometric mean, shape (n, n).
    """
    return np.asarray((targets + structures + np.sqrt(targets * structures)) / 3)


def tanimoto(bits: Floats) -> Floats:
    """Share of the bits of two rows that both have.

    Parameters
    ----------
    bits
        Shape (n, bits), 0 or 1.

    Returns
    -------
    NDArray
        Shape (n, n).
    """
    common = bits @ bits.T
    own = bits.sum(axis=1)
    either = own[:, None] + own - common
    return _diagonal(np.divide(common, either, out=np.zeros_like(common), where=either > 0))


def _diagonal(kernel: Floats) -> Floats:
    np.fill_diagonal(kernel, 1.0)
    return kernel


CONTROLS: Final[Mapping[str, Callable[[KnownVectors, np.random.Generator], KnownVectors]]] = {
    "shuffled": KnownVectors.shuffled,
    "random": KnownVectors.random,
}
"""Controls of vectors, by name."""


def is_structure(smiles: str) -> bool:
    """Whether a text is a structure, as far as RDKit or, without it, its characters tell.

    Parameters
    ----------
    smiles
        The text.

    Returns
    -------
    bool
    """
    if not _SMILES.fullmatch(smiles):
        return False
    return not has_rdkit() or drug_features(["asked"], {"asked": smiles})[0] != IDENTITY
