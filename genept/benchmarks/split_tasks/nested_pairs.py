"""Pairs of genes with the publisher's nested folds: transcription factors and their targets.

Roles of the pairs are read by `genept.datasources.nested_folds`. Pairs whose publisher made one
split or none are in `genept.benchmarks.pairs.pair_tasks`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple

import numpy as np
import polars as pl

from genept.benchmarks.classifiers import LOGISTIC
from genept.benchmarks.fitted_heads import (
    Scores,
    in_one_thread,
    logistic_scores,
    standardised_by_training,
)
from genept.benchmarks.influence import area
from genept.benchmarks.pairs import (
    FEWEST,
    SUM,
    PairTask,
    drawn_pairs,
    pair_features,
    scored_pairs,
)
from genept.benchmarks.task_base import GeneVectors
from genept.datasources import TEST_ROLE, UNUSED_ROLE

NESTED: Final = "publishers-nested-folds"
DRAWN: Final = "publishers-folds-drawn-pairs"
STRENGTHS: Final = (0.001, 0.01, 0.1, 1.0, 10.0)
"""Values of C, rising: forty thousand pairs want a stronger penalty than some hundred genes."""

ROLE: Final = "role"


class OuterFold(NamedTuple):
    """Training and test pairs of one outer fold; training pairs have column `ROLE`."""

    number: int
    training: pl.DataFrame
    test: pl.DataFrame


@dataclass(frozen=True, kw_only=True)
class NestedPairTask(PairTask):
    """Which pairs of genes belong together, on the publisher's nested folds.

    No gene of a test pair is in a training pair. Split `NESTED`: the publisher's pairs. There, C is
    chosen on the publisher's inner folds, by the mean area over them, for every representation
    alike. Split `DRAWN`: the pairs of the same folds that belong together, and on each side as
    many drawn ones of the same genes, each gene as often as it belongs to another there; C is that
    of `NESTED`. Published pairs that do not belong together are of genes drawn from all, so that a
    head gains by knowing which genes are regulators at all; there it does not.
    """

    fuses: ClassVar[bool] = False

    @property
    def without_labels(self) -> str:
        """Why there are no labels, and the command that reads them."""
        return (
            f"no labels are available: source {self.dataset} is in a mirror alone; "
            f"GENEPT_MIRRORS='[\"/path/of/folder\"]' genept bench run --task {self.id}"
        )

    def unfit(self, rows: pl.DataFrame) -> str | None:
        """An outer fold that has not both kinds of pairs on both sides."""
        for fold in outer_folds(rows):
            for side, pairs in (("training", fold.training), ("test", fold.test)):
                counted = [pairs.filter(label=label).height for label in (1, 0)]
                if min(counted) < FEWEST:
                    return (
                        f"only {counted[0]} {side} pairs of fold {fold.number} belong together and "
                        f"{counted[1]} do not, and {FEWEST} of each are needed"
                    )
        return None

    def predict(
        self, rows: pl.DataFrame, vectors: GeneVectors, *, draw: int | None = None
    ) -> pl.DataFrame:
        """Score the test pairs of every outer fold; by the sum of vectors, too."""
        further = draw is None and not vectors.is_sparse
        frames: list[pl.DataFrame] = []
        for fold in outer_folds(rows):
            for feature in dict.fromkeys((self.feature, SUM)) if further else (self.feature,):
                frames += self._of_fold(fold, vectors, feature, draw or 0, further=further)
        return pl.concat(frames)

    def baseline(self, rows: pl.DataFrame) -> tuple[str, pl.DataFrame] | None:  # noqa: ARG002
        """None: how often a gene is in a training pair is the same of every test pair."""
        return None

    def _of_fold(
        self, fold: OuterFold, vectors: GeneVectors, feature: str, draw: int, *, further: bool
    ) -> Iterator[pl.DataFrame]:
        model = LOGISTIC if feature == SUM else f"{LOGISTIC}:{feature}"
        number = fold.number + draw * 100
        c, score = _nested_scores(vectors, fold, feature)
        yield scored_pairs(model, NESTED, number, fold.test, score)
        if not further or feature != self.feature:
            return
        known = pl.concat([fold.training.drop(ROLE), fold.test]).filter(label=1)
        training, test = (
            pl.concat([related, drawn_pairs(related, known, fold.number)])
            for related in (side.filter(label=1) for side in (fold.training.drop(ROLE), fold.test))
        )
        x, new = _standardised(vectors, training, test, feature)
        with in_one_thread():
            (drawn,) = logistic_scores(x, training["label"].to_numpy() == 1, new, (c,))
        yield scored_pairs(model, DRAWN, number, test, drawn)


def outer_folds(rows: pl.DataFrame) -> Iterator[OuterFold]:
    """Training and test pairs of every outer fold.

    Names of one gene may be on both sides: a training pair with a gene of a test pair is left out.

    Parameters
    ----------
    rows
        Rows of table `gene_pairs`; column `split` has the roles, one of each outer fold.
    """
    scored = rows.filter(fate="scored")
    roles = scored["split"].str.split("|").list
    for number in range(int(roles.len().max() or 0)):  # type: ignore[arg-type]
        of_fold = scored.with_columns(roles.get(number).alias(ROLE))
        test = of_fold.filter(pl.col(ROLE) == TEST_ROLE).drop(ROLE)
        tested = pl.concat([test["gene_a"], test["gene_b"]]).unique().implode()
        training = of_fold.filter(
            ~pl.col(ROLE).is_in([TEST_ROLE, UNUSED_ROLE]),
            ~pl.col("gene_a").is_in(tested),
            ~pl.col("gene_b").is_in(tested),
        )
        yield OuterFold(number, training, test)


def _standardised(
    vectors: GeneVectors, training: pl.DataFrame, test: pl.DataFrame, feature: str
) -> tuple[Any, Any]:
    return standardised_by_training(
        pair_features(vectors, training, feature), pair_features(vectors, test, feature)
    )


def _nested_scores(vectors: GeneVectors, fold: OuterFold, feature: str) -> tuple[float, Scores]:
    """C with the largest mean area over the inner folds; scores of the test pairs by that head."""
    x, new = _standardised(vectors, fold.training, fold.test, feature)
    related = fold.training["label"].to_numpy() == 1
    parts = fold.training[ROLE].str.split("-").list
    kind, of = parts.get(0).to_numpy(), parts.get(1, null_on_oob=True).fill_null("").to_numpy()
    areas = []
    with in_one_thread():
        for inner in sorted(set(of[kind == "validation"])):
            outside = (kind == "validation") & (of == inner)
            inside = ((kind == "validation") | ((kind == "training") & (of == inner))) & ~outside
            inside &= ~_shares_gene(fold.training, outside)
            if min(related[inside].sum(), related[outside].sum()) == 0:
                continue
            fits = logistic_scores(x[inside], related[inside], x[outside], STRENGTHS)
            areas.append([area(related[outside], score) for score in fits])
    c = STRENGTHS[int(np.mean(areas, axis=0).argmax())] if areas else STRENGTHS[0]
    with in_one_thread():
        (score,) = logistic_scores(x, related, new, (c,))
    return c, score


def _shares_gene(pairs: pl.DataFrame, outside: Any) -> Any:
    """Which pairs have a gene of those outside."""
    left_out = pairs.filter(pl.Series(outside))
    genes = pl.concat([left_out["gene_a"], left_out["gene_b"]]).unique().implode()
    shared = pairs.select(pl.col("gene_a").is_in(genes) | pl.col("gene_b").is_in(genes))
    return shared.to_series().to_numpy()
