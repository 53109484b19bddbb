"""`genept spaces …`: list spaces; register and remove tables of gene vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from rich.markup import escape
from rich.table import Table

from genept.client import Platform
from genept.common import Settings, SourceError, console, open_console
from genept.datasources.readers import limited_vectors
from genept.nomenclature import Nomenclature
from genept.storage import VectorFile, open_store, sha256_of_file
from genept.text import (
    Mapped,
    map_vectors,
    register_space,
    registered_spaces,
    space_of,
)

app = typer.Typer(no_args_is_help=True, help="Spaces of gene vectors: list, register and remove.")
answer = open_console(soft_wrap=True)


@app.command()
def add(
    file: Annotated[
        Path, typer.Argument(help="Parquet, npz, CSV or TSV.", exists=True, dir_okay=False)
    ],
    id_: Annotated[str, typer.Option("--id", help="Such as scgpt/whole-human.")],
    citation: Annotated[str, typer.Option(help="Where the vectors come from.")] = "",
    licence: Annotated[str, typer.Option(help="Terms of the vectors.")] = "not stated",
    redistributable: Annotated[
        bool, typer.Option(help="The terms allow releases with them to be passed on.")
    ] = False,
    dry_run: Annotated[bool, typer.Option(help="Map and count only; store nothing.")] = False,
) -> None:
    """Register the gene vectors of FILE as a space: the next release holds it."""
    platform = Platform(Settings())
    _refuse_taken(platform, id_)
    table = limited_vectors(file, None, platform.file_allowance.limits(file))
    with console.status(f"mapping {len(table.names):,} names"):
        reference = platform.reference
        genes = reference.published
        mapped = map_vectors(table, Nomenclature(reference.index), genes)
    _print_mapped(mapped)
    if dry_run:
        answer.print("a dry run: nothing was stored")
        return
    declared = register_space(
        platform.store,
        platform.settings.product,
        id_,
        mapped,
        file=VectorFile(
            file=file.name,
            file_sha256=sha256_of_file(file),
            citation=citation,
            licence=licence,
            redistributable=redistributable,
        ),
        reference_release=reference.release,
    )
    answer.print(
        f"registered {declared.id}, table {declared.table_sha256[:12]}: the next `genept run` "
        "releases it"
    )


@app.command("list")
def list_spaces() -> None:
    """List all spaces, declared and registered."""
    platform = Platform(Settings())
    table = Table("space", "kind", "in a release", "remark", box=None)
    known = set(platform.known_spaces)
    for space, released in platform.declared_spaces.items():
        kind = "control" if space.is_control else "text"
        remark = "" if space in known else "its recipe is not available: `genept genes recipes`"
        table.add_row(space.id, kind, "yes" if released else "if asked for", remark)
    for registered in platform.registered_spaces:
        remark = (
            f"{registered.genes:,} genes × {registered.dimensions}, {registered.file}, "
            f"{registered.registered:%Y-%m-%d}"
        )
        table.add_row(registered.id, "registered", "yes", escape(remark))
    answer.print(table)


@app.command()
def remove(id_: Annotated[str, typer.Argument(metavar="ID", help="A registered space.")]) -> None:
    """Remove a registered space; releases that hold it keep it."""
    platform = Platform(Settings())
    store = open_store(platform.settings, "gc")
    registered_spaces(store, platform.settings.product).remove(id_)
    answer.print(f"removed {id_}: the next run is held once, since readers lose it")


def _refuse_taken(platform: Platform, id_: str) -> None:
    try:
        space = space_of(id_, table="new")
    except ValueError as error:
        raise SourceError(str(error)) from None
    if space.id in {declared.id for declared in platform.declared_spaces}:
        raise SourceError(f"{id_!r} is a space of texts: choose another id for the table")
    if space.is_random or space.is_lsa:
        raise SourceError(f"{id_!r}: the name {space.embedder!r} is kept for a control")


def _print_mapped(mapped: Mapped) -> None:
    table = Table("outcome", "names", "such as", box=None)
    for outcome, n in mapped.outcomes.items():
        examples = mapped.names.filter(pl.col("outcome") == outcome)["input_id"].head(4)
        table.add_row(outcome, f"{n:,}", escape(", ".join(examples)))
    answer.print(table)
    answer.print(
        f"{mapped.genes.height:,} genes × {mapped.vectors.shape[1]} dimensions; "
        f"{mapped.superseded:,} names stand behind a better name of their gene, or contradict "
        "one of their rank"
    )
    shortest, longest = mapped.lengths
    answer.print(f"vectors of length {shortest:.4g} to {longest:.4g} are scaled to unit length")
