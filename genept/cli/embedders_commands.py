"""`genept embedders …`: list hosted text embedders, and forecast their cost."""

from __future__ import annotations

from typing import Annotated

import typer

from genept.client import Platform, load_table
from genept.common import Settings, StoreError
from genept.text import EmbeddingError, VectorCache
from genept.text import forecast as forecast_of

app = typer.Typer(no_args_is_help=True, help="Hosted text embedders and their price.")


@app.command("list")
def list_embedders() -> None:
    """List the hosted embedders: size, price, and whether they can be used."""
    hosted = Platform(Settings()).hosted
    for id_, embedder in hosted.declared.items():
        price = f"${embedder.dollars_per_million_tokens:g} per million tokens"
        usable = hosted.unavailable(id_) or "available"
        typer.echo(f"{id_:<28} {embedder.dimensions:>5} dimensions  {price:<28}  {usable}")


@app.command()
def forecast(
    space: Annotated[str, typer.Argument(help="Such as text-embedding-3-small/name-go.")],
) -> None:
    """Forecast the cost of embedding a space, over the descriptions of the latest release."""
    platform = Platform(Settings())
    id_, _, recipe = space.partition("/")
    try:
        embedder = platform.hosted.open(id_) if id_ in platform.hosted.declared else None
    except EmbeddingError as error:
        raise StoreError(str(error)) from None
    if embedder is None:
        raise StoreError(f"{id_!r} is no hosted embedder; see `genept embedders list`")
    texts = load_table("gene_descriptions", recipe=recipe).collect()["text"].to_list()
    cache = VectorCache(platform.store, platform.settings.product, embedder)
    cost = forecast_of(embedder, cache, texts, price=platform.hosted.price(embedder))
    typer.echo(
        f"{space}: {cost.n_new:,} of {cost.n_texts:,} texts are new, {cost.tokens:,} tokens, "
        f"${cost.dollars:.4f} ({cost.basis})"
    )
