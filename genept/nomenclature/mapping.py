"""Map gene names to Ensembl genes, with the reason; nothing is guessed.

A name means what the name index says (precedence: `genept.nomenclature.names`). A name that is
not in the index is judged by its spelling (`genept.nomenclature.spelling`). An NCBI Gene id given
beside the name decides, if the reference knows it. Names are never upper-cased to match.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import Any, Final

import polars as pl

from genept.datasources.readers import has_ensembl_form
from genept.nomenclature.names import gene_claims, name_index
from genept.nomenclature.spelling import VERSION_LEFT_OUT, Meaning, meaning_by_spelling

_VERSIONED = re.compile(r"ENSG\d{11}\.\d+").fullmatch
_NEWEST: Final = 0.999
_ANSWER = ("outcome", "ensembl_gene_id", "candidates", "evidence")


@dataclass(frozen=True)
class MappingResult:
    """Result of mapping a sequence of names, in the order given.

    Parameters
    ----------
    rows
        One row per name: input_id, outcome, ensembl_gene_id (null if there is none), candidates,
        evidence.
    """

    rows: pl.DataFrame

    @property
    def mapped(self) -> pl.DataFrame:
        """Rows of the names that have a gene."""
        return self.rows.filter(pl.col("ensembl_gene_id").is_not_null())

    @property
    def ambiguous(self) -> pl.DataFrame:
        """Rows of the names that may mean several genes."""
        return self.rows.filter(pl.col("outcome") == "ambiguous")

    @property
    def unmapped(self) -> pl.DataFrame:
        """Rows of the names that have no gene, ambiguous names aside."""
        return self.rows.filter(
            pl.col("ensembl_gene_id").is_null(), pl.col("outcome") != "ambiguous"
        )

    def summary(self) -> pl.DataFrame:
        """Count names by outcome.

        Returns
        -------
        polars.DataFrame
            outcome and n, most frequent first.
        """
        return self.rows.group_by("outcome").agg(pl.len().alias("n")).sort("n", descending=True)


class Nomenclature:
    """A name index loaded into memory, which maps names to genes.

    Parameters
    ----------
    index
        Rows of table `gene_names`.

    Examples
    --------
    >>> import polars as pl
    >>> genes = pl.DataFrame(
    ...     {"symbol": ["TP53"], "ensembl_gene_id": ["ENSG00000141510"], "entrez_id": ["7157"],
    ...      "previous_symbols": [[]], "aliases": [["p53"]]},
    ...     schema_overrides={"previous_symbols": pl.List(pl.String)},
    ... )
    >>> Nomenclature.of(genes).map_name("p53").ensembl_gene_id
    'ENSG00000141510'
    """

    def __init__(self, index: pl.DataFrame) -> None:
        self._index = index.select("name", *_ANSWER)
        self._row = dict(zip(index["name"].to_list(), range(index.height), strict=True))

    @classmethod
    def of(cls, genes: pl.DataFrame, source: str = "reference") -> Nomenclature:
        """Build the nomenclature of approved genes alone.

        Parameters
        ----------
        genes
            Approved genes, with the columns that `names.gene_claims` reads.
        source
            Name of the source in evidence.

        Returns
        -------
        Nomenclature
            With an index of symbols, previous symbols, aliases and ids.
        """
        return cls(name_index(gene_claims(genes, source)))

    def __contains__(self, name: str) -> bool:
        return name in self._row

    def is_gene_like(self, name: str) -> bool:
        """Whether a name stands for a gene: it maps to one, or has the form of an Ensembl gene id.

        It decides which axis of a matrix is genes. An id that the reference does not have is a gene
        of another release of the annotation, not a sample.

        Parameters
        ----------
        name
            Name of a row or column.

        Returns
        -------
        bool
            True for known names and for anything of the form ``ENSG00000000000``.
        """
        return has_ensembl_form(name) or self.map_name(name).ensembl_gene_id is not None

    def map_name(self, name: str, entrez_id: str | None = None) -> Meaning:
        """Map one name.

        Parameters
        ----------
        name
            As published.
        entrez_id
            NCBI Gene id published beside the name; None if there is none.

        Returns
        -------
        Meaning
            Outcome, gene, candidates and evidence.
        """
        known = self._known(name)
        meaning = known or meaning_by_spelling(
            name, self._known, self._in_capitals, self._newest_id
        )
        return meaning if entrez_id is None else self._decided(meaning, entrez_id)

    def map(
        self, names: Sequence[str], entrez_ids: Sequence[str | None] | None = None
    ) -> MappingResult:
        """Map names, in order.

        Parameters
        ----------
        names
            As published; may repeat.
        entrez_ids
            NCBI Gene ids published beside the names, one each; None where there is none.

        Returns
        -------
        MappingResult
            One row per name.
        """
        answers = self._index.select(*_ANSWER)
        if entrez_ids is not None:
            pairs = zip(names, entrez_ids, strict=True)
            return _result(names, _frame([self.map_name(name, hint) for name, hint in pairs]))
        rows: list[Any] = list(map(self._row.get, names))
        places = [place for place, row in enumerate(rows) if row is None]
        missed = dict.fromkeys(names[place] for place in places)
        versioned = {
            name: row
            for name in missed
            if name[15:16] == "." and _VERSIONED(name)
            if (row := self._row.get(name[:15])) is not None
        }
        others = [name for name in missed if name not in versioned]
        further = [
            _without_version(answers[list(versioned.values())]),
            _frame([self.map_name(name) for name in others]),
        ]
        row_of = dict(zip((*versioned, *others), count(answers.height), strict=False))
        for place in places:
            rows[place] = row_of[names[place]]
        return _result(names, pl.concat([answers, *further])[rows])

    def _known(self, name: str) -> Meaning | None:
        row = self._row.get(name)
        if row is None:
            return None
        _, outcome, ensembl, candidates, evidence = self._index.row(row)
        return Meaning(outcome, ensembl, tuple(candidates), evidence)

    def _decided(self, meaning: Meaning, entrez_id: str) -> Meaning:
        """The meaning of a name beside which an NCBI Gene id was published."""
        gene = self._known(entrez_id)
        if gene is None or gene.outcome not in ("entrez_id", "without_ensembl_id"):
            return meaning
        if gene.ensembl_gene_id == meaning.ensembl_gene_id and meaning.ensembl_gene_id is not None:
            return meaning
        why = f"{gene.evidence}, which came with the name and decides"
        return Meaning(gene.outcome, gene.ensembl_gene_id, (), why)

    @cached_property
    def _newest_id(self) -> str:
        """An Ensembl id that fewer than 1 in 1,000 ids of the reference are newer than.

        Not the newest itself: HGNC may have a few ids that its annotation does not have yet.
        """
        ids = self._index.filter(pl.col("outcome") == "ensembl_id")["name"].sort()
        return str(ids[int(_NEWEST * ids.len())]) if ids.len() else ""

    @cached_property
    def _in_capitals(self) -> dict[str, str]:
        """All-capital spelling of symbols with small letters, where no other gene has it as a name.

        Previous symbols count too: C1ORF112 is C1orf112, which is FIRRM today.
        """
        symbols = self._index.filter(
            pl.col("outcome").is_in(["exact", "previous", "without_ensembl_id"]),
            pl.col("name").str.contains("[a-z]"),
        )["name"]
        capitals = symbols.str.to_uppercase()
        free = capitals.is_unique() & ~capitals.is_in(self._index["name"].implode())
        return dict(zip(capitals.filter(free), symbols.filter(free), strict=True))


def _result(names: Sequence[str], answers: pl.DataFrame) -> MappingResult:
    return MappingResult(answers.insert_column(0, pl.Series("input_id", names, pl.String)))


def _without_version(ids: pl.DataFrame) -> pl.DataFrame:
    """What versioned Ensembl ids mean, given what they mean without their version."""
    is_current = pl.col("outcome") == "ensembl_id"
    return ids.with_columns(
        pl.when(is_current).then(pl.lit("version_stripped")).otherwise("outcome").alias("outcome"),
        (pl.lit(VERSION_LEFT_OUT) + pl.col("evidence")).alias("evidence"),
    )


def _frame(meanings: Sequence[Meaning]) -> pl.DataFrame:
    columns = {
        "outcome": [meaning.outcome for meaning in meanings],
        "ensembl_gene_id": [meaning.ensembl_gene_id for meaning in meanings],
        "candidates": [" ".join(meaning.candidates) for meaning in meanings],
        "evidence": [meaning.evidence for meaning in meanings],
    }
    split = pl.col("candidates").str.extract_all(r"\S+")  # far faster than a list of lists
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String)).with_columns(split)
