"""Predict the profiles of drugs that a screen did not measure, with what they rest on.

A model of a screen is trained on all its drugs of which a target or a structure is known. How well
that works is in `genept.models.unscreened_drugs.left_out`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl

from genept.embeddings import Spaces
from genept.models.drug_response import Floats, ScreenRows
from genept.models.holdout import Regime
from genept.models.unscreened_drugs.drug_kernels import VARIANT, DrugVariant, kernels
from genept.models.unscreened_drugs.known_drugs import Drugs
from genept.models.unscreened_drugs.left_out import CANDIDATES
from genept.models.unscreened_drugs.profile_ridge import (
    LEAST_DRUGS,
    LEAST_LINES,
    Flags,
    Indices,
    Responses,
    best_kernel,
    weights_of,
)
from genept.models.unscreened_drugs.unscreened_scores import Gate
from genept.schema.tables import TABLES

N_EVIDENCE: Final = 5
NOTHING_KNOWN: Final = "neither a target with a vector nor a structure is known"
LIKE_NONE: Final = "by what drugs of this screen are compared by, it is like no measured drug"
ANSWERED: Final = "answered"
_ABOUT: Final = pl.DataFrame(TABLES["unscreened_drugs"].schema().empty_table()).schema


@dataclass(frozen=True)
class UnscreenedModel:
    """All drugs of a screen of which something is known, to predict others by.

    Parameters
    ----------
    screen
        The screen.
    drugs
        What is known: of the drugs of the screen in their order, then of those that are asked
        about.
    spaces
        Gene vectors by space.
    variant
        The declared predictor.
    """

    screen: ScreenRows
    drugs: Drugs
    spaces: Spaces
    variant: DrugVariant = VARIANT

    @cached_property
    def responses(self) -> Responses:
        """Responses to the drugs of the screen."""
        return Responses.of(self.screen.pairs, len(self.screen.drugs), len(self.screen.ids))

    @cached_property
    def kernels(self) -> dict[str, Floats]:
        """Similarities of all drugs."""
        return kernels(self.drugs, self.spaces, self.variant)

    @cached_property
    def has_vector(self) -> Flags:
        """Whether a target of each drug has a vector."""
        known = {
            gene
            for name in self.variant.spaces
            if name in self.spaces
            for gene in self.spaces[name].number
        }
        return np.array([bool(genes & known) for genes in self.drugs.targets], dtype=np.bool_)

    @cached_property
    def described(self) -> Flags:
        """Whether a target of each drug has a vector, or its structure is known."""
        structure = np.array([bool(each) for each in self.drugs.smiles], dtype=np.bool_)
        return np.asarray(self.has_vector | structure)

    @cached_property
    def training(self) -> Indices:
        """Numbers of the drugs that are learnt from."""
        enough = self.responses.measured.sum(axis=1) >= LEAST_LINES
        return np.flatnonzero(enough & self.described[: len(self.screen.drugs)])

    @cached_property
    def asked(self) -> Indices:
        """Numbers of the drugs that are asked about."""
        return np.arange(len(self.screen.drugs), len(self.drugs.names))

    @property
    def comparable(self) -> bool:
        """Whether there are enough drugs to learn from."""
        return len(self.training) >= LEAST_DRUGS

    @cached_property
    def compared_by(self) -> str:
        """What drugs are compared by, chosen on those of the training.

        Raises
        ------
        ValueError
            There are fewer than `LEAST_DRUGS` to learn from.
        """
        if not self.comparable:
            raise ValueError(
                f"{len(self.training)} drugs of the screen have a known target or structure and "
                f"{LEAST_LINES} lines; at least {LEAST_DRUGS} are needed"
            )
        compounds = self.drugs.compounds
        together = compounds[:, None] == compounds
        return best_kernel(
            self.kernels, CANDIDATES, self.responses, self.training, self.variant, together
        )

    @cached_property
    def weights(self) -> Floats:
        """Weights of the training drugs in each prediction, shape (asked, training)."""
        kernel = self.kernels[self.compared_by]
        return weights_of(kernel, self.training, self.asked, self.variant)

    @cached_property
    def profiles(self) -> Floats:
        """Predicted profiles over the lines of the screen, shape (asked, lines).

        In units of the standard deviation of a drug's own profile, drawn towards 0 as far as the
        drug is like none of the training; below 0 is more sensitive.
        """
        return np.asarray(self.weights @ self.responses.profiles(self.training))

    def evidence(self, place: int) -> list[str]:
        """Names of the training drugs that a prediction rests on, the most similar one first."""
        similar = self.kernels[self.compared_by][self.asked[place], self.training]
        best = np.argsort(-similar, kind="stable")[:N_EVIDENCE]
        return [self.drugs.names[self.training[at]] for at in best if similar[at] > 0]

    def shares_target(self, place: int) -> bool:
        """Whether a training drug has a target of the one that is asked about."""
        targets = self.drugs.targets[self.asked[place]]
        return any(targets & self.drugs.targets[at] for at in self.training)

    def reason(self, place: int) -> str:
        """Why nothing is predicted of a drug; ``answered`` if it is."""
        if not self.described[self.asked[place]]:
            return NOTHING_KNOWN
        return ANSWERED if self.evidence(place) else LIKE_NONE

    def rows(self, collection: str, gate: Gate) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Rows of tables `unscreened_drugs` and `unscreened_drug_responses`.

        Parameters
        ----------
        collection
            Id of the screen.
        gate
            Answers that decide whether anything is predicted.

        Returns
        -------
        DataFrame, DataFrame
            A row for each drug that is asked about, and one for each with each line.
        """
        about = []
        for place, number in enumerate(self.asked):
            regime = Regime.LEAVE_DRUG_OUT if self.shares_target(place) else Regime.LEAVE_TARGET_OUT
            reason = gate.refusal or self.reason(place)
            answered = reason == ANSWERED
            about.append(
                {
                    "collection_id": collection,
                    "drug_id": self.drugs.names[number],
                    "compared_by": self.compared_by,
                    "regime": str(regime),
                    "expected_correlation": gate.expected[regime] if answered else None,
                    "evidence": self.evidence(place) if answered else [],
                    "abstained": not answered,
                    "reason": reason,
                }
            )
        drugs = pl.DataFrame(about, schema=_ABOUT)
        predicted = np.flatnonzero(~drugs["abstained"].to_numpy())
        lines = np.flatnonzero(self.responses.measured.any(axis=0))
        names = np.array(self.drugs.names)[self.asked[predicted]]
        responses = pl.DataFrame(
            {
                "collection_id": pl.repeat(collection, len(names) * len(lines), eager=True),
                "drug_id": np.repeat(names, len(lines)).astype(str),
                "observation_id": np.tile(self.screen.ids[lines], len(names)).astype(str),
                "prediction": self.profiles[np.ix_(predicted, lines)].ravel(),
            },
            schema_overrides={"drug_id": pl.String, "observation_id": pl.String},
        )
        return drugs.sort("drug_id"), responses.sort("drug_id", "observation_id")
