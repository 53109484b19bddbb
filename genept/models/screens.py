"""The full drug-response benchmark of a screen, in steps of the lake: killed, it goes on.

Four regimes × models, each a step of its own. What is computed is in
`genept.models.drug_regimes`; it is not part of a default run.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import polars as pl

from genept.embeddings.representations import EXPRESSION, CollectionParts, read_views
from genept.models.drug_regimes import (
    MODELS,
    PERMUTED_FEATURES,
    REGIMES,
    naive_predictions,
    predict_regime,
    regime_folds,
    regime_scores,
)
from genept.models.folds import Regime
from genept.models.groups import connected_groups, near_duplicates
from genept.models.naive import Floats, Pairs
from genept.store.lake import Lake, NewPart, Part
from genept.store.provenance import Origin, sha256_of

N_FOLDS = 10
_CODE = ("genept.benchmarks", "genept.embeddings", "genept.models", "genept.tables")
_LIBRARIES = ("numpy", "scikit-learn", "scipy")


class Screen:
    """One screen: lines with expression, and their measured pairs with drugs."""

    def __init__(
        self, lake: Lake, collection: str, parts: CollectionParts, responses: Part
    ) -> None:
        self.lake, self.collection = lake, collection
        self.parts, self.responses = parts, responses

    @cached_property
    def _read(self) -> tuple[np.ndarray, dict[str, np.ndarray], Pairs]:
        views = read_views(self.lake, self.parts)
        values = views.expression.toarray().astype(np.float32, copy=False)
        observations = views.observations
        ids = observations["observation_id"].to_numpy().astype(np.str_)
        tissues = observations["tissue"].fill_null("unknown").to_numpy().astype(np.str_)
        groups = connected_groups(
            observations["group_id"].to_list(), duplicates=near_duplicates(values)
        )
        measured = self.lake.read(self.responses, ["observation_id", "drug_id", "value"])
        drugs, drug = np.unique(measured["drug_id"].to_numpy().astype(np.str_), return_inverse=True)
        line = np.searchsorted(ids, measured["observation_id"].to_numpy().astype(np.str_))
        _, tissue = np.unique(tissues, return_inverse=True)
        pairs = Pairs(line, drug, tissue[line], measured["value"].to_numpy())
        names = {"lines": ids, "groups": groups, "tissues": tissues, "drugs": drugs}
        return values, names, pairs

    def evaluate(self, *, seed: int) -> list[Part]:
        """Parts of ``model_evaluations`` and ``model_folds``, step by step."""
        made: list[Part] = []
        for regime in REGIMES:
            for name in ("naive", *MODELS):
                model = f"drug-response-{self.collection}-{regime}-{name}"
                inputs = {**self.parts.inputs, "drug_responses": self.responses.sha256}
                origin = Origin(_CODE, inputs, {"seed": seed, "n_folds": N_FOLDS}, _LIBRARIES)

                def compute(
                    regime: Regime = regime,
                    name: str = name,
                    model: str = model,
                    version: str = sha256_of(origin.as_dict()),
                ) -> list[NewPart]:
                    return self._evaluated(regime, name, model, version, seed)

                made += self.lake.build(f"models/{model}", origin, compute)
        return made

    def _evaluated(
        self, regime: Regime, name: str, model: str, version: str, seed: int
    ) -> list[NewPart]:
        features, names, pairs = self._read
        frozen, folds = regime_folds(regime, **names, pairs=pairs, n_folds=N_FOLDS, seed=seed)
        predictions: dict[str, Floats] = naive_predictions(pairs, folds)
        if name != "naive":
            shuffled = features[np.random.default_rng(seed).permutation(len(features))]
            fit = MODELS[name]
            predictions = {
                EXPRESSION: predict_regime(features, pairs, folds, fit, seed=seed),
                PERMUTED_FEATURES: predict_regime(shuffled, pairs, folds, fit, seed=seed),
            }
        of_drugs = regime is Regime.LEAVE_DRUG_OUT
        unit = names["drugs"][pairs.drug] if of_drugs else names["groups"][pairs.line]
        scored = regime_scores(predictions, pairs, folds, unit, seed=seed)
        overrides = {"ci_low": pl.Float64, "ci_high": pl.Float64}
        rows = pl.DataFrame(scored, schema_overrides=overrides).select(
            pl.lit(model).alias("model"),
            pl.lit(version).alias("model_version"),
            "representation",
            pl.lit(self.collection).alias("cohort"),
            "metric",
            pl.lit(f"{regime}-{N_FOLDS}-fold-seed-{seed}").alias("split"),
            pl.exclude("representation", "metric"),
        )
        made = [NewPart("model_evaluations", rows, (model,))]
        if name == "naive":
            made.append(NewPart("model_folds", frozen.table(model, self.collection), (model,)))
        return made
