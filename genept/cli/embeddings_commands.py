"""`genept embeddings …`: add, list and remove vectors of observations from other models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from genept.client import Platform, load_table
from genept.common import Settings, SourceError, StoreError, console, open_console
from genept.datasources.readers import VectorTable, limited_vectors, unit_vectors
from genept.embeddings import REGISTERED, Joined, register_vectors, registered_vectors
from genept.storage import VectorFile, open_store, sha256_of_file
from genept.text import space_of

app = typer.Typer(
    no_args_is_help=True, help="Vectors of cells and samples from other models; ensembles."
)
answer = open_console(soft_wrap=True)

Space = Annotated[str, typer.Option("--id", help="Space of the model, such as scgpt/whole-human.")]
Collection = Annotated[str, typer.Option(help="Whose observations they are.")]


@app.command()
def add(
    file: Annotated[
        Path,
        typer.Argument(help="h5ad; parquet, npz, CSV or TSV.", exists=True, dir_okay=False),
    ],
    id_: Space,
    collection: Collection,
    key: Annotated[str | None, typer.Option(help="In `obsm` of an h5ad: X_scGPT.")] = None,
    licence: Annotated[str, typer.Option(help="As stated by whoever made it.")] = "not stated",
    citation: Annotated[str, typer.Option(help="What to cite.")] = "not stated",
    redistributable: Annotated[bool, typer.Option(help="May be passed on.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Read and join only; store nothing.")] = False,
) -> None:
    """Register the vectors of FILE: the next release joins them to the collection by id."""
    platform = Platform(Settings())
    _refuse_taken(platform, id_, collection)
    with console.status(f"reading {file.name}"):
        table = _read(platform, file, key)
    _, lengths = unit_vectors(table)
    answer.print(
        f"{len(table.names):,} vectors of {table.vectors.shape[1]} dimensions, of length "
        f"{lengths.min():.4g} to {lengths.max():.4g}; they are scaled to unit length"
    )
    _print_joined(platform, collection, file, table)
    if dry_run:
        answer.print("a dry run: nothing was stored")
        return
    declared = register_vectors(
        platform.store,
        platform.settings.product,
        id_,
        collection,
        table,
        VectorFile(
            file=file.name,
            file_sha256=sha256_of_file(file),
            licence=licence,
            redistributable=redistributable,
            citation=citation,
        ),
    )
    answer.print(
        f"registered {declared.space} of {collection}: the next `genept run` releases it as "
        f'method "{REGISTERED}"'
    )


@app.command("list")
def list_vectors() -> None:
    """List the registered vectors, and the ensembles that are declared."""
    platform = Platform(Settings())
    table = Table("space", "collection", "vectors", "may be passed on", "remark", box=None)
    for one in platform.outside:
        terms = "yes" if one.redistributable else "no"
        size = f"{one.n_vectors:,} × {one.dimensions}"
        remark = f"{one.file}, {one.registered:%Y-%m-%d}"
        table.add_row(one.space, one.collection, size, terms, escape(remark))
    for ensemble in platform.ensembles:
        made_of = " + ".join(f"{weight:g} × {name}" for name, weight in ensemble.weights.items())
        table.add_row(ensemble.id, "all that have its members", "", "", f"ensemble: {made_of}")
    answer.print(table)


@app.command()
def remove(id_: Space, collection: Collection) -> None:
    """Take registered vectors back; releases that hold them keep them."""
    platform = Platform(Settings())
    store = open_store(platform.settings, "gc")
    registered_vectors(store, platform.settings.product).remove(f"{collection}/{id_}")
    answer.print(f"removed {id_} of {collection}: the next run is held once, since readers lose it")


def _read(platform: Platform, file: Path, key: str | None) -> VectorTable:
    if file.suffix.lower() != ".h5ad":
        if key is not None:
            raise SourceError(f"{file.name}: --key is for an h5ad; take other columns out")
    elif key is None:
        raise SourceError(f"{file.name}: which array of `obsm`? Say --key, such as --key X_scGPT")
    return limited_vectors(file, key, platform.file_allowance.limits(file))


def _refuse_taken(platform: Platform, id_: str, collection: str) -> None:
    try:
        space = space_of(id_, table="new")
    except ValueError as error:
        raise SourceError(str(error)) from None
    known = sorted(platform.catalogue.collections)
    if collection not in known:
        raise SourceError(f"there is no collection {collection!r}; known: {', '.join(known)}")
    of_genes = {
        one.id
        for one in (*platform.declared_spaces, *(s.space for s in platform.registered_spaces))
    }
    if space.id in of_genes:
        raise SourceError(f"{id_!r} is a space of genes: choose another id for the observations")
    if space.id in {one.id for one in platform.ensembles}:
        raise SourceError(f"{id_!r} is an ensemble: choose another id for the vectors")


def _print_joined(platform: Platform, collection: str, file: Path, table: VectorTable) -> None:
    """Say how many ids are the collection's, as it was last released; refuse if none is."""
    try:
        rows = load_table("observations", settings=platform.settings, collection_id=collection)
    except StoreError:
        answer.print(f"no release holds {collection}: ids are joined when it is ingested")
        return
    known = rows.select("observation_id").collect()["observation_id"].to_list()
    joined = Joined.of(table.names, known)
    if not joined.found:
        raise SourceError(
            f"{file.name}: not one of its {len(table.names):,} ids, such as {table.names[0]!r}, is "
            f"an observation of {collection!r}, such as {known[0]!r}: rename them in the file"
        )
    answer.print(
        f"{len(joined.found):,} of {len(known):,} observations have a vector; "
        f"{len(joined.strangers):,} vectors are of ids that {collection} does not have"
    )
    for what, ids in (("without one", joined.without_vector), ("not used", joined.strangers)):
        if ids:
            answer.print(f"  {what}: {escape(', '.join(ids[:4]))}{' …' if len(ids) > 4 else ''}")
