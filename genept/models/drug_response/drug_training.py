"""Drug-response models over the lake: what they read of a screen, and the tables they leave.

The fitting itself is in `genept.models.drug_response.drug_retraining`, promotion in
`genept.models.training`. Stored models predict samples without measured responses. They abstain on
samples outside their domain, and on drugs with too few training lines. Research use: nothing here
chooses a treatment for people.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import product
from typing import Final

import numpy as np
import polars as pl
from sklearn.metrics import root_mean_squared_error

from genept.embeddings import BOTH, EXPRESSION, CollectionTables, representation_name
from genept.models import serving
from genept.models.confidence import LEAST_MEASURED
from genept.models.drug_response.drug_retraining import DrugRetraining
from genept.models.drug_response.evaluation import (
    N_FOLDS,
    RANDOM_EMBEDDING,
    compare_representations,
)
from genept.models.drug_response.pipeline import WithinDrug, predict_pairs
from genept.models.drug_response.predictors import NAIVE
from genept.models.drug_response.screens import EMBEDDING, Screen
from genept.models.evidence import Interval, ModelManifest
from genept.models.heads import STEPS
from genept.models.holdout import FrozenFolds, Holdout, Regime, Rows
from genept.models.registry import ModelRegistry
from genept.models.stored_models import LIBRARIES
from genept.models.training import CODE, SEED, SELECTED, Training, score_rows
from genept.models.user_samples import Samples
from genept.storage import Origin, Part

PREFIX: Final = "drug-response-"
"""Begins the names of drug-response models; the id of the screen follows."""

LIMITS: Final = (
    "Sensitive means a response below the drug's mean over the training lines.",
    "A line's sensitivity to everything counts as signal.",
    "The gate looks at a share of the pairs; the responses' own scores are of all held-out pairs.",
)

UNMEASURED: Final = "unmeasured_drug_responses"
"""Table of predictions for pairs without a measured response."""

TOO_FEW_LINES: Final = "too few training lines for this drug"
_SERVING: Final = (
    *serving.CODE,
    "genept.models.drug_response.pipeline",
    "genept.models.drug_response.drug_training",
)


def is_drug_model(model: str) -> bool:
    """Whether a name is that of a drug-response model, which predicts pairs.

    Parameters
    ----------
    model
        Name of a model.

    Returns
    -------
    bool
        True for names that begin with ``drug-response-``.
    """
    return model.startswith(PREFIX)


@dataclass(frozen=True)
class DrugTraining(Training):
    """One screen on one state of the data; its tables are those of predictions and of their scores.

    Parameters
    ----------
    responses
        Part of table ``drug_responses``.
    """

    responses: Part

    @property
    def model(self) -> str:
        """Name of the model."""
        return f"{PREFIX}{self.collection}"

    @property
    def label(self) -> str:
        """What it predicts of a cell line."""
        return "sensitivity to each drug"

    @property
    def limits(self) -> tuple[str, ...]:
        """Sentences on the data and on this kind of model, for the card."""
        return (*self.caveats, *LIMITS)

    @cached_property
    def origin(self) -> Origin:
        """What decides the result."""
        inputs = {**self.parts.inputs, "drug_responses": self.responses.sha256}
        settings = {"seed": SEED, "unit": self.unit, "space": self.space.id}
        return Origin(CODE, inputs, settings, LIBRARIES)

    @cached_property
    def screen(self) -> Screen:
        """The screen with its features."""
        name = representation_name(self.space)
        read = (self.lake, self.collection, self.unit, self.parts, self.responses)
        return Screen(*read, space=name, smiles={})

    @cached_property
    def fit(self) -> DrugRetraining:
        """The model, trained on all but the holdout."""
        return DrugRetraining(self.screen.rows, (EXPRESSION, BOTH), self.model, SEED)

    @property
    def judged(self) -> Rows:
        """The held-out pairs that the gate evaluates, with features."""
        return self.fit.judged

    def tables(self) -> dict[str, pl.DataFrame]:
        """Rows of published tables by name; ``model_folds`` is among them."""
        return {
            "drug_response_predictions": self._predictions(),
            "model_evaluations": self._evaluations(),
            "model_folds": self._folds(),
        }

    def _predictions(self) -> pl.DataFrame:
        """Every measured pair by a model that did not see its line."""
        unseen, rows = self.fit.unseen, self.screen.rows
        return pl.DataFrame(
            {
                "model": self.model,
                "model_version": self.version,
                "representation": SELECTED,
                "collection_id": self.collection,
                "observation_id": rows.ids[rows.pairs.line],
                "drug_id": rows.drugs[rows.pairs.drug],
                "fold": self.fit.folds,
                "measured": rows.pairs.value,
                "prediction": unseen.prediction,
                "low": unseen.prediction - unseen.reach,
                "high": unseen.prediction + unseen.reach,
                "abstained": unseen.abstained,
            }
        ).sort("observation_id", "drug_id")

    def _evaluations(self) -> pl.DataFrame:
        """The model itself, out of fold and on the holdout, beside others.

        Every representation is under the same ridge on the same folds, beside its controls; the
        naive predictors are on the holdout.
        """
        fit, pairs, seen = self.fit, self.screen.rows.pairs, ~self.fit.out
        views = self.screen.views
        features = {**self.screen.features, **views.spaces}
        features.pop(EMBEDDING)
        features.pop(RANDOM_EMBEDDING, None)  # a space of `views`, too
        controls = [*views.controls, EXPRESSION]
        compared = compare_representations(
            self.screen.rows, features, published=BOTH, controls=controls, seed=SEED
        )
        n = len(np.unique(fit.folds[seen]))
        trained = score_rows(fit.response_scores(seen), SELECTED, is_control=False)
        held_out = score_rows(fit.evidence.scores, SELECTED, is_control=False, prefix="holdout_")
        for name, predict in NAIVE.items():
            error = root_mean_squared_error(pairs.value[fit.out], predict(pairs, seen)[fit.out])
            rmse = {"holdout_rmse": Interval(value=error, n=int(fit.out.sum()))}
            held_out += score_rows(rmse, name, is_control=True)
        splits = {
            f"leave-cell-line-out-{N_FOLDS}-fold-seed-{SEED}": compared,
            # Representations are compared on all lines: a split of its own keeps the two apart.
            f"leave-cell-line-out-of-training-{n}-fold-seed-{SEED}": trained,
            f"holdout-{fit.holdout.sha256[:12]}": held_out,
        }
        return self.evaluations(splits)

    def _folds(self) -> pl.DataFrame:
        rows, fit = self.screen.rows, self.fit
        lines, held_out = (np.unique(rows.pairs.line[of]) for of in (slice(None), fit.out))
        frozen = FrozenFolds.of_observations(
            Regime.LEAVE_CELL_LINE_OUT, rows.ids[lines], rows.groups[lines], fit.line_folds[lines]
        )
        return frozen.table(self.model, self.collection, holdout=Holdout.of(rows.ids[held_out]))


def predict_drugs(
    served: serving.Served, samples: Samples, vectors: serving.VectorsOfSpace
) -> pl.DataFrame:
    """Response of each sample to each drug of the model, with its 90 % interval.

    Parameters
    ----------
    served, samples
        The model, and the samples, in any unit that converts to that of the model.
    vectors
        Gives gene ids and vectors, shape (genes, dimensions), of a space.

    Returns
    -------
    pl.DataFrame
        observation_id, drug_id, prediction, low, high, difference (from the drug's mean over
        the training lines; below 0 is more sensitive), in ln(µM); distance, genes_measured,
        abstained, reason; one row a sample and drug, the most sensitive first.

    Raises
    ------
    ValueError
        If the samples cannot be brought to the unit that the model reads.
    """
    features, distances, measured = served.read(samples, vectors)
    head: WithinDrug = served.model.pipeline.named_steps[STEPS[2]]
    n, k = len(samples.ids), len(head.codes_)
    line, drug = np.repeat(np.arange(n), k), np.tile(np.arange(k), n)
    codes = head.codes_[drug]
    response, reach, few, _ = predict_pairs(served.model.pipeline, features, line, codes)
    reason = np.select(
        [measured < LEAST_MEASURED, distances[line] > 1, few],
        [serving.TOO_FEW_GENES, serving.UNLIKE, TOO_FEW_LINES],
        serving.ANSWERED,
    )
    return pl.DataFrame(
        {
            "observation_id": np.asarray(samples.ids, dtype=np.str_)[line],
            "drug_id": head.drugs_[drug],
            "prediction": response,
            "low": response - reach,
            "high": response + reach,
            "difference": response - head.mean_[drug],
            "distance": distances[line],
            "genes_measured": measured,
            "abstained": reason != serving.ANSWERED,
            "reason": reason,
        }
    ).sort("observation_id", "difference", "drug_id", maintain_order=True)


def unmeasured_responses(
    of: CollectionTables, registry: ModelRegistry, manifests: Sequence[ModelManifest]
) -> tuple[list[Part], dict[str, str]]:
    """Parts of ``unmeasured_drug_responses``: predictions of champions for cell lines.

    Parameters
    ----------
    of
        The collections and their tables: those with rows in ``drug_responses`` are predicted, and
        these pairs are left out.
    registry, manifests
        Where models are kept; manifests of the champions.

    Returns
    -------
    parts : list of Part
        Predictions in ln(µM), one part per model and collection.
    skipped : dict
        Why a collection has no predictions, by ``model, collection``.
    """
    lake, vectors, keys = of.lake, of.tables["gene_embeddings"], ["observation_id", "drug_id"]
    bulk = serving.BulkCollection.all_of(of)
    measured = {lines.id: of.tables["drug_responses"].matching(lines.id) for lines in bulk}

    def predict(manifest: ModelManifest, collection: serving.BulkCollection) -> pl.DataFrame:
        served, samples = serving.Served.of(registry, manifest), collection.samples(lake)
        rows = predict_drugs(
            served, samples, lambda s: serving.space_vectors(lake, vectors.part(s))
        )
        return rows.join(lake.read(measured[collection.id], keys), on=keys, how="anti").sort(keys)

    parts: list[Part] = []
    skipped: dict[str, str] = {}
    for manifest, collection in product(manifests, bulk):
        if not measured[collection.id]:
            continue
        read = {f"measured {n}": part.sha256 for n, part in enumerate(measured[collection.id])}
        read["vectors"] = vectors.part(manifest.space).sha256
        rows = partial(predict, manifest, collection)
        try:
            parts += serving.predicted_parts(
                lake, UNMEASURED, manifest, collection, rows, _SERVING, read
            )
        except ValueError as error:
            skipped[f"{manifest.model}, {collection.id}"] = str(error)
    return parts, skipped
