"""Models trained on planted rows, submitted to a registry, and judged by the gate."""

import hashlib
from dataclasses import replace

import numpy as np

from genept.models.cards import card_markdown
from genept.models.diagnosis.diagnosis_retraining import retrain
from genept.models.evidence import Champion, Cohort, ModelCandidate, ModelManifest
from genept.models.heads import STEPS, Contender
from genept.models.holdout import Rows, hold_out
from genept.models.promotion_gate import CARD_SECTIONS, judge
from genept.models.stored_models import TrainedModel, stored_types

COHORTS = ("east", "west")


def planted_rows(n=420, k=2, strength=2.2, seed=3, **changes):
    rng = np.random.default_rng(seed)
    labels = np.array(["benign", "malign", "mixed"])[np.arange(n) % k]
    X = rng.normal(size=(n, 24)).astype(np.float32)
    X[np.arange(n), np.arange(n) % k] += strength
    patients = np.array([f"p{row}" for row in range(n)])
    columns = {
        "ids": np.array([f"s{row:03}" for row in range(n)]),
        "groups": patients,
        "cohorts": np.array(COHORTS)[(np.arange(n) // 2) % 2],
        "labels": labels,
        "features": {"expression": X},
    }
    return Rows(**columns | changes)


def trained(rows, patients=None, version="1"):
    """A candidate trained on these rows, as `genept.models.training` assembles it."""
    members = rows.groups if patients is None else patients
    holdout = hold_out(rows.ids, members, rows.groups, task="diagnosis-planted")
    result = retrain(rows, holdout, [Contender("expression", "linear")], seed=0)
    names, counts = np.unique(rows.labels, return_counts=True)
    manifest = ModelManifest(
        model="diagnosis-planted", version=version, collection="planted", label="diagnosis",
        representation="expression", head="linear", steps=STEPS, classes=result.fitted.classes,
        **result.fitted.calibration._asdict(), abstain_below=0.5, space="s", unit="log2",
        genes=("g",), seed=0,
        cohorts=tuple(
            Cohort(id=str(cohort), n=1, data_sha256="d" * 64) for cohort in np.unique(rows.cohorts)
        ),
        label_counts={str(a): int(b) for a, b in zip(names, counts, strict=True)}, left_out={},
        holdout_sha256=result.holdout.sha256, libraries={}, pipeline_sha256="p", types=(),
        probe_sha256="x", evidence_sha256="e", card_sha256="c",
    )  # fmt: skip
    card = "\n".join([*CARD_SECTIONS, "d" * 64])
    return ModelCandidate(manifest, result.evidence, card, "p")


def blocked(candidate, champion=None):
    return {
        point.name: point.outcome
        for point in judge(replace(candidate, champion=champion)).points
        if point.outcome != "pass"
    }


MODEL = "diagnosis-planted"


def assembled(retrained, version):
    """A version as `genept.models.training` submits it."""
    cohorts = (
        Cohort(id="east", n=150, data_sha256="d" * 64),
        Cohort(id="west", n=150, data_sha256="d" * 64),
    )
    manifest = ModelManifest(
        model=MODEL, version=version, collection="planted", label="diagnosis",
        representation="expression", head="linear", steps=STEPS, classes=retrained.fitted.classes,
        **retrained.fitted.calibration._asdict(), abstain_below=0.5, space="s", unit="log2",
        genes=tuple(f"g{n}" for n in range(24)), seed=0, cohorts=cohorts,
        label_counts={"benign": 150, "malign": 150}, left_out={},
        holdout_sha256=retrained.holdout.sha256, libraries={},
        pipeline_sha256=hashlib.sha256(retrained.files.pipeline).hexdigest(),
        types=tuple(sorted(stored_types(retrained.files.pipeline, where="here"))),
        probe_sha256=hashlib.sha256(retrained.files.probe).hexdigest(),
        domain_sha256=hashlib.sha256(retrained.files.domain).hexdigest(),
        evidence_sha256=retrained.evidence.stored_sha256,
        card_sha256="",
    )  # fmt: skip
    card = card_markdown(manifest, retrained.evidence)
    manifest = manifest.model_copy(
        update={"card_sha256": hashlib.sha256(card.encode()).hexdigest()}
    )
    return TrainedModel(manifest, retrained.files, retrained.evidence, card)


def submitted(registry, retrained, version):
    trained = assembled(retrained, version)
    registry.submit(trained)
    return trained.manifest


def beside(candidate, champion):
    """The champion as the gate compares it: with its predictions of the candidate's holdout."""
    out = champion.evidence.holdout
    position = {name: row for row, name in enumerate(out.ids)}
    rows = [position[name] for name in candidate.evidence.holdout.ids]
    holdout = candidate.evidence.holdout.model_copy(
        update={
            "classes": out.classes,
            "probabilities": tuple(out.probabilities[row] for row in rows),
        }
    )
    return Champion(
        champion.manifest.model_copy(update={"version": "0"}), champion.evidence, holdout
    )
