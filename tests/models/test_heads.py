"""Heads and their files: what comes back predicts the same, and nothing foreign is opened."""

import hashlib
import io
import json
import zipfile

import numpy as np
import pytest
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

from genept.models.confidence import Calibration, calibrated, fit_calibration
from genept.models.heads import HEADS, Contender, DiagnosisModel, fit_model
from genept.models.stored_models import (
    ALLOWED_TYPES,
    ModelRefusedError,
    dump_pipeline,
    load_pipeline,
)


def planted(k=3, n=120):
    rng = np.random.default_rng(0)
    labels = np.array(["A", "B", "C"])[np.arange(n) % k]
    X = rng.normal(size=(n, 30)).astype(np.float32)
    X[np.arange(n), np.arange(n) % k] += 2
    return {"expression": X}, labels


def digest(data):
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("head", HEADS)
def test_a_reloaded_model_predicts_the_same(head, k):
    features, labels = planted(k)
    model = fit_model(Contender("expression", head), features, labels, Calibration(1.3, 0.01), 0)
    data = dump_pipeline(model.pipeline)
    back = load_pipeline(data, digest(data), where="model.skops")
    again = DiagnosisModel(model.contender, back, model.classes, model.calibration)
    expected = model.probabilities(features)
    np.testing.assert_allclose(again.probabilities(features), expected, atol=1e-12)
    np.testing.assert_allclose(expected.sum(axis=1), 1)
    assert (np.asarray(model.classes)[expected.argmax(axis=1)] == labels).mean() > 0.7
    refit = fit_model(Contender("expression", head), features, labels, Calibration(1.3, 0.01), 0)
    np.testing.assert_allclose(refit.probabilities(features), expected, atol=1e-6)


def test_a_tampered_file_is_refused_before_it_is_opened():
    features, labels = planted()
    data = dump_pipeline(
        fit_model(Contender("expression", "linear"), features, labels, Calibration(), 0).pipeline
    )
    tampered = data[:-200] + bytes([data[-200] ^ 1]) + data[-199:]
    with pytest.raises(ModelRefusedError, match="its manifest says"):
        load_pipeline(tampered, digest(data), where="model.skops")


def test_a_file_with_a_foreign_type_is_refused_even_with_the_right_hash():
    features, labels = planted()
    data = dump_pipeline(
        fit_model(Contender("expression", "linear"), features, labels, Calibration(), 0).pipeline
    )
    planted_file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(planted_file, "w") as to:
        for name in source.namelist():
            body = source.read(name)
            if name == "schema.json":
                schema = json.loads(body)
                schema["content"]["extra"] = {"__class__": "system", "__module__": "os"}
                body = json.dumps(schema).encode()
            to.writestr(name, body)
    foreign = planted_file.getvalue()
    with pytest.raises(ModelRefusedError, match=r"it names os\.system"):
        load_pipeline(foreign, digest(foreign), where="model.skops")
    with pytest.raises(ModelRefusedError, match="is not a skops file"):
        load_pipeline(b"pickle", digest(b"pickle"), where="model.skops")
    with pytest.raises(ModelRefusedError, match=r"sklearn\.svm"):
        dump_pipeline(Pipeline([("head", SVC().fit(features["expression"], labels))]))
    assert not {name for name in ALLOWED_TYPES if "function" in name or "partial" in name}


def test_a_temperature_corrects_overconfidence_and_keeps_the_order():
    rng = np.random.default_rng(0)
    honest = rng.dirichlet(np.ones(3), size=4000)
    truth = np.array([rng.choice(3, p=row) for row in honest])
    boastful = calibrated(honest, Calibration(0.4))
    calibration = fit_calibration(boastful, truth)
    assert calibration.temperature == pytest.approx(2.5, rel=0.1)
    assert calibration.doubt < 0.05
    assert (boastful.argmax(axis=1) == honest.argmax(axis=1)).all()


def test_doubt_bounds_what_wrong_labels_make_of_certainty():
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, 2000)
    certain = np.full((2000, 3), 1e-40)
    certain[np.arange(2000), truth] = 1
    mislabelled = rng.random(2000) < 0.03
    published = np.where(mislabelled, (truth + 1) % 3, truth)
    calibration = fit_calibration(certain, published)
    probability = calibrated(certain, calibration).max(axis=1)
    assert probability.mean() == pytest.approx(0.97, abs=0.01)
