"""`genept predict perturbation`: effects with evidence, or why there are none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from all_commands import app
from typer.testing import CliRunner

from genept.cli import perturbation_commands as commands
from genept.embeddings import KnownVectors
from genept.perturbations.arena import TEXT
from genept.perturbations.unseen import fit_models

N, MEASURED = 60, 8
PERTURBED = [f"ENSG{number:011d}" for number in range(N)]
GENES = [f"ENSG{number:011d}" for number in range(100, 100 + MEASURED)]
ASKED = "ENSG00000000999"


def screen() -> pl.DataFrame:
    """Every perturbation changes the genes on its own side, upwards if it is of the first half."""
    pairs = [(at, to) for at in range(N) for to in range(MEASURED)]
    changed = [(at % 2) == (to % 2) for at, to in pairs]
    return pl.DataFrame(
        {
            "screen": "perturbqa-k562",
            "perturbed_input": [f"P{at}" for at, _ in pairs],
            "perturbed_gene": [PERTURBED[at] for at, _ in pairs],
            "measured_input": [f"M{to}" for _, to in pairs],
            "measured_gene": [GENES[to] for _, to in pairs],
            "differential": changed,
            "direction": [
                ("up" if at < N // 2 else "down") if yes else None
                for (at, _), yes in zip(pairs, changed, strict=True)
            ],
            "split": ["test" if at % 5 == 0 else "train" for at, _ in pairs],
        }
    )


def vectors() -> dict[str, KnownVectors]:
    rng = np.random.default_rng(0)
    sides = np.array([[at % 2 or -1, at // (N // 2) or -1] for at in [*range(N), 1]])
    matrix = (sides + 0.1 * rng.standard_normal(sides.shape)).astype(np.float32)
    return {TEXT: KnownVectors.of([*PERTURBED, ASKED], matrix)}


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_effects_are_shown_with_the_perturbations_that_decided(capsys) -> None:
    models = fit_models(screen(), vectors())
    symbols = {gene: f"M{at}" for at, gene in enumerate(GENES)}
    rows = commands._predicted(models, ASKED, symbols)
    assert set(rows.head(MEASURED // 2)["symbol"]) == {"M1", "M3", "M5", "M7"}
    assert rows["probability"][0] > 0.8
    assert rows["probability"][-1] < 0.2
    assert (rows.head(MEASURED // 2)["probability_up"] > 0.5).all()
    commands._print(rows.head(2), models, ASKED, symbols, {PERTURBED[1]: "a kinase"})
    shown = printed(capsys)
    assert "up (" in shown
    assert "+" in shown
    assert "research use" in shown


def test_far_from_every_perturbation_it_abstains_and_says_why(capsys) -> None:
    models = fit_models(screen(), vectors())
    assert commands._predicted(models, "ENSG00000000777", {}) is None
    assert "abstains: no perturbation of the screen is near" in printed(capsys)


def test_a_threshold_of_the_variant_decides(capsys) -> None:
    models = fit_models(screen(), vectors())
    vote = models["de"].vote
    strict = replace(vote, variant=replace(vote.variant, near=1.01))
    assert commands._predicted({"de": replace(models["de"], vote=strict)}, ASKED, {}) is None
    assert "at least 1.01 is needed" in printed(capsys)


def test_what_was_measured_is_not_predicted(capsys) -> None:
    commands._print_measured("P1", "K562", screen().filter(perturbed_input="P1"))
    assert printed(capsys) == (
        "P1 was perturbed in K562: nothing is predicted. Of 8 genes in table "
        "perturbation_effects, 4 changed up: M1, M3, M5, M7 down: none"
    )


def test_an_unknown_cell_line_is_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("GENEPT_STATE_DIR", str(tmp_path))
    result = CliRunner().invoke(app, ["predict", "perturbation", "STAT1", "--cell-line", "hela"])
    assert "--cell-line hela: there are k562, rpe1, hepg2, jurkat" in str(result.exception)
