"""`genept spaces …`, `genept embeddings …`: vectors of genes, and of observations.

Both can be registered. What embeds texts is `genept.cli.embedders_commands`.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from genept.client import Platform, load_table
from genept.common import Settings, SourceError, StoreError, console, open_console, plain_table
from genept.datasources.readers import VectorTable, limited_vectors, unit_vectors
from genept.embeddings import REGISTERED, Joined, register_vectors, registered_vectors
from genept.nomenclature import Nomenclature
from genept.storage import VectorFile, open_store, sha256_of_file
from genept.text import (
    Mapped,
    Space,
    map_vectors,
    register_space,
    registered_spaces,
    space_of,
)

spaces = typer.Typer(
    no_args_is_help=True, help="Spaces of gene vectors: list, register and remove."
)
embeddings = typer.Typer(
    no_args_is_help=True, help="Vectors of cells and samples from other models; ensembles."
)
answer = open_console(soft_wrap=True)

SpaceId = Annotated[str, typer.Option("--id", help="Space of the model: scgpt/whole-human.")]
Collection = Annotated[str, typer.Option(help="Whose observations they are.")]
Licence = Annotated[str, typer.Option(help="As stated by whoever made the vectors.")]
Citation = Annotated[str, typer.Option(help="What to cite.")]
Redistributable = Annotated[bool, typer.Option(help="Releases with them may be passed on.")]
DryRun = Annotated[bool, typer.Option(help="Read and match only; store nothing.")]


@spaces.command("add")
def add_space(
    file: Annotated[
        Path, typer.Argument(help="Parquet, npz, CSV or TSV.", exists=True, dir_okay=False)
    ],
    id_: SpaceId,
    citation: Citation = "",
    licence: Licence = "not stated",
    redistributable: Redistributable = False,
    dry_run: DryRun = False,
) -> None:
    """Register the gene vectors of FILE as a space: the next release holds it."""
    platform = Platform(Settings())
    space = _space(id_)
    if space.id in {declared.id for declared in platform.declared_spaces}:
        raise SourceError(f"{id_!r} is declared: choose another id for the table")
    if space.is_random or space.is_lsa or space_of(id_).made_of:
        raise SourceError(f"{id_!r}: the name {space.embedder!r} is kept for spaces of ours")
    table = limited_vectors(file, None, platform.file_allowance.limits(file))
    with console.status(f"mapping {len(table.names):,} names"):
        reference = platform.reference
        mapped = map_vectors(table, Nomenclature(reference.index), reference.published)
    _print_mapped(mapped)
    if dry_run:
        answer.print("a dry run: nothing was stored")
        return
    declared = register_space(
        platform.store,
        platform.settings.product,
        id_,
        mapped,
        file=_file_of(file, licence, citation, redistributable),
        reference_release=reference.release,
    )
    answer.print(
        f"registered {declared.id}, table {declared.table_sha256[:12]}: the next `genept run` "
        "releases it"
    )


@spaces.command("list")
def list_spaces(
    containing: Annotated[str, typer.Argument(help="Only those whose id contains this.")] = "",
) -> None:
    """List all spaces, declared and registered, and why one cannot be embedded here."""
    platform = Platform(Settings())
    rows: list[tuple[str, ...]] = []
    for space, released in platform.declared_spaces.items():
        kind = "control" if space.is_control else space.made_of or "text"
        remark = platform.unavailable(space) or ""
        rows.append((space.id, kind, "yes" if released else "if asked for", remark))
    for registered in platform.registered_spaces:
        remark = (
            f"{registered.genes:,} genes × {registered.dimensions}, {registered.file}, "
            f"{registered.registered:%Y-%m-%d}"
        )
        rows.append((registered.id, "registered", "yes", remark))
    if containing:
        rows += [
            (space.id, "text", "if asked for", platform.unavailable(space) or "")
            for space in platform.further_spaces
        ]
    shown = [row for row in rows if containing in row[0]]
    if not shown:
        raise StoreError(f"no space has {containing!r} in its id: see `genept spaces list`")
    answer.print(plain_table("space", "kind", "in a release", "remark", rows=shown))
    if not containing:
        answer.print(
            "Further: each embedder of this machine with each recipe, such as "
            "wordllama-256/name-go (`genept embedders list`, `genept genes recipes`)"
        )


@spaces.command("remove")
def remove_space(
    id_: Annotated[str, typer.Argument(metavar="ID", help="A registered space.")],
) -> None:
    """Remove a registered space; releases that hold it keep it."""
    settings = Settings()
    registered_spaces(open_store(settings, "gc"), settings.product).remove(id_)
    answer.print(f"removed {id_}: the next run is held once, since readers lose it")


def _print_mapped(mapped: Mapped) -> None:
    rows = (
        (outcome, f"{n:,}", ", ".join(mapped.names.filter(outcome=outcome)["input_id"].head(4)))
        for outcome, n in mapped.outcomes.items()
    )
    answer.print(plain_table("outcome", "names", "such as", rows=rows))
    answer.print(
        f"{mapped.genes.height:,} genes × {mapped.vectors.shape[1]} dimensions; "
        f"{mapped.superseded:,} names stand behind a better name of their gene, or contradict "
        "one of their rank"
    )
    shortest, longest = mapped.lengths
    answer.print(f"vectors of length {shortest:.4g} to {longest:.4g} are scaled to unit length")


@embeddings.command("add")
def add_vectors(
    file: Annotated[
        Path, typer.Argument(help="h5ad; parquet, npz, CSV or TSV.", exists=True, dir_okay=False)
    ],
    id_: SpaceId,
    collection: Collection,
    key: Annotated[str | None, typer.Option(help="In `obsm` of an h5ad: X_scGPT.")] = None,
    licence: Licence = "not stated",
    citation: Citation = "not stated",
    redistributable: Redistributable = False,
    dry_run: DryRun = False,
) -> None:
    """Register the vectors of FILE: the next release joins them to the collection by id."""
    platform = Platform(Settings())
    _refuse_vectors(platform, id_, collection)
    with console.status(f"reading {file.name}"):
        table = _read_vectors(platform, file, key)
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
        _file_of(file, licence, citation, redistributable),
    )
    answer.print(
        f"registered {declared.space} of {collection}: the next `genept run` releases it as "
        f'method "{REGISTERED}"'
    )


@embeddings.command("list")
def list_vectors() -> None:
    """List the registered vectors, and the ensembles that are declared."""
    platform = Platform(Settings())
    rows = []
    for vectors in platform.outside:
        terms = "yes" if vectors.redistributable else "no"
        size = f"{vectors.n_vectors:,} × {vectors.dimensions}"
        remark = f"{vectors.file}, {vectors.registered:%Y-%m-%d}"
        rows.append((vectors.space, vectors.collection, size, terms, remark))
    for ensemble in platform.ensembles:
        made_of = " + ".join(f"{weight:g} × {name}" for name, weight in ensemble.weights.items())
        rows.append((ensemble.id, "all that have its members", "", "", f"ensemble: {made_of}"))
    headers = ("space", "collection", "vectors", "may be passed on", "remark")
    answer.print(plain_table(*headers, rows=rows))


@embeddings.command("remove")
def remove_vectors(id_: SpaceId, collection: Collection) -> None:
    """Take registered vectors back; releases that hold them keep them."""
    settings = Settings()
    registered_vectors(open_store(settings, "gc"), settings.product).remove(f"{collection}/{id_}")
    answer.print(f"removed {id_} of {collection}: the next run is held once, since readers lose it")


def _read_vectors(platform: Platform, file: Path, key: str | None) -> VectorTable:
    if file.suffix.lower() != ".h5ad":
        if key is not None:
            raise SourceError(f"{file.name}: --key is for an h5ad; take other columns out")
    elif key is None:
        raise SourceError(f"{file.name}: which array of `obsm`? Say --key, such as --key X_scGPT")
    return limited_vectors(file, key, platform.file_allowance.limits(file))


def _refuse_vectors(platform: Platform, id_: str, collection: str) -> None:
    space = _space(id_)
    known = sorted(platform.catalogue.collections)
    if collection not in known:
        raise SourceError(f"there is no collection {collection!r}; known: {', '.join(known)}")
    registered = {table.id for table in platform.registered_spaces}
    if space.id in registered | {declared.id for declared in platform.declared_spaces}:
        raise SourceError(f"{id_!r} is a space of genes: choose another id for the observations")
    if space.id in {ensemble.id for ensemble in platform.ensembles}:
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
    if not joined.matched:
        raise SourceError(
            f"{file.name}: not one of its {len(table.names):,} ids, such as {table.names[0]!r}, is "
            f"an observation of {collection!r}, such as {known[0]!r}: rename them in the file"
        )
    answer.print(
        f"{len(joined.matched):,} of {len(known):,} observations have a vector; "
        f"{len(joined.strangers):,} vectors are of ids that {collection} does not have"
    )
    for what, ids in (("without one", joined.without_vector), ("not used", joined.strangers)):
        if ids:
            answer.print(f"  {what}: {escape(', '.join(ids[:4]))}{' …' if len(ids) > 4 else ''}")


def _space(id_: str) -> Space:
    """The space of a new id; refuses an id of another form."""
    try:
        return space_of(id_, table="new")
    except ValueError as error:
        raise SourceError(str(error)) from None


def _file_of(file: Path, licence: str, citation: str, redistributable: bool) -> VectorFile:
    return VectorFile(
        file=file.name,
        file_sha256=sha256_of_file(file),
        citation=citation,
        licence=licence,
        redistributable=redistributable,
    )
