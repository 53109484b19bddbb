"""The registry over a real object store: what is stored, who is champion, what is refused."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from planted_models import MODEL, planted_rows, submitted
from typer.testing import CliRunner

import genept.cli.result_commands
from genept.common.errors import ConflictError, StoreError
from genept.models.diagnosis.diagnosis_retraining import retrain
from genept.models.heads import Contender
from genept.models.holdout import hold_out
from genept.models.promotion import (
    SHADOW_PERIOD,
    begin_shadow,
    challenger,
    judge_candidate,
    promote_challenger,
    promote_if_due,
)
from genept.models.registry import KEPT, ModelRegistry
from genept.models.stored_models import ModelRefusedError


@pytest.fixture(scope="module")
def retrained():
    rows = planted_rows()
    contenders = [Contender("expression", "linear")]
    holdout = hold_out(rows.ids, rows.groups, rows.groups, task=MODEL)
    return retrain(rows, holdout, contenders, seed=0)


@pytest.fixture
def registry(object_store, store_prefix):
    return ModelRegistry(object_store, store_prefix)


def test_a_candidate_that_passes_becomes_champion_and_is_loaded_as_it_was(registry, retrained):
    manifest = submitted(registry, retrained, "v1")
    out = retrained.rows.take(retrained.holdout.contains(retrained.rows.ids))
    verdicts = judge_candidate(registry, manifest, out, manifest.genes)
    assert not verdicts.refused, verdicts.refused
    registry.judge(verdicts)
    promote_if_due(registry, verdicts)
    assert registry.champion(MODEL) == manifest
    loaded = registry.load(manifest)
    np.testing.assert_allclose(
        loaded.probabilities(out.features), retrained.fitted.probabilities(out.features), atol=1e-6
    )
    second = submitted(registry, retrained, "v2")
    again = judge_candidate(registry, second, out, manifest.genes)
    assert [point.name for point in again.refused] == ["not_worse_than_champion"]
    promote_if_due(registry, again)
    assert registry.champion(MODEL) == manifest


def test_a_rollback_is_not_undone_by_the_next_run(registry, retrained):
    out = retrained.rows.take(retrained.holdout.contains(retrained.rows.ids))
    first, second = (submitted(registry, retrained, name) for name in ("v1", "v2"))
    registry.promote(first, reason="first", instead_of=None)
    passed = judge_candidate(registry, second, out, first.genes).model_copy(update={"points": ()})
    tonight = datetime.now(UTC)
    assert "shadows the champion" in promote_if_due(registry, passed)
    registry.judge(passed)
    assert challenger(registry, MODEL) == second
    begin_shadow(registry, second)
    assert begin_shadow(registry, second).since <= datetime.now(UTC).isoformat()
    promote_if_due(registry, passed, now=tonight)
    assert registry.champion(MODEL) == first
    promote_challenger(registry, MODEL, now=tonight + SHADOW_PERIOD + timedelta(minutes=1))
    assert registry.champion(MODEL) == second
    assert challenger(registry, MODEL) is None
    registry.rollback(MODEL, reason="wrong on Mondays")
    decision = promote_if_due(registry, passed, now=tonight + 3 * SHADOW_PERIOD)
    assert "no run undoes a rollback" in decision
    assert registry.champion(MODEL) == first


def test_a_promotion_against_another_champion_is_void_and_five_are_kept(registry, retrained):
    versions = [f"v{n}" for n in range(KEPT + 2)]
    before = None
    for version in versions:
        manifest = submitted(registry, retrained, version)
        registry.promote(manifest, reason="test", instead_of=before)
        with pytest.raises(ConflictError, match="evaluate it again"):
            registry.promote(manifest, reason="test", instead_of="somebody")
        before = version
    pointer, _ = registry.pointer(MODEL)
    assert [named.version for named in pointer.models] == versions[:1:-1]
    assert registry.versions(MODEL) == versions[2:]
    with pytest.raises(StoreError, match="genept models list"):
        registry.manifest(MODEL, "v0")


def test_a_version_from_before_a_field_was_added_can_be_promoted(registry, retrained):
    manifest = submitted(registry, retrained, "v1")
    (key,) = (
        info.key
        for info in registry.store.list(f"{registry.prefix}/{MODEL}/versions/v1/")
        if info.key.endswith("manifest.json")
    )
    body, etag = registry.store.get_with_etag(key)
    older = {name: value for name, value in json.loads(body).items() if name != "floor"}
    registry.store.put_if_match(key, json.dumps(older).encode(), etag)
    registry.promote(registry.manifest(MODEL, "v1"), reason="test", instead_of=None)
    champion = registry.champion(MODEL)
    assert champion == manifest.model_copy(update={"floor": 1e-6})


def test_a_tampered_model_or_manifest_is_refused(registry, retrained):
    manifest = submitted(registry, retrained, "v1")
    registry.promote(manifest, reason="test", instead_of=None)
    keys = [info.key for info in registry.store.list(f"{registry.prefix}/{MODEL}/versions/v1/")]
    (model_key,) = (key for key in keys if key.endswith("model.skops"))
    body, etag = registry.store.get_with_etag(model_key)
    registry.store.put_if_match(model_key, body[:-1] + b"x", etag)
    with pytest.raises(ModelRefusedError, match="genept models rollback"):
        registry.load(manifest)
    (manifest_key,) = (key for key in keys if key.endswith("manifest.json"))
    _, etag = registry.store.get_with_etag(manifest_key)
    forged = manifest.model_copy(update={"temperature": 9.0})
    registry.store.put_if_match(manifest_key, forged.body(), etag)
    with pytest.raises(ModelRefusedError, match="not the manifest of the champion"):
        registry.champion(MODEL)


def test_the_command_line_shows_explains_and_refuses(registry, retrained, monkeypatch):
    monkeypatch.setattr(genept.cli.result_commands, "open_registry", lambda: registry)
    nothing = CliRunner().invoke(genept.cli.result_commands.models, ["list"])
    assert "no model was trained yet" in str(nothing.exception)
    manifest = submitted(registry, retrained, "v1")
    out = retrained.rows.take(retrained.holdout.contains(retrained.rows.ids))
    verdicts = judge_candidate(registry, manifest, out, manifest.genes)
    registry.judge(verdicts)
    promote_if_due(registry, verdicts)
    submitted(registry, retrained, "w2")

    def say(*words):
        return CliRunner().invoke(genept.cli.result_commands.models, list(words))

    score = retrained.evidence.scores["balanced_accuracy"].value
    assert f"{score:.3f}" in say("list").stdout
    shown = say("show", MODEL).stdout
    assert "Research use" in shown
    assert "never promoted" in shown
    assert "sentinels_stay_unknown" in say("explain", MODEL).stdout
    refused = say("promote", MODEL, "w2", "--reason", "I want it")
    assert "not judged yet" in str(refused.exception)
    assert "no earlier champion" in str(say("rollback", MODEL, "--reason", "no").exception)
