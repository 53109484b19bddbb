"""`genept predict drugs --new-drug`: a drug that no screen measured, on samples of one's own."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from all_commands import app
from planted import a_collection
from planted_drug_tables import REFERENCE, ingested, listed, vectors_of
from planted_drugs import Planted, planted
from typer.testing import CliRunner

from genept.cli import new_drugs, predict_commands
from genept.datasources.readers.sandbox import USUAL
from genept.embeddings import EXPRESSION
from genept.models.confidence import fit_domain
from genept.models.drug_response import has_rdkit
from genept.models.serving import Served
from genept.models.unscreened_drugs.unscreened_profiles import NOTHING_KNOWN, UnscreenedModel
from genept.models.user_samples import Samples
from genept.nomenclature.reference import Reference
from genept.schema.tables import REASONS
from genept.storage.lake import Lake
from genept.storage.provenance import StoredTable

ANSWERED, _, UNLIKE, TOO_FEW_GENES = REASONS
SYMBOLS = REFERENCE["symbol"].to_list()
Run = Callable[..., Any]


@pytest.fixture(scope="module")
def screen() -> Planted:
    return planted(11)


@pytest.fixture(scope="module")
def installation(object_store, tmp_path_factory, screen: Planted) -> SimpleNamespace:
    """What the command reads of an installation: a screen of 46 of the drugs, and all lists."""
    prefix = f"tests/new-drugs-{secrets.token_hex(4)}"
    lake = Lake(object_store, prefix, tmp_path_factory.mktemp("parts"))
    collection = a_collection("zscore")
    tables = ingested(lake, screen, drugs=46)
    drugs, targets = listed(lake, screen)
    lists = {"drugs": drugs, "drug_targets": targets}
    return SimpleNamespace(
        lake=lake, archives=None, registry=SimpleNamespace(names=list),
        reference=Reference("hgnc-test", REFERENCE), file_allowance=USUAL,
        collections=[collection], catalogue=SimpleNamespace(collections={"planted": collection}),
        ingest=lambda _: [part for table in tables.values() for part in table.parts],
        drug_parts=lambda *_: [part for table in lists.values() for part in table.parts],
        recipes={"name-ncbi-go": "a recipe"}, describe=lambda *_: [],
        knowledge=SimpleNamespace(unavailable=lambda _: None),
        available_vectors=lambda *_: vectors_of(lake, screen), lists=lists,
    )  # fmt: skip


@pytest.fixture
def run(installation: SimpleNamespace, screen: Planted, monkeypatch, tmp_path: Path) -> Run:
    """Run the command on a file; options after it."""
    features = screen.screen.features[EXPRESSION]
    manifest = SimpleNamespace(
        collection="planted", model="drug-response-planted", version="f" * 64, unit="zscore",
        genes=tuple(REFERENCE["ensembl_gene_id"].to_list()), representation=EXPRESSION, space=None,
    )  # fmt: skip
    served: Any = Served(manifest, None, fit_domain(features, features, seed=0))  # type: ignore[arg-type]
    monkeypatch.setattr(predict_commands, "Platform", lambda _: installation)
    monkeypatch.setattr(predict_commands, "champions", lambda *_: [served])
    reference = StoredTable("genes", ())
    monkeypatch.setattr(
        new_drugs, "build_reference_table", lambda *_: SimpleNamespace(part=lambda: reference)
    )

    def invoke(
        *options: str, values: np.ndarray | None = None, genes: int = 40, reads: bool = False
    ) -> Any:
        path = tmp_path / "own.csv"
        rows = features[:30] if values is None else values
        ids = tuple(f"[red]mine-{row}" for row in range(len(rows)))
        names = pl.DataFrame({"sample": ids})
        names.hstack(pl.DataFrame(rows[:, :genes], schema=SYMBOLS[:genes])).write_csv(path)
        if not reads:  # reading takes a process of its own, which one test is enough for
            matrix = sp.csr_matrix(rows[:, :genes])
            own = Samples(ids, manifest.genes[:genes], matrix, "zscore")
            monkeypatch.setattr(
                predict_commands, "read_file", lambda *_: SimpleNamespace(samples=own)
            )
        command = ["predict", "drugs", str(path), "--unit", "zscore", *options]
        return CliRunner().invoke(app, command)

    return invoke


def rows_of(run: Run, out: Path, *options: str, **file: Any) -> tuple[pl.DataFrame, str]:
    done = run(*options, "--out", str(out), **file)
    assert done.exit_code == 0, (done.output, done.exception)
    rows = pl.read_parquet(out) if out.suffix == ".parquet" else pl.read_csv(out)
    return rows, " ".join(done.output.split())


def refusal(run: Run, *options: str) -> str:
    done = run(*options)
    assert done.exit_code
    return str(done.exception)


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_own_samples_are_predicted_by_what_the_drug_acts_on(
    run: Run, screen: Planted, tmp_path: Path, ending: str
) -> None:
    rows, printed = rows_of(
        run, tmp_path / f"out.{ending}", "--new-drug", "my compound", "--targets", "G1", reads=True
    )
    assert rows.columns[:4] == ["model", "model_version", "observation_id", "drug_id"]
    assert rows.height == 30
    assert set(rows["drug_id"]) == {"my compound"}
    assert rows["prediction"].is_sorted()
    numbers = [int(name.rpartition("-")[2]) for name in rows["observation_id"]]
    vectors = next(iter(screen.spaces.values())).vectors
    truth = screen.state @ (vectors[0] - vectors.mean(axis=0))
    assert np.corrcoef(rows["prediction"], truth[numbers])[0, 1] > 0.7
    assert rows.filter(~pl.col("abstained")).height > 25
    assert "G1: gene, G1 (approved symbol)" in printed
    assert "my compound as planted would see it, compared by target vectors" in printed
    assert "nearest: drug-00, drug-01" in printed
    assert "not measured" in printed
    assert "Research use" in printed


def test_names_are_not_read_as_markup(run: Run, tmp_path: Path) -> None:
    name = "[bold]x[/bold] [link=evil]"
    _, printed = rows_of(run, tmp_path / "out.csv", "--new-drug", name, "--targets", "G1")
    assert f"{name} as planted" in printed
    assert "[red]mine-" in printed
    unknown = refusal(run, "--new-drug", name, "--targets", "[/red]")
    assert "--targets '[/red]' names no target" in unknown


def test_a_drug_of_a_list_needs_no_targets(run: Run, tmp_path: Path) -> None:
    named, _ = rows_of(run, tmp_path / "a.csv", "--new-drug", "NEW")
    stated, _ = rows_of(run, tmp_path / "b.csv", "--new-drug", "other", "--targets", "G1")
    key = ["observation_id", "prediction"]
    assert named.select(key).equals(stated.select(key))


def test_an_unknown_target_is_refused_by_name_with_the_reason(run: Run) -> None:
    error = refusal(run, "--new-drug", "x", "--targets", "G1,Nonsense-9")
    assert error.startswith("--targets 'Nonsense-9' names no target: ")
    assert "target_groups.toml does not declare it" in error
    assert "names no target, as target_groups.toml declares" in refusal(
        run, "--new-drug", "x", "--targets", "others"
    )


@pytest.mark.parametrize("nothing", [[], ["--targets", ""], ["--smiles", ""]])
def test_a_drug_of_which_nothing_is_known_is_refused_with_the_remedy(
    run: Run, nothing: list[str]
) -> None:
    error = refusal(run, "--new-drug", "[x] 9", *nothing)
    assert "nothing is known of '[x] 9': no list has it" in error
    assert "--targets BRAF,RAF1" in error
    assert "--smiles" in error


@pytest.mark.parametrize("targets", [",", " , "])
def test_targets_without_a_name_are_refused(run: Run, targets: str) -> None:
    assert "names no target" in refusal(run, "--new-drug", "x", "--targets", targets)


@pytest.mark.parametrize("name", ["", "–", "[]"])
def test_a_name_has_letters_or_digits(run: Run, name: str) -> None:
    error = refusal(run, "--new-drug", name, "--targets", "G1")
    assert "a name has letters or digits" in error


@pytest.mark.parametrize("options", [["--targets", "G1"], ["--smiles", "CCO"]])
def test_targets_are_of_a_new_drug(run: Run, options: list[str]) -> None:
    assert "name it with --new-drug" in refusal(run, *options)


def test_a_drug_that_was_measured_is_named(
    run: Run, installation: SimpleNamespace, tmp_path: Path, monkeypatch
) -> None:
    """Under the name that the screen has, in the spelling that --drug takes."""
    with_lists(installation, monkeypatch, screens={"drug-04": ["planted"]})
    _, printed = rows_of(run, tmp_path / "out.csv", "--new-drug", "Drug 04")
    assert "Drug 04 was measured in planted as drug-04" in printed
    assert "(--drug 'drug-04')" in printed
    _, printed = rows_of(run, tmp_path / "out.csv", "--new-drug", "new")
    assert "was measured" not in printed


def test_a_name_with_brackets_that_was_measured_is_shown_as_it_is(
    run: Run, installation: SimpleNamespace, tmp_path: Path, monkeypatch
) -> None:
    with_lists(installation, monkeypatch, renamed={"new": "[red]new"}, screens={"new": ["planted"]})
    _, printed = rows_of(run, tmp_path / "out.csv", "--new-drug", "rednew")
    assert "as [red]new: " in printed
    assert "(--drug '[red]new')" in printed


def test_a_drugs_own_name_comes_before_anothers_synonym(
    run: Run, installation: SimpleNamespace, tmp_path: Path, monkeypatch
) -> None:
    """As GDSC's list has AZD1480, an inhibitor of JAK, as a synonym of selumetinib, too."""
    with_lists(installation, monkeypatch, synonyms={"drug-30": ["new", "shared-1"]})
    named, _ = rows_of(run, tmp_path / "a.csv", "--new-drug", "new")
    stated, _ = rows_of(run, tmp_path / "b.csv", "--new-drug", "other", "--targets", "G1")
    assert named["prediction"].to_list() == stated["prediction"].to_list()
    by_synonym, _ = rows_of(run, tmp_path / "c.csv", "--new-drug", "shared 1")
    stated, _ = rows_of(run, tmp_path / "d.csv", "--new-drug", "other", "--targets", "G16")
    np.testing.assert_allclose(by_synonym["prediction"], stated["prediction"])


def test_a_synonym_of_two_drugs_is_refused(
    run: Run, installation: SimpleNamespace, tmp_path: Path, monkeypatch
) -> None:
    with_lists(installation, monkeypatch, synonyms={"far": ["AB-12"], "new": ["ab12"]})
    error = refusal(run, "--new-drug", "AB 12")
    assert "'AB 12' is a synonym of far and new" in error
    rows_of(run, tmp_path / "out.csv", "--new-drug", "AB 12", "--targets", "G1")


def test_a_group_without_vectors_abstains(run: Run, tmp_path: Path) -> None:
    rows, printed = rows_of(
        run, tmp_path / "out.csv", "--new-drug", "x", "--targets", "DNA crosslinking"
    )
    assert rows["abstained"].all()
    assert set(rows["reason"]) == {NOTHING_KNOWN}
    assert f"abstains: {NOTHING_KNOWN}"[:40] in printed
    assert "nearest: none" in printed


def test_too_few_genes_and_unlike_samples_abstain(
    run: Run, tmp_path: Path, screen: Planted
) -> None:
    command = ("--new-drug", "x", "--targets", "G1")
    rows, printed = rows_of(run, tmp_path / "few.csv", *command, genes=20)
    assert set(rows["reason"]) == {TOO_FEW_GENES}
    assert rows["abstained"].all()
    assert rows["genes_measured"].unique().to_list() == [0.5]
    assert "abstains: too few" in printed
    far = np.random.default_rng(0).normal(0, 30, (4, 40)).astype(np.float32)
    mixed = np.vstack([screen.screen.features[EXPRESSION][:6], far])
    rows, _ = rows_of(run, tmp_path / "unlike.csv", *command, values=mixed)
    unlike = {f"[red]mine-{row}" for row in range(6, 10)}
    assert unlike <= set(rows.filter(reason=UNLIKE)["observation_id"])
    assert rows.filter(reason=ANSWERED).height >= 4


def test_more_samples_than_are_shown_are_counted(run: Run, tmp_path: Path) -> None:
    command = ("--new-drug", "x", "--targets", "G1", "--top", "3")
    _, printed = rows_of(run, tmp_path / "out.csv", *command)
    assert "… and 27 more" in printed
    wrong = refusal(run, *command, "--out", str(tmp_path / "out.xlsx"))
    assert "must be .parquet or .csv" in wrong


def test_a_screen_that_is_not_chosen_here_is_refused(
    run: Run, installation: SimpleNamespace, monkeypatch
) -> None:
    monkeypatch.setattr(installation, "collections", [])
    error = refusal(run, "--new-drug", "x", "--targets", "G1")
    assert "planted is not among the collections" in error


def test_predictions_are_those_of_the_screen_for_its_own_lines(
    run: Run, tmp_path: Path, monkeypatch
) -> None:
    """What is carried over to a line agrees with the profile that was predicted for it."""
    seen: list[UnscreenedModel] = []
    made = new_drugs.Asked._model

    def kept(*read: Any) -> UnscreenedModel:
        seen.append(made(*read))
        return seen[-1]

    monkeypatch.setattr(new_drugs.Asked, "_model", kept)
    rows, _ = rows_of(run, tmp_path / "out.csv", "--new-drug", "x", "--targets", "G1")
    numbers = [int(name.rpartition("-")[2]) for name in rows["observation_id"]]
    profile = seen[0].profiles[0][numbers]
    assert np.corrcoef(rows["prediction"], profile)[0, 1] > 0.9


def with_lists(
    installation: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    *,
    synonyms: dict[str, list[str]] | None = None,
    screens: dict[str, list[str]] | None = None,
    renamed: dict[str, str] | None = None,
) -> None:
    """Change tables `drugs` and `drug_targets`, by drug."""
    lake, made = installation.lake, {}
    for name, table in installation.lists.items():
        rows = lake.read(table).rows(named=True)
        for row in rows:
            if name == "drugs":
                row["synonyms"] = (synonyms or {}).get(row["drug_id"], row["synonyms"])
                row["screens"] = (screens or {}).get(row["drug_id"], row["screens"])
            row["drug_id"] = (renamed or {}).get(row["drug_id"], row["drug_id"])
        made[name] = stored_rows(lake, name, rows)
    monkeypatch.setattr(installation, "drug_parts", lambda *_: list(made.values()))


def stored_rows(lake: Lake, name: str, rows: list[dict[str, Any]]) -> Any:
    from declared_rows import declared_frame
    from planted_drug_tables import stored

    from genept.schema.tables import TABLES

    frame = pl.DataFrame(rows, schema=declared_frame(TABLES[name], 1).schema)
    return stored(lake, name, frame.sort("drug_id"))


@pytest.mark.parametrize("smiles", ["notasmiles!!", "C C", "C(C"])
def test_a_text_that_is_no_structure_is_refused(run: Run, smiles: str) -> None:
    if smiles == "C(C" and not has_rdkit():
        pytest.skip("without RDKit only the characters are looked at")
    error = refusal(run, "--new-drug", "x", "--smiles", smiles)
    assert error == f"--smiles {smiles!r} is no structure; expected SMILES, such as CCO"


def test_measured_and_new_drugs_are_not_asked_for_at_once(run: Run) -> None:
    error = refusal(run, "--new-drug", "x", "--targets", "G1", "--drug", "d1")
    assert "give one of them" in error
