"""Cards of predictors for what nobody measured: unseen perturbations, and drugs never screened.

They are made of the published tables of scores, so that a card says what the release says. Cards of
trained models are in `genept.models.cards`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl
from markupsafe import Markup

from genept.models.cards import MARKDOWN, Row
from genept.models.unscreened_drugs import MEAN_PROFILE, NO_CONTROL
from genept.storage import Lake, StoredTable

RESEARCH_USE: Final = "Research use: no measurement, and not for decisions about people."


@dataclass(frozen=True)
class PredictorCard:
    """What a card shows.

    Parameters
    ----------
    title, predicts, metric
        Its name, what is predicted, and what its numbers are.
    variant
        Hash of the declared predictor.
    other
        The control that gains are over.
    data, limits
        Sentences.
    scores
        Rows of tables, by heading.
    """

    title: str
    predicts: str
    metric: str
    variant: str
    other: str
    data: Sequence[str]
    scores: dict[str, list[Row]]
    limits: Sequence[str]

    @property
    def markdown(self) -> str:
        """The card as Markdown."""
        return MARKDOWN.get_template("predictor_card.md.jinja").render(card=self)


def predictor_pages(lake: Lake, tables: Mapping[str, StoredTable]) -> dict[str, bytes]:
    """Cards as files of a release's audit.

    Parameters
    ----------
    lake, tables
        Where tables are kept; every published table, by name.

    Returns
    -------
    dict of str to bytes
        Markdown by path, such as ``predictors/unscreened-drugs-gdsc.md``.
    """
    cards: dict[str, PredictorCard] = {}
    for prefix, cards_of, names in (
        ("perturbations", perturbation_cards, ("perturbation_screens", "perturbation_scores")),
        ("unscreened-drugs", drug_cards, ("unscreened_drug_scores", "unscreened_drugs")),
    ):
        if all(tables[name].parts for name in names):
            read = [lake.read(tables[name]) for name in names]
            cards |= {f"{prefix}-{of}": card for of, card in cards_of(*read)}
    return {f"predictors/{name}.md": card.markdown.encode() for name, card in cards.items()}


def perturbation_cards(
    screens: pl.DataFrame, scores: pl.DataFrame
) -> Iterator[tuple[str, PredictorCard]]:
    """Cards of the predictor of unseen perturbations, one per screen that has scores.

    Parameters
    ----------
    screens, scores
        Tables `perturbation_screens` and `perturbation_scores`.

    Yields
    ------
    str, PredictorCard
        Screen and card.
    """
    for screen in screens.iter_rows(named=True):
        of_screen = scores.filter(screen=screen["screen"])
        if of_screen.is_empty():
            continue
        (variant, *_), (other, *_) = (of_screen[name].to_list() for name in ("variant", "other"))
        card = PredictorCard(
            title=f"Effects of genes that {screen['screen']} did not perturb",
            predicts=(
                "Whether knocking a gene down changes another one (de), and whether it goes up "
                f"(dir), in {screen['cell_line']}, from what is known of the gene."
            ),
            metric="Area under the ROC curve within each measured gene, mean over genes.",
            variant=variant,
            other=other,
            data=[
                f"{screen['n_perturbations']:,} perturbations, {screen['n_test']:,} held out",
                f"{screen['n_genes']:,} measured genes, {screen['n_pairs']:,} pairs",
                f"{screen['citation']} {screen['licence']}",
            ],
            scores=dict(_tables(of_screen, ("question", "split"))),
            limits=[
                RESEARCH_USE,
                "A score within a gene says nothing of how strong its effects are.",
                "What carries over to another cell line is little: see cross-line.",
                "It abstains where no perturbation of the training is near.",
            ],
        )
        yield screen["screen"], card


def drug_cards(scores: pl.DataFrame, drugs: pl.DataFrame) -> Iterator[tuple[str, PredictorCard]]:
    """Cards of the predictor of drugs never screened, one per screen that has scores.

    Parameters
    ----------
    scores, drugs
        Tables `unscreened_drug_scores` and `unscreened_drugs`.

    Yields
    ------
    str, PredictorCard
        Collection and card.
    """
    for (collection,), of_screen in scores.group_by("collection_id", maintain_order=True):
        about = drugs.filter(collection_id=collection)
        abstained, other = int(about["abstained"].sum()), MEAN_PROFILE
        compared = of_screen.filter(pl.col("other").is_in([other, NO_CONTROL]))
        card = PredictorCard(
            title=f"Drugs that {collection} did not screen",
            predicts=(
                "Which cell lines a drug would act on more, or less, beyond what it does on "
                "average and what every drug does to the line; from its targets and structure."
            ),
            metric="Pearson's r of a drug's measured and predicted profile, mean over drugs.",
            variant=of_screen["variant"][0],
            other=other,
            data=[
                f"{of_screen['n_drugs'][0]:,} drugs with a stated target, left out in turn",
                f"{about.height:,} drugs were not screened: it abstains from {abstained:,}",
            ],
            scores=dict(_tables(compared, ("regime",))),
            limits=[
                RESEARCH_USE,
                "A profile is relative: it says nothing of a drug's potency.",
                "What the vectors add to the stated targets themselves, the metrics say.",
            ],
        )
        yield str(collection), card


def _tables(scores: pl.DataFrame, keys: Sequence[str]) -> Iterator[tuple[str, list[Row]]]:
    """Rows of the card's tables by heading, the best first, controls marked."""
    for names, rows in scores.group_by(*keys, maintain_order=True):
        best_first = rows.sort("value", "representation", descending=[True, False])
        yield ", ".join(map(str, names)), [*map(_row, best_first.iter_rows(named=True))]


def _row(row: dict[str, Any]) -> Row:
    return (
        row["representation"],
        _number(row["value"], ".3f"),
        _interval((row["ci_low"], row["ci_high"]), ".3f"),
        "" if row["difference"] is None else _number(row["difference"], "+.3f"),
        _interval((row["difference_low"], row["difference_high"]), "+.3f"),
        "control" if row["is_control"] else "",
    )


def _number(value: float, form: str) -> Markup:
    """A number, which has nothing to be escaped."""
    return Markup(format(value, form))  # noqa: S704


def _interval(ends: Iterable[float | None], form: str) -> Markup:
    shown = [_number(end, form) for end in ends if end is not None]
    return Markup(f"[{', '.join(shown)}]" if len(shown) == 2 else "")  # noqa: S704
