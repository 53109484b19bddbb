"""`genept profiles generate`: what is printed and written says that it was generated."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
from typer.testing import CliRunner

from genept.cli import profile_commands
from genept.cli.app import app
from genept.client.searching.profile_generation import BY_GENES, BY_TYPES, NOTE, TextProfile
from genept.common import open_console
from genept.common.errors import StoreError


def made(known: bool) -> TextProfile:
    genes = pl.DataFrame({
        "ensembl_gene_id": ["ENSG00000000001", "ENSG00000000002"], "symbol": ["IGHA1", None],
        "deviation": [1.5, -0.25], "error": [0.5, 0.5], "expected": [2.0, 0.5],
        "ci_low": [1.0, 0.0], "ci_high": [3.0, 1.5], "nearest_type": [2.25, 0.75],
        "generated": [True, True],
    })  # fmt: skip
    if not known:
        unknown = pl.lit(None, pl.Float64)
        names = ("error", "expected", "ci_low", "ci_high", "nearest_type")
        genes = genes.with_columns(**dict.fromkeys(names, unknown))
    nearest = pl.DataFrame({"observation_id": ["c1"], "label": ["Plasma"], "correlation": [0.4]})
    about = {
        "generated": True, "note": NOTE, "text": "plasma cell secreting IgA", "unit": "log1p",
        "method": BY_TYPES if known else BY_GENES, "types": ["Plasma", "B", "T"] if known else [],
        "collection": "pbmc-hao", "space": "minilm-l6-v2/name-go", "release": "r1",
        "label": "cell_type", "nearest_type": "Plasma" if known else "",
        "genes_not_measured": ["JCHAIN", "MZB1"], "licence": "CC0", "citation": "who",
    }  # fmt: skip
    return TextProfile(genes, nearest, about)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What the library is asked, and what it answers."""
    asked = SimpleNamespace(calls=[], answer=made(known=True))

    def generate(_search: object, text: str, collection: str, *, n: int) -> TextProfile:
        asked.calls.append((text, collection, n))
        return asked.answer

    monkeypatch.setattr(profile_commands, "answer", open_console(width=200, soft_wrap=True))
    monkeypatch.setattr(profile_commands, "Platform", lambda _: None)
    monkeypatch.setattr(profile_commands, "SpaceSearch", lambda *_, **__: None)
    monkeypatch.setattr(profile_commands, "generate_for_text", generate)
    return asked


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["profiles", "generate", *arguments])
    if isinstance(result.exception, StoreError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_a_profile_is_printed_with_intervals_and_named_generated(asked: SimpleNamespace) -> None:
    printed = run("plasma cell secreting IgA", "-n", "2")
    assert asked.calls == [("plasma cell secreting IgA", "pbmc-hao", 2)]
    assert printed.startswith("GENERATED")
    assert "no measurement" in printed
    assert "3 labelled types" in printed
    assert "IGHA1" in printed
    assert "2.00 [1.00, 3.00]" in printed
    assert "ENSG00000000002" in printed
    assert "measured in Plasma" in printed
    assert "2.25" in printed
    assert "1 of these 2 differ from the mean of the types by more than 1.96 errors" in printed
    assert "not measured often enough here: JCHAIN, MZB1" in printed


def test_without_types_no_expression_is_claimed(asked: SimpleNamespace) -> None:
    asked.answer = made(known=False)
    printed = run("hypoxia", "--collection", "mine")
    assert asked.calls[0][1] == "mine"
    assert "not known" in printed
    assert "labelled type" not in printed
    assert "errors" not in printed


def test_the_whole_profile_is_written(asked: SimpleNamespace, tmp_path: Path) -> None:
    printed = run("plasma cell", "--out", str(tmp_path / "p.parquet"))
    assert "2 genes in" in printed
    assert "0 others" in printed
    assert pl.read_parquet(tmp_path / "p.parquet").equals(asked.answer.genes)
    with pytest.raises(StoreError, match=r"must be \.parquet or \.h5ad"):
        run("plasma cell", "--out", str(tmp_path / "p.csv"))


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("none/p.parquet", "there is no folder .*none; make it first"),
        ("taken.h5ad", "is a folder: name a file in it"),
    ],
)
def test_what_cannot_be_written_is_refused_before_any_work(
    asked: SimpleNamespace, tmp_path: Path, path: str, reason: str
) -> None:
    (tmp_path / "taken.h5ad").mkdir()
    with pytest.raises(StoreError, match=reason):
        run("plasma cell", "--out", str(tmp_path / path))
    assert not asked.calls


def test_a_folder_without_rights_is_refused_before_any_work(
    asked: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, _: path != tmp_path)
    with pytest.raises(StoreError, match="you may not write to"):
        run("plasma cell", "--out", str(tmp_path / "p.h5ad"))
    assert not asked.calls
