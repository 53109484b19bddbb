"""Membership in terms, split by time: learnt from earlier annotations, scored on later ones.

Dates are those of Gene Ontology's annotations (GAF, column 14). Membership without dates is in
`genept.benchmarks.terms.term_tasks`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import ClassVar, Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.model_selection import KFold

from genept.benchmarks.fitted_heads import ridge_scores, scaled
from genept.benchmarks.gene_tasks import FOLDS
from genept.benchmarks.influence import ScoredTerm, gene_values
from genept.benchmarks.task_base import GeneVectors, predictions
from genept.benchmarks.terms import MembershipTask

SINCE: Final = "5-fold-genes-annotated-since"
BEFORE: Final = "5-fold-genes-annotated-before"


class DatedTerms(NamedTuple):
    """Terms, and for every gene and term whether it was a member before the day, came since, or is
    not known to be one; arrays of genes × terms."""

    names: list[str]
    before: NDArray[np.bool_]
    since: NDArray[np.bool_]
    others: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class DatedTermsTask(MembershipTask):
    """Which genes were annotated with terms since a day, learnt from annotations made before it.

    Ridge regression on all terms at once, five folds of genes, as for membership. The heads learn
    which genes had a term before `since`, of the other folds. Split `SINCE` scores the genes of the
    fold that got a term on that day or after it against those that never did; split `BEFORE`, by
    the same heads, those that had it before. A gene whose only annotation with a term is electronic
    has no day: it is neither learnt from as a member nor scored for this term.

    Parameters
    ----------
    since
        The day. A space whose texts know annotations of later days is left out.
    fewest_new
        Genes that a term needs to have got since.
    """

    since: date
    fewest_new: int = 10

    scored_by: ClassVar[tuple[str, ...]] = (
        *MembershipTask.scored_by, "genept.benchmarks.terms.term_tasks"
    )  # fmt: skip

    @property
    def without_labels(self) -> str:
        """Why there are no labels, and the command that reads them."""
        return (
            "no labels are available: the packaged Gene Ontology has no dates; "
            "`genept sources fetch goa-human go-basic`, or a mirror, has them"
        )

    def states(self, part: str) -> bool:
        """Whether a part states the answer: annotations made before `since` do not."""
        _, _, day = part.partition("<")
        return super().states(part) and not (day and date.fromisoformat(day) <= self.since)

    def unfit(self, rows: pl.DataFrame) -> str | None:
        """Why fewer than two terms can be scored; None if two or more can."""
        n = self._sized(rows)["label"].n_unique()
        needed = f"{self.smallest} to {self.largest:,} genes before {self.since}"
        return (
            None
            if n > 1
            else f"{n} terms have {needed} and {self.fewest_new} since, and two are needed"
        )

    def predict(
        self, rows: pl.DataFrame, vectors: GeneVectors, *, draw: int | None = None
    ) -> pl.DataFrame:
        """Values of genes, whose mean is the area under the curve, over folds and terms."""
        genes = sorted(vectors.genes)
        frames = []
        for split, (_, values) in self.areas_of(rows, vectors, draw=draw).items():
            if draw is not None and split != self.clean:
                continue
            scored = np.flatnonzero(np.isfinite(values))
            names = [genes[at] for at in scored]
            frames.append(
                predictions(
                    self.model, split, draw or 0, names, [""] * len(names), score=values[scored]
                )
            )
        return pl.concat(frames)

    def permuted(self, rows: pl.DataFrame, seed: int = 0) -> pl.DataFrame:
        """The same genes with each other's terms, within those of before and of since."""
        given = self._with_period(rows)
        shuffled = given.with_columns(pl.col("label").shuffle(seed).over("period"))
        return shuffled.unique(["ensembl_gene_id", "label"], keep="first", maintain_order=True)

    def areas_of(
        self, rows: pl.DataFrame, vectors: GeneVectors, *, draw: int | None = None
    ) -> dict[str, tuple[dict[str, float], NDArray[np.float64]]]:
        """By split: area of each term, and the value of each gene (see `influence.gene_values`)."""
        genes = sorted(vectors.genes)
        terms = self._dated(rows, genes)
        matrix = scaled(vectors.features_of(genes), "standardised")
        scores = np.empty(terms.before.shape, np.float32)
        folds = np.empty(len(genes), np.int64)
        learnt = terms.before.astype(np.float32)
        splitter = KFold(FOLDS, shuffle=True, random_state=draw or 0)
        for number, (train, test) in enumerate(splitter.split(genes)):
            folds[test] = number
            scores[test] = ridge_scores(matrix[train], learnt[train], matrix[test])
        members = {self.clean: terms.since, BEFORE: terms.before}
        return {
            split: gene_values(_scored(terms, of_split, scores, folds), len(genes))
            for split, of_split in members.items()
        }

    def _with_period(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows with column `period`: before, since, or undated."""
        day = pl.col("split").str.to_date(strict=False)
        period = pl.when(day.is_null()).then(pl.lit("undated")).when(day < self.since)
        return rows.with_columns(period=period.then(pl.lit("before")).otherwise(pl.lit("since")))

    def _sized(self, rows: pl.DataFrame) -> pl.DataFrame:
        dated = self._with_period(rows)
        n_before, n_since = (
            (pl.col("period") == period).sum().over("label") for period in ("before", "since")
        )
        enough = n_before.is_between(self.smallest, self.largest) & (n_since >= self.fewest_new)
        return dated.filter(enough)

    def _dated(self, rows: pl.DataFrame, genes: Sequence[str]) -> DatedTerms:
        sized = self._sized(rows)
        names = sized["label"].unique().sort().to_list()
        periods = {}
        for period in ("before", "since", "undated"):
            of = sized.filter(period=period)
            members = np.zeros((len(genes), len(names)), np.bool_)
            at = [np.searchsorted(among, of[column].to_numpy().astype(np.str_))
                  for among, column in ((genes, "ensembl_gene_id"), (names, "label"))]  # fmt: skip
            members[at[0], at[1]] = True
            periods[period] = members
        others = ~(periods["before"] | periods["since"] | periods["undated"])
        return DatedTerms(names, periods["before"], periods["since"], others)


def _scored(
    terms: DatedTerms,
    members: NDArray[np.bool_],
    scores: NDArray[np.float32],
    folds: NDArray[np.int64],
) -> list[ScoredTerm]:
    """Every term with the genes that are scored: its members of one period, and no-one's."""
    scored = []
    for at, name in enumerate(terms.names):
        rows = np.flatnonzero(members[:, at] | terms.others[:, at])
        scored.append(ScoredTerm(name, rows, members[rows, at], scores[rows, at], folds[rows]))
    return scored
