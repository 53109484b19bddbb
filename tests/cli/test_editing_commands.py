"""`genept genes edit`: what is refused before anything is embedded."""

import pytest
from installations import storage_settings
from typer.testing import CliRunner

from genept.cli.reference_commands import genes
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
