"""The full drug-response benchmark of a screen, in steps of the lake: killed, it goes on.

Four regimes × models, each a step of its own. What is computed is in
`genept.models.drug_regimes`; it is not part of a default run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from genept.embeddings.representations import BOTH, EXPRESSION, CollectionParts, read_views
from genept.models.drug_regimes import (
    PERMUTED_FEATURES,
    REGIMES,
    naive_predictions,
    predict_regime,
    regime_folds,
    regime_scores,
)
from genept.models.factors import MODELS
from genept.models.fingerprints import drug_features, has_rdkit
from genept.models.folds import Regime
from genept.models.groups import connected_groups, near_duplicates
from genept.models.naive import Floats, Pairs
from genept.store.lake import Lake, NewPart, Part
from genept.store.provenance import Origin, sha256_of

N_FOLDS: Final = 10
NAIVE_STEP: Final = "naive"
EMBEDDING: Final = "embedding"
_CODE: Final = (
    *("genept.models.screens", "genept.models.drug_regimes", "genept.models.factors"),
    *("genept.models.fingerprints", "genept.models.folds", "genept.models.groups"),
    *("genept.models.naive", "genept.models.per_drug", "genept.models.splits"),
    *("genept.benchmarks.intervals", "genept.benchmarks.scores", "genept.embeddings"),
)
_LIBRARIES: Final = ("numpy", "scikit-learn", "scipy")
Matrix = npt.NDArray[np.float32]


class Screen:
    """One screen: lines with expression, and their measured pairs with drugs.

    Parameters
    ----------
    space
        Name of the representation that is read beside expression.
    smiles
        Structures by name of the drug; a drug without one is known by its name alone.
    """

    def __init__(
        self,
        lake: Lake,
        collection: str,
        parts: CollectionParts,
        responses: Part,
        *,
        space: str,
        smiles: Mapping[str, str],
    ) -> None:
        self.lake, self.collection = lake, collection
        self.parts, self.responses = parts, responses
        self.space, self.smiles = space, dict(smiles)

    @cached_property
    def _views(self) -> tuple[dict[str, Matrix], dict[str, npt.NDArray[np.str_]]]:
        """Features of the lines by representation; their ids, groups and tissues."""
        views = read_views(self.lake, self.parts)
        expression = views.expression.toarray().astype(np.float32, copy=False)
        embedding = views.spaces[self.space]
        ids = views.observations["observation_id"].to_numpy().astype(np.str_)
        groups = connected_groups(
            views.observations["group_id"].to_list(), duplicates=near_duplicates(expression)
        )
        tissues = views.observations["tissue"].fill_null("unknown").to_numpy().astype(np.str_)
        features = {
            EXPRESSION: expression,
            EMBEDDING: embedding,
            BOTH: np.hstack([expression, embedding]),
        }
        return features, {"lines": ids, "groups": groups, "tissues": tissues}

    @property
    def lines(self) -> dict[str, npt.NDArray[np.str_]]:
        """Ids, groups and tissues of the lines, in the order of `features`."""
        return self._views[1]

    @property
    def features(self) -> dict[str, Matrix]:
        """Features of the lines, by representation."""
        return self._views[0]

    @cached_property
    def drugs(self) -> npt.NDArray[np.str_]:
        """The drugs, sorted."""
        found: npt.NDArray[np.str_] = np.unique(
            self._measured["drug_id"].to_numpy().astype(np.str_)
        )
        return found

    @cached_property
    def pairs(self) -> Pairs:
        """The measured pairs, as positions among the lines and the drugs."""
        names = self._measured["drug_id"].to_numpy().astype(np.str_)
        ids = self._measured["observation_id"].to_numpy().astype(np.str_)
        line = np.searchsorted(self.lines["lines"], ids)
        _, tissue = np.unique(self.lines["tissues"], return_inverse=True)
        drug = np.searchsorted(self.drugs, names)
        return Pairs(line, drug, tissue[line], self._measured["value"].to_numpy())

    @cached_property
    def _measured(self) -> pl.DataFrame:
        return self.lake.read(self.responses, ["observation_id", "drug_id", "value"])

    def evaluate(self, *, seed: int) -> list[Part]:
        """Parts of ``model_evaluations`` and ``model_folds``, step by step."""
        return [
            part
            for regime in REGIMES
            for name in (NAIVE_STEP, *MODELS)
            for part in self._step(regime, name, seed)
        ]

    def _step(self, regime: Regime, name: str, seed: int) -> list[Part]:
        model = f"drug-response-{self.collection}-{regime}-{name}"
        settings = {
            "seed": seed,
            "n_folds": N_FOLDS,
            "space": self.space,
            "structures": sha256_of(self.smiles) if has_rdkit() else "not read",
        }
        inputs = {**self.parts.inputs, "drug_responses": self.responses.sha256}
        origin = Origin(_CODE, inputs, settings, _LIBRARIES)
        version = sha256_of(origin.as_dict())
        return self.lake.build(
            f"models/{model}",
            origin,
            lambda: self._evaluated(regime, name, model, version, seed),
        )

    def _evaluated(
        self, regime: Regime, name: str, model: str, version: str, seed: int
    ) -> list[NewPart]:
        frozen, folds = regime_folds(
            regime, **self.lines, drugs=self.drugs, pairs=self.pairs, n_folds=N_FOLDS, seed=seed
        )
        of_drugs = regime is Regime.LEAVE_DRUG_OUT
        predictions: dict[str, Floats]
        if name == NAIVE_STEP:
            predictions = naive_predictions(self.pairs, folds)
        else:
            predictions = {
                what: predict_regime(name, features, self.pairs, folds, regime=regime, seed=seed)
                for what, features in self._seen(of_drugs, name, seed)
            }
        lines = self.lines["groups"][self.pairs.line]
        unit = self.drugs[self.pairs.drug] if of_drugs else lines
        scored = regime_scores(predictions, self.pairs, folds, unit, seed=seed)
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
        if name == NAIVE_STEP:
            made.append(NewPart("model_folds", frozen.table(model, self.collection), (model,)))
        return made

    def _seen(self, of_drugs: bool, name: str, seed: int) -> Iterator[tuple[str, Matrix]]:
        """What a model is shown of lines, or of drugs: its features, and these in disorder.

        The ridge, which costs least, is shown the embedding too.
        """
        if of_drugs:
            what, features, _ = drug_features(self.drugs.tolist(), self.smiles)
            shown = {what: features}
        else:
            wanted = (EXPRESSION, EMBEDDING, BOTH) if name == "ridge" else (EXPRESSION,)
            shown = {what: self.features[what] for what in wanted}
        yield from shown.items()
        first = next(iter(shown.values()))
        yield PERMUTED_FEATURES, first[np.random.default_rng(seed).permutation(len(first))]
