"""`genept perturbations`: a screen of one's own is added, published, predicted from, taken back."""

from __future__ import annotations

import secrets
from pathlib import Path

import numpy as np
import pytest
from all_commands import app
from declared_rows import store_table
from screen_h5ad import IDS, REFERENCE, SYMBOLS, planted_folds, write_pseudobulk, write_single_cells
from typer.testing import CliRunner

import genept.cli.perturbation_commands
import genept.cli.screen_commands
import genept.client.installation
from genept.cli.screen_commands import perturbations
from genept.client.platform import Platform
from genept.common.errors import SourceError, StoreError
from genept.common.settings import Settings
from genept.embeddings import KnownVectors
from genept.perturbations.arena import TEXT
from genept.perturbations.user_screens import added_screens


@pytest.fixture(autouse=True)
def product(tmp_path, monkeypatch, object_store):
    """A product of its own in the session's store, and a small reference."""
    product = f"screens-{secrets.token_hex(4)}"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setenv("GENEPT_PRODUCT", product)
    for module in (genept.client.installation, genept.cli.screen_commands):
        monkeypatch.setattr(module, "open_store", lambda *_, **__: object_store)
    monkeypatch.setattr(genept.client.installation, "starter_reference", lambda _: REFERENCE)
    return product


def run(*arguments, answers=None, command=perturbations):
    result = CliRunner().invoke(command, list(arguments), input=answers)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def parts_of(platform: Platform, warn=print):
    return platform.screen_parts(store_table(platform.lake, "genes").part(), warn)


def test_a_screen_is_added_listed_published_and_taken_back(product, object_store) -> None:
    write_single_cells(Path("mine.h5ad"), planted_folds(12), cells=40, controls=120)
    given = ("add", "mine.h5ad", "--id", "mine", "--cell-line", "A549")
    assert run(*given, answers="n\n").exit_code == 1
    assert not list(object_store.list(f"{product}/"))
    output = run(*given, "--yes", "--licence", "CC0").output
    for line in (
        "rule: single cells: log(1 + counts per 10000), Welch's t-test of at least 25 cells",
        "12 perturbed genes",
        "left out: 0 combinations, 0 perturbations with too few cells",
        "added mine",
    ):
        assert line in output
    (declared,) = added_screens(object_store, product).all()
    assert (declared.file.licence, declared.file.redistributable) == ("CC0", False)
    listed = run("list").output
    assert "A549" in listed
    assert "perturbqa-k562" in listed
    assert "scperturb-hepg2" in listed
    with pytest.raises(SourceError, match="a screen or a collection 'mine' already"):
        run(*given, "--yes")
    platform = Platform(Settings())
    assert "screen-mine-file-1" in platform.needed_sources
    parts = {part.table: part for part in parts_of(platform)}
    (row,) = platform.lake.read(parts["perturbation_screens"]).rows(named=True)
    assert (row["screen"], row["cell_line"], row["licence"]) == ("mine", "A549", "CC0")
    assert not row["redistributable"]
    assert platform.lake.read(parts["perturbation_effects"]).height > 1000
    run("remove", "mine")
    assert parts_of(Platform(Settings())) == []
    with pytest.raises(StoreError, match="no screen 'mine' is registered"):
        run("remove", "mine")


@pytest.mark.parametrize("id_", ["perturbqa-k562", "replogle-rpe1", "pbmc-hao"])
def test_an_id_that_is_taken_is_refused(id_: str) -> None:
    write_single_cells(Path("mine.h5ad"), planted_folds(2))
    with pytest.raises(SourceError, match="already: choose another id"):
        run("add", "mine.h5ad", "--id", id_, "--cell-line", "K562", "--yes")


def test_a_damaged_file_is_refused_and_nothing_is_stored(product, object_store) -> None:
    Path("bad.h5ad").write_bytes(b"\x89HDF\r\n\x1a\n and no more")
    with pytest.raises(SourceError, match=r"bad\.h5ad"):
        run("add", "bad.h5ad", "--id", "bad", "--cell-line", "K562", "--yes")
    with pytest.raises(SourceError, match="--style cells: there are pseudobulk, single_cell"):
        run("add", "bad.h5ad", "--id", "bad", "--cell-line", "K562", "--style", "cells")
    assert not list(object_store.list(f"{product}/"))


def test_a_users_screen_that_is_refused_later_is_left_out_by_name(monkeypatch) -> None:
    write_single_cells(Path("mine.h5ad"), planted_folds(2))
    run("add", "mine.h5ad", "--id", "mine", "--cell-line", "K562", "--yes")
    messages: list[str] = []

    def refuse(*_, **__):
        raise SourceError("mine.h5ad: took too long")

    monkeypatch.setattr("genept.perturbations.measured_tables.measure_screen", refuse)
    assert parts_of(Platform(Settings()), messages.append) == []
    (line,) = messages
    assert "screen mine is left out: mine.h5ad: took too long" in line
    assert "`genept perturbations remove mine`" in line


def test_effects_are_predicted_from_a_screen_of_ones_own(monkeypatch) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((len(IDS), 6)).astype(np.float32)
    sides, strengths = (vectors[:90] @ rng.standard_normal((6, len(IDS))) for _ in range(2))
    write_pseudobulk(Path("mine.h5ad"), np.sign(sides) * np.maximum(strengths, 0))
    run("add", "mine.h5ad", "--id", "mine", "--cell-line", "A549", "--yes")
    commands = genept.cli.perturbation_commands
    monkeypatch.setattr(
        commands, "build_reference_table", lambda lake, *_: store_table(lake, "genes")
    )
    monkeypatch.setattr(Platform, "describe", lambda *_: [])
    monkeypatch.setattr(Platform, "available_vectors", lambda *_: {})
    monkeypatch.setattr(
        "genept.perturbations.score_tables.read_spaces",
        lambda *_: {TEXT: KnownVectors.of(IDS, vectors)},
    )
    predicted = ("predict", "perturbation")
    output = run(*predicted, SYMBOLS[100], "--screen", "mine", command=app).output
    assert "changes" in output
    assert "evidence" in output
    measured = run(*predicted, SYMBOLS[3], "--screen", "mine", command=app).output
    assert f"{SYMBOLS[3]} was perturbed in mine: nothing is predicted" in measured
    with pytest.raises(StoreError, match="no screen other here; there are mine"):
        run(*predicted, SYMBOLS[100], "--screen", "other", command=app)
