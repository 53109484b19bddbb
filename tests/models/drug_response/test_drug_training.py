"""A planted screen in a real lake: trained once, judged by the gate, stored, asked again."""

import secrets
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from planted import (
    MINILM,
    RANDOM,
    a_collection,
    embedded,
    in_every_space,
    ingest_parsed,
    numbered_reference,
    parsed_of,
)
from typer.testing import CliRunner

from genept.cli import predict_commands
from genept.embeddings.collection_tables import CollectionTables
from genept.embeddings.representations import BOTH, EXPRESSION
from genept.models.drug_response.drug_training import (
    UNMEASURED,
    DrugTraining,
    predict_drugs,
    unmeasured_responses,
)
from genept.models.drug_response.pipeline import drug_codes
from genept.models.drug_response.predictors import MODELS
from genept.models.drug_response.regimes import REGIMES
from genept.models.drug_response.screens import Screen
from genept.models.holdout import HoldoutReadError, frozen_from_table
from genept.models.registry import ModelRegistry
from genept.models.serving import TOO_FEW_GENES, UNLIKE, BulkCollection, Served
from genept.models.stored_models import ModelRefusedError
from genept.models.training import train
from genept.models.user_samples import Samples
from genept.schema.tables import TABLES
from genept.storage.lake import Lake
from genept.storage.provenance import StoredTable

N_GENES = 40
N_DRUGS = 6
REFERENCE = numbered_reference(N_GENES)
SPACES = {"minilm-l6-v2/name-go:genept-w", "random-384/name-go:genept-w"}


def planted_screen(rng, n=150):
    """Cell lines of which each drug reads one of two directions; some pairs are not measured."""
    state = rng.normal(size=(n, 2))
    values = state @ rng.normal(size=(2, N_GENES)) + 0.3 * rng.normal(size=(n, N_GENES))
    lines = [f"line-{row:03d}" for row in range(n)]
    responses = pl.DataFrame(
        [
            (line, f"drug-{drug}", float(5 * drug + state[row, drug % 2] + 0.4 * rng.normal()), 1)
            for row, line in enumerate(lines)
            for drug in range(N_DRUGS)
            if (row + drug) % 11
        ],
        schema=["observation_id", "drug_id", "value", "n_measured"],
        orient="row",
    ).select(
        "observation_id",
        "drug_id",
        "value",
        measure=pl.lit("ln_ic50"),
        unit=pl.lit("ln(µM)"),
        n_measured="n_measured",
    )
    tissue = [f"tissue {row % 12}" for row in range(n)]
    return parsed_of(
        values,
        REFERENCE["symbol"].to_list(),
        lines,
        responses=responses,
        labels={"tissue": tissue},
    )


@pytest.fixture(scope="module")
def lake(object_store, tmp_path_factory) -> Lake:
    """One lake for all tests of this file: the screen is trained once."""
    prefix = f"tests/drug-training-{secrets.token_hex(4)}"
    return Lake(object_store, prefix, tmp_path_factory.mktemp("parts"))


@pytest.fixture(scope="module")
def screen(lake: Lake):
    """A registry, a training on a planted screen, and the ingested parts by table."""
    collection = a_collection("zscore")
    parsed = planted_screen(np.random.default_rng(0))
    with pytest.MonkeyPatch.context() as monkeypatch:
        ingested = ingest_parsed(monkeypatch, lake, parsed, REFERENCE, collection)
    parts = in_every_space(lake, ingested, collection, REFERENCE["ensembl_gene_id"].to_list())
    registry = ModelRegistry(lake.store, lake.prefix)
    read = (lake, collection.id, "zscore", MINILM, parts, ())
    return registry, DrugTraining(*read, ingested["drug_responses"]), ingested


@pytest.fixture(scope="module")
def trained(screen):
    """Result of its training."""
    registry, training, _ = screen
    return train(registry, training)


def by_table(retraining):
    return {part.table: part for part in reversed(retraining.parts)}


def test_a_screen_is_trained_judged_and_stored(lake: Lake, screen, trained, monkeypatch):
    registry, training, ingested = screen
    parts = by_table(trained)
    predictions = lake.read(parts["drug_response_predictions"])
    responses = lake.read(ingested["drug_responses"])
    columns = ["observation_id", "drug_id"]
    assert predictions.select(*columns, value="measured").equals(
        responses.sort(columns).select(*columns, "value")
    )
    inside = (pl.col("measured") - pl.col("prediction")).abs() < pl.col("high") - pl.col(
        "prediction"
    )
    assert 0.85 < predictions.select(inside.mean()).item() < 0.95
    folds = predictions.group_by("observation_id").agg(pl.col("fold").n_unique())
    assert folds["fold"].max() == 1

    evaluations = lake.read(parts["model_evaluations"])
    assert not evaluations.select(TABLES["model_evaluations"].key).is_duplicated().any()
    pearson = evaluations.filter(metric="normalised_pearson").rows_by_key(
        "representation", named=True, unique=True
    )
    compared = {EXPRESSION, BOTH, *SPACES, "drug-mean", "permuted-features"}
    assert set(pearson) == {*compared, "selected"}
    assert pearson["selected"]["ci_low"] > 0.7
    assert abs(pearson["permuted-features"]["value"]) < 0.3
    held_out = evaluations.filter(metric="holdout_normalised_pearson")
    assert held_out["value"].item() > 0.7

    model = "drug-response-planted"
    frozen_from_table(lake.read(parts["model_folds"]))
    manifest = registry.champion(model)
    assert manifest is not None, registry.verdicts(model, registry.versions(model)[0])
    evidence = registry.evidence(manifest)
    assert evidence.refit_difference <= 1e-6
    assert evidence.permuted.low <= 0.5
    assert set(evidence.baselines) == {"majority-class", "tissue-drug-mean", "permuted-labels"}
    registry.load(manifest)
    assert "Research use" in registry.card(manifest)

    def refuse(*_):
        raise AssertionError("it is trained already")

    monkeypatch.setattr("genept.models.drug_response.screens.read_views", refuse)
    again = train(registry, replace(training))
    assert again.parts == trained.parts
    assert again.summary.startswith("skipped, no new data")


def test_a_champion_is_asked_about_new_samples_and_abstains_on_foreign_ones(
    lake: Lake, screen, trained, monkeypatch, tmp_path
):
    registry, training, ingested = screen
    collection, unit, parts = training.collection, training.unit, training.parts
    responses = training.responses
    manifest = registry.champion("drug-response-planted")
    served = Served.of(registry, manifest)
    lines = BulkCollection(collection, unit, parts.axis, parts.expression)
    samples = lines.samples(lake)
    genes = ingested["gene_axis"]
    rng = np.random.default_rng(0)
    vectors = lake.read(genes)["ensembl_gene_id"].to_list(), np.zeros((N_GENES, 384), np.float32)
    if manifest.representation == BOTH:
        pytest.skip("the planted vectors are not available")
    predicted = predict_drugs(served, samples, lambda _: vectors)
    assert len(predicted) == len(samples.ids) * N_DRUGS
    assert (predicted["low"] < predicted["prediction"]).all()
    first = predicted.filter(observation_id=samples.ids[0])
    assert first["difference"].is_sorted()
    answered = predicted.filter(~pl.col("abstained"))
    assert len(answered) > 0.9 * len(predicted)
    both = answered.join(lake.read(responses), on=["observation_id", "drug_id"])
    means = both.select(pl.col("value") - pl.col("value").mean().over("drug_id")).to_series()
    assert np.corrcoef(means, both["difference"])[0, 1] > 0.8

    the_command_line_says_the_same(monkeypatch, tmp_path, registry, samples, vectors)

    foreign = Samples(
        ("noise",), samples.genes, sp.csr_matrix(rng.normal(0, 9, (1, N_GENES))), unit
    )
    refused = predict_drugs(served, foreign, lambda _: vectors)
    assert refused["abstained"].all()
    assert set(refused["reason"]) == {UNLIKE}
    few = Samples(
        samples.ids[:3], samples.genes[:20], sp.csr_matrix(samples.expression[:3, :20]), unit
    )
    assert set(predict_drugs(served, few, lambda _: vectors)["reason"]) == {TOO_FEW_GENES}

    genes = REFERENCE["ensembl_gene_id"].to_list()
    stored = ingested | {"gene_embeddings": embedded(lake, training.space, genes)}
    tables = {name: StoredTable(name, (part,)) for name, part in stored.items()}
    of = CollectionTables(lake, tables, [a_collection(unit)], [training.space])
    predictions, skipped = unmeasured_responses(of, registry, [manifest])
    assert not skipped
    rows = lake.read(predictions)
    assert rows.schema == pl.from_arrow(TABLES[UNMEASURED].schema().empty_table()).schema
    assert len(rows) == len(predicted) - responses.rows
    keys = ["observation_id", "drug_id"]
    assert not len(rows.join(lake.read(responses), on=keys, how="semi"))


def the_command_line_says_the_same(monkeypatch, tmp_path, registry, samples, vectors):
    monkeypatch.setattr(predict_commands, "Platform", lambda _: SimpleNamespace(registry=registry))
    own = SimpleNamespace(samples=samples)
    monkeypatch.setattr(predict_commands, "read_file", lambda *_: own)
    monkeypatch.setattr(predict_commands, "released_vectors", lambda _: vectors)
    file, out = tmp_path / "mine.csv", tmp_path / "out.parquet"
    file.write_text("read by another test")
    command = ["drugs", str(file), "--top", "2", "--drug", "drug-1", "--out", str(out)]
    printed = CliRunner().invoke(predict_commands.predict, command)
    assert printed.exit_code == 0, printed.output
    assert "less the drug's mean" in printed.output
    assert "Research use" in printed.output
    assert pl.read_parquet(out)["drug_id"].unique().to_list() == ["drug-1"]
    unknown = CliRunner().invoke(predict_commands.predict, [*command[:2], "--drug", "nothing"])
    assert "no response to 'nothing' was learnt" in str(unknown.exception)
    nobody = CliRunner().invoke(predict_commands.predict, [*command[:2], "--screen", "nix"])
    assert "there is no model 'drug-response-nix'" in str(nobody.exception)


def test_a_tampered_model_is_refused(lake: Lake, screen, trained):
    registry = screen[0]
    manifest = registry.champion("drug-response-planted")
    (key,) = (
        info.key
        for info in lake.store.list(f"{registry.prefix}/")
        if info.key.endswith("model.skops")
    )
    honest, etag = lake.store.get_with_etag(key)
    body = bytearray(honest)
    body[len(body) // 2] ^= 1
    lake.store.put_if_match(key, bytes(body), etag)
    with pytest.raises(ModelRefusedError, match="SHA-256"):
        registry.load(manifest)
    lake.store.put_if_match(key, honest, lake.store.get_with_etag(key)[1])
    registry.load(manifest)


def test_a_line_in_training_and_holdout_is_refused(screen, monkeypatch):
    registry, training, _ = screen
    other_space = replace(training, space=RANDOM)

    def half(ids, members, groups, *, task, share=0.2):
        from genept.models.holdout import Holdout

        return Holdout.of(ids[::2])

    monkeypatch.setattr("genept.models.drug_response.drug_retraining.hold_out", half)
    with pytest.raises(HoldoutReadError, match="lie on both sides"):
        train(registry, other_space)


def test_the_full_benchmark_goes_on_where_it_was_killed(lake: Lake, screen, monkeypatch):
    training = screen[1]
    monkeypatch.setattr("genept.models.drug_response.screens.N_FOLDS", 3)
    monkeypatch.setattr("genept.models.drug_response.screens.MODELS", {"ridge": MODELS["ridge"]})
    done = []

    class KilledError(Exception):
        pass

    evaluated = Screen.evaluate_fold

    def counted(self, regime, name, *rest):
        if len(done) == 4:
            raise KilledError
        done.append((regime, name))
        return evaluated(self, regime, name, *rest)

    monkeypatch.setattr(Screen, "evaluate_fold", counted)

    def run():
        return replace(training).screen.evaluate(seed=1)

    with pytest.raises(KilledError):
        run()
    before, done[:] = list(done), []
    parts = run()
    assert not set(before) & set(done)
    assert set(before) | set(done) == {(r, n) for r in REGIMES for n in ("naive", "ridge")}
    rows = lake.read([part for part in parts if part.table == "model_evaluations"])
    assert not rows.select(TABLES["model_evaluations"].key).is_duplicated().any()
    drugs = rows.filter(pl.col("model") == "drug-response-planted-leave-drug-out-ridge")
    assert set(drugs["representation"]) == {"drug-identity", "permuted-features"}
    lines = rows.filter(pl.col("model") == "drug-response-planted-leave-cell-line-out-ridge")
    is_control = dict(lines.select("representation", "is_control").iter_rows())
    assert is_control["random-embedding"], "beside the ridge on the sample's vector"
    assert not is_control["embedding"]


def test_codes_of_drugs_come_from_their_names_alone(monkeypatch):
    names = [f"drug {n}" for n in range(700)]
    codes = drug_codes(names)
    assert np.array_equal(codes, codes.astype(np.float32))
    assert np.array_equal(drug_codes(names[::-1]), codes[::-1])
    with pytest.raises(ValueError, match="two drugs have one code"):
        drug_codes([*names, names[0]])
