"""Drugs as vectors: Morgan fingerprints of their structures where RDKit is installed.

Without RDKit, or without a structure, a drug is known by its name alone: nothing can then be
carried over to a drug that was never seen, and the scores say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Final

import numpy as np
import numpy.typing as npt

RADIUS: Final = 2
N_BITS: Final = 1024
FINGERPRINTS: Final = "drug-fingerprints"
IDENTITY: Final = "drug-identity"
Matrix = npt.NDArray[np.float32]


def has_rdkit() -> bool:
    """Whether the optional extra ``chemistry`` is installed."""
    return find_spec("rdkit") is not None


def drug_features(drugs: Sequence[str], smiles: Mapping[str, str]) -> tuple[str, Matrix, list[str]]:
    """Features of drugs: fingerprints, or their identity where these cannot be had.

    Parameters
    ----------
    smiles
        Structure by name of the drug, such as ``CC(=O)Oc1ccccc1C(=O)O``.

    Returns
    -------
    representation, features, without
        What the features are; drugs × bits; and the drugs without a readable structure,
        which get the mean of the others.
    """
    if not smiles or not has_rdkit():
        return IDENTITY, np.eye(len(drugs), dtype=np.float32), list(drugs)
    features = np.full((len(drugs), N_BITS), np.nan, dtype=np.float32)
    for row, drug in enumerate(drugs):
        bits = _fingerprint(smiles[drug]) if drug in smiles else None
        if bits is not None:
            features[row] = bits
    missing = np.isnan(features[:, 0])
    if missing.all():
        return IDENTITY, np.eye(len(drugs), dtype=np.float32), list(drugs)
    features[missing] = features[~missing].mean(axis=0)
    return FINGERPRINTS, features, [drug for drug, gone in zip(drugs, missing, strict=True) if gone]


def _fingerprint(smiles: str) -> Matrix | None:
    from rdkit import Chem, RDLogger
    from rdkit.Chem import rdFingerprintGenerator

    RDLogger.DisableLog("rdApp.*")  # type: ignore[attr-defined,unused-ignore]
    molecule = Chem.MolFromSmiles(smiles)
    if molecule is None:
        return None
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=N_BITS)
    return np.asarray(generator.GetFingerprintAsNumPy(molecule), dtype=np.float32)
