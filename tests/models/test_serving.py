"""A stored model asked about samples that are not its own: read from a file, or of a collection."""

import secrets
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from patients import N_GENES, REFERENCE, planted_patients
from planted import MINILM, a_collection, embedded, in_every_space, ingest_parsed
from scipy.sparse import csr_matrix
from typer.testing import CliRunner

import genept.cli.predict_commands
from genept.collections.sidecar import validated_sidecar
from genept.common.errors import SourceError, StoreError
from genept.datasources.readers.sandbox import USUAL
from genept.embeddings.expression import embedding_matrix
from genept.embeddings.representations import BOTH
from genept.models.confidence import Calibration, fit_domain
from genept.models.diagnosis.diagnosis_tasks import DiagnosisTask
from genept.models.diagnosis.diagnosis_training import DiagnosisTraining
from genept.models.heads import Contender, fit_model
from genept.models.registry import ModelRegistry
from genept.models.serving import SERVED, BulkCollection, Served, batch_inference, diagnose
from genept.models.training import train
from genept.models.user_samples import OtherUnitError, Samples, lay_out, read_user_samples
from genept.nomenclature.reference import Reference
from genept.schema.tables import REASONS
from genept.storage.lake import Lake

ANSWERED, _, UNLIKE, TOO_FEW_GENES = REASONS
GENES = REFERENCE["symbol"].to_list()
NOMENCLATURE = Reference("hgnc-test", REFERENCE)


@pytest.fixture(scope="module")
def trained(object_store, tmp_path_factory):
    """A stored model, its lake, what it was trained on, and the gene vectors of its space."""
    lake = Lake(object_store, f"tests/serving-{secrets.token_hex(4)}", tmp_path_factory.mktemp("l"))
    collection = a_collection("log2")
    parsed = planted_patients(np.random.default_rng(0), n=160)
    with pytest.MonkeyPatch.context() as patched:
        ingested = ingest_parsed(patched, lake, parsed, REFERENCE, collection)
    ids = REFERENCE["ensembl_gene_id"].to_list()
    parts = in_every_space(lake, ingested, collection, ids)
    registry = ModelRegistry(lake.store, lake.prefix)
    task = DiagnosisTask(collection="planted")
    train(registry, DiagnosisTraining(lake, "planted", "log2", MINILM, parts, (), task))
    manifest = registry.manifest("diagnosis-planted", registry.versions("diagnosis-planted")[0])
    return SimpleNamespace(
        lake=lake,
        registry=registry,
        manifest=manifest,
        vectors=embedded(lake, MINILM, ids),
        own=BulkCollection("planted", "log2", parts.axis, parts.expression),
    )


def space_vectors(trained):
    rows = trained.lake.read_arrow(trained.vectors, ["ensembl_gene_id", "embedding"])
    return lambda _: (rows["ensembl_gene_id"].to_pylist(), embedding_matrix(rows))


def own_file(path, n=9, genes=GENES, change=lambda X: X, seed=7):
    """New patients of the planted kind, as a CSV of samples × genes."""
    rng = np.random.default_rng(seed)
    kind = np.arange(n) % 3
    X = change(rng.normal(6, 1, (n, N_GENES)) + 3.0 * (np.arange(N_GENES) % 3 == kind[:, None]))
    frame = pl.DataFrame({"sample": [f"new-{row}" for row in range(n)]}).hstack(
        pl.DataFrame(X[:, : len(genes)], schema=list(genes))
    )
    frame.write_csv(path)
    return path


def read(path, unit="log2"):
    sidecar = validated_sidecar({"id": "own-samples", "kind": "bulk", "unit": unit}, "the test")
    return read_user_samples(path, sidecar, NOMENCLATURE).samples


def test_new_samples_are_diagnosed_and_foreign_ones_abstained_from(trained, tmp_path):
    served = Served.of(trained.registry, trained.manifest)
    vectors = space_vectors(trained)
    rows = diagnose(served, read(own_file(tmp_path / "own.csv")), vectors)
    answered = rows.filter(reason=ANSWERED)
    assert answered.height >= 7
    kinds = [f"type {int(name[4:]) % 3}" for name in answered["observation_id"]]
    assert answered["prediction"].to_list() == kinds
    assert rows["genes_measured"].unique().to_list() == [1.0]

    turned = own_file(tmp_path / "turned.csv", change=lambda X: X[:, ::-1] * 1.5)
    foreign = diagnose(served, read(turned), vectors)
    assert foreign["reason"].unique().to_list() == [UNLIKE]
    assert (foreign["distance"] > 1).all()
    assert foreign["abstained"].all()

    few = own_file(tmp_path / "few.csv", genes=GENES[: N_GENES // 2])
    assert diagnose(served, read(few), vectors)["reason"].unique().to_list() == [TOO_FEW_GENES]

    counts = own_file(tmp_path / "counts.csv", change=lambda X: np.round(2 ** X.clip(0)))
    with pytest.raises(OtherUnitError, match="it reads log2, and these samples are counts"):
        diagnose(served, read(counts, "counts"), vectors)


@pytest.mark.parametrize("representation", ["minilm-l6-v2/name-go:genept-w", BOTH])
def test_a_model_that_reads_an_embedding_pools_the_genes_of_its_training(
    trained, tmp_path, representation
):
    vectors = space_vectors(trained)
    laid = lay_out(read(own_file(tmp_path / "own.csv")), trained.manifest.genes, "log2")
    embedded = laid.embedded(*vectors("a space"), trained.manifest)
    features = embedded
    if representation == BOTH:
        features = np.hstack([laid.features, embedded])
    contender = Contender(representation, "linear")
    labels = np.array(["a", "b", "c"])[np.arange(9) % 3]
    model = fit_model(contender, {representation: features}, labels, Calibration(), 0)
    manifest = trained.manifest.model_copy(
        update={"representation": representation, "classes": ("a", "b", "c")}
    )
    served = Served(manifest, model, fit_domain(features, features, seed=0))
    rows = diagnose(served, read(tmp_path / "own.csv"), vectors)
    assert rows["prediction"].to_list() == labels.tolist()


def test_reads_are_divided_by_the_lengths_of_genes_and_abundances_are_not(trained):
    genes = trained.manifest.genes
    kilobases = np.linspace(0.5, 20, len(genes))
    manifest = trained.manifest.model_copy(update={"kilobases": tuple(kilobases.tolist())})
    abundance = np.random.default_rng(0).gamma(1, 9, (3, len(genes))) + 1
    vectors = space_vectors(trained)("a space")

    def pooled(values, unit, **declared):
        of = Samples(
            ("a", "b", "c"), genes, csr_matrix(values.astype(np.float32)), unit, **declared
        )
        return lay_out(of, genes, "counts").embedded(*vectors, manifest)

    by_length = pooled(abundance * kilobases, "counts", per_kilobase=True)
    np.testing.assert_allclose(by_length, pooled(abundance, "tpm"), atol=1e-5)
    molecules = pooled(abundance * kilobases, "counts")
    assert np.abs(by_length - molecules).max() > 0.01


def test_a_few_missing_genes_are_borne(trained, tmp_path):
    served = Served.of(trained.registry, trained.manifest)
    most = own_file(tmp_path / "most.csv", genes=GENES[: N_GENES - 4])
    rows = diagnose(served, read(most), space_vectors(trained))
    assert rows["genes_measured"].unique().to_list() == [0.9]
    assert rows.filter(reason=ANSWERED).height >= 7


def test_a_file_whose_unit_is_not_detected_is_asked_about(tmp_path):
    path = own_file(tmp_path / "own.csv")
    sidecar = validated_sidecar({"id": "own-samples", "kind": "bulk"}, "the test")
    with pytest.raises(SourceError, match=r"^own\.csv: unit: .*state the unit: unit = .log2. for"):
        read_user_samples(path, sidecar, NOMENCLATURE)


def test_a_value_that_cannot_be_is_refused_with_the_name_of_the_file(tmp_path):
    path = own_file(tmp_path / "own.csv", change=lambda X: X * 9)
    sidecar = validated_sidecar({"id": "own-samples", "kind": "bulk", "unit": "log2"}, "the test")
    with pytest.raises(StoreError, match=r"^own\.csv: "):
        read_user_samples(path, sidecar, NOMENCLATURE)


def test_a_champion_is_asked_about_what_it_does_not_know_and_only_once(trained, monkeypatch):
    lake = trained.lake
    ask = (lake, trained.registry, [trained.manifest], [trained.own], {MINILM.id: trained.vectors})
    (part,), _ = batch_inference(*ask, table=SERVED)
    rows = lake.read(part)
    evidence = trained.registry.evidence(trained.manifest)
    known = {*evidence.out_of_fold.ids, *evidence.holdout.ids}
    assert rows.height == 6
    assert not known & set(rows["observation_id"])
    monkeypatch.setattr(Served, "of", None)
    assert batch_inference(*ask, table=SERVED) == ([part], {})
    other = BulkCollection("counted", "counts", trained.own.axis, trained.own.expression)
    parts, skipped = batch_inference(*ask[:3], [other], ask[4], table=SERVED)
    assert not parts
    assert skipped == {"diagnosis-planted, counted": "it reads log2, and the collection is counts"}


@pytest.mark.slow
def test_the_command_prints_a_table_and_writes_it(trained, tmp_path, monkeypatch):
    platform = SimpleNamespace(
        registry=trained.registry, reference=NOMENCLATURE, file_allowance=USUAL
    )
    monkeypatch.setattr(genept.cli.predict_commands, "Platform", lambda _: platform)
    monkeypatch.setattr(genept.cli.predict_commands, "released_vectors", space_vectors(trained))
    run = CliRunner().invoke
    path = str(own_file(tmp_path / "own.csv"))
    champion = trained.registry.champion
    monkeypatch.setattr(trained.registry, "champion", lambda _: None)
    nobody = run(genept.cli.predict_commands.predict, ["diagnosis", path])
    assert "is champion yet" in str(nobody.exception)
    monkeypatch.setattr(trained.registry, "champion", champion)
    if champion("diagnosis-planted") is None:
        trained.registry.promote(trained.manifest, reason="test", instead_of=None)
    for name in ("out.csv", "out.parquet"):
        out = tmp_path / name
        done = run(
            genept.cli.predict_commands.predict,
            ["diagnosis", path, "--unit", "log2", "--out", str(out)],
        )
        assert done.exit_code == 0, done.output
        assert "answered" in done.output
        assert "Research use" in done.output
        rows = pl.read_csv(out) if name.endswith("csv") else pl.read_parquet(out)
        assert rows.height == 9
        assert set(rows["model"]) == {"diagnosis-planted"}
    hostile = ["=cmd|' /C calc'!A0", "@SUM(1)", "+1+1", "-2+3", "\t=1", "plain", "a=1", "x", "y"]
    named = pl.read_csv(path).with_columns(pl.Series("sample", hostile))
    named.write_csv(tmp_path / "hostile.csv")
    out = tmp_path / "hostile-out.csv"
    command = ["diagnosis", str(tmp_path / "hostile.csv"), "--unit", "log2", "--out", str(out)]
    done = run(genept.cli.predict_commands.predict, command)
    assert done.exit_code == 0, (done.output, done.exception)
    (ids,) = [column.to_list() for column in pl.read_csv(out) if "plain" in column.to_list()]
    assert [id_ for id_ in ids if id_.startswith("'")] == [f"'{id_}" for id_ in hostile[:5]]
    assert ids[5:] == hostile[5:]
    broken = pl.read_csv(path).with_columns(
        pl.when(pl.int_range(pl.len()) == 3).then(pl.lit("x")).otherwise(pl.nth(1)).alias(GENES[0])
    )
    broken.write_csv(tmp_path / "broken.csv")
    command = ["diagnosis", str(tmp_path / "broken.csv"), "--unit", "log2"]
    refusal = str(run(genept.cli.predict_commands.predict, command).exception)
    remedy = 'non_numeric="quarantine"'
    assert f"--option '{remedy}'" in refusal
    done = run(genept.cli.predict_commands.predict, [*command, "--option", remedy])
    assert done.exit_code == 0, (done.output, done.exception)
    wrong = run(genept.cli.predict_commands.predict, ["diagnosis", path, "--task", "diagnosis-x"])
    assert "there is no model 'diagnosis-x'" in str(wrong.exception)
    wrong = ["diagnosis", path, "--unit", "log2", "--out", str(tmp_path / "out.xlsx")]
    assert ".parquet or .csv" in str(run(genept.cli.predict_commands.predict, wrong).exception)
