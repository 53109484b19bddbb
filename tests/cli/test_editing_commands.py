"""`genept genes edit`: what is refused, or forecast, before anything is edited."""

from types import SimpleNamespace

import pytest
from installations import storage_settings
from typer.testing import CliRunner

from genept import client
from genept.cli.reference_commands import genes
from genept.client import EditForecast
from genept.common import StoreError


@pytest.fixture(autouse=True)
def installation(tmp_path, monkeypatch, object_store, store_prefix):
    settings = {
        "state_dir": tmp_path,
        "product": store_prefix.replace("tests/", "").replace("_", "-"),
        **storage_settings(object_store),
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"GENEPT_{name.upper()}", str(value))


def run(*arguments):
    return CliRunner().invoke(genes, ["edit", *arguments], catch_exceptions=False)


def test_a_model_that_was_not_probed_restates_nothing():
    with pytest.raises(StoreError, match="genept chat probe --model smollm2-135m"):
        run("--restated-by", "smollm2-135m")


@pytest.mark.parametrize("option", [("--rounds", "0"), ("--proposals", "none"), ("--seed", "-1")])
def test_numbers_that_make_no_sense_are_refused(option):
    assert run(*option).exit_code == 2


def test_a_dry_run_says_what_it_will_take_and_edits_nothing(monkeypatch):
    def forecast(_, inputs, embedder, options):
        assert (inputs.tasks, embedder, options.rounds) == (("some",), "minilm-l6-v2", 2)
        return EditForecast(("some",), ("other",), 3349, 1200, 36, 9000, 3349, 5400.0)

    monkeypatch.setattr(
        client, "edit_inputs", lambda _, tasks, by: SimpleNamespace(tasks=tuple(tasks))
    )
    monkeypatch.setattr(client, "forecast_edit", forecast)
    monkeypatch.setattr(client, "edit_on", None)
    output = run("--task", "some", "--rounds", "2", "--dry-run").output
    assert "3,349 genes with evidence, 1,200 of which decide; 36 edits" in output
    assert "about 9,000 texts (3,349 of the first drafts are new): 90 min with" in output
