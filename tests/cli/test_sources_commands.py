"""`genept sources …` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from genept.cli.reference_commands import sources
from genept.common.errors import SourceError


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "mirror"
    (folder / "go").mkdir(parents=True)
    (folder / "go" / "go-basic.obo").write_text("format-version: 1.2\n")
    monkeypatch.setenv("GENEPT_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("GENEPT_MIRRORS", json.dumps([str(folder)]))
    return folder


def run(*arguments: str) -> str:
    result = CliRunner().invoke(sources, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def line(output: str, start: str) -> str:
    return next(line for line in output.splitlines() if line.startswith(start))


def test_the_list_says_what_is_mirrored_and_what_is_fetched(mirror: Path) -> None:
    assert "mirrored" in line(run("list"), "go-basic ")
    assert " many " in line(run("list"), "geo-series ")
    assert str(mirror / "go" / "go-basic.obo") in run("fetch", "go-basic")
    assert "fetched" in line(run("list"), "go-basic ")
    assert " no " in line(run("list"), "go" + "a-human ")


def test_show_says_the_terms_and_where_it_is_asked_for(mirror: Path) -> None:
    shown = run("show", "go-basic")
    assert "licence  CC-BY-4.0" in shown
    assert f"asked  {mirror / 'go' / 'go-basic.obo'}" in shown
    assert "asked  https://current.geneontology.org/ontology/go-basic.obo" in shown
    assert "named geo-series:…" in run("show", "geo-series")
    assert "GSE2nnn/GSE2034/matrix" in run("show", "geo-series:GSE2034")


def test_check_tells_news_from_none(mirror: Path) -> None:
    run("fetch", "go-basic")
    assert "unchanged" in run("check", "go-basic")
    (mirror / "go" / "go-basic.obo").write_text("format-version: 1.4\n")
    assert "changed" in run("check", "go-basic")
    assert "pinned" in run("check", "pbmc3k")


def test_a_source_out_of_reach_fails_the_check_and_is_named(
    mirror: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GENEPT_ADDRESSES", json.dumps({"hpo-genes": "ftp://127.0.0.1/x"}))
    result = CliRunner().invoke(sources, ["check", "go-basic", "hpo-genes"])
    assert result.exit_code == 1
    assert "go-basic" in result.output
    with pytest.raises(SourceError, match="no source 'absent'"):
        CliRunner().invoke(sources, ["fetch", "absent"], catch_exceptions=False)
