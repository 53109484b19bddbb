"""Models over collections of the lake: what they read, what is kept, who becomes champion.

The fitting itself is in `genept.models.retraining`; drugs are in `genept.models.drug_training`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Final

import numpy as np
import numpy.typing as npt

from genept.embeddings.representations import (
    BOTH,
    EXPRESSION,
    CollectionParts,
    ObservationViews,
    read_views,
    representation_name,
)
from genept.models.card import Facts
from genept.models.card_pages import card_markdown
from genept.models.diagnosis import (
    ABSTAIN_BELOW,
    diagnosis_evaluations,
    diagnosis_folds,
    diagnosis_predictions,
)
from genept.models.evidence import Cohort, ModelManifest
from genept.models.folds import frozen_from_table
from genept.models.groups import connected_groups, near_duplicates
from genept.models.heads import Contender
from genept.models.holdout import Rows
from genept.models.own_samples import expression_features
from genept.models.persistence import stored_types
from genept.models.promotion import judge_candidate
from genept.models.registry import ModelRegistry
from genept.models.retraining import Retrained, retrain
from genept.models.shadows import promote_challenger, promote_if_due
from genept.models.stored import TrainedModel
from genept.models.tasks import DiagnosisTask
from genept.models.verdicts import Verdicts
from genept.store.lake import Lake, NewPart, Part
from genept.store.provenance import Origin, sha256_of
from genept.text.spaces import Space

SEED: Final = 2023
_CODE: Final = ("genept.benchmarks", "genept.embeddings", "genept.models", "genept.tables")
_LIBRARIES: Final = ("numpy", "scikit-learn", "scipy")
Matrix = npt.NDArray[np.float32]


def train_diagnosis(
    lake: Lake,
    task: DiagnosisTask,
    unit: str,
    space: Space,
    parts: CollectionParts,
    registry: ModelRegistry,
    caveats: tuple[str, ...] = (),
) -> Retraining:
    """Train the model of a task unless it is trained, ask the gate, promote if it says so.

    Parameters
    ----------
    caveats
        What the card must say of the data.
    """
    training = _Training(lake, task, unit, space, parts, caveats)
    model, version, step = task.model, training.version, f"models/{task.model}"
    promote_challenger(registry, model)
    is_new = not (lake.remembers(step, training.origin) and registry.has(model, version))
    made = lake.build(step, training.origin, training.tables)
    if not registry.has(model, version):
        registry.submit(training.trained)
    verdicts = registry.verdicts(model, version)
    if verdicts is None:
        (folds,) = (part for part in made if part.table == "model_folds")
        frozen_from_table(lake.read(folds))
        verdicts = _judged(registry, training)
        registry.judge(verdicts)
    decided = promote_if_due(registry, verdicts)
    origin = Origin(("genept.models.verdicts",), {"verdicts": verdicts.stored_sha256})
    rows = verdicts.table()
    gate = lake.build(f"{step}/gate", origin, lambda: [NewPart("gate_verdicts", rows, (model,))])
    done = "trained" if is_new else "skipped, no new data"
    return Retraining((*made, *gate), f"{done}: {version[:12]} {decided}")


@dataclass(frozen=True)
class Retraining:
    """What came of one retraining.

    Parameters
    ----------
    parts
        Of ``diagnosis_predictions``, ``model_evaluations``, ``model_folds`` and
        ``gate_verdicts``.
    said
        Whether anything was trained, and what became of the version.
    """

    parts: tuple[Part, ...]
    said: str


@dataclass(frozen=True)
class _Training:
    """One task on one state of the data; nothing is read before it is needed."""

    lake: Lake
    task: DiagnosisTask
    unit: str
    space: Space
    parts: CollectionParts
    caveats: tuple[str, ...] = ()

    @cached_property
    def origin(self) -> Origin:
        settings = {"seed": SEED, "unit": self.unit, "space": self.space.id, **self.task.settings}
        return Origin(_CODE, self.parts.inputs, settings, _LIBRARIES)

    @cached_property
    def version(self) -> str:
        return sha256_of(self.origin.as_dict())

    @cached_property
    def views(self) -> ObservationViews:
        views = read_views(self.lake, self.parts)
        return views.only(self.task.takes_part(views.observations).to_numpy())

    @cached_property
    def genes(self) -> tuple[str, ...]:
        axis = self.lake.read(self.parts.axis, ["gene_index", "ensembl_gene_id"])
        return tuple(axis.sort("gene_index")["ensembl_gene_id"].to_list())

    @cached_property
    def beside(self) -> tuple[str, ...]:
        """Spaces that are scored and never chosen: by default one control."""
        others = [name for name in self.views.spaces if name != representation_name(self.space)]
        return tuple(others if self.task.every_space else self.views.controls[:1])

    @cached_property
    def rows(self) -> tuple[Rows, dict[str, int]]:
        """The samples of classes in enough groups, and what was left out."""
        observations = self.views.observations
        labels = observations[self.task.label].to_numpy().astype(np.str_)
        features = _representations(self.views, self.unit, self.space)
        wanted = (EXPRESSION, BOTH, representation_name(self.space), *self.beside)
        cohorts = np.full(len(labels), self.task.collection)
        if self.task.cohort is not None:
            cohorts = observations[self.task.cohort].fill_null("unknown").to_numpy().astype(np.str_)
        rows = Rows(
            observations["observation_id"].to_numpy().astype(np.str_),
            connected_groups(
                observations["group_id"].to_list(), duplicates=near_duplicates(features[EXPRESSION])
            ),
            cohorts,
            labels,
            {name: features[name] for name in wanted},
        )
        groups = {name: len(np.unique(rows.groups[labels == name])) for name in np.unique(labels)}
        rare = [name for name, n in groups.items() if n < self.task.min_groups]
        kept = rows.take(~np.isin(labels, rare))
        return kept, {str(name): int((labels == name).sum()) for name in rare}

    @cached_property
    def retrained(self) -> Retrained:
        rows, _ = self.rows
        published = dict(self.views.observations.select("observation_id", "group_id").iter_rows())
        seen = (EXPRESSION, representation_name(self.space), BOTH)
        return retrain(
            rows,
            [published[str(one)] for one in rows.ids],
            [Contender(name, head) for head in self.task.heads for name in seen],
            model=self.task.model,
            beside=self.beside,
            seed=SEED,
        )

    def tables(self) -> list[NewPart]:
        evaluations = diagnosis_evaluations(
            self.retrained,
            self.task.collection,
            controls=self.views.controls,
            seed=SEED,
            model=self.task.model,
            model_version=self.version,
        )
        of = (self.retrained, self.task.collection)
        made = {
            "diagnosis_predictions": diagnosis_predictions(
                *of, model=self.task.model, model_version=self.version
            ),
            "model_evaluations": evaluations,
            "model_folds": diagnosis_folds(*of, model=self.task.model),
        }
        return [NewPart(name, rows, (self.task.model,)) for name, rows in made.items()]

    @cached_property
    def trained(self) -> TrainedModel:
        """The model with its papers, as the registry keeps it."""
        found, (rows, left_out) = self.retrained, self.rows
        names, counts = np.unique(rows.cohorts, return_counts=True)
        data = sha256_of(dict(self.parts.inputs))
        cohorts = tuple(
            Cohort(id=str(name), n=int(n), data_sha256=data)
            for name, n in zip(names, counts, strict=True)
        )
        card = card_markdown(
            Facts(
                self.task.model,
                self.version,
                self.task.label,
                found.model.contender.name,
                cohorts,
                left_out,
                ABSTAIN_BELOW,
                self.caveats,
            ),
            found.evidence,
        )
        labels, n_labelled = np.unique(rows.labels, return_counts=True)
        manifest = ModelManifest(
            model=self.task.model,
            version=self.version,
            collection=self.task.collection,
            label=self.task.label,
            representation=found.model.contender.representation,
            head=found.model.contender.head,
            steps=tuple(name for name, _ in found.model.pipeline.steps),
            classes=found.model.classes,
            **found.model.tempering._asdict(),
            abstain_below=ABSTAIN_BELOW,
            space=self.space.id,
            unit=self.unit,
            genes=self.genes,
            seed=SEED,
            cohorts=cohorts,
            label_counts={str(name): int(n) for name, n in zip(labels, n_labelled, strict=True)},
            left_out=left_out,
            caveats=self.caveats,
            forgotten_on_purpose=self.task.forgotten_on_purpose,
            holdout_sha256=found.holdout.sha256,
            libraries=self.origin.as_dict()["libraries"],
            pipeline_sha256=sha256(found.pipeline).hexdigest(),
            types=tuple(sorted(stored_types(found.pipeline, where=self.task.model))),
            probe_sha256=sha256(found.probe).hexdigest(),
            domain_sha256=sha256(found.domain).hexdigest(),
            evidence_sha256=found.evidence.stored_sha256,
            card_sha256=sha256(card.encode()).hexdigest(),
        )
        return TrainedModel(
            manifest, found.pipeline, found.probe, found.domain, found.evidence, card
        )


def _judged(registry: ModelRegistry, training: _Training) -> Verdicts:
    manifest = registry.manifest(training.task.model, training.version)
    rows, _ = training.rows
    held_out = np.isin(rows.ids, registry.evidence(manifest).holdout.ids)
    return judge_candidate(registry, manifest, rows.take(held_out), training.genes)


def _representations(views: ObservationViews, unit: str, space: Space) -> dict[str, Matrix]:
    """Expression alone, every space alone, and expression with the chosen space."""
    expression = expression_features(views.expression, unit)
    both = np.hstack([expression, views.spaces[representation_name(space)]])
    return {EXPRESSION: expression, **views.spaces, BOTH: both}
