"""`genept collections`: one command adds a file of one's own, and every question comes before."""

from __future__ import annotations

import json
import secrets

import polars as pl
import pytest
from own_files import REFERENCE, counts, write_counts, write_labels
from typer.testing import CliRunner

import genept.cli.collections.collections_commands
import genept.client.installation
from genept.cli.collections.collections_commands import collections
from genept.collections.dry_run import try_out
from genept.collections.user_collections import added_collections
from genept.common.display import open_console
from genept.common.errors import SourceError, StoreError


@pytest.fixture(autouse=True)
def product(tmp_path, monkeypatch, object_store):
    """A product of its own in the session's store, a small reference, and a newcomer's files."""
    product = f"own-{secrets.token_hex(4)}"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("GENEPT_PRODUCT", product)
    for module in (genept.client.installation, genept.cli.collections.collections_commands):
        monkeypatch.setattr(module, "open_store", lambda *_, **__: object_store)
    monkeypatch.setattr(genept.client.installation, "starter_reference", lambda _: REFERENCE)
    write_labels(tmp_path / "labels.csv", write_counts(tmp_path / "mine.csv", counts()))
    return product


def run(*arguments, answers=None):
    result = CliRunner().invoke(collections, list(arguments), input=answers)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_one_command_adds_a_csv_with_its_labels(product, object_store):
    output = run("add", "mine.csv", "--id", "mine", "--metadata", "labels.csv", "--yes").output
    for line in (
        "genes are its columns",
        "metadata: 40 of 40 observations by its column 'barcode'",
        "labels: cell_type = cell_type",
        "group (no split may cut it): donor",
        "unit: counts (values from",
        "40 observations in 4 groups, 60 genes; 100.0% of the expression",
        "cell_type: B cell 20, T cell 20",
        "added mine",
    ):
        assert line in output
    (declared,) = added_collections(object_store, product).all()
    entry = declared.collection
    assert (entry.kind, entry.unit, entry.group_axis) == ("single_cell", "counts", "donor")
    assert not entry.redistributable, "nobody said that it may be passed on"
    assert "added" in run("list").output
    assert "labels" in run("show", "mine").output
    assert "40 observations in 4 groups" in run("validate", "mine").output
    assert "removed mine" in run("remove", "mine").output
    assert not added_collections(object_store, product).all()
    with pytest.raises(StoreError, match="no collection 'mine' is registered"):
        run("remove", "mine")


@pytest.mark.parametrize(
    ("setting", "is_left_out"),
    [('["pbmc-hao"]', True), ('["pbmc-hao", "+pbmc3k"]', True), ('["+pbmc3k"]', False)],
)
def test_a_setting_that_leaves_it_out_is_named(product, monkeypatch, setting, is_left_out):
    monkeypatch.setenv("GENEPT_COLLECTIONS", setting)
    output = run("add", "mine.csv", "--id", "mine", "--yes").output
    assert "added mine" in output
    names = ", ".join(json.loads(setting))
    said = f"`collections` leaves it out: it names {names}; add mine"
    assert (said in " ".join(output.split())) == is_left_out
    run("remove", "mine")


def test_no_is_the_answer_unless_said_otherwise(product, object_store):
    result = run("add", "mine.csv", "--id", "mine", answers="\n")
    assert result.exit_code == 1
    assert "nothing was stored" in result.output
    assert not list(object_store.list(f"{product}/"))


def test_an_undetected_unit_is_asked_for(tmp_path):
    write_counts(tmp_path / "odd.csv", counts() / 8)
    with pytest.raises(SourceError, match=r"odd\.csv: unit: the values could be log2 or .*--unit"):
        run("add", "odd.csv", "--id", "odd", "--yes")
    assert "unit: tpm, as stated" in run("validate", "odd.csv", "--unit", "tpm").output


def test_a_wrong_claim_is_refused_before_anything_is_stored(product, object_store):
    with pytest.raises(SourceError, match="is declared as log2, but its values look like counts"):
        run("add", "mine.csv", "--id", "mine", "--unit", "log2", "--yes")
    with pytest.raises(SourceError, match="command line: unit: Input should be 'counts'"):
        run("add", "mine.csv", "--id", "mine", "--unit", "rpm", "--yes")
    with pytest.raises(SourceError, match="has a collection 'prostate' already"):
        run("add", "mine.csv", "--id", "prostate", "--yes")
    assert not list(object_store.list(f"{product}/"))


def test_another_collection_under_the_same_id_is_refused(product, object_store, tmp_path):
    run("add", "mine.csv", "--id", "mine", "--yes")
    run("add", "mine.csv", "--id", "mine", "--yes")
    (first,) = added_collections(object_store, product).all()
    write_counts(tmp_path / "mine.csv", counts(seed=1))
    with pytest.raises(StoreError, match="'mine' is registered already"):
        run("add", "mine.csv", "--id", "mine", "--yes")
    assert added_collections(object_store, product).all() == [first]


def test_the_catalogue_is_validated():
    assert "every entry is valid" in run("validate").output
    with pytest.raises(SourceError, match=r"nope\.csv: there is no such file, nor such"):
        run("validate", "nope.csv")
    with pytest.raises(SourceError, match="text in quotes"):
        run("validate", "mine.csv", "--option", "genes_in=columns")


@pytest.mark.parametrize(("is_terminal", "columns"), [(False, 80), (True, 80), (True, 200)])
def test_collections_are_listed_with_their_whole_titles(monkeypatch, is_terminal, columns):
    monkeypatch.setenv("TTY_COMPATIBLE", str(int(is_terminal)))
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", "25")
    answer = open_console(soft_wrap=True)
    monkeypatch.setattr(genept.cli.collections.collections_commands, "answer", answer)
    lines = run("list").output.splitlines()
    title = "TCGA breast cancer with PAM50 subtypes"
    (at,) = [at for at, line in enumerate(lines) if line.startswith("tcga-brca ")]
    if is_terminal and columns == 80:
        assert lines[at + 1] == f"    {title}"
        assert all(len(line) <= columns for line in lines)
    else:
        assert lines[at].endswith(title)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--option", 'genes_in="diagonal"'], "mine.csv: option genes_in: Input should be"),
        (["--option", "genes_in={}"], "mine.csv: option genes_in: Input should be"),
        (["--option", "decimal=3"], "mine.csv: option decimal: Input should be"),
        (["--option", 'delimiter=""'], "mine.csv: option delimiter: String should have"),
        (["--option", "delimiter=5"], "mine.csv: option delimiter: Input should be"),
        (["--option", 'encoding="utf-9"'], "mine.csv: option encoding: Input should be"),
        (["--option", "labels=3"], "mine.csv: option labels: Input should be"),
        (["--option", "ignore=3"], "mine.csv: option ignore: Input should be"),
        (["--option", "floor=nan"], "mine.csv: option floor: Input should be a finite number"),
        (["--metadata", "labels.csv", "--option", "metadata=5"], "mine.csv: option metadata: "),
        (["--group", ""], "the command line: group: String should have at least 1 character"),
        (["--label", "x=y"], "the command line: labels.x"),
        (["--label", "cell_type=nope"], "mine.csv: has no field 'nope'"),
        (
            ["--metadata", "labels.csv", "--label", "cell_type=nope"],
            "labels.csv: has no field 'nope'; found",
        ),
    ],
    ids=lambda value: " ".join(value[-1:]) if isinstance(value, list) else "",
)
def test_an_option_that_cannot_be_is_refused_in_one_line(monkeypatch, options, says):
    def in_process(*files, **limits):
        return try_out(*files, **limits | {"limits": None})

    monkeypatch.setattr(genept.cli.collections.collections_commands, "try_out", in_process)
    with pytest.raises(SourceError) as refused:
        run("validate", "mine.csv", *options)
    assert str(refused.value).startswith(says)
    assert "\n" not in str(refused.value)
    assert "cannot be read" not in str(refused.value)


def test_labels_are_shown_with_their_terms_and_what_has_none(monkeypatch):
    mapping = pl.DataFrame(
        {
            "field": ["cell_type"] * 2 + ["tissue"], "label_text": ["Tregs", "ML", "gossip"],
            "outcome": ["abbreviation", "ambiguous", "unmapped"],
            "term_id": ["CL:0000815", None, None], "term_name": ["regulatory T cell", None, None],
            "candidates": [[], ["CL:1", "CL:2"], []], "evidence": ["word", "two", "nothing has it"],
            "n_observations": [1500, 3, 2],
        },
        schema_overrides={"candidates": pl.List(pl.String)},
    )  # fmt: skip
    asked = {}

    def load_table(name, **options):
        asked.update(options, name=name)
        return mapping.lazy()

    monkeypatch.setattr(genept.cli.collections.collections_commands, "load_table", load_table)
    shown = run("labels", "mine")
    assert shown.exit_code == 0, shown.output
    assert (asked["name"], asked["collection_id"]) == ("label_mapping", "mine")
    for text in (
        "1 of 3 labels have an ontology term", "Tregs", "1,500", "CL:0000815 regulatory T cell",
        "CL:1 or CL:2", "nothing has it",
    ):  # fmt: skip
        assert text in shown.output
    monkeypatch.setattr(genept.cli.collections.collections_commands, "MOST_LABELS", 1)
    assert "and 1 more: --all" in run("labels", "mine").output
    rows = run("labels", "mine", "--json").output
    assert json.loads(rows)[0]["label_text"] == "Tregs"
