"""Cards of predictors: what the tables say, escaped, best first."""

from __future__ import annotations

import polars as pl
from declared_rows import store_table

from genept.models.predictor_cards import drug_cards, perturbation_cards, predictor_pages
from genept.storage.lake import Lake

SCORES = pl.DataFrame(
    {
        "collection_id": ["gdsc"] * 3,
        "regime": ["leave-drug-out"] * 3,
        "representation": ["mean profile", "chosen", "chosen"],
        "other": ["structures", "mean profile", "structures"],
        "value": [0.1, 0.37, 0.37],
        "ci_low": [0.05, 0.34, 0.34],
        "ci_high": [0.15, 0.4, 0.4],
        "difference": [-0.1, 0.27, 0.2],
        "difference_low": [-0.2, 0.2, 0.1],
        "difference_high": [0.0, 0.3, 0.3],
        "n_drugs": [254] * 3,
        "is_control": [True, False, False],
        "variant": ["f" * 64] * 3,
    }
)
DRUGS = pl.DataFrame({"collection_id": ["gdsc", "gdsc"], "abstained": [True, False]})


def test_a_card_of_drugs_says_what_the_tables_say() -> None:
    ((collection, card),) = drug_cards(SCORES, DRUGS)
    text = card.markdown
    assert collection == "gdsc"
    assert "254 drugs with a stated target" in text
    assert "2 drugs were not screened: it abstains from 1" in text
    (row,) = [line for line in text.splitlines() if line.startswith("| chosen")]
    assert row == "| chosen | 0.370 | [0.340, 0.400] | +0.270 | [+0.200, +0.300] |  |"
    assert "Research use" in text


def test_a_card_of_perturbations_escapes_what_comes_from_sources() -> None:
    screens = pl.DataFrame(
        {
            "screen": ["perturbqa-k562", "without scores"],
            "cell_line": ["<b>K562", "RPE1"],
            "n_perturbations": [20, 1],
            "n_test": [5, 0],
            "n_genes": [9, 1],
            "n_pairs": [90, 1],
            "citation": ["<script>", ""],
            "licence": ["as stated", ""],
        }
    )
    scores = SCORES.rename({"collection_id": "screen", "regime": "split"}).with_columns(
        screen=pl.lit("perturbqa-k562"), question=pl.lit("de"), other=pl.lit("lsa-384/name")
    )
    ((screen, card),) = perturbation_cards(screens, scores)
    assert screen == "perturbqa-k562"
    assert "<script>" not in card.markdown
    assert "<b>" not in card.markdown
    lines = card.markdown.splitlines()
    assert lines.index("### de, leave-drug-out") > 0
    assert [line.split(" | ")[0] for line in lines if line.startswith("| ")][2:] == [
        "| chosen", "| chosen", "| mean profile",
    ]  # fmt: skip


def test_a_release_without_screens_has_no_cards(lake: Lake) -> None:
    names = (
        *("perturbation_screens", "perturbation_scores"),
        *("unscreened_drug_scores", "unscreened_drugs"),
    )
    empty = {name: lake.assemble(name, []) for name in names}
    assert predictor_pages(lake, empty) == {}


def test_cards_are_pages_of_the_release_by_screen(lake: Lake) -> None:
    names = ("unscreened_drug_scores", "unscreened_drugs")
    tables = {name: store_table(lake, name) for name in names}
    tables |= {
        name: lake.assemble(name, []) for name in ("perturbation_screens", "perturbation_scores")
    }
    (path,) = predictor_pages(lake, tables)
    assert path.startswith("predictors/unscreened-drugs-collection_id-")
    assert path.endswith(".md")
