"""What embeds a text that a space is asked with.

Asking it is `search`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from genept.client.platform import Platform
from genept.client.vectors import Matrix
from genept.common import StoreError
from genept.text import (
    LSA,
    MeteredEmbedder,
    QueryEmbedder,
    VectorCache,
    embed_through_cache,
)


def query_embedder(
    platform: Platform, space_id: str, described: Callable[[str], list[str]], dimensions: int
) -> Callable[[list[str]], Matrix]:
    """Open what embeds questions in a space.

    Parameters
    ----------
    platform
        The installation with its embedders.
    space_id
        Id of the space.
    described
        All descriptions of a recipe: LSA is fitted anew on them, and gives the same vectors.
    dimensions
        Of the space.

    Returns
    -------
    Callable
        From texts to vectors, (n_texts, dimensions).

    Raises
    ------
    StoreError
        If the space has no embedder that texts can be given to.
    """
    space = platform.space(space_id)
    if space.is_random or space.variant or not space.has_recipe:
        raise StoreError(
            f"space {space.id!r} cannot be given a text: its vectors are not of texts; ask a "
            "space such as minilm-l6-v2/name-go, or for the neighbours of a gene"
        )
    if space.is_lsa:
        return LSA.fit(described(platform.recipe_of(space).id), dimensions).embed
    embedder = platform.embedders.open(space.embedder)
    if isinstance(embedder, QueryEmbedder):
        embedder = embedder.for_queries()
    if isinstance(embedder, MeteredEmbedder):
        return partial(
            embed_through_cache,
            embedder,
            VectorCache(platform.store, platform.settings.product, embedder),
            spending_limit=platform.hosted.spending_limit,
        )
    return embedder.embed
