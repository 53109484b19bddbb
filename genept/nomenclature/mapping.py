"""Any gene name to its Ensembl gene, with the reason; never a guess.

Precedence, first match wins:

1. an id given beside the name (NCBI Gene) decides, where the reference knows it;
2. an Ensembl id, as it stands or without its version;
3. an approved symbol, which always beats another gene's previous symbol or alias;
4. a previous symbol or alias, if one gene alone claims it in either way.

Nothing is upper-cased to match. A name that several genes claim is ambiguous, even if
it was once the approved symbol of one of them: MDC was ADAM11, and is CCL22 to many.
Only SEPT2, MARCH1 and their like keep their old meaning against an alias: HGNC withdrew
them because spreadsheets read dates in them (Bruford et al. 2020), not for any doubt.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

_ENSEMBL = re.compile(r"(ENSG\d{11})(\.\d+)?")
_READ_AS_DATE = re.compile(r"(SEPT|MARCH)\d+")


@dataclass(frozen=True)
class Mapped:
    """What became of one name.

    `ensembl_gene_id` is None when it could not be decided, or when the gene that
    it names has no Ensembl id. `candidates` are the Ensembl ids that claim an
    ambiguous name; genes that share one Ensembl id do not make a name ambiguous.
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
        self._previous: dict[str, set[str]] = {}
        self._aliases: dict[str, set[str]] = {}
        for hgnc, symbol, ensembl, entrez, former, others in rows.iter_rows():
            self._ensembl_of[hgnc] = ensembl
            self._approved[symbol] = hgnc
            if entrez is not None:
                self._entrez[entrez] = hgnc
            for name in former:
                self._previous.setdefault(name, set()).add(hgnc)
            for name in others:
                self._aliases.setdefault(name, set()).add(hgnc)
        self._ensembl_ids = set(filter(None, self._ensembl_of.values()))

    def map_name(self, name: str, entrez_id: str | None = None) -> Mapped:
        """What one name means; `entrez_id` is an NCBI Gene id that came with it."""
        if entrez_id is not None and (hgnc := self._entrez.get(entrez_id)) is not None:
            return self._resolved(name, {hgnc})
        if match := _ENSEMBL.fullmatch(name):
            gene, version = match.groups()
            if gene in self._ensembl_ids:
                return Mapped("version_stripped" if version else "ensembl_id", gene)
            return Mapped("unknown")
        if (hgnc := self._approved.get(name)) is not None:
            return self._resolved(name, {hgnc})
        former = self._previous.get(name, set())
        if former and _READ_AS_DATE.fullmatch(name):
            return self._resolved(name, former)
        claims = former | self._aliases.get(name, set())
        return self._resolved(name, claims) if claims else Mapped("unknown")

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

    def _resolved(self, name: str, genes: set[str]) -> Mapped:
        """What a name means that these genes, by HGNC id, claim."""
        ids = {self._ensembl_of[hgnc] for hgnc in genes}
        if len(ids) > 1:
            return Mapped("ambiguous", None, tuple(sorted(filter(None, ids))))
        (ensembl,) = ids
        return Mapped(self._how(name, genes) if ensembl else "without_ensembl_id", ensembl)

    def _how(self, name: str, genes: set[str]) -> str:
        if self._approved.get(name) in genes:
            return "exact"
        if genes & self._previous.get(name, set()):
            return "previous"
        return "alias" if genes & self._aliases.get(name, set()) else "entrez_id"
