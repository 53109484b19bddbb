"""Leaks and forgetting planted into GDSC's cell lines and their responses to twenty drugs."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from planted_models import beside, blocked
from retrained import assert_agreement

import genept.models.drug_response.drug_retraining
from genept.datasources.catalogue import load_catalogue
from genept.datasources.parsers import parse_collection
from genept.embeddings.representations import EXPRESSION
from genept.models.drug_response.drug_retraining import DrugRetraining
from genept.models.drug_response.predictors import ResponsePairs
from genept.models.drug_response.screen_rows import ScreenRows
from genept.models.evidence import ModelCandidate
from genept.models.holdout import Holdout, HoldoutReadError
from genept.models.registry import ModelRegistry
from genept.models.splits import connected_groups, near_duplicates
from genept.models.stored_models import ModelRefusedError
from genept.models.training import trained_model
from genept.storage.provenance import Origin

pytestmark = [pytest.mark.index, pytest.mark.soak]
N_DRUGS, N_GENES = 20, 200
MODEL = "drug-response-gdsc"


@pytest.fixture(scope="module")
def gdsc(real_archives):
    """The drugs that most lines have met, over the genes that vary most."""
    parsed = parse_collection(real_archives, load_catalogue().collections["gdsc"])
    lines = parsed.observations
    X = np.vstack([block.toarray() for block in parsed.expression.blocks()])
    X = np.ascontiguousarray(X[:, np.argsort(-X.var(axis=0))[:N_GENES]])
    order = np.argsort(lines["observation_id"].to_numpy())
    lines, X = lines[order], X[order]
    many = parsed.responses["drug_id"].value_counts(sort=True)["drug_id"][:N_DRUGS]
    responses = parsed.responses.filter(parsed.responses["drug_id"].is_in(many.implode()))
    ids = lines["observation_id"].to_numpy().astype(str)
    tissues = lines["tissue"].fill_null("unknown").to_numpy().astype(str)
    drugs, drug = np.unique(responses["drug_id"].to_numpy().astype(str), return_inverse=True)
    line = np.searchsorted(ids, responses["observation_id"].to_numpy().astype(str))
    _, tissue = np.unique(tissues, return_inverse=True)
    pairs = ResponsePairs(line, drug, tissue[line], responses["value"].to_numpy())
    groups = connected_groups(ids.tolist(), duplicates=near_duplicates(X))
    return ScreenRows(ids, ids.tolist(), groups, tissues, {EXPRESSION: X}, drugs, pairs)


def assembled(screen, version="1"):
    """A version of these lines, as `genept.models.training` submits it."""
    fit = DrugRetraining(screen, (EXPRESSION,), MODEL, 0)
    training = SimpleNamespace(
        model=MODEL, collection="gdsc", label="sensitivity", unit="zscore", genes=("g",),
        space=SimpleNamespace(id="s"), limits=(), left_out={}, forgotten_on_purpose=(),
        origin=Origin((), {"lines": "0" * 64}), rows=fit.rows, fit=fit,
        holdout=Holdout.of(fit.judged.ids),
    )  # fmt: skip
    return trained_model(training, version)


def trained(screen, version="1"):
    model = assembled(screen, version)
    return ModelCandidate(
        model.manifest, model.evidence, model.card, model.manifest.pipeline_sha256
    )


@pytest.fixture(scope="module")
def honest(gdsc):
    return trained(gdsc)


def test_honest_lines_pass_every_point(honest):
    assert not blocked(honest)


def test_two_retrainings_agree_to_one_in_a_million(gdsc, honest):
    assert_agreement(trained(gdsc).evidence, honest.evidence)


def test_a_tissue_that_was_dropped_from_training_is_refused(gdsc, honest):
    kept = gdsc.tissues[gdsc.pairs.line] != "leukemia"
    fewer = trained(replace(gdsc, pairs=gdsc.pairs.take(kept)), "2")
    verdicts = blocked(fewer, beside(fewer, honest))
    assert verdicts["no_data_set_is_forgotten"] == "refuse"


def test_a_screen_that_lost_lines_of_the_holdout_is_refused(gdsc, honest):
    kept = np.isin(gdsc.pairs.drug, np.arange(N_DRUGS // 2))
    fewer = trained(replace(gdsc, pairs=gdsc.pairs.take(kept)), "2")
    assert blocked(fewer, beside(fewer, honest))["evidence_is_complete"] == "refuse"


def test_a_line_in_two_folds_under_two_names_is_refused(gdsc):
    rng = np.random.default_rng(0)
    X = gdsc.features[EXPRESSION].copy()
    source, copy = rng.permutation(np.unique(gdsc.pairs.line))[:60].reshape(2, 30)
    X[copy] = X[source] + rng.normal(0, 0.01, (30, N_GENES)).astype(np.float32)
    planted = replace(gdsc, features={EXPRESSION: X})
    assert blocked(trained(planted))["groups_stay_whole"] == "refuse"
    tied = connected_groups(list(gdsc.groups), duplicates=near_duplicates(X))
    assert "groups_stay_whole" not in blocked(trained(replace(planted, groups=tied)))


@pytest.mark.parametrize("as_class", [False, True])
def test_a_response_among_the_genes_is_refused(gdsc, as_class):
    mine = gdsc.pairs.drug == 7
    value = gdsc.pairs.value - gdsc.pairs.value[mine].mean()
    column = np.zeros(len(gdsc.ids), dtype=np.float32)
    fit = DrugRetraining(gdsc, (EXPRESSION,), MODEL, 0)
    value -= value[mine & ~fit.out].mean()
    column[gdsc.pairs.line[mine]] = np.sign(value[mine]) if as_class else value[mine]
    X = np.hstack([gdsc.features[EXPRESSION], column[:, None]])
    candidate = trained(replace(gdsc, features={EXPRESSION: X}))
    assert candidate.evidence.label_like_features == (f"{EXPRESSION} #{N_GENES}",)
    assert blocked(candidate)["fitted_inside"] == "refuse"


def test_test_pairs_in_training_are_refused(gdsc, monkeypatch):
    honest_fit = genept.models.drug_response.drug_retraining.fit_pipeline

    def leaky(features, drugs, pairs, train, *, seed):
        return honest_fit(features, drugs, pairs, np.ones_like(train), seed=seed)

    monkeypatch.setattr(genept.models.drug_response.drug_retraining, "fit_pipeline", leaky)
    with pytest.raises(HoldoutReadError, match="pairs of the holdout were handed to training"):
        trained(gdsc)


def test_a_line_on_both_sides_of_the_holdout_is_refused(gdsc, monkeypatch):
    monkeypatch.setattr(
        genept.models.drug_response.drug_retraining,
        "hold_out",
        lambda ids, *_, **__: Holdout.of(ids[::2]),
    )
    with pytest.raises(HoldoutReadError, match="lie on both sides"):
        trained(gdsc)


def test_a_tampered_model_file_is_refused(gdsc, object_store, store_prefix):
    registry = ModelRegistry(object_store, store_prefix)
    model = assembled(gdsc)
    registry.submit(model)
    registry.load(model.manifest)
    (key,) = (
        info.key for info in object_store.list(store_prefix) if info.key.endswith("model.skops")
    )
    body, etag = object_store.get_with_etag(key)
    object_store.put_if_match(key, body[:-300] + bytes([body[-300] ^ 1]) + body[-299:], etag)
    with pytest.raises(ModelRefusedError, match="its manifest says"):
        registry.load(model.manifest)
