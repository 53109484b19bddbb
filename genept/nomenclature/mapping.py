"""Any gene name to its Ensembl gene, with the reason; never a guess.

An id that comes beside the name decides, where the reference knows it. Else the name means
what the name index says (`genept.nomenclature.names` has the precedence); and a name that is
not in it is looked at by its spelling (`genept.nomenclature.spelling`). Nothing is upper-cased
to match.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import Any, Final

import polars as pl

from genept.datasources.readers.orientation import has_ensembl_form
from genept.nomenclature.names import gene_claims, name_index
from genept.nomenclature.spelling import VERSION_LEFT_OUT, Meaning, meaning_by_spelling

_VERSIONED = re.compile(r"ENSG\d{11}\.\d+").fullmatch
_NEWEST: Final = 0.999
_ANSWER = ("outcome", "ensembl_gene_id", "candidates", "evidence")


@dataclass(frozen=True)
class MappingResult:
    """What became of every name that was asked for, in order.

    Parameters
    ----------
    rows
        input_id, outcome, ensembl_gene_id, candidates, evidence.
    """

    rows: pl.DataFrame

    @property
    def mapped(self) -> pl.DataFrame:
        """The names that have a gene."""
        return self.rows.filter(pl.col("ensembl_gene_id").is_not_null())

    @property
    def ambiguous(self) -> pl.DataFrame:
        """The names that several genes claim."""
        return self.rows.filter(pl.col("outcome") == "ambiguous")

    @property
    def unmapped(self) -> pl.DataFrame:
        """The names that have no gene, for other reasons than ambiguity."""
        return self.rows.filter(
            pl.col("ensembl_gene_id").is_null(), pl.col("outcome") != "ambiguous"
        )

    def summary(self) -> pl.DataFrame:
        """Names by outcome, most frequent first."""
        return self.rows.group_by("outcome").agg(pl.len().alias("n")).sort("n", descending=True)


class Nomenclature:
    """A loaded name index that answers what names mean.

    Parameters
    ----------
    index
        Rows of table `gene_names`.
    """

    def __init__(self, index: pl.DataFrame) -> None:
        self._index = index.select("name", *_ANSWER)
        self._row = dict(zip(index["name"].to_list(), range(index.height), strict=True))

    @classmethod
    def of(cls, genes: pl.DataFrame, source: str = "reference") -> Nomenclature:
        """The nomenclature of approved genes alone; see `names.gene_claims` for the columns."""
        return cls(name_index(gene_claims(genes, source)))

    def __contains__(self, name: str) -> bool:
        return name in self._row

    def is_gene_like(self, name: str) -> bool:
        """Whether a name stands for a gene: it reaches one, or has the form of an Ensembl id.

        What tells which axis of a matrix is named by genes. An id that the reference does not
        have is a gene of another release of the annotation, not a sample.
        """
        return has_ensembl_form(name) or self.map_name(name).ensembl_gene_id is not None

    def map_name(self, name: str, entrez_id: str | None = None) -> Meaning:
        """What one name means; `entrez_id` is an NCBI Gene id that came with it."""
        found = self._known(name)
        meaning = found or meaning_by_spelling(
            name, self._known, self._in_capitals, self._newest_id
        )
        return meaning if entrez_id is None else self._decided(meaning, entrez_id)

    def map(
        self, names: Sequence[str], entrez_ids: Sequence[str | None] | None = None
    ) -> MappingResult:
        """What every name means, in order.

        Parameters
        ----------
        entrez_ids
            NCBI Gene ids that came with the names; None where there is none.
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
        """What the name means, given that the id was published beside it."""
        gene = self._known(entrez_id)
        if gene is None or gene.outcome not in ("entrez_id", "without_ensembl_id"):
            return meaning
        if gene.ensembl_gene_id == meaning.ensembl_gene_id and meaning.ensembl_gene_id is not None:
            return meaning
        why = f"{gene.evidence}, which came with the name and decides"
        return Meaning(gene.outcome, gene.ensembl_gene_id, (), why)

    @cached_property
    def _newest_id(self) -> str:
        """An Ensembl id that hardly any other of the reference is newer than.

        Not the newest itself: HGNC may have a few ids that its annotation does not have yet.
        """
        ids = self._index.filter(pl.col("outcome") == "ensembl_id")["name"].sort()
        return str(ids[int(_NEWEST * ids.len())]) if ids.len() else ""

    @cached_property
    def _in_capitals(self) -> dict[str, str]:
        """All-capital spelling of symbols with small letters, where it is nobody else's name.

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


def _frame(found: Sequence[Meaning]) -> pl.DataFrame:
    columns = {
        "outcome": [one.outcome for one in found],
        "ensembl_gene_id": [one.ensembl_gene_id for one in found],
        "candidates": [" ".join(one.candidates) for one in found],
        "evidence": [one.evidence for one in found],
    }
    split = pl.col("candidates").str.extract_all(r"\S+")  # far faster than a list of lists
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String)).with_columns(split)
