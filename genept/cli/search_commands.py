"""`genept search` and `genept neighbours`: search a space of a release."""

from __future__ import annotations

from typing import Annotated, cast

import typer
from rich.markup import escape

from genept.client import LATEST, TABLE_OF, Among, Platform, SearchHits, SpaceSearch
from genept.common import Settings, StoreError, console, open_console, plain_table

DEFAULT_SPACE = "minilm-l6-v2/name-go"
ABOUT = 90
answer = open_console()

InSpace = Annotated[str, typer.Option("--space", help="A space of the release.")]
OfRelease = Annotated[str, typer.Option(help="Id of a release.")]
HowMany = Annotated[int, typer.Option("-n", help="How many to print.", min=1)]
OfCollection = Annotated[str | None, typer.Option(help="Only this collection.")]


def search(
    text: Annotated[str, typer.Argument(help="Such as 'interferon response in monocytes'.")],
    among: Annotated[str, typer.Option("--in", help="genes, cells or samples.")] = "genes",
    space: InSpace = DEFAULT_SPACE,
    collection: OfCollection = None,
    n: HowMany = 10,
    release: OfRelease = LATEST,
) -> None:
    """Find the genes, cells or samples nearest to a text."""
    if among not in {"genes", *TABLE_OF}:
        raise StoreError(f"--in {among}: choose genes, cells or samples")
    with console.status("embedding the text"):
        space_search = SpaceSearch(Platform(Settings()), space, release=release)
        hits = space_search.text(text, cast("Among", among), n=n, collection=collection)
    _print(hits)


def neighbours(
    name: Annotated[str, typer.Argument(help="A gene, or the id of a cell or sample.")],
    space: InSpace = DEFAULT_SPACE,
    collection: OfCollection = None,
    n: HowMany = 10,
    release: OfRelease = LATEST,
) -> None:
    """Find the genes nearest to a gene, a cell or a sample."""
    space_search = SpaceSearch(Platform(Settings()), space, release=release)
    hits = space_search.gene(name, n=n)
    _print(hits or space_search.observation(name, n=n, collection=collection))


def _print(hits: SearchHits) -> None:
    answer.print(f"[dim]{escape(hits.asked)}[/]")
    rows = (
        (f"{cosine:.3f}", label, id_, about if len(about) <= ABOUT else f"{about[:ABOUT]}…")
        for cosine, label, id_, about in hits.rows.select("cosine", "label", "id", "about").rows()
    )
    table = plain_table("cosine", "", "id", "", rows=rows)
    table.show_header = False
    answer.print(table)
