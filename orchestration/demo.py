"""`genept demo`: a small release in a folder of its own, and a first picture of it.

What it builds is a release like any other, of one collection and one static text model, so that it
takes minutes; the folder has its own store and settings, and is deleted when it is not wanted.
"""

from __future__ import annotations

import os
from pathlib import Path
from shlex import quote
from typing import Annotated, Final

import typer

from genept.common import Settings, StoreError, open_console, program_path

COLLECTION: Final = "pbmc-hao"
SPACE: Final = "wordllama-256/name-go"
SETTINGS: Final = {
    "product": '"demo"',
    "collections": f'["{COLLECTION}"]',
    "spaces": f'["{SPACE}"]',
}
"""Contents of the folder's `genept.toml`."""

PICTURE: Final = "cells.png"

answer = open_console(soft_wrap=True)


def demo(
    folder: Annotated[
        Path, typer.Argument(help="A new folder; or that of an earlier demo, to go on.")
    ] = Path("genept-demo"),
) -> None:
    """Build a small release in a folder of its own, and draw its cells: a first look.

    One collection of blood cells, gene descriptions by a static text model. Settings of the
    environment do not count, and nothing outside the folder is changed.
    """
    from genept.cli import print_results
    from orchestration.commands import build_release

    settings = folder / "genept.toml"
    if folder.exists() and not settings.exists() and any(folder.iterdir()):
        raise StoreError(f"{folder} is not empty and of no demo: name a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    if not settings.exists():
        lines = (f"{name} = {value}\n" for name, value in SETTINGS.items())
        settings.write_text("".join(lines), encoding="utf-8")
    for name in [name for name in os.environ if name.startswith("GENEPT_")]:
        if name != "GENEPT_MIRRORS":  # where files are downloaded from
            del os.environ[name]
    os.chdir(folder)
    build_release()
    Path(PICTURE).write_bytes(_picture())
    answer.print(f"\nCells by type, and what share of each has a vector: {folder / PICTURE}")
    print_results(Settings())
    genept = program_path("genept")
    answer.print(f"\nGo on in that folder, such as:\n\n  cd {quote(str(folder))}", markup=False)
    for arguments in (
        "neighbours FOXP3",
        'search "B cell that makes antibodies" --in cells',
        f'describe cells {COLLECTION} --group "B cells"',
        f'annotate {COLLECTION} "B cell" "T cell" monocyte "NK cell" platelet "dendritic cell"',
        "release show   # tables, and code that reads them",
        "ui",
    ):
        answer.print(f"  {genept} {arguments}", markup=False)


def _picture() -> bytes:
    """The cells of the release in its space."""
    import polars as pl

    from genept.client import load_table
    from genept.embeddings import draw_projection

    observed = load_table("observations", collection_id=COLLECTION).collect()
    embedded = load_table("cell_embeddings", space=SPACE, collection_id=COLLECTION)
    cells = embedded.filter(pl.col("method") == "genept-w").collect()
    observed = observed.join(cells.select("observation_id", "coverage"), on="observation_id")
    vectors = cells.select("observation_id", "embedding")
    return draw_projection(observed, vectors, f"{COLLECTION} in {SPACE}")
