"""Distributions of others add embedders, formats and tasks; a faulty one is named, and no more."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sample_plugin import GOOD, install
from sources_files import dense, parse_files

from genept.benchmarks import all_tasks
from genept.benchmarks.task_base import GeneVectors, Labels
from genept.client.platform import Platform
from genept.common import SourceError, plugins_of
from genept.common.settings import Settings
from genept.text.embedders import EmbeddingError, space_of

BROKEN = "raise RuntimeError('no licence')"
POINTS = {
    "genept.embedders": {"broken-8": "genept_broken:open"},
    "genept.readers": {"broken": "genept_broken:reader"},
    "genept.tasks": {"broken-task": "genept_broken:task"},
}
NAMED = r"the installed distribution genept-broken 1\.0 adds '{name}' to {group}, which {why}"
REMEDY = "pip uninstall genept-broken"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Installs a sample distribution for the rest of the test."""

    def install_(*arguments: object, **more: object) -> None:
        folder = install(tmp_path / f"site-{len(list(tmp_path.iterdir()))}", *arguments, **more)  # type: ignore[arg-type]
        monkeypatch.syspath_prepend(str(folder))
        plugins_of.cache_clear()
        all_tasks.cache_clear()

    yield install_
    for name in ("genept_letters", "genept_broken"):
        sys.modules.pop(name, None)
    plugins_of.cache_clear()
    all_tasks.cache_clear()


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Platform:
    monkeypatch.setattr(Platform, "registered_spaces", [])
    return Platform(Settings(state_dir=tmp_path / "state"))


def broken(source: str) -> tuple[str, dict[str, dict[str, str]], str]:
    return "genept-broken", POINTS, source


def test_an_embedder_makes_a_space_of_every_recipe(installed, tmp_path, platform):
    installed()
    assert platform.unavailable(space_of("letters-26/name")) is None
    assert [space.embedder for space in platform.further_spaces].count("letters-26") > 3
    embedder = platform.embedders.open("letters-26")
    vectors = embedder.embed(["abc", "tumor protein p53"])
    assert vectors.shape == (2, 26)
    assert embedder.identity == "letters-26:v1"
    assert platform.embedders.version("letters-26") == "genept-letters 1.0"
    named = Platform(platform.settings.with_options({"spaces": ("letters-26/name",)}))
    assert [space.id for space in named.spaces] == ["letters-26/name"]
    assert not any(space.embedder == "letters-26" for space in platform.spaces)


def test_a_reader_reads_files_of_its_format(installed, tmp_path):
    installed()
    path = tmp_path / "values.lines"
    path.write_text("s1;TP53;3\ns2;TP53;1\ns2;FOXP3;2\n")
    parsed = parse_files(tmp_path, "lines", "counts", [path], separator=";")
    assert parsed.input_genes == ("FOXP3", "TP53")
    np.testing.assert_array_equal(dense(parsed), [[0, 3], [2, 1]])
    with pytest.raises(ValueError, match="unknown format 'nowhere'"):
        parse_files(tmp_path, "nowhere", "counts", [path])


def test_a_task_stands_beside_those_of_this_package(installed):
    usual = list(all_tasks())
    installed()
    assert list(all_tasks()) == [*usual, "parity"]
    task = all_tasks()["parity"]
    rows = task.rows(Labels(pl.DataFrame(), pl.DataFrame()))
    genes = tuple(rows["ensembl_gene_id"])
    vectors = GeneVectors("x", genes, np.ones((400, 3), np.float32))
    assert task.unfit(rows) is None
    assert task.predict(rows, vectors).height == 400


def refused(name: str, group: str, why: str) -> str:
    return NAMED.format(name=name, group=f"genept.{group}", why=why)


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (BROKEN, r"cannot be loaded \(RuntimeError: no licence\)"),
        ("import nowhere_to_be_found", r"cannot be loaded \(ModuleNotFoundError"),
        ("open = task = reader = None\nraise SystemExit(3)", r"cannot be loaded \(SystemExit: 3"),
        ("", r"cannot be loaded \(AttributeError"),
        ("def open(resources): return object()", r"cannot be opened \(AttributeError: it has no"),
        ("def open(resources): 1 / 0", r"cannot be opened \(ZeroDivisionError"),
        ("open = 3", r"cannot be opened \(TypeError"),
    ],
)
def test_a_faulty_embedder_is_named_and_others_are_listed(installed, platform, source, why):
    installed()
    installed(*broken(source))
    with pytest.raises(ValueError, match=refused("broken-8", "embedders", why)) as caught:
        platform.embedders.open("broken-8")
    assert REMEDY in str(caught.value)
    assert platform.embedders.open("letters-26").embed(["a"]).shape == (1, 26)


def test_vectors_that_break_the_contract_are_refused_by_name(installed, platform):
    source = """
        import numpy as np
        class Halves:
            id, dimensions, max_tokens, identity, unit_norm = "broken-8", 8, None, "v1", True
            def embed(self, texts):
                return np.full((len(texts), 8), 0.5, np.float32)
        def open(resources):
            return Halves()
    """
    installed(*broken(source))
    embedder = platform.embedders.open("broken-8")
    why = r"cannot embed \(EmbeddingError: vector of row 0 has length 1\.4"
    with pytest.raises(EmbeddingError, match=refused("broken-8", "embedders", why)):
        embedder.embed(["a text"])


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (BROKEN, r"cannot be loaded \(RuntimeError"),
        ("reader = 3", "is no genept.datasources.Reader"),
    ],
)
def test_a_faulty_reader_is_named(installed, tmp_path, source, why):
    installed(*broken(source))
    (tmp_path / "x.csv").write_text("gene,a\nTP53,1\n")
    with pytest.raises(SourceError, match=refused("broken", "readers", why)):
        parse_files(tmp_path, "broken", "counts", [tmp_path / "x.csv"])
    parsed = parse_files(tmp_path, "table", "counts", [tmp_path / "x.csv"])
    assert parsed.input_genes == ("TP53",)


@pytest.mark.parametrize(
    ("parse", "why"),
    [("1 / 0", r"cannot read it \(ZeroDivisionError"), ("return 3", "returns no ParsedCollection")],
)
def test_a_reader_that_fails_is_named(installed, tmp_path, parse, why):
    source = f"""
        from genept.datasources import Reader
        from genept.datasources.formats import FormatOptions
        def parse(archives, collection):
            {parse}
        reader = Reader(options=FormatOptions, parse=parse)
    """
    installed(*broken(source))
    (tmp_path / "x.csv").write_text("gene,a\nTP53,1\n")
    with pytest.raises(SourceError, match=refused("broken", "readers", why)):
        parse_files(tmp_path, "broken", "counts", [tmp_path / "x.csv"])


@pytest.mark.parametrize(
    ("source", "why"),
    [(BROKEN, "cannot be loaded"), ("task = 3", "is no genept.benchmarks.Task but int")],
)
def test_a_faulty_task_is_left_out_and_named_once(installed, capsys, source, why):
    usual = list(all_tasks())
    installed(*broken(source))
    assert list(all_tasks()) == usual
    assert list(all_tasks()) == usual
    warning = " ".join(capsys.readouterr().err.split())
    assert warning.count("genept-broken 1.0 adds 'broken-task' to genept.tasks, which " + why) == 1


@pytest.mark.slow
def test_the_command_line_finds_them_and_survives_a_faulty_one(tmp_path):
    """As after `pip install`: in a process of its own, by the path alone."""
    site = install(tmp_path / "site")
    install(site, *broken(BROKEN))
    environment = os.environ | {
        "PYTHONPATH": str(site), "GENEPT_STATE_DIR": str(tmp_path / "state"), "COLUMNS": "250"
    }  # fmt: skip

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "genept.cli", *arguments]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path
        )

    listed = run("embedders", "list")
    assert listed.returncode == 0, listed.stderr
    lines = {line.split()[0]: line for line in listed.stdout.splitlines() if line.strip()}
    assert "genept-letters 1.0" in lines["letters-26"]
    assert lines["letters-26"].rstrip().endswith("available")
    assert "genept-broken 1.0" in lines["broken-8"]
    assert "Traceback" not in listed.stderr
    tasks = run("bench", "tasks")
    assert tasks.returncode == 0, tasks.stderr
    assert "parity" in tasks.stdout
    assert "haploinsufficiency" in tasks.stdout
    assert "genept-broken" in tasks.stderr
    assert "Traceback" not in tasks.stderr


def test_nothing_is_loaded_that_is_not_named(installed, platform):
    installed(*broken("import sys\nsys.loaded_by_mistake = True"))
    assert platform.embedders.unavailable("minilm-l6-v2") is None
    _ = platform.spaces
    assert not hasattr(sys, "loaded_by_mistake")
    assert set(POINTS) == set(GOOD)
