"""`genept genes`: a file, a name, two references; without a store."""

from contextlib import contextmanager

import polars as pl
import pytest
from gene_layouts import HGNC_HEADER, ensembl, hgnc, write
from typer.testing import CliRunner

import genept.cli.reference_commands
from genept.cli.reference_commands import genes
from genept.common.errors import SourceError
from genept.datasources.readers.gene_lists import limited_gene_names
from genept.nomenclature.mapping import Nomenclature


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty folder to work in, in which nobody may open a store."""

    def refuse(*_):
        raise AssertionError("opened a store for nothing")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(genept.cli.reference_commands, "open_releases", refuse)
    monkeypatch.setattr(genept.cli.reference_commands, "load_table", refuse)
    write(tmp_path / "hgnc.txt", HGNC_HEADER, hgnc(1, "TP53", alias='"P53|BOTH"'), hgnc(2, "B"))
    write(
        tmp_path / "new.txt",
        HGNC_HEADER,
        hgnc(1, "TP53", alias="P53"),
        hgnc(2, "C", prev="B"),
        hgnc(3, "D"),
    )
    yield tmp_path
    assert not (tmp_path / ".genept").exists()


def run(*arguments):
    return CliRunner().invoke(genes, list(arguments))


def test_explain_says_what_why_and_according_to_whom():
    result = run("explain", "P53", "2-Sep", "Trp53", "--reference", "hgnc.txt")
    assert result.exit_code == 0, result.output
    assert f"P53  alias  {ensembl(1)}\n    alias of TP53 (hgnc)" in result.output
    assert "2-Sep  spreadsheet_date  no gene" in result.output
    assert "Trp53  unknown  no gene" in result.output


def test_explain_takes_names_for_what_they_are():
    result = run("explain", "[bold]x[/]", "tp53", "--reference", "hgnc.txt")
    assert result.exit_code == 0, result.output
    assert "[bold]x[/]  unknown" in result.output
    assert f"it may mean: {ensembl(1)}" in result.output


def test_map_writes_every_name_in_order_and_sums_up(folder):
    (folder / "mine.csv").write_text("gene,x\nTP53,1\n2-Sep,2\nP53,3\nTP53,4\n[x],5\n")
    result = run("map", "mine.csv", "--reference", "hgnc.txt")
    assert result.exit_code == 0, result.output
    assert "5 names from column 'gene' of mine.csv" in result.output
    assert "3 mapped, 0 ambiguous, 2 without a gene" in result.output
    written = pl.read_csv(folder / "mine.csv.mapping.csv")
    assert written["input_id"].to_list() == ["TP53", "2-Sep", "P53", "TP53", "[x]"]
    assert written["outcome"].to_list() == [
        "exact", "spreadsheet_date", "alias", "exact", "unknown",
    ]  # fmt: skip
    assert not list(folder.glob("*.part"))


def test_no_name_is_a_formula_in_the_mapping_and_the_mapping_can_be_mapped(folder):
    (folder / "mine.csv").write_text("gene,x\n=cmd|' /C calc'!A0,1\nTP53,2\n@B,3\n-7,4\n")
    first = run("map", "mine.csv", "--reference", "hgnc.txt")
    assert first.exit_code == 0, first.output
    written = pl.read_csv(folder / "mine.csv.mapping.csv", infer_schema=False)
    assert written["input_id"].to_list() == ["'=cmd|' /C calc'!A0", "TP53", "'@B", "-7"]
    again = run("map", "mine.csv.mapping.csv", "--column", "input_id", "--reference", "hgnc.txt")
    assert again.exit_code == 0, again.output
    second = pl.read_csv(folder / "mine.csv.mapping.csv.mapping.csv", infer_schema=False)
    assert second.equals(written)


def test_map_takes_column_and_target(folder):
    (folder / "mine.tsv").write_text("gene\tother\nTP53\tB\n")
    result = run(
        "map", "mine.tsv", "--column", "other", "--output", "out.csv", "--reference", "hgnc.txt"
    )
    assert result.exit_code == 0, result.output
    assert pl.read_csv(folder / "out.csv")["ensembl_gene_id"].to_list() == [ensembl(2)]


def test_map_leaves_the_last_good_result_if_writing_fails(folder, monkeypatch):
    (folder / "mine.csv").write_text("gene\nTP53\n")
    (folder / "mine.csv.mapping.csv").write_text("the last good one")

    def half(rows, file, **_):
        file.write(b"hal")
        raise OSError("disk full")

    monkeypatch.setattr(pl.DataFrame, "write_csv", half)
    assert run("map", "mine.csv", "--reference", "hgnc.txt").exit_code == 1
    assert (folder / "mine.csv.mapping.csv").read_text() == "the last good one"
    assert not list(folder.glob("*.part"))


@pytest.mark.parametrize("name", ["large.csv", "large.csv.gz"])
def test_map_goes_through_a_large_file_in_batches_and_shows_how_far_it_is(
    folder, monkeypatch, name
):
    names = ["TP53", "B", "P53", "2-Sep", "nix"] * 41
    write(folder / name, "gene,x", *(f"{gene},1" for gene in names))
    sizes, steps = [], []

    def in_tens(path, column, limits):
        return limited_gene_names(path, column, limits, size=10)

    @contextmanager
    def bar(what, total):
        steps.append((what, total))
        yield steps.append

    map_names = Nomenclature.map
    monkeypatch.setattr(genept.cli.reference_commands, "limited_gene_names", in_tens)
    monkeypatch.setattr(genept.cli.reference_commands, "progress_bar", bar)
    monkeypatch.setattr(
        Nomenclature, "map", lambda self, some: sizes.append(len(some)) or map_names(self, some)
    )
    result = run("map", name, "--reference", "hgnc.txt")
    assert result.exit_code == 0, result.output
    assert sizes == [10] * 20 + [5], "never all names at once"
    assert steps[0] == (f"mapping {name}", 205)
    assert sum(steps[1:]) == 205
    written = pl.read_csv(folder / f"{name}.mapping.csv")
    assert written["input_id"].to_list() == names
    assert "205 names from column 'gene'" in result.output
    assert "123 mapped, 0 ambiguous, 82 without a gene" in result.output


def test_map_of_a_damaged_file_leaves_nothing(folder):
    write(folder / "bad.csv", "gene,x", *(["TP53,1"] * 20), "P53")
    result = run("map", "bad.csv", "--reference", "hgnc.txt")
    assert isinstance(result.exception, SourceError)
    assert "bad.csv: line 22 has 1 fields, the header 2" in str(result.exception)
    assert not list(folder.glob("bad.csv.*"))


def test_diff_needs_no_store(folder):
    result = run("diff", "hgnc.txt", "new.txt", "--output", "changes.csv")
    assert result.exit_code == 0, result.output
    assert "B → C" in result.output
    assert pl.read_csv(folder / "changes.csv")["change"].to_list() == ["gained", "renamed"]


def test_a_missing_file_is_reported(folder):
    missing = run("map", "nix.csv", "--reference", "hgnc.txt")
    assert missing.exit_code == 2
    assert "nix.csv" in missing.output
    for command in (["explain", "A", "--reference", "nix.txt"], ["diff", "nix.txt", "new.txt"]):
        result = run(*command)
        assert result.exit_code == 1
        assert isinstance(result.exception, SourceError)
        assert "nix.txt: No such file" in str(result.exception)
