"""Leaks and forgetting planted into TCGA samples of eleven cancers; skipped without the mirror."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from planted_models import beside, blocked, submitted, trained
from retrained import assert_agreement

import genept.models.diagnosis.diagnosis_retraining
from genept.datasources.catalogue import load_catalogue
from genept.datasources.download.archives import Archives
from genept.datasources.download.mirrors import SourceLocations
from genept.datasources.parsers import parse_collection
from genept.models.diagnosis.diagnosis_retraining import retrain
from genept.models.heads import Contender, fit_model
from genept.models.holdout import Rows, hold_out, planted_labels
from genept.models.registry import ModelRegistry
from genept.models.splits import connected_groups, near_duplicates
from genept.models.stored_models import ModelRefusedError

MIRROR = Path(__file__).parents[3] / "shared" / "mirror"

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(
        not (MIRROR / "bulk").is_dir(), reason="the mirror of public data is absent"
    ),
]

N_GENES = 400

COHORTS = ("BRCA", "KIRC", "LUAD", "THCA")


@pytest.fixture(scope="module")
def tcga(tmp_path_factory):
    """Tumour and normal of four cancers over the genes that vary most; a cohort is a cancer."""
    catalogue = load_catalogue()
    archives = Archives(
        catalogue, tmp_path_factory.mktemp("archives"), locations=SourceLocations((str(MIRROR),))
    )
    parsed = parse_collection(archives, catalogue.collections["tcga11"])
    observations = parsed.observations
    keep = observations["tissue_subtype"].is_in(COHORTS).to_numpy()
    values = sp.vstack(list(parsed.expression.blocks())).toarray()[keep]
    varying = np.argsort(-values.var(axis=0))[:N_GENES]
    kept = observations.filter(keep)
    X = np.ascontiguousarray(values[:, varying])
    return Rows(
        kept["observation_id"].to_numpy().astype(str),
        connected_groups(kept["group_id"].to_list(), duplicates=near_duplicates(X)),
        kept["tissue_subtype"].to_numpy().astype(str),
        kept["diagnosis"].to_numpy().astype(str),
        {"expression": X},
    )


@pytest.fixture(scope="module")
def honest(tcga):
    return trained(tcga)


def with_features(rows, X):
    return Rows(rows.ids, rows.groups, rows.cohorts, rows.labels, {"expression": X})


def test_honest_data_passes_every_point(honest):
    assert not blocked(honest)


def test_two_retrainings_agree_to_one_in_a_million(tcga, honest):
    assert_agreement(trained(tcga).evidence, honest.evidence)


def test_a_patient_in_two_folds_under_two_ids_is_refused(tcga):
    rng = np.random.default_rng(0)
    X = tcga.features["expression"].copy()
    source, copy = rng.permutation(len(X))[:60].reshape(2, 30)
    X[copy] = X[source] + rng.normal(0, 0.01, (30, N_GENES)).astype(np.float32)
    candidate = trained(with_features(tcga, X))
    assert blocked(candidate)["groups_stay_whole"] == "refuse"
    tied = connected_groups(list(tcga.groups), duplicates=near_duplicates(X))
    regrouped = Rows(tcga.ids, tied, tcga.cohorts, tcga.labels, {"expression": X})
    assert "groups_stay_whole" not in blocked(trained(regrouped, patients=tcga.groups))


def test_the_label_among_the_genes_is_refused(tcga):
    code = (tcga.labels == "tumor").astype(np.float32)[:, None]
    candidate = trained(with_features(tcga, np.hstack([tcga.features["expression"], code])))
    assert candidate.evidence.label_like_features == (f"expression #{N_GENES}",)
    assert blocked(candidate)["fitted_inside"] == "refuse"


def test_test_rows_in_training_are_refused(tcga, monkeypatch):
    everything = {}

    def remember(given, holdout, *, seed):
        planted, sentinel = planted_labels(given, holdout, seed=seed)
        everything.update(features=planted.features, labels=planted.labels)
        return planted, sentinel

    def leaky(contender, features, labels, calibration, seed):
        seen = everything["features"], everything["labels"]
        return fit_model(Contender("expression", "knn"), *seen, calibration, seed)

    monkeypatch.setattr(genept.models.diagnosis.diagnosis_retraining, "planted_labels", remember)
    monkeypatch.setattr(genept.models.diagnosis.diagnosis_retraining, "fit_model", leaky)
    assert blocked(trained(tcga))["sentinels_stay_unknown"] == "refuse"


def test_a_cohort_that_was_dropped_from_training_is_refused(tcga, honest):
    fewer = trained(tcga.take(tcga.cohorts != "THCA"))
    verdicts = blocked(fewer, beside(fewer, honest))
    assert verdicts["no_data_set_is_forgotten"] == "refuse"


def test_a_class_that_vanished_is_refused(tcga):
    types = Rows(tcga.ids, tcga.groups, tcga.cohorts, tcga.cohorts, tcga.features)
    champion = trained(types)
    vanished = trained(types.take(types.labels != "KIRC"))
    verdicts = blocked(vanished, beside(vanished, champion))
    assert verdicts["nothing_is_forgotten"] == "refuse"


def test_a_tampered_model_file_is_refused(tcga, object_store, store_prefix):
    holdout = hold_out(tcga.ids, tcga.groups, tcga.groups, task="diagnosis")
    result = retrain(tcga, holdout, [Contender("expression", "linear")], seed=0)
    registry = ModelRegistry(object_store, store_prefix)
    manifest = submitted(registry, result, "v1")
    registry.load(manifest)
    (key,) = (
        info.key for info in object_store.list(store_prefix) if info.key.endswith("model.skops")
    )
    body, etag = object_store.get_with_etag(key)
    tampered = body[:-300] + bytes([body[-300] ^ 1]) + body[-299:]
    assert hashlib.sha256(tampered).hexdigest() != manifest.pipeline_sha256
    object_store.put_if_match(key, tampered, etag)
    with pytest.raises(ModelRefusedError, match="its manifest says"):
        registry.load(manifest)
