"""Families of genes: paralogues by the stem of the symbol, and HGNC's gene groups.

A split that leaves out the families of the test asks what is known beyond close relatives.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

Flags = NDArray[np.bool_]
Groups = Mapping[str, frozenset[str]]
"""Names of the groups of a gene, by Ensembl id."""

WIDEST_GROUP: Final = 100
"""Most approved genes of a group that counts as a family. Wider ones share a domain, such as
``Zinc fingers C2H2-type`` with 779 genes, or a list, such as ``CD molecules``."""

_STEM: Final = re.compile(r"^(?!ENSG[0-9]{11})([A-Z0-9]*?[A-Z]{2,})[0-9].*$")


def family_of(symbol: str) -> str:
    """Return the stem that a gene's symbol shares with its paralogues, such as RPL of RPL13.

    Parameters
    ----------
    symbol
        Approved symbol.

    Returns
    -------
    str
        The letters before the first number, if there are at least two; otherwise, and of an Ensembl
        id, the symbol.
    """
    match = _STEM.match(symbol.upper())
    return match[1] if match else symbol.upper()


def family_groups(rows: pl.DataFrame, widest: int = WIDEST_GROUP) -> dict[str, frozenset[str]]:
    """Take the groups that count as families.

    Parameters
    ----------
    rows
        symbol, ensembl_gene_id and gene_group, as `genept.datasources.read_gene_groups` returns
        them.
    widest
        Most genes of a group.

    Returns
    -------
    dict of str to frozenset of str
        Groups by Ensembl id; genes without one, or without an Ensembl id, are left out.
    """
    close = rows.filter(pl.col("symbol").n_unique().over("gene_group") <= widest)
    by = close.drop_nulls("ensembl_gene_id").group_by("ensembl_gene_id").agg("gene_group")
    return {gene: frozenset(groups) for gene, groups in by.iter_rows()}


def families_of(
    genes: Sequence[str], names: Sequence[str], groups: Groups | None = None
) -> list[frozenset[str]]:
    """Name the families of each gene.

    Parameters
    ----------
    genes, names
        Ensembl ids and symbols, shape (n,).
    groups
        Groups that count as families; None: stems of symbols alone.

    Returns
    -------
    list of frozenset of str
        Such as ``stem RPL`` and ``group L ribosomal proteins``, shape (n,).
    """
    return [
        frozenset(
            {f"stem {family_of(name)}"} | {f"group {of}" for of in (groups or {}).get(gene, ())}
        )
        for gene, name in zip(genes, names, strict=True)
    ]


def relatives(families: Sequence[frozenset[str]], test: Flags) -> Flags:
    """Find the genes beyond the test that share a family with one of it.

    Parameters
    ----------
    families
        Families of each gene, as `families_of` names them, shape (n,).
    test
        Whether each gene is of the test, shape (n,).

    Returns
    -------
    NDArray of bool
        Shape (n,); never one of the test.
    """
    tested = set[str]().union(
        *(own for own, is_test in zip(families, test, strict=True) if is_test)
    )
    return np.array([not tested.isdisjoint(own) for own in families], np.bool_) & ~test
