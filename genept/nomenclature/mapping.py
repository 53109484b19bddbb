"""Map gene names to Ensembl genes, with the reason; and reports of the names of a collection.

A name means what the name index says (precedence: `genept.nomenclature.names`). A name that is
not in the index is judged by its spelling (`genept.nomenclature.spelling`). An NCBI Gene id given
beside the name decides, if the reference knows it. Nothing is guessed, and names are never
upper-cased to match.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import Any, Final

import polars as pl

from genept.common import markdown_text
from genept.datasources.readers import has_ensembl_form
from genept.nomenclature.names import gene_claims, name_index
from genept.nomenclature.spelling import VERSION_LEFT_OUT, Meaning, meaning_by_spelling
from genept.storage import Lake, StoredTable

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
        """Count names by outcome: outcome and n, most frequent first."""
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
        """Build the nomenclature of approved genes alone; see `names.gene_claims`."""
        return cls(name_index(gene_claims(genes, source)))

    def __contains__(self, name: str) -> bool:
        return name in self._row

    def is_gene_like(self, name: str) -> bool:
        """Whether a name stands for a gene: it maps to one, or has the form of an Ensembl gene id.

        It decides which axis of a matrix is genes. An id that the reference does not have is a gene
        of another release of the annotation, not a sample.
        """
        return has_ensembl_form(name) or self.map_name(name).ensembl_gene_id is not None

    def map_name(self, name: str, entrez_id: str | None = None) -> Meaning:
        """Map one name; an NCBI Gene id that was published beside it decides."""
        known = self._known(name)
        means = known or meaning_by_spelling(name, self._known, self._in_capitals, self._newest_id)
        return means if entrez_id is None else self._decided(means, entrez_id)

    def map(
        self, names: Sequence[str], entrez_ids: Sequence[str | None] | None = None
    ) -> MappingResult:
        """Map names, in order; `entrez_ids` are NCBI Gene ids published beside them, or None."""
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
    return ids.with_columns(
        pl.col("outcome").replace("ensembl_id", "version_stripped"),
        evidence=pl.lit(VERSION_LEFT_OUT) + pl.col("evidence"),
    )


def _frame(meanings: Sequence[Meaning]) -> pl.DataFrame:
    columns = {name: [getattr(meaning, name) for meaning in meanings] for name in _ANSWER}
    columns["candidates"] = [" ".join(ids) for ids in columns["candidates"]]
    split = pl.col("candidates").str.extract_all(r"\S+")  # far faster than a list of lists
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String)).with_columns(split)


_FATES: Final = {
    "mapped as it stands": ("#2e7d32", "exact", "ensembl_id", "entrez_id"),
    "mapped with a remark": (
        *("#9ccc65", "version_stripped", "case_or_space_fixed"),
        *("previous", "alias", "retired_successor"),
    ),
    "not decided": ("#ffb300", "ambiguous", "spreadsheet_date", "spreadsheet_number"),
    "not a human gene": ("#8d6e63", "non_human", "control_feature"),
    "unknown": ("#c62828", "withdrawn", "without_ensembl_id", "unknown"),
}
"""What becomes of names: its colour, and the outcomes that it stands for."""

_COLOURS: Final = {fate: colour for fate, (colour, *_) in _FATES.items()}
_FATE: Final = {outcome: fate for fate, (_, *outcomes) in _FATES.items() for outcome in outcomes}


@dataclass(frozen=True)
class MappingReport:
    """The mapping of one collection's names, summarised.

    `outcomes` have outcome, n, n_mapped, share_of_names and share_of_expression, the largest share
    of expression first. `lost` are the `worst` unmapped names by their share of expression.
    """

    collection: str
    outcomes: pl.DataFrame
    lost: pl.DataFrame

    @property
    def coverage(self) -> tuple[float, float]:
        """Shares of names, and of expression, that map to a gene."""
        reached = self.outcomes.filter(pl.col("n_mapped") > 0)
        n_mapped, n = int(reached["n_mapped"].sum()), int(self.outcomes["n"].sum())
        return n_mapped / n, float(reached["share_of_expression"].sum())

    def picture(self) -> str:
        """Draw two bars, by names and by expression, as SVG for light and dark pages."""
        fate = pl.col("outcome").replace_strict(_FATE)
        bars = {
            label: dict(self.outcomes.group_by(fate).agg(pl.sum(f"share_of_{label}")).iter_rows())
            for label in ("names", "expression")
        }
        return _rendered("mapping.svg.jinja", bars=bars, colours=_COLOURS)

    def markdown(self) -> str:
        """Render the report as Markdown, picture included."""
        picture = base64.b64encode(self.picture().encode()).decode()
        return _rendered("mapping.md.jinja", report=self, picture=picture)


def _rendered(template: str, **values: object) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    loader = PackageLoader("genept.nomenclature")
    templates = Environment(  # markdown escapes otherwise than HTML: by filter `text`
        loader=loader, autoescape=select_autoescape(()), undefined=StrictUndefined
    )
    templates.filters["text"] = markdown_text
    return templates.get_template(template).render(values)


def mapping_report(mapping: pl.DataFrame, *, worst: int = 10) -> MappingReport:
    """Summarise the rows of table `gene_mapping` of one collection."""
    outcomes = (
        mapping.group_by("outcome")
        .agg(
            pl.len().alias("n"),
            pl.col("ensembl_gene_id").count().alias("n_mapped"),
            pl.col("expression_share").sum().alias("share_of_expression"),
        )
        .with_columns((pl.col("n") / mapping.height).alias("share_of_names"))
        .sort("share_of_expression", "outcome", descending=[True, False])
    )
    lost = mapping.filter(pl.col("ensembl_gene_id").is_null()).select(
        "input_id", "outcome", "evidence", "expression_share"
    )
    return MappingReport(
        mapping["collection_id"][0],
        outcomes,
        lost.sort("expression_share", "input_id", descending=[True, False]).head(worst),
    )


def mapping_pages(lake: Lake, mapping: StoredTable) -> dict[str, str]:
    """Render the report of every collection.

    Parameters
    ----------
    lake
        Where the table is stored.
    mapping
        Table `gene_mapping`.

    Returns
    -------
    dict of str to str
        Markdown by collection.
    """
    return {part.partition[0]: mapping_report(lake.read(part)).markdown() for part in mapping.parts}
