"""`genept spaces` and `genept genes describe`: what they say, and that looking stores nothing."""

from __future__ import annotations

import pytest
from planted import gene, reference_of
from typer.testing import CliRunner

import genept.cli.vector_commands
import genept.client.installation
from genept.cli.lookup_commands import recipes
from genept.cli.vector_commands import spaces
from genept.client.platform import Platform
from genept.common.display import open_console
from genept.common.errors import SourceError
from genept.common.settings import Settings
from genept.nomenclature.reference import Reference
from genept.text.embedders import space_of


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty folder with a small reference, in which nobody may open a store."""

    def refuse(*_):
        raise AssertionError("opened a store for nothing")

    reference = Reference("hgnc-test", reference_of(gene(1, "A", aliases=["OLD"]), gene(2, "B")))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(genept.client.installation, "open_store", refuse)
    monkeypatch.setattr(genept.client.installation, "starter_reference", lambda _: reference)
    return tmp_path


def add(*arguments):
    return CliRunner().invoke(spaces, ["add", *arguments])


def test_a_dry_run_counts_and_stores_nothing(folder):
    (folder / "v.csv").write_text("gene,0,1\nA,3,4\nOLD,1,1\nB,0,2\nnix,1,1\n")
    result = add("v.csv", "--id", "scgpt/human", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "2 genes × 2 dimensions; 1 names stand behind" in result.output
    assert "length 1.414 to 5 are scaled" in result.output
    assert "nothing was stored" in result.output


@pytest.mark.parametrize(
    ("id_", "reason"),
    [
        ("scgpt", "is no space"),
        ("minilm-l6-v2/name", "is declared"),
        ("random-50/mine", "kept for spaces of ours"),
        ("network-50/mine", "kept for spaces of ours"),
        ("fused/mine", "kept for spaces of ours"),
    ],
)
def test_an_id_that_cannot_be_is_refused_first(folder, id_, reason):
    (folder / "v.csv").write_text("gene,0\nA,3\n")
    result = add("v.csv", "--id", id_)
    assert isinstance(result.exception, SourceError)
    assert reason in str(result.exception)


def test_recipes_are_listed_with_the_reason_why_not(capsys):
    recipes()
    output = capsys.readouterr().out
    assert "name-go" in output
    assert "not available: summary has no source" in output


def test_spaces_are_listed_with_the_reason_why_not(monkeypatch):
    monkeypatch.setattr(Platform, "registered_spaces", [])
    monkeypatch.setattr(genept.cli.vector_commands, "answer", open_console(width=200))
    result = CliRunner().invoke(spaces, ["list"])
    assert result.exit_code == 0, result.output
    lines = {line.split()[0]: line for line in result.output.splitlines() if "/" in line}
    hosted = lines["text-embedding-3-small/name"]
    assert "there is no key: set GENEPT_OPENAI_API_KEY" in hosted
    assert lines["minilm-l6-v2/name"].rstrip().endswith("yes")
    network = lines["network-200/interactions"].split()
    assert network == ["network-200/interactions", "network", "if", "asked", "for"]
    remedy = "run `genept sources fetch string-links string-proteins`, or name a mirror"
    assert remedy in lines["network-200/string"]
    assert "lsa-384/name-ncbi: summary has no source" in lines["fused/ncbi-network"]
    few = CliRunner().invoke(spaces, ["list", "lsa-384/"]).output
    listed = [line.split()[0] for line in few.splitlines() if "/" in line]
    assert "lsa-384/name-go" in listed
    assert all(id_.startswith("lsa-384/") for id_ in listed)
    none = CliRunner().invoke(spaces, ["list", "nowhere"])
    assert "no space has 'nowhere' in its id" in str(none.exception)


def test_a_space_of_an_unknown_embedder_is_not_available(folder, monkeypatch):
    (folder / "own.toml").write_text('[[spaces]]\nid = "minilm/name"\n')
    platform = Platform(Settings(recipes=folder / "own.toml", spaces=("minilm/name",)))
    monkeypatch.setattr(Platform, "registered_spaces", [])
    reason = "there is no text embedder 'minilm': see `genept embedders list`"
    assert platform.unavailable(space_of("minilm/name")) == reason
    with pytest.raises(ValueError, match="is not available: there is no text embedder 'minilm'"):
        _ = platform.spaces
