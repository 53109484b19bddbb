"""Models over planted collections in a real lake: what is kept, beside what, and only once."""

import numpy as np
import polars as pl
import pytest
from patients import N_GENES, REFERENCE, planted_patients
from planted import MINILM, RANDOM, a_collection, in_every_space, ingest_parsed, parsed_of

from genept.embeddings.representations import BOTH, EXPRESSION
from genept.models.diagnosis.diagnosis_tasks import DiagnosisTask
from genept.models.diagnosis.diagnosis_training import DiagnosisTraining
from genept.models.holdout import frozen_from_table
from genept.models.promotion_gate import POINTS
from genept.models.registry import ModelRegistry
from genept.models.training import train
from genept.schema.tables import TABLES
from genept.storage.lake import Lake

SPACES = {"minilm-l6-v2/name-go:genept-w", "random-384/name-go:genept-w"}


@pytest.fixture
def planted(lake: Lake, monkeypatch):
    """The arguments of a training and the ingested parts, by table."""

    def make(unit, parsed):
        collection = a_collection(unit)
        ingested = ingest_parsed(monkeypatch, lake, parsed, REFERENCE, collection)
        genes = REFERENCE["ensembl_gene_id"].to_list()
        parts = in_every_space(lake, ingested, collection, genes)
        return (lake, collection.id, unit, MINILM, parts), ingested

    return make


def diagnose(lake, task, **changes):
    """Train the diagnosis model of a planted collection; its parts by table."""
    wanted = DiagnosisTask(collection=task[1], **{"min_groups": 6} | changes)
    registry = ModelRegistry(lake.store, lake.prefix)
    trained = train(registry, DiagnosisTraining(*task, (), wanted))
    return {part.table: part for part in trained.parts}


def refuse(*_):
    raise AssertionError("it is trained already")


def evaluated(lake, part, metric):
    evaluations = lake.read(part)
    assert not evaluations.select(TABLES["model_evaluations"].key).is_duplicated().any()
    return evaluations.filter(metric=metric).rows_by_key("representation", named=True, unique=True)


def test_diagnosis(lake: Lake, planted):
    task, ingested = planted("log2", planted_patients(np.random.default_rng(0)))
    parts = diagnose(lake, task)
    predictions_part, evaluations_part = parts["diagnosis_predictions"], parts["model_evaluations"]
    assert predictions_part.partition == evaluations_part.partition == ("diagnosis-planted",)
    predictions = lake.read(predictions_part)
    observations = lake.read(ingested["observations"])
    labelled = observations.filter(pl.col("diagnosis").is_not_null())
    assert predictions["observation_id"].to_list() == labelled["observation_id"].to_list()
    assert predictions["label"].to_list() == labelled["diagnosis"].to_list()
    folds = predictions.join(observations, on="observation_id").group_by("group_id")
    assert folds.agg(pl.col("fold").n_unique())["fold"].max() == 1, "no patient is in two folds"
    assert set(predictions["representation"]) == {"selected"}
    assert predictions["model_version"].n_unique() == 1

    scores = evaluated(lake, evaluations_part, "balanced_accuracy")
    assert {EXPRESSION, BOTH, *SPACES, "majority-class", "permuted-labels"} <= set(scores)
    assert {f"{EXPRESSION}, knn", "selected"} <= set(scores)
    random = {name for name in scores if name.startswith("random-384/")}
    assert len(random) > 1, "under several heads"
    controls = {EXPRESSION, "majority-class", "permuted-labels"} | random
    assert {name for name, row in scores.items() if row["is_control"]} == controls
    for name in (EXPRESSION, BOTH, *SPACES, "selected"):
        assert scores[name]["value"] > 0.9
    assert scores["permuted-labels"]["value"] < 0.6

    folds = lake.read(parts["model_folds"])
    held_out = folds.filter("is_holdout")["observation_id"]
    assert 6 < len(held_out) < 40
    assert frozen_from_table(folds).sha256 == folds["folds_sha256"][0]
    assert set(predictions.filter(pl.col("fold") == 5)["observation_id"]) == set(held_out)
    verdicts = lake.read(parts["gate_verdicts"]).rows_by_key("name", named=True, unique=True)
    assert list(verdicts) == list(POINTS)
    assert verdicts["is_reproducible"]["outcome"] == "pass"


def test_what_was_trained_is_not_trained_again(lake: Lake, planted, monkeypatch):
    diagnosis, _ = planted("log2", planted_patients(np.random.default_rng(1)))
    trained = diagnose(lake, diagnosis)
    monkeypatch.setattr("genept.models.diagnosis.diagnosis_training.read_views", refuse)
    assert diagnose(lake, diagnosis) == trained
    other_space = (*diagnosis[:3], RANDOM, diagnosis[4])
    with pytest.raises(AssertionError, match="already"):
        diagnose(lake, other_space)


def test_counts_are_weighted_before_a_model_sees_them(lake: Lake, planted, monkeypatch):
    rng = np.random.default_rng(2)
    diagnosis = np.arange(40) % 2
    counts = rng.poisson(np.where(np.arange(N_GENES) % 2 == diagnosis[:, None], 40, 8))
    parsed = parsed_of(
        counts * rng.integers(1, 50, (40, 1)),
        REFERENCE["symbol"].to_list(),
        labels={"diagnosis": [f"type {kind}" for kind in diagnosis]},
    )
    seen = {}

    def look(rows, *_, **__):
        seen.update(rows.features)
        raise LookupError

    monkeypatch.setattr("genept.models.diagnosis.diagnosis_training.retrain", look)
    task, _ = planted("counts", parsed)
    with pytest.raises(LookupError):
        diagnose(lake, task)
    values = np.vstack([block.toarray() for block in parsed.expression.blocks()]).astype(np.float64)
    expected = np.log1p(values * 1e4 / values.sum(axis=1, keepdims=True))
    order = sorted(range(N_GENES), key=lambda position: REFERENCE["ensembl_gene_id"][position])
    np.testing.assert_allclose(seen[EXPRESSION], expected[:, order], rtol=1e-5)
    np.testing.assert_array_equal(
        seen[BOTH], np.hstack([seen[EXPRESSION], seen["minilm-l6-v2/name-go:genept-w"]])
    )
