"""`genept embeddings`: what it says and refuses before anything is stored."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

import genept.cli.vector_commands
import genept.client.installation
from genept.cli.vector_commands import embeddings
from genept.common.errors import SourceError


@pytest.fixture(autouse=True)
def released(tmp_path, monkeypatch, object_store, store_prefix):
    """A folder with vectors, and a release whose collection `prostate` has cells c0 to c3."""
    import polars as pl

    observed = pl.LazyFrame({"observation_id": ["c0", "c1", "c2", "c3"]})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(genept.cli.vector_commands.answer, "width", 200)
    monkeypatch.setenv("GENEPT_PRODUCT", store_prefix.replace("/", "-").replace("_", "-"))
    for module in (genept.client.installation, genept.cli.vector_commands):
        monkeypatch.setattr(module, "open_store", lambda *_, **__: object_store)
    monkeypatch.setattr(genept.cli.vector_commands, "load_table", lambda *_, **__: observed)
    (tmp_path / "v.csv").write_text("cell,0,1\nc0,3,4\nc2,0,2\nnobody,1,1\n")
    (tmp_path / "strangers.csv").write_text("cell,0,1\nx0,3,4\n")
    return tmp_path


def command(*arguments):
    return CliRunner().invoke(embeddings, list(arguments))


MINE = ("--id", "scgpt/human", "--collection", "prostate")


def test_added_listed_and_removed():
    tried = command("add", "v.csv", *MINE, "--dry-run")
    assert tried.exit_code == 0, tried.output
    assert "3 vectors of 2 dimensions, of length 1.414 to 5" in tried.output
    assert "2 of 4 observations have a vector; 1 vectors are of ids" in tried.output
    assert "without one: c1, c3" in tried.output
    assert "not used: nobody" in tried.output
    assert "nothing was stored" in tried.output

    added = command("add", "v.csv", *MINE, "--redistributable")
    assert "registered scgpt/human of prostate" in added.output
    listed = command("list").output
    assert "3 × 2" in listed
    assert "ensemble: 1 × minilm-l6-v2/name-go:genept-w" in listed
    assert "removed scgpt/human of prostate" in command("remove", *MINE).output
    assert "scgpt/human" not in command("list").output


@pytest.mark.parametrize(
    ("file", "arguments", "reason"),
    [
        ("v.csv", ("--id", "scgpt/human", "--collection", "nix"), "no collection 'nix'"),
        ("v.csv", ("--id", "scgpt", "--collection", "prostate"), "'scgpt' is no space"),
        ("v.csv", ("--id", "lsa-384/name-go", "--collection", "prostate"), "a space of genes"),
        ("v.csv", ("--id", "ensemble/minilm-lsa", "--collection", "prostate"), "an ensemble"),
        ("v.csv", (*MINE, "--key", "X_scGPT"), "--key is for an h5ad"),
        ("strangers.csv", MINE, "not one of its 1 ids, such as 'x0', is an observation"),
        ("v.h5ad", MINE, "which array of `obsm`"),
        ("v.pkl", MINE, "is a pickle"),
    ],
)
def test_what_cannot_be_is_refused(released, file, arguments, reason):
    np.save(released / "v.npy", np.ones(1))
    (released / "v.npy").rename(released / "v.pkl")
    (released / "v.h5ad").touch()
    refused = command("add", file, *arguments)
    assert isinstance(refused.exception, SourceError), refused.output
    assert reason in str(refused.exception)
