"""Any gene name to its Ensembl gene, with the reason; never a guess.

Precedence, first match wins:

1. an id given beside the name (NCBI Gene) decides, where the reference knows it;
2. an Ensembl id, as it stands or without its version;
3. an approved symbol, which always beats another gene's previous symbol or alias;
4. a previous symbol, then an alias, if exactly one gene claims it.

Nothing is upper-cased to match. A name that several genes claim is ambiguous.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

_ENSEMBL = re.compile(r"^(ENSG\d{11})(\.\d+)?$")


@dataclass(frozen=True)
class Mapped:
    """What became of one name.

    `ensembl_gene_id` is None when it could not be decided, or when the gene that
    it names has no Ensembl id. `candidates` are the Ensembl ids that claim an
    ambiguous name.
    """

    outcome: str
    ensembl_gene_id: str | None = None
    candidates: tuple[str, ...] = ()


class Nomenclature:
    """A loaded gene reference that answers what a name means.

    Parameters
    ----------
    reference
        Rows as `genept.nomenclature.reference.read_reference` returns them.
    """

    def __init__(self, reference: pl.DataFrame) -> None:
        rows = reference.select(
            "hgnc_id", "symbol", "ensembl_gene_id", "entrez_id", "previous_symbols", "aliases"
        )
        self._ensembl_of: dict[str, str | None] = {}
        self._approved: dict[str, str] = {}
        self._entrez: dict[str, str] = {}
        self._by_ensembl: set[str] = set()
        self._names_of: dict[str, dict[str, str]] = {}
        previous: defaultdict[str, set[str]] = defaultdict(set)
        aliases: defaultdict[str, set[str]] = defaultdict(set)
        for hgnc, symbol, ensembl, entrez, former, others in rows.iter_rows():
            self._ensembl_of[hgnc] = ensembl
            self._approved[symbol] = hgnc
            if ensembl is not None:
                self._by_ensembl.add(ensembl)
            if entrez is not None:
                self._entrez[entrez] = hgnc
            for name in former:
                previous[name].add(hgnc)
            for name in others:
                aliases[name].add(hgnc)
            self._names_of[hgnc] = (
                dict.fromkeys(others, "alias")
                | dict.fromkeys(former, "previous")
                | {symbol: "exact"}
            )
        self._previous = dict(previous)
        self._aliases = dict(aliases)

    def map_name(self, name: str, entrez_id: str | None = None) -> Mapped:
        """What one name means; `entrez_id` is an NCBI Gene id that came with it."""
        if entrez_id is not None and (hgnc := self._entrez.get(entrez_id)) is not None:
            return self._found(self._names_of[hgnc].get(name, "entrez_id"), hgnc)
        if match := _ENSEMBL.match(name):
            gene, versioned = match.group(1), match.group(2)
            if gene in self._by_ensembl:
                return Mapped("version_stripped" if versioned else "ensembl_id", gene)
            return Mapped("unknown")
        if (hgnc := self._approved.get(name)) is not None:
            return self._found("exact", hgnc)
        for outcome, claims in (("previous", self._previous), ("alias", self._aliases)):
            if (genes := claims.get(name)) is not None:
                return self._claimed(outcome, genes)
        return Mapped("unknown")

    def map(
        self, names: Sequence[str], entrez_ids: Sequence[str | None] | None = None
    ) -> pl.DataFrame:
        """What every name means, in order.

        Returns
        -------
        pl.DataFrame
            `outcome`, `ensembl_gene_id` and `candidates`, one row per name.
        """
        hints: Iterable[str | None] = entrez_ids if entrez_ids is not None else [None] * len(names)
        found = [self.map_name(name, hint) for name, hint in zip(names, hints, strict=True)]
        return pl.DataFrame(
            {
                "outcome": [one.outcome for one in found],
                "ensembl_gene_id": [one.ensembl_gene_id for one in found],
                "candidates": [list(one.candidates) for one in found],
            },
            schema={
                "outcome": pl.String,
                "ensembl_gene_id": pl.String,
                "candidates": pl.List(pl.String),
            },
        )

    def _found(self, outcome: str, hgnc: str) -> Mapped:
        ensembl = self._ensembl_of[hgnc]
        return Mapped(outcome if ensembl is not None else "without_ensembl_id", ensembl)

    def _claimed(self, outcome: str, genes: set[str]) -> Mapped:
        if len(genes) == 1:
            return self._found(outcome, next(iter(genes)))
        ids = (self._ensembl_of[hgnc] for hgnc in genes)
        return Mapped("ambiguous", None, tuple(sorted(ensembl for ensembl in ids if ensembl)))
