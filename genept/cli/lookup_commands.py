"""`genept search`, `neighbours`, `export`: what a release has; `genept genes describe`, `recipes`.

A description is composed in memory as `genept.text` would put it in the lake; that needs no store.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, cast

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from genept.cli.output_files import writable
from genept.client import LATEST
from genept.common import Settings, SourceError, StoreError, console, open_console, plain_table
from genept.nomenclature import Nomenclature
from genept.text import (
    Composed,
    Lengths,
    PartOfText,
    Recipe,
    compose,
    counted_by,
    counting,
    gene_parts,
    join_after,
    masked,
)

if TYPE_CHECKING:
    from genept.client import Among, Platform, SearchHits

DEFAULT_RECIPE: Final = "name-go"
COLOURS: Final = {
    "symbol": "bold", "name": "green", "biotype": "bright_black", "summary": "white",
    "function": "cyan", "location": "blue", "disease": "red", "go": "yellow",
    "pathways": "magenta", "interactions": "bright_blue", "phenotypes": "bright_red",
    "written": "bright_green",
}  # fmt: skip
ABOUT: Final = 90
answer = open_console(soft_wrap=True)

InSpace = Annotated[
    str | None,
    typer.Option("--space", help="A space of the release; by default the usual one."),
]
OfRelease = Annotated[str, typer.Option(help="Id of a release.")]
HowMany = Annotated[int, typer.Option("-n", help="How many to print.", min=1)]
OfCollection = Annotated[str | None, typer.Option(help="Only this collection.")]


def describe(
    gene: Annotated[str, typer.Argument(help="A symbol, alias or id.")],
    recipe: Annotated[
        str, typer.Option(help="How to describe it; `genept genes recipes` lists all.")
    ] = DEFAULT_RECIPE,
    embedder: Annotated[str, typer.Option(help="At this embedder's token budget.")] = "",
) -> None:
    """Print a gene's description, what each part of it is and comes from, and what was left out."""
    platform = _platform()
    chosen = _recipe(platform, recipe)
    chosen = chosen.for_embedder(embedder, platform.embedders.counted_in(embedder))
    meaning = Nomenclature(platform.reference.index).map_name(gene)
    if meaning.ensembl_gene_id is None:
        candidates = f"; it may mean {', '.join(meaning.candidates)}" if meaning.candidates else ""
        raise SourceError(f"{gene!r} is no gene: {meaning.outcome}, {meaning.evidence}{candidates}")
    genes = platform.reference.published
    with console.status("reading what is known"):
        knowledge = platform.knowledge.read(genes, chosen.part_names, chosen.writer)
        known = next(gene_parts(knowledge, chosen, meaning.ensembl_gene_id), None)
    if known is None:
        raise SourceError(f"{meaning.ensembl_gene_id} is not in the published reference")
    row, parts = known
    length = Lengths(counting(chosen.counted_in, lambda: platform.embedders.minilm.count_tokens))
    composed = compose(chosen, [masked(part, chosen, row) for part in parts], length)
    answer.print(
        f"[bold]{escape(row['symbol'])}[/]  {row['ensembl_gene_id']}  {escape(meaning.evidence)}"
    )
    if row["biotype"] not in chosen.biotypes:
        answer.print(f"[yellow]the recipe describes {', '.join(chosen.biotypes)} only[/]")
    answer.print()
    answer.print(
        _coloured(composed) or "[yellow]nothing that the recipe uses is known of this gene[/]"
    )
    answer.print(
        f"\n{composed.n_tokens} of {chosen.max_tokens} tokens "
        f"({counted_by(chosen.counted_in)}), recipe {chosen.id}"
    )
    answer.print(_table(platform, chosen, composed))


def recipes() -> None:
    """List the recipes: their parts and budgets, and why some are not available here."""
    platform = _platform()
    for recipe in platform.recipes.values():
        reason = platform.knowledge.unavailable(recipe)
        colour = "yellow" if reason else "green"
        budget = ", ".join(
            [f"{recipe.max_tokens} tokens", *(f"{n} for {e}" for e, n in recipe.budgets.items())]
        )
        answer.print(f"[bold {colour}]{recipe.id}[/]  {budget}")
        parts = ", ".join(
            f"{use.label} (else {use.otherwise})" if use.otherwise else use.label
            for use in recipe.parts
        )
        masks = "".join(f"; without {mask.id}" for mask in recipe.masks)
        answer.print(f"    {parts}{masks}")
        if reason:
            answer.print(f"    [yellow]not available:[/] {escape(reason)}")


def _recipe(platform: Platform, name: str) -> Recipe:
    recipe = platform.recipes.get(name)
    if recipe is None or recipe.writer:
        platform.store  # noqa: B018 - opened: it has what models wrote, and edited recipes
        recipe = platform.recipes.get(name)
    if recipe is None:
        raise SourceError(f"no recipe {name!r}; there are {', '.join(platform.recipes)}")
    unavailable = platform.knowledge.unavailable
    if reason := unavailable(recipe):
        others = ", ".join(id_ for id_, known in platform.recipes.items() if not unavailable(known))
        raise SourceError(f"recipe {name!r} is not available: {reason}. Available: {others}")
    return recipe


def _coloured(composed: Composed) -> Text:
    text = Text()
    shown = [part for part in composed.parts if part.kept]
    for number, part in enumerate(shown, start=1):
        text.append(part.written, style=COLOURS[part.part])
        text.append(join_after(part) if number < len(shown) else "")
    return text


def _table(platform: Platform, recipe: Recipe, composed: Composed) -> Table:
    rows = (
        (
            Text(part.use.label, style=COLOURS[part.part]),
            str(part.kept),
            str(part.known),
            part.release,
            _remark(platform, recipe, part),
        )
        for part in composed.parts
    )
    return plain_table("part", "in text", "known", "source release", "remark", rows=rows)


def _remark(platform: Platform, recipe: Recipe, part: PartOfText) -> str:
    remarks = [f"{part.part} in its place"] if part.part != part.use.part else []
    if not part.known:
        remarks.append(platform.knowledge.missing(part.use.part) or "nothing is known")
    if part.kept < len(part.items):
        remarks.append(f"{len(part.items) - part.kept} left out: {recipe.max_tokens} tokens spent")
    if part.use.max_items and part.known > part.use.max_items:
        remarks.append(f"at most {part.use.max_items} by the recipe")
    remarks += ["cut to fit"] if part.cut else []
    remarks += [f"{n} words masked by {name}" for name, n in part.masked.items() if n]
    return "; ".join(remarks)


def search(
    text: Annotated[str, typer.Argument(help="Such as 'interferon response in monocytes'.")],
    among: Annotated[str, typer.Option("--in", help="genes, cells or samples.")] = "genes",
    space: InSpace = None,
    collection: OfCollection = None,
    n: HowMany = 10,
    labels: Annotated[
        bool, typer.Option(help="Search cells and samples by their published labels, too.")
    ] = True,
    release: OfRelease = LATEST,
) -> None:
    """Find the genes, cells or samples nearest to a text."""
    from genept.client import TABLE_OF, SpaceSearch

    if among not in {"genes", *TABLE_OF}:
        raise StoreError(f"--in {among}: choose genes, cells or samples")
    with console.status("embedding the text"):
        space_search = SpaceSearch(_platform(), space, release=release)
        hits = space_search.text(
            text, cast("Among", among), n=n, collection=collection, labels=labels
        )
    _print_hits(hits)


def neighbours(
    name: Annotated[str, typer.Argument(help="A gene, or the id of a cell or sample.")],
    space: InSpace = None,
    collection: OfCollection = None,
    n: HowMany = 10,
    release: OfRelease = LATEST,
) -> None:
    """Find the genes nearest to a gene, a cell or a sample."""
    from genept.client import SpaceSearch

    space_search = SpaceSearch(_platform(), space, release=release)
    hits = space_search.gene(name, n=n)
    _print_hits(hits or space_search.observation(name, n=n, collection=collection))


def export(
    collection: Annotated[str, typer.Argument(help="Id of a collection of the release.")],
    out: Annotated[
        Path,
        typer.Option(help="File to write: .h5ad or .zarr.", callback=writable(".h5ad", ".zarr")),
    ],
    space: Annotated[
        list[str] | None,
        typer.Option(help="A space whose vectors are added; repeat for more. [default: all]"),
    ] = None,
    assay: Annotated[
        str | None, typer.Option(help="Term of EFO of cells without one, such as EFO:0009922.")
    ] = None,
    disease: Annotated[
        str | None,
        typer.Option(help="Term of MONDO of cells without one; PATO:0000461 for normal."),
    ] = None,
    release: OfRelease = LATEST,
) -> None:
    """Write a collection as one file: expression, labels, genes, and its vectors in each space.

    Single cells have the columns of CELLxGENE's schema; what nobody said of them is named.
    """
    from genept.client import export_collection

    with console.status(f"reading {collection}"):
        exported = export_collection(
            collection, spaces=space, assay=assay, disease=disease, release=release
        )
        exported.write(out)
    data = exported.data
    answer.print(
        f"{data.n_obs:,} observations, {data.n_vars:,} genes and the vectors of "
        f"{len(data.obsm)} {'space' if len(data.obsm) == 1 else 'spaces'} are in {out}",
        markup=False,
    )
    if n := exported.n_left_out:
        answer.print(f"{n} genes are left out, which CELLxGENE's schema does not know")
    if exported.lacking:
        answer.print(
            f"not valid by CELLxGENE's schema, which asks for {', '.join(exported.lacking)}: "
            "--assay and --disease say it of all cells",
            markup=False,
        )


def _print_hits(hits: SearchHits) -> None:
    answer.print(f"[dim]{escape(hits.query)}[/]")
    rows = (
        (f"{score:.3f}", label, id_, about if len(about) <= ABOUT else f"{about[:ABOUT]}…")
        for score, label, id_, about in hits.rows.select("score", "label", "id", "about").rows()
    )
    table = plain_table("score", "", "id", "", rows=rows)
    table.show_header = False
    answer.print(table, soft_wrap=False)


def _platform() -> Platform:
    from genept.client import Platform  # heavy, and the other commands of `genes` need less

    return Platform(Settings())
