"""A drug screen of the lake, and its full benchmark in steps that a killed run resumes.

Four regimes × models, each a step of its own; not part of a default run. What is computed is in
`genept.models.drug_response.regimes`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genept.datasources import Collection
from genept.embeddings import (
    BOTH,
    EXPRESSION,
    CollectionParts,
    CollectionTables,
    ObservationViews,
    read_views,
    representation_name,
)
from genept.models.drug_response import regimes
from genept.models.drug_response.evaluation import PERMUTED_FEATURES, RANDOM_EMBEDDING
from genept.models.drug_response.predictors import (
    MODELS,
    NAIVE,
    drug_features,
    has_rdkit,
    out_of_fold,
)
from genept.models.drug_response.screen_rows import ScreenRows, response_pairs
from genept.models.holdout import FrozenFolds, Regime
from genept.models.splits import cohort_duplicates, connected_groups
from genept.models.stored_models import LIBRARIES
from genept.models.training import evaluation_table
from genept.models.user_samples import expression_features
from genept.storage import Lake, NewPart, Origin, Part, sha256_of

N_FOLDS: Final = 10
NAIVE_STEP: Final = "naive"
EMBEDDING: Final = "embedding"
_CODE: Final = (
    "genept.models.drug_response",
    "genept.models.evidence",
    "genept.models.training",
    "genept.models.holdout",
    "genept.models.splits",
    "genept.models.user_samples",
    "genept.benchmarks.scores",
    "genept.embeddings",
)
Matrix = NDArray[np.float32]
Tested = Callable[[], tuple[regimes.RegimeTest, FrozenFolds]]


@dataclass
class Screen:
    """One screen: lines with expression, and their measured pairs with drugs.

    Parameters
    ----------
    lake
        Where the data are read from.
    collection, unit
        Id of the collection of cell lines, and the unit of its expression.
    parts
        Tables of the collection.
    responses
        Part of table ``drug_responses``.
    space
        Name of the representation that is read beside expression; None: only expression is.
    smiles
        Structures by name of the drug; a drug without one is known by its name alone.
    """

    lake: Lake
    collection: str
    unit: str
    parts: CollectionParts
    responses: Part
    space: str | None
    smiles: Mapping[str, str]

    @cached_property
    def views(self) -> ObservationViews:
        """The lines in every representation."""
        return read_views(self.lake, self.parts)

    @cached_property
    def features(self) -> dict[str, Matrix]:
        """Features of the lines, by representation."""
        expression = expression_features(self.views.expression, self.unit)
        if self.space is None:
            return {EXPRESSION: expression}
        embedding = self.views.spaces[self.space]
        both = np.hstack([expression, embedding])
        features = {EXPRESSION: expression, EMBEDDING: embedding, BOTH: both}
        by_chance = next((of for of in self.views.controls if of.startswith("random-")), None)
        if by_chance is not None:
            features[RANDOM_EMBEDDING] = self.views.spaces[by_chance]
        return features

    @cached_property
    def rows(self) -> ScreenRows:
        """The screen in memory, its pairs as positions among lines and drugs."""
        observations = self.views.observations
        ids = observations["observation_id"].to_numpy().astype(np.str_)
        members = observations["group_id"].to_list()
        tissues = observations["tissue"].fill_null("unknown").to_numpy().astype(np.str_)
        duplicates, threshold = cohort_duplicates(self.features[EXPRESSION], members)
        groups = connected_groups(members, duplicates=duplicates)
        measured = self.lake.read(self.responses, ["observation_id", "drug_id", "value"])
        drugs, pairs = response_pairs(ids, tissues, measured)
        features = self.features
        return ScreenRows(ids, members, groups, tissues, features, drugs, pairs, threshold)

    def evaluate(self, *, seed: int) -> list[Part]:
        """Parts of ``model_evaluations`` and ``model_folds``, step by step.

        Parameters
        ----------
        seed
            Of folds, models and permutations.

        Returns
        -------
        list of Part
            Parts of the two tables.
        """
        parts: list[Part] = []
        for regime in regimes.REGIMES:
            tested = cache(partial(self._tested, regime, seed))
            for name in (NAIVE_STEP, *MODELS):
                parts += self._step(regime, name, seed, tested)
        return parts

    def has_lines_of(self, other: Screen) -> bool:
        """Whether both screens are of the same cell lines.

        Parameters
        ----------
        other
            The other screen.

        Returns
        -------
        bool
            True if the ids of their observations are equal.
        """
        mine, others = (
            self.lake.read(screen.parts.observations, ["observation_id"]).sort("observation_id")
            for screen in (self, other)
        )
        return mine.equals(others)

    def evaluate_transfer(self, target: Screen, *, seed: int) -> list[Part]:
        """Part of ``model_evaluations``: trained here, tested on unseen lines of `target`.

        Parameters
        ----------
        target
            The screen to test on.
        seed
            Of folds, models and permutations.

        Returns
        -------
        list of Part
            The part.
        """
        model = f"drug-transfer-{self.collection}-{target.collection}"
        inputs = {
            f"{role} {name}": sha256
            for role, screen in (("source", self), ("target", target))
            for name, sha256 in screen.inputs.items()
        }
        origin = Origin(_CODE, inputs, {"seed": seed, "n_folds": N_FOLDS}, LIBRARIES)

        def compute() -> list[NewPart]:
            scores = regimes.transfer_scores(self.rows, target.rows, n_folds=N_FOLDS, seed=seed)
            version, cohort = sha256_of(origin.as_dict()), target.collection
            split = f"leave-cell-line-out-{N_FOLDS}-fold-seed-{seed}"
            rows = evaluation_table(scores, model, version, cohort, split)
            return [NewPart("model_evaluations", rows, (model,))]

        return self.lake.build(f"models/{model}", origin, compute)

    @property
    def inputs(self) -> dict[str, str]:
        """Content hashes of what is read."""
        return {**self.parts.inputs, "drug_responses": self.responses.sha256}

    def _step(self, regime: Regime, name: str, seed: int, tested: Tested) -> list[Part]:
        model = f"drug-response-{self.collection}-{regime}-{name}"
        settings = {
            "seed": seed,
            "n_folds": N_FOLDS,
            "space": self.space,
            "structures": sha256_of(dict(self.smiles)) if has_rdkit() else "not read",
        }
        origin = Origin(_CODE, self.inputs, settings, LIBRARIES)
        version = sha256_of(origin.as_dict())
        evaluated = partial(self.evaluate_fold, regime, name, model, version, seed, tested)
        return self.lake.build(f"models/{model}", origin, evaluated)

    def evaluate_fold(
        self, regime: Regime, name: str, model: str, version: str, seed: int, tested: Tested
    ) -> list[NewPart]:
        """Predictions and scores of one model in one fold of a regime."""
        rows, pairs = self.rows, self.rows.pairs
        test, frozen = tested()
        if name == NAIVE_STEP:
            predictions = {naive: out_of_fold(naive, pairs, test.folds) for naive in NAIVE}
        else:
            predictions = {
                representation: test.predict(name, representation, features)
                for representation, features in self._inputs_of(name, seed, of_drugs=test.of_drugs)
            }
        unit = rows.drugs[pairs.drug] if test.of_drugs else rows.groups[pairs.line]
        scores = regimes.regime_scores(predictions, pairs, test.folds, unit, seed=seed)
        split = f"{regime}-{N_FOLDS}-fold-seed-{seed}"
        evaluations = evaluation_table(scores, model, version, self.collection, split)
        parts = [NewPart("model_evaluations", evaluations, (model,))]
        if name == NAIVE_STEP:
            parts.append(NewPart("model_folds", frozen.table(model, self.collection), (model,)))
        return parts

    def _tested(self, regime: Regime, seed: int) -> tuple[regimes.RegimeTest, FrozenFolds]:
        """The folds of a regime, with what earlier models computed on them."""
        frozen, folds = regimes.regime_folds(regime, self.rows, n_folds=N_FOLDS, seed=seed)
        return regimes.RegimeTest(regime, self.rows.pairs, folds, seed=seed), frozen

    def _inputs_of(self, name: str, seed: int, *, of_drugs: bool) -> Iterator[tuple[str, Matrix]]:
        """Features of lines, or of drugs, that a model reads: as they are, and permuted.

        The ridge, which costs least, also reads the embedding, and beside it that of random gene
        vectors: an embedding keeps much of the expression whatever its vectors say.
        """
        if of_drugs:
            inputs = dict([drug_features(self.rows.drugs.tolist(), self.smiles)])
        else:
            inputs = self.features if name == "ridge" else {EXPRESSION: self.features[EXPRESSION]}
        yield from inputs.items()
        first = next(iter(inputs.values()))
        yield PERMUTED_FEATURES, first[np.random.default_rng(seed).permutation(len(first))]


def evaluate_screens(
    of: CollectionTables, structures: Callable[[Collection], Mapping[str, str]], *, seed: int
) -> list[Part]:
    """Evaluate every drug screen: by regime, and on the lines of other screens.

    Parameters
    ----------
    of
        The collections and their tables.
    structures
        Structures of a collection's drugs by name; see `Screen`.
    seed
        Of folds, models and permutations.

    Returns
    -------
    list of Part
        Parts of ``model_evaluations`` and ``model_folds``.
    """
    parts: list[Part] = []
    screens: list[Screen] = []
    for collection in of.ingested("bulk"):
        for responses in of.tables["drug_responses"].matching(collection.id):
            screen = Screen(
                of.lake, collection.id, collection.unit, of.parts(collection), responses,
                space=representation_name(of.spaces[0]), smiles=structures(collection),
            )  # fmt: skip
            parts += screen.evaluate(seed=seed)
            # Of the same cell lines: a model of one screen is tested on the other.
            for other in screens:
                if other.has_lines_of(screen):
                    parts += other.evaluate_transfer(screen, seed=seed)
            screens.append(screen)
    return parts
