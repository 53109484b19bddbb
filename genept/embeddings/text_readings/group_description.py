"""A description of a group of observations: statements with their evidence, and a paragraph.

Statements are of four kinds: genes, Gene Ontology terms, gene programs and labels. The paragraph is
made of them by a template; where nothing is known, it says so. Which statements hold is found in
`genept.embeddings.text_readings.group_statements`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from jinja2 import Template

LEVEL: Final = 0.05
"""False discovery rate below which something is stated."""

FEWEST: Final = 10
"""Observations that a group, and the rest of its collection, must have."""

Kind = Literal["gene", "go_term", "program", "label"]
KINDS: Final[tuple[Kind, ...]] = ("gene", "go_term", "program", "label")

Outcome = Literal["described", "nothing_stands_out", "too_few_observations", "no_others"]


@dataclass(frozen=True)
class Statement:
    """Something that holds of a group.

    Parameters
    ----------
    kind
        What it is about.
    id_, name
        Ensembl id, id of an ontology term or number of a program, if there is one; and its name.
    effect
        Difference from the other observations, in standard deviations of expression: of the gene,
        or the weighted mean over the genes of a term less that of all genes.
    q
        False discovery rate; None where there is no test: a gene of a single observation.
    genes, weights
        Symbols of the genes that it comes from, and how much: weight times effect.
    """

    kind: Kind
    id_: str | None
    name: str
    effect: float
    q: float | None
    genes: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()


@dataclass(frozen=True)
class GroupDescription:
    """A group of observations and what holds of it.

    Parameters
    ----------
    collection
        Id of the collection.
    grouping, group
        Label, such as ``cell_type``, and its value; ``observation`` and an id.
    n, total
        Observations of the group, and of the collection.
    outcome
        Whether it is described, or why not.
    statements
        By kind, the surest first.
    asked
        Kinds that were looked at: what is missing among them is not known.
    """

    collection: str
    grouping: str
    group: str
    n: int
    total: int
    outcome: Outcome
    statements: tuple[Statement, ...] = ()
    asked: tuple[Kind, ...] = KINDS

    def of(self, kind: Kind) -> list[Statement]:
        """Statements of one kind."""
        return [statement for statement in self.statements if statement.kind == kind]

    @property
    def paragraph(self) -> str:
        """The description as plain text of one paragraph."""
        written = _template().render(it=self, fewest=FEWEST, level=LEVEL)
        return " ".join(written.split())

    def rows(self, space: str | None) -> list[dict[str, Any]]:
        """Rows of table `observation_descriptions`: the paragraph, then every statement."""
        shared = {
            "collection_id": self.collection,
            "grouping": self.grouping,
            "group_label": self.group,
            "n_observations": self.n,
            "outcome": self.outcome,
        }
        empty: dict[str, Any] = dict.fromkeys(("space", "id", "name", "effect", "q", "text"))
        lists: dict[str, Any] = {"genes": [], "weights": []}
        rows = [shared | empty | lists | {"kind": "paragraph", "rank": 1, "text": self.paragraph}]
        for kind in KINDS:
            rows += [
                shared
                | {"kind": kind, "rank": rank, "text": None}
                | {"space": space if kind in ("program", "label") else None}
                | {"id": it.id_, "name": it.name, "effect": it.effect, "q": it.q}
                | {"genes": list(it.genes), "weights": list(it.weights)}
                for rank, it in enumerate(self.of(kind), start=1)
            ]
        return rows


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    plain = Environment(  # noqa: S701 - plain text, escaped by whoever shows it
        loader=PackageLoader("genept.embeddings.text_readings"), undefined=StrictUndefined
    )
    plain.filters["number"] = format
    return plain.get_template("group.txt.jinja")
