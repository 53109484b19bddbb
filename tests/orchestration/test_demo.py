"""`genept demo`: what it writes, what it leaves alone; the run itself is `test_commands`."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from genept.cli import run_report
from genept.common.errors import StoreError
from genept.common.programs import program_path
from genept.common.settings import Settings
from orchestration import commands, demo


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """Settings of each run; the rows that the picture is drawn of are planted."""
    seen: list[Settings] = []

    def load(table: str, **partition: str) -> pl.LazyFrame:
        assert partition["collection_id"] == demo.COLLECTION
        ids = [f"c{n}" for n in range(30)]
        if table == "observations":
            labels = ["B cells", "T cells"] * 15
            return pl.LazyFrame({"observation_id": ids, "cell_type": labels})
        assert partition["space"] == demo.SPACE
        vectors = pl.Series([[n, n % 2, n % 3] for n in range(30)], dtype=pl.Array(pl.Float32, 3))
        rows = {"observation_id": ids, "method": "genept-w", "coverage": 0.9, "embedding": vectors}
        return pl.LazyFrame(rows)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GENEPT_STATE_DIR", str(tmp_path / "mine"))
    monkeypatch.setenv("GENEPT_COLLECTIONS", '["gdsc"]')
    monkeypatch.setenv("GENEPT_MIRRORS", "[]")
    scores = pl.DataFrame(
        {
            "what": "cell type: 10-NN accuracy", "dataset": demo.COLLECTION,
            "representation": ["one", "other"], "value": [0.9, 0.2], "ci_low": [0.8, 0.1],
            "ci_high": [0.95, 0.3], "n": 30, "is_control": [False, True],
        }
    )  # fmt: skip
    monkeypatch.setattr(commands, "build_release", lambda: seen.append(Settings()))
    monkeypatch.setattr(run_report, "headline_results", lambda _: scores)
    monkeypatch.setattr("genept.client.load_table", load)
    return seen


def run(*arguments: str) -> str:
    command = typer.Typer()
    command.command()(demo.demo)
    result = CliRunner().invoke(command, arguments)
    if isinstance(result.exception, StoreError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_the_first_look_is_made_in_a_folder_of_its_own(ran: list[Settings], tmp_path: Path) -> None:
    shown = run("look")
    (settings,) = ran
    assert settings.state.resolve() == tmp_path / "look" / ".genept"
    assert list(settings.collections or ()) == [demo.COLLECTION]
    assert list(settings.spaces or ()) == [demo.SPACE]
    assert settings.product == "demo"
    assert (tmp_path / "look" / demo.PICTURE).read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / "mine").exists()
    place, results, more = (
        shown.index(each) for each in (f"look/{demo.PICTURE}", "10-NN accuracy", "cd look")
    )
    assert place < results < more
    assert len(shown.splitlines()) < 30, "the result is not buried"
    assert f"{program_path('genept')} neighbours FOXP3" in shown, "called as it is in that folder"
    assert f"{program_path('genept')} ui" in shown
    assert "make " not in shown
    assert "GENEPT_MIRRORS" in os.environ


def test_a_demo_goes_on_where_it_was(ran: list[Settings], tmp_path: Path) -> None:
    (tmp_path / "look").mkdir()
    (tmp_path / "look" / "genept.toml").write_text('spaces = ["wordllama-256/name"]\n')
    run("look")
    assert list(ran[0].spaces or ()) == ["wordllama-256/name"]


def test_a_folder_of_something_else_is_left_alone(ran: list[Settings], tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(StoreError, match="not empty and of no demo"):
        run("mine")
    assert not ran
