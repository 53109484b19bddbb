"""The code of docs/r.md, in R where that is installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from installations import PROJECT, settings_over
from labelled_release import COLLECTION, COUNTS, TYPES, N, publish_labelled
from planted_release import publish_planted

from genept.client.exported_collections import export_collection
from genept.client.queries import opening_script
from genept.client.release_lookup import open_releases
from genept.release.catalogs.frozen_catalog import make_catalog
from genept.release.catalogs.shared_catalog import refresh_catalog
from genept.storage.object_store import ObjectStore

BLOCKS: Final = dict(
    re.findall(
        r"```r\n# (\w+)\n(.*?)```", (PROJECT / "docs" / "r.md").read_text("utf-8"), re.DOTALL
    )
)
R: Final = shutil.which("Rscript")

needs_r = pytest.mark.skipif(R is None, reason="needs R: apt-get install r-base-core")

Run = Callable[[str, str], str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run R code in a folder of its own, with DuckDB's shell on the path."""
    beside = str(Path(sys.executable).parent)
    monkeypatch.setenv("PATH", os.pathsep.join([beside, os.environ["PATH"]]))

    def run_code(name: str, code: str) -> str:
        (tmp_path / f"{name}.R").write_text(code)
        done = subprocess.run(
            [str(R), "--vanilla", f"{name}.R"],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run_code


def has(package: str) -> bool:
    """Whether R has a package."""
    asked = ["-e", f"quit(status = !requireNamespace('{package}', quietly = TRUE))"]
    return R is not None and not subprocess.run([R, *asked], check=False).returncode


@needs_r
@pytest.mark.parametrize("name", ["anndataR", "arrow"])
def test_r_reads_the_syntax_of_code_whose_packages_are_seldom_installed(
    run: Run, name: str
) -> None:
    quoted = BLOCKS[name].replace("\\", "\\\\").replace("'", "\\'")
    run(name, f"invisible(parse(text = '{quoted}'))")


@needs_r
@pytest.mark.skipif(not has("hdf5r"), reason="needs hdf5r: apt-get install r-cran-hdf5r")
def test_an_exported_collection_opens_with_hdf5r(
    object_store: ObjectStore, tmp_path: Path, run: Run
) -> None:
    settings = publish_labelled(object_store, tmp_path / "state")
    export_collection(COLLECTION, settings=settings).write(tmp_path / "cells.h5ad")
    check = 'cat("sum", sum(counts), "first", sum(counts[, 1]), "dims", dim(counts), "\\n")'
    printed = run("hdf5r", f"{BLOCKS['hdf5r']}\n{check}\n")
    n_genes = COUNTS.shape[1]
    assert f"sum {COUNTS.sum():g} first {COUNTS[0].sum():g} dims {n_genes} {N} \n" in printed
    counted = printed.splitlines()
    for type_ in set(TYPES):
        assert any(type_ in line for line in counted)
    assert len(re.findall(r"^\d+ +\S+", printed, re.MULTILINE)) == 3, "three nearest cells"


@needs_r
def test_duckdbs_shell_answers_r(
    object_store: ObjectStore, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    settings = settings_over(object_store, tmp_path / "state", "from-r")
    publish_planted(settings, make_catalog)
    releases = open_releases(settings)
    assert refresh_catalog(releases)
    (tmp_path / "opening.sql").write_text(opening_script(releases.files))
    monkeypatch.setenv("HOME", str(tmp_path / "without-extensions"))
    printed = run("duckdb", BLOCKS["duckdb"])
    assert re.search(r"biotype +n", printed) is not None
    assert len(re.findall(r"biotype-\d+ 1", printed)) == 3
