"""Drug-response models over screens of the lake: what is kept of them, who becomes champion.

As `genept.models.training` does for diagnosis, with the same registry and the same gate. The
fitting itself is in `genept.models.drug_retraining`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any, Final

import numpy as np
import polars as pl

from genept.embeddings.representations import BOTH, EXPRESSION, CollectionParts, representation_name
from genept.models.card import Facts
from genept.models.card_pages import card_markdown
from genept.models.drug_pipeline import CLASSES
from genept.models.drug_response import run_drug_response
from genept.models.drug_retraining import HEAD, DrugRetraining
from genept.models.evidence import Cohort, Interval, ModelManifest
from genept.models.folds import ANY, FrozenFolds, Regime
from genept.models.holdout import Holdout
from genept.models.naive import NAIVE
from genept.models.persistence import stored_types
from genept.models.promotion import judge_candidate
from genept.models.registry import ModelRegistry
from genept.models.screens import Screen
from genept.models.shadows import promote_challenger, promote_if_due
from genept.models.stored import TrainedModel
from genept.models.training import SEED, Retraining
from genept.store.lake import Lake, NewPart, Part
from genept.store.provenance import Origin, sha256_of
from genept.text.spaces import Space

PREFIX: Final = "drug-response-"
LABEL: Final = "sensitivity to each drug"
SELECTED: Final = "selected"
_CODE: Final = ("genept.benchmarks", "genept.embeddings", "genept.models", "genept.tables")
_LIBRARIES: Final = ("numpy", "scikit-learn", "scipy")
LIMITS: Final = (
    "Sensitive means a response below the drug's mean over the training lines.",
    "A line's sensitivity to everything counts as signal.",
    "The gate looks at a share of the pairs; the responses' own scores are of all held-out pairs.",
)


def is_drug_model(model: str) -> bool:
    """Whether a name is that of a drug-response model; such a one is asked about pairs."""
    return model.startswith(PREFIX)


def train_drug_response(
    lake: Lake,
    collection: str,
    unit: str,
    space: Space,
    parts: CollectionParts,
    responses: Part,
    registry: ModelRegistry,
    caveats: tuple[str, ...] = (),
) -> Retraining:
    """Train the model of a screen unless it is trained, ask the gate, promote if it says so."""
    training = _Training(lake, collection, unit, space, parts, responses, caveats)
    model, version, step = training.model, training.version, f"models/{training.model}"
    promote_challenger(registry, model)
    is_new = not (lake.remembers(step, training.origin) and registry.has(model, version))
    made = lake.build(step, training.origin, training.tables)
    if not registry.has(model, version):
        registry.submit(training.trained)
    verdicts = registry.verdicts(model, version)
    if verdicts is None:
        manifest = registry.manifest(model, version)
        verdicts = judge_candidate(
            registry, manifest, training.retraining.judged, training.screen.genes
        )
        registry.judge(verdicts)
    decided = promote_if_due(registry, verdicts)
    origin = Origin(("genept.models.verdicts",), {"verdicts": verdicts.stored_sha256})
    rows = verdicts.table()
    gate = lake.build(f"{step}/gate", origin, lambda: [NewPart("gate_verdicts", rows, (model,))])
    done = "trained" if is_new else "skipped, no new data"
    return Retraining((*made, *gate), f"{done}: {version[:12]} {decided}")


@dataclass(frozen=True)
class _Training:
    """One screen on one state of the data; nothing is read before it is needed."""

    lake: Lake
    collection: str
    unit: str
    space: Space
    parts: CollectionParts
    responses: Part
    caveats: tuple[str, ...]

    @property
    def model(self) -> str:
        return f"{PREFIX}{self.collection}"

    @cached_property
    def origin(self) -> Origin:
        inputs = {**self.parts.inputs, "drug_responses": self.responses.sha256}
        settings = {"seed": SEED, "unit": self.unit, "space": self.space.id}
        return Origin(_CODE, inputs, settings, _LIBRARIES)

    @cached_property
    def version(self) -> str:
        return sha256_of(self.origin.as_dict())

    @cached_property
    def screen(self) -> Screen:
        name = representation_name(self.space)
        return Screen(
            self.lake, self.collection, self.unit, self.parts, self.responses, space=name, smiles={}
        )

    @cached_property
    def retraining(self) -> DrugRetraining:
        return DrugRetraining(self.screen.rows, (EXPRESSION, BOTH), self.model, SEED)

    def tables(self) -> list[NewPart]:
        made = {
            "drug_response_predictions": self._predictions(),
            "model_evaluations": pl.concat([self._compared(), self._evaluations()]),
            "model_folds": self._folds(),
        }
        return [NewPart(name, rows, (self.model,)) for name, rows in made.items()]

    def _predictions(self) -> pl.DataFrame:
        """Every measured pair by a model that did not see its line."""
        found, rows = self.retraining.unseen, self.screen.rows
        return pl.DataFrame(
            {
                "model": self.model,
                "model_version": self.version,
                "representation": SELECTED,
                "collection_id": self.collection,
                "observation_id": rows.ids[rows.pairs.line],
                "drug_id": rows.drugs[rows.pairs.drug],
                "fold": self.retraining.folds,
                "measured": rows.pairs.value,
                "prediction": found.prediction,
                "low": found.prediction - found.reach,
                "high": found.prediction + found.reach,
                "abstained": found.abstained,
            }
        ).sort("observation_id", "drug_id")

    def _compared(self) -> pl.DataFrame:
        """Every representation read by the same ridge on the same folds, beside its controls."""
        views = self.screen.views
        features = {**self.screen.features, **views.spaces}
        features.pop("embedding")
        _, evaluations = run_drug_response(
            features,
            views.observations["observation_id"].to_list(),
            views.observations["group_id"].to_list(),
            self.screen.measured,
            self.collection,
            published=BOTH,
            controls=[*views.controls, EXPRESSION],
            model=self.model,
            model_version=self.version,
            seed=SEED,
        )
        return evaluations

    def _evaluations(self) -> pl.DataFrame:
        """The model itself, out of fold and on the holdout; the naive predictors on the holdout."""
        retraining, seen = self.retraining, ~self.retraining.out
        n = len(np.unique(retraining.folds[seen]))
        split = f"leave-cell-line-out-{n}-fold-seed-{SEED}"
        held_out = f"holdout-{self._holdout.sha256[:12]}"
        rows = [
            self._row(SELECTED, metric, found, split, is_control=False)
            for metric, found in retraining.response_scores(seen, retraining.naive).items()
        ]
        rows += [
            self._row(SELECTED, f"holdout_{metric}", found, held_out, is_control=False)
            for metric, found in retraining.evidence.scores.items()
        ]
        pairs = self.screen.rows.pairs
        for name, predict in NAIVE.items():
            said = predict(pairs, seen)[retraining.out]
            error = float(np.sqrt(((pairs.value[retraining.out] - said) ** 2).mean()))
            rmse = Interval(value=error, n=len(said))
            rows.append(self._row(name, "holdout_rmse", rmse, held_out, is_control=True))
        overrides = {"ci_low": pl.Float64, "ci_high": pl.Float64}
        return pl.DataFrame(rows, schema_overrides=overrides)

    def _row(
        self, name: str, metric: str, found: Interval, split: str, *, is_control: bool
    ) -> dict[str, Any]:
        return {
            "model": self.model,
            "model_version": self.version,
            "representation": name,
            "cohort": self.collection,
            "metric": metric,
            "split": split,
            "value": found.value,
            "ci_low": found.low,
            "ci_high": found.high,
            "n": found.n,
            "is_control": is_control,
        }

    def _folds(self) -> pl.DataFrame:
        rows = self.screen.rows
        lines = np.unique(rows.pairs.line)
        frozen = FrozenFolds(
            Regime.LEAVE_CELL_LINE_OUT,
            rows.ids[lines],
            np.full(len(lines), ANY),
            rows.groups[lines],
            self.retraining.line_folds[lines],
        )
        held_out = np.unique(rows.pairs.line[self.retraining.out])
        return frozen.table(self.model, self.collection, holdout=Holdout.of(rows.ids[held_out]))

    @property
    def _holdout(self) -> Holdout:
        """The held-out pairs that the gate looks at."""
        return Holdout.of(self.retraining.judged.ids)

    @cached_property
    def trained(self) -> TrainedModel:
        """The model with its papers, as the registry keeps it."""
        found, rows = self.retraining, self.retraining.rows
        names, counts = np.unique(rows.cohorts, return_counts=True)
        data = sha256_of(dict(self.origin.inputs))
        cohorts = tuple(
            Cohort(id=str(name), n=int(n), data_sha256=data)
            for name, n in zip(names, counts, strict=True)
        )
        caveats = (*self.caveats, *LIMITS)
        facts = Facts(
            self.model, self.version, LABEL, found.final[0].name, cohorts, {}, 0.5, caveats
        )
        card = card_markdown(facts, found.evidence)
        labels, n_labelled = np.unique(rows.labels, return_counts=True)
        manifest = ModelManifest(
            model=self.model,
            version=self.version,
            collection=self.collection,
            label=LABEL,
            representation=found.final[0].representation,
            head=HEAD,
            steps=tuple(name for name, _ in found.final[1].steps),
            classes=CLASSES,
            **found.fitted.tempering._asdict(),
            abstain_below=0.5,
            space=self.space.id,
            unit=self.unit,
            genes=self.screen.genes,
            seed=SEED,
            cohorts=cohorts,
            label_counts={str(name): int(n) for name, n in zip(labels, n_labelled, strict=True)},
            left_out={},
            caveats=caveats,
            holdout_sha256=self._holdout.sha256,
            libraries=self.origin.as_dict()["libraries"],
            pipeline_sha256=sha256(found.pipeline).hexdigest(),
            types=tuple(sorted(stored_types(found.pipeline, where=self.model))),
            probe_sha256=sha256(found.probe).hexdigest(),
            domain_sha256=sha256(found.domain).hexdigest(),
            evidence_sha256=found.evidence.stored_sha256,
            card_sha256=sha256(card.encode()).hexdigest(),
        )
        return TrainedModel(
            manifest, found.pipeline, found.probe, found.domain, found.evidence, card
        )
