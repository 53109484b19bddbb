"""`genept collections census`: cells of the CELLxGENE Census by query, as a file to add."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import polars as pl
import typer
from rich.markup import escape

from genept.cli.output_files import writable
from genept.client import (
    CENSUS,
    CensusQuery,
    ExportedCollection,
    Installation,
    drawn_cells,
    open_census,
)
from genept.collections import terms_meant
from genept.common import Settings, SourceError, console, open_console, plain_table

answer = open_console(soft_wrap=True)
MOST_SHOWN: Final = 15
SHOWN: Final = ("cell_type", "tissue", "disease", "assay")

Terms = Annotated[
    list[str] | None, typer.Option(help="A label or the id of a term; one of several.")
]


def census(
    tissue: Terms = None,
    disease: Terms = None,
    cell_type: Terms = None,
    assay: Terms = None,
    dataset: Annotated[
        list[str] | None, typer.Option(help="Id of a data set; one of several.")
    ] = None,
    version: Annotated[str, typer.Option(help="Release of the Census.")] = CENSUS,
    most: Annotated[int, typer.Option(min=1, help="Cells at most, drawn from all.")] = 20_000,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    repeated: Annotated[
        bool, typer.Option("--repeated", help="Take cells that repeat those of a data set, too.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="h5ad file for their counts.", callback=writable(".h5ad")),
    ] = None,
) -> None:
    """Find cells of the CELLxGENE Census; with --out, fetch their counts as a file to add.

    A term stands for itself and all terms below it: "T cell" finds "CD4-positive, alpha-beta T
    cell". Needs the extra `census`, and a network. `genept collections add FILE` adds the file.
    """
    asked = {"tissue": tissue, "disease": disease, "cell_type": cell_type, "assay": assay}
    query = CensusQuery(_terms(asked), tuple(dataset or ()), primary=not repeated)
    with open_census(version) as opened:
        with console.status("reading what the Census says of its cells"):
            cells = opened.find(query)
        _print_found(cells)
        if out is None or not cells.height:
            return
        chosen = drawn_cells(cells, most, seed)
        with console.status(f"reading the counts of {chosen.height:,} cells"):
            data = opened.counts(chosen, query)
    ExportedCollection(data, lacking=(), n_left_out=0).write(out)
    answer.print(
        f"written: {escape(str(out))}, {data.n_obs:,} of {cells.height:,} cells × {data.n_vars:,} "
        f"genes. Next: genept collections add {escape(str(out))} --id my-cells --group donor_id"
    )


def _terms(asked: Mapping[str, list[str] | None]) -> dict[str, tuple[str, ...]]:
    """Ids of the terms that are meant, and of those below them."""
    if not any(asked.values()):
        return {}
    mapper = Installation(Settings()).label_mapper
    terms: dict[str, tuple[str, ...]] = {}
    for name, texts in asked.items():
        of_field = "diagnosis" if name == "disease" else name
        for text in texts or ():
            meant = terms_meant(mapper, of_field, text)
            if not meant:
                raise SourceError(
                    f"{name} {text!r} means no term: name it as its ontology does, or by id"
                )
            terms[name] = (*terms.get(name, ()), *meant)
            answer.print(f"{name} {escape(text)}: {len(meant):,} terms")
    return terms


def _print_found(cells: pl.DataFrame) -> None:
    answer.print(f"{cells.height:,} cells of {cells['dataset_id'].n_unique():,} data sets")
    for name in SHOWN:
        if name in cells.columns and cells.height:
            counted = Counter(cells[name].cast(pl.String).to_list())
            rows = [(escape(str(value)), f"{n:,}") for value, n in counted.most_common(MOST_SHOWN)]
            answer.print(plain_table(name, "cells", rows=rows))
