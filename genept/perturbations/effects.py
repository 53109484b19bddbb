"""Effects of one question in one screen as arrays, and which perturbations a test may see.

That no test perturbation is in training is decided here; which genes are relatives, in
`genept.nomenclature.families`; how effects are predicted, in `genept.perturbations.votes`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from genept.benchmarks import Indices
from genept.datasources import Question
from genept.nomenclature import Flags


class LeakError(ValueError):
    """A perturbation of the test is in training, too, under the same or another name."""


@dataclass(frozen=True)
class Effects:
    """The labels of one question in one screen, one for each pair of genes.

    Parameters
    ----------
    screen, question
        Where they are from, and what they say.
    perturbations, names
        The perturbed genes: Ensembl ids (the published name where there is none), and the published
        names; shape (n_perturbations,).
    genes
        The measured genes, in the same way; shape (n_genes,).
    row, column, label
        Perturbation, gene, and whether the answer is yes, by pair; shape (n_pairs,).
    test
        Whether the authors hold the perturbation out; shape (n_perturbations,).
    """

    screen: str
    question: Question
    perturbations: tuple[str, ...]
    names: tuple[str, ...]
    genes: tuple[str, ...]
    row: Indices
    column: Indices
    label: Flags
    test: Flags

    @classmethod
    def of(cls, rows: pl.DataFrame, question: Question) -> Effects | None:
        """Take the labels of a question from rows of table `perturbation_effects` of one screen.

        Of several pairs of names that mean the same two genes, the first one counts.

        Returns
        -------
        Effects or None
            None if the screen has no label of the question, or no perturbation for training.

        Raises
        ------
        LeakError
            A gene is perturbed in training and in the test; names it.
        """
        answer = pl.col("differential") if question == "de" else pl.col("direction") == "up"
        labelled = (
            rows.with_columns(
                perturbation=pl.coalesce("perturbed_gene", "perturbed_input"),
                gene=pl.coalesce("measured_gene", "measured_input"),
                answer=answer,
            )
            .filter(pl.col("answer").is_not_null())
            .sort("perturbation", "gene", "perturbed_input", "measured_input")
        )
        refuse_leak(labelled)
        labelled = labelled.unique(["perturbation", "gene"], keep="first", maintain_order=True)
        by = labelled.group_by("perturbation", maintain_order=True).agg(
            pl.col("perturbed_input").first(), (pl.col("split") == "test").first()
        )
        if by.is_empty() or by["split"].all():
            return None
        genes = labelled["gene"].unique().sort()
        number = {
            name: dict(zip(ids, range(len(ids)), strict=True))
            for name, ids in (("perturbation", by["perturbation"].to_list()), ("gene", [*genes]))
        }
        row, column = (
            labelled[name].replace_strict(ids, return_dtype=pl.Int64).to_numpy().astype(np.intp)
            for name, ids in number.items()
        )
        return cls(
            screen=str(rows["screen"][0]),
            question=question,
            perturbations=tuple(by["perturbation"]),
            names=tuple(by["perturbed_input"]),
            genes=tuple(genes),
            row=row,
            column=column,
            label=labelled["answer"].to_numpy(),
            test=by["split"].to_numpy(),
        )

    def pairs_of(self, chosen: Flags) -> Indices:
        """Numbers of the pairs of the chosen perturbations."""
        return np.flatnonzero(chosen[self.row])

    def ids_of(self, chosen: Flags) -> list[str]:
        """Ids of the chosen perturbations."""
        return [self.perturbations[number] for number in np.flatnonzero(chosen)]

    def rows_of(self, chosen: Flags) -> Indices:
        """Place, among the chosen perturbations, of that of each of their pairs."""
        return (np.cumsum(chosen) - 1)[self.row[self.pairs_of(chosen)]]


def refuse_leak(rows: pl.DataFrame) -> None:
    """Refuse rows of which a perturbation is in training and in the test, under any name.

    Parameters
    ----------
    rows
        perturbation, perturbed_input and split.

    Raises
    ------
    LeakError
        Names the gene and the names under which it occurs.
    """
    both = (
        rows.group_by("perturbation")
        .agg(pl.col("split").n_unique(), pl.col("perturbed_input").unique().sort())
        .filter(pl.col("split") > 1)
        .sort("perturbation")
    )
    if both.is_empty():
        return
    listed = "; ".join(
        f"{gene} (as {', '.join(names)})"
        for gene, names in both.select("perturbation", "perturbed_input").head(5).iter_rows()
    )
    raise LeakError(
        f"{both.height} perturbations are in training and in the test: {listed}. A score would say "
        "what is known, not what is predicted: take them out of one of the two"
    )
