"""The full drug-response benchmark of a screen, in steps of the lake: killed, it goes on.

Four regimes × models, each a step of its own. What is computed is in
`genept.models.drug_response.regimes`; it is not part of a default run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from genept.embeddings.representations import (
    BOTH,
    EXPRESSION,
    CollectionParts,
    ObservationViews,
    read_views,
)
from genept.models.drug_response.predictors import MODELS, Floats, Pairs, drug_features, has_rdkit
from genept.models.drug_response.regimes import (
    PERMUTED_FEATURES,
    REGIMES,
    RegimeTest,
    naive_predictions,
    regime_folds,
    regime_scores,
)
from genept.models.drug_response.screen_rows import ScreenRows, transfer_scores
from genept.models.splits.folds import FrozenFolds, Regime
from genept.models.splits.groups import connected_groups, near_duplicates
from genept.models.user_samples import expression_features
from genept.storage.lake import Lake
from genept.storage.provenance import NewPart, Origin, Part, sha256_of

N_FOLDS: Final = 10
NAIVE_STEP: Final = "naive"
EMBEDDING: Final = "embedding"
_CODE: Final = (
    *(
        "genept.models.drug_response.screens",
        "genept.models.drug_response.regimes",
        "genept.models.drug_response.predictors",
    ),
    *(
        "genept.models.drug_response.predictors",
        "genept.models.splits.folds",
        "genept.models.splits.groups",
    ),
    *(
        "genept.models.drug_response.predictors",
        "genept.models.user_samples",
        "genept.models.drug_response.within_drug",
    ),
    *("genept.models.drug_response.screen_rows", "genept.models.splits.folds"),
    *(
        "genept.benchmarks.metrics.intervals",
        "genept.benchmarks.metrics.scores",
        "genept.embeddings",
    ),
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
        unit: str,
        parts: CollectionParts,
        responses: Part,
        *,
        space: str,
        smiles: Mapping[str, str],
    ) -> None:
        self.lake, self.collection, self.unit = lake, collection, unit
        self.parts, self.responses = parts, responses
        self.space, self.smiles = space, dict(smiles)
        self._test: tuple[RegimeTest, FrozenFolds] | None = None

    @cached_property
    def views(self) -> ObservationViews:
        """The lines in every representation."""
        return read_views(self.lake, self.parts)

    @cached_property
    def genes(self) -> tuple[str, ...]:
        """Ensembl ids of the columns of expression."""
        axis = self.lake.read(self.parts.axis, ["gene_index", "ensembl_gene_id"])
        return tuple(axis.sort("gene_index")["ensembl_gene_id"].to_list())

    @cached_property
    def features(self) -> dict[str, Matrix]:
        """Features of the lines, by representation."""
        expression = expression_features(self.views.expression, self.unit)
        embedding = self.views.spaces[self.space]
        both = np.hstack([expression, embedding])
        return {EXPRESSION: expression, EMBEDDING: embedding, BOTH: both}

    @cached_property
    def measured(self) -> pl.DataFrame:
        """The measured pairs: line, drug, response."""
        return self.lake.read(self.responses, ["observation_id", "drug_id", "value"])

    @cached_property
    def rows(self) -> ScreenRows:
        """The screen in memory, its pairs as positions among lines and drugs."""
        observations = self.views.observations
        ids = observations["observation_id"].to_numpy().astype(np.str_)
        members = observations["group_id"].to_list()
        tissues = observations["tissue"].fill_null("unknown").to_numpy().astype(np.str_)
        groups = connected_groups(members, duplicates=near_duplicates(self.features[EXPRESSION]))
        names = self.measured["drug_id"].to_numpy().astype(np.str_)
        drugs, drug = np.unique(names, return_inverse=True)
        line = np.searchsorted(ids, self.measured["observation_id"].to_numpy().astype(np.str_))
        _, tissue = np.unique(tissues, return_inverse=True)
        pairs = Pairs(line, drug, tissue[line], self.measured["value"].to_numpy())
        return ScreenRows(ids, members, groups, tissues, self.features, drugs, pairs)

    def evaluate(self, *, seed: int) -> list[Part]:
        """Parts of ``model_evaluations`` and ``model_folds``, step by step."""
        return [
            part
            for regime in REGIMES
            for name in (NAIVE_STEP, *MODELS)
            for part in self._step(regime, name, seed)
        ]

    def has_lines_of(self, other: Screen) -> bool:
        """Whether both screens are of the same lines."""
        mine, others = (
            self.lake.read(one.parts.observations, ["observation_id"]).sort("observation_id")
            for one in (self, other)
        )
        return mine.equals(others)

    def evaluate_transfer(self, target: Screen, *, seed: int) -> list[Part]:
        """Part of ``model_evaluations``: trained here, tested on unseen lines of `target`."""
        model = f"drug-transfer-{self.collection}-{target.collection}"
        inputs = {
            **{f"source {name}": hash_ for name, hash_ in self.inputs.items()},
            **{f"target {name}": hash_ for name, hash_ in target.inputs.items()},
        }
        code = (
            *_CODE,
            "genept.models.drug_response.pipeline",
            "genept.models.drug_response.screen_rows",
        )
        origin = Origin(code, inputs, {"seed": seed, "n_folds": N_FOLDS}, _LIBRARIES)

        def compute() -> list[NewPart]:
            scores = transfer_scores(self.rows, target.rows, n_folds=N_FOLDS, seed=seed)
            rows = scores.select(
                pl.lit(model).alias("model"),
                pl.lit(sha256_of(origin.as_dict())).alias("model_version"),
                "representation",
                pl.lit(target.collection).alias("cohort"),
                "metric",
                pl.lit(f"leave-cell-line-out-{N_FOLDS}-fold-seed-{seed}").alias("split"),
                pl.exclude("representation", "metric"),
            )
            return [NewPart("model_evaluations", rows, (model,))]

        return self.lake.build(f"models/{model}", origin, compute)

    @property
    def inputs(self) -> dict[str, str]:
        """Content hashes of what is read."""
        return {**self.parts.inputs, "drug_responses": self.responses.sha256}

    def _step(self, regime: Regime, name: str, seed: int) -> list[Part]:
        model = f"drug-response-{self.collection}-{regime}-{name}"
        settings = {
            "seed": seed,
            "n_folds": N_FOLDS,
            "space": self.space,
            "structures": sha256_of(self.smiles) if has_rdkit() else "not read",
        }
        origin = Origin(_CODE, self.inputs, settings, _LIBRARIES)
        version = sha256_of(origin.as_dict())
        return self.lake.build(
            f"models/{model}",
            origin,
            lambda: self._evaluated(regime, name, model, version, seed),
        )

    def _evaluated(
        self, regime: Regime, name: str, model: str, version: str, seed: int
    ) -> list[NewPart]:
        rows, pairs = self.rows, self.rows.pairs
        test, frozen = self._tested(regime, seed)
        folds, of_drugs = test.folds, test.of_drugs
        predictions: dict[str, Floats]
        if name == NAIVE_STEP:
            predictions = naive_predictions(pairs, folds)
        else:
            predictions = {
                what: test.predict(name, what, features)
                for what, features in self._seen(of_drugs, name, seed)
            }
        unit = rows.drugs[pairs.drug] if of_drugs else rows.groups[pairs.line]
        scored = regime_scores(predictions, pairs, folds, unit, seed=seed)
        overrides = {"ci_low": pl.Float64, "ci_high": pl.Float64}
        evaluations = pl.DataFrame(scored, schema_overrides=overrides).select(
            pl.lit(model).alias("model"),
            pl.lit(version).alias("model_version"),
            "representation",
            pl.lit(self.collection).alias("cohort"),
            "metric",
            pl.lit(f"{regime}-{N_FOLDS}-fold-seed-{seed}").alias("split"),
            pl.exclude("representation", "metric"),
        )
        made = [NewPart("model_evaluations", evaluations, (model,))]
        if name == NAIVE_STEP:
            made.append(NewPart("model_folds", frozen.table(model, self.collection), (model,)))
        return made

    def _tested(self, regime: Regime, seed: int) -> tuple[RegimeTest, FrozenFolds]:
        """The folds of a regime, and what the models before have worked out on them."""
        if self._test is None or self._test[0].regime is not regime:
            rows = self.rows
            frozen, folds = regime_folds(
                regime, rows.ids, rows.groups, rows.tissues, rows.drugs, rows.pairs,
                n_folds=N_FOLDS, seed=seed,
            )  # fmt: skip
            self._test = RegimeTest(regime, rows.pairs, folds, seed=seed), frozen
        return self._test

    def _seen(self, of_drugs: bool, name: str, seed: int) -> Iterator[tuple[str, Matrix]]:
        """What a model is shown of lines, or of drugs: its features, and these in disorder.

        The ridge, which costs least, is shown the embedding too.
        """
        if of_drugs:
            what, features, _ = drug_features(self.rows.drugs.tolist(), self.smiles)
            shown = {what: features}
        else:
            wanted = (EXPRESSION, EMBEDDING, BOTH) if name == "ridge" else (EXPRESSION,)
            shown = {what: self.features[what] for what in wanted}
        yield from shown.items()
        first = next(iter(shown.values()))
        yield PERMUTED_FEATURES, first[np.random.default_rng(seed).permutation(len(first))]
