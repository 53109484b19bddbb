"""Drugs as fingerprints where RDKit is, and as their names where it is not."""

import numpy as np
import pytest

from genept.models.drug_response import predictors
from genept.models.drug_response.predictors import FINGERPRINTS, IDENTITY, drug_features

DRUGS = ["Aspirin", "Ibuprofen", "Secret", "Broken"]
SMILES = {
    "Aspirin": "CC(=O)Oc1ccccc1C(=O)O",
    "Ibuprofen": "CC(C)Cc1ccc(cc1)C(C)C(=O)O",
    "Broken": "C1CC",
}


def test_structures_become_fingerprints_and_a_missing_one_the_mean():
    pytest.importorskip("rdkit")
    representation, features = drug_features(DRUGS, SMILES)
    assert representation == FINGERPRINTS
    assert features.shape == (4, 1024)
    assert set(np.unique(features[:2])) == {0.0, 1.0}
    assert not np.array_equal(features[0], features[1])
    for missing in features[2:]:
        np.testing.assert_allclose(missing, features[:2].mean(axis=0))


def test_without_rdkit_or_structures_a_drug_is_its_name(monkeypatch):
    assert drug_features(DRUGS, {})[0] == IDENTITY
    monkeypatch.setattr(predictors, "has_rdkit", lambda: False)
    representation, features = drug_features(DRUGS, SMILES)
    assert representation == IDENTITY
    assert np.array_equal(features, np.eye(4))
