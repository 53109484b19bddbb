"""Dimensions: which sentences about a gene speak of cell types, tissues, pathways, drugs and so on.

Declared by words in `dimensions.toml`; nothing is fitted, and no model is asked.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from functools import cache, reduce
from importlib.resources import files
from operator import or_
from typing import Final, Self

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, model_validator

SHORTEST_SYMBOL: Final = 3
"""Letters of a symbol that is looked for in sentences: shorter ones are mostly other words."""

_SYMBOL_LIKE: Final = r"\b[A-Z][A-Z0-9-]+\b"


class Dimension(BaseModel):
    """One thing that a sentence may speak of.

    Parameters
    ----------
    id
        Name of the dimension.
    title
        In words.
    words
        Whole words or phrases, found in any case; ``*`` stands for any letters.
    not_words
        Phrases that are taken out before `words` are looked for.
    names_genes
        Whether a sentence that names another gene speaks of it, too.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    title: str = Field(min_length=1)
    words: tuple[str, ...] = Field(min_length=1)
    not_words: tuple[str, ...] = ()
    names_genes: bool = False

    @model_validator(mode="after")
    def _words_are_sound(self) -> Self:
        if bad := [word for word in (*self.words, *self.not_words) if not word.strip(" *")]:
            raise ValueError(f"dimension {self.id!r} has words without a letter: {bad}")
        return self

    def spoken_of(self, items: pl.DataFrame, genes: pl.DataFrame) -> pl.Series:
        """Which sentences speak of this dimension.

        Parameters
        ----------
        items
            Columns ensembl_gene_id and item: a sentence, or a name such as that of a pathway.
        genes
            Table `genes`: names of the gene itself count for nothing.

        Returns
        -------
        pl.Series
            One bool per row: one of the words stands in it, or the symbol of another gene.

        Examples
        --------
        >>> muscles = Dimension(id="tissues", title="tissues", words=("muscle*",))
        >>> items = pl.DataFrame({"item": ["It is found in skeletal muscles.", "It is a kinase."]})
        >>> muscles.spoken_of(items, pl.DataFrame()).to_list()
        [True, False]
        """
        text = pl.col("item")
        if self.not_words:
            text = text.str.replace_all(_pattern(self.not_words), " ")
        spoken = items.select(text.str.contains(_pattern(self.words))).to_series()
        return spoken | _names_others(items, genes) if self.names_genes else spoken


def speaking(
    items: pl.DataFrame, dimensions: Iterable[Dimension], genes: pl.DataFrame
) -> pl.DataFrame:
    """Keep the sentences that speak of at least one dimension.

    Parameters
    ----------
    items, genes
        As `Dimension.spoken_of` takes them.
    dimensions
        Dimensions.

    Returns
    -------
    pl.DataFrame
        Rows of `items`, in their order.
    """
    spoken = [dimension.spoken_of(items, genes) for dimension in dimensions]
    return items.filter(reduce(or_, spoken))


def _names_others(items: pl.DataFrame, genes: pl.DataFrame) -> pl.Series:
    """Which sentences name another gene by its approved symbol."""
    symbols = genes.select("symbol", owner="ensembl_gene_id").filter(
        pl.col("symbol").str.len_chars() >= SHORTEST_SYMBOL
    )
    named = (
        items.with_row_index("row")
        .select("row", "ensembl_gene_id", symbol=pl.col("item").str.extract_all(_SYMBOL_LIKE))
        .explode("symbol", empty_as_null=True)
        .join(symbols, on="symbol")
        .filter(pl.col("owner") != pl.col("ensembl_gene_id"))
    )
    return pl.Series("item", range(items.height), pl.UInt32).is_in(named["row"].implode())


def _pattern(words: Iterable[str]) -> str:
    """A pattern of polars that finds whole words and phrases in any case."""
    spelled = "|".join(re.escape(word).replace(r"\*", r"\w*") for word in words)
    return rf"(?i)\b(?:{spelled})\b"


@cache
def load_dimensions() -> dict[str, Dimension]:
    """Load the dimensions of the platform.

    Returns
    -------
    dict of str to Dimension
        By id, in the order of their declaration.
    """
    text = files("genept.text.recipes").joinpath("dimensions.toml").read_text("utf-8")
    entries = tomllib.loads(text)["dimensions"]
    return {id_: Dimension(id=id_, **entry) for id_, entry in entries.items()}
