"""`genept embedders`: what there is, and why one cannot be used."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from genept.cli.vector_commands import embedders
from genept.common.errors import StoreError


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENEPT_STATE_DIR", str(tmp_path))
    monkeypatch.delenv("GENEPT_OPENAI_API_KEY", raising=False)


def test_embedders_are_listed_with_their_price_and_why_they_cannot_be_used(monkeypatch):
    listed = CliRunner().invoke(embedders, ["list"]).output.splitlines()
    (large,) = [line for line in listed if line.startswith("text-embedding-3-large ")]
    assert "3072 dimensions  $0.13 per million tokens" in large
    assert large.endswith("set GENEPT_OPENAI_API_KEY")
    monkeypatch.setenv("GENEPT_OPENAI_API_KEY", "sk-marker")
    listed = CliRunner().invoke(embedders, ["list"]).output
    assert "sk-marker" not in listed
    assert all(line.endswith("available") for line in listed.splitlines())


@pytest.mark.parametrize(
    ("space", "complaint"),
    [
        ("minilm-l6-v2/name", "no hosted embedder"),
        ("text-embedding-3-small/name", "set GENEPT_OPENAI_API_KEY"),
    ],
)
def test_what_cannot_be_forecast_says_why(space, complaint):
    with pytest.raises(StoreError, match=complaint):
        CliRunner().invoke(embedders, ["forecast", space], catch_exceptions=False)
