"""One retraining over the lake: training, the gate, promotion, and rows of ``model_evaluations``.

What is trained on which data is in `genept.models.diagnosis.diagnosis_training` and
`genept.models.drug_response.drug_training`.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any, Final, Protocol

import polars as pl

from genept.benchmarks import constant
from genept.embeddings import CollectionParts, axis_genes, read_kilobases
from genept.models.cards import card_markdown
from genept.models.evidence import ABSTAIN_BELOW, Cohort, Interval, ModelEvidence, ModelManifest
from genept.models.heads import DiagnosisModel
from genept.models.holdout import Holdout, Rows, frozen_from_table
from genept.models.promotion import judge_candidate, promote_challenger, promote_if_due
from genept.models.registry import ModelRegistry
from genept.models.stored_models import ModelFiles, TrainedModel, stored_types
from genept.schema.tables import TABLES
from genept.storage import Lake, NewPart, Origin, Part, sha256_of
from genept.text import Space

SEED: Final = 2023
"""Seed of folds, fits and resamples of every retraining."""

SELECTED: Final = "selected"
"""Representation of predictions by the model that was chosen."""

CODE: Final = ("genept.benchmarks", "genept.embeddings", "genept.models", "genept.schema.tables")


def score_rows(
    scores: Mapping[str, Interval], representation: str, *, is_control: bool, prefix: str = ""
) -> list[dict[str, Any]]:
    """Scores as rows of table ``model_evaluations``, without model, cohort and split."""
    return [
        {
            "representation": representation,
            "metric": prefix + metric,
            "value": score.value,
            "ci_low": score.low,
            "ci_high": score.high,
            "n": score.n,
            "is_control": is_control,
        }
        for metric, score in scores.items()
    ]


def evaluation_table(
    rows: list[dict[str, Any]], model: str, version: str, cohort: str, split: str
) -> pl.DataFrame:
    """Rows of table ``model_evaluations`` from those of `score_rows`."""
    scores = pl.DataFrame(rows, schema_overrides={"ci_low": pl.Float64, "ci_high": pl.Float64})
    named = constant(scores, model=model, model_version=version, cohort=cohort, split=split)
    return named.select(TABLES["model_evaluations"].schema().names)


class Fit(Protocol):
    """A fitted model, and all that is stored beside it."""

    @property
    def rows(self) -> Rows:
        """All samples that take part, held out or not."""

    @property
    def holdout(self) -> Holdout:
        """The held-out samples that the gate evaluates."""

    @property
    def fitted(self) -> DiagnosisModel:
        """The model itself."""

    @property
    def files(self) -> ModelFiles:
        """Its Pipeline, its probe set and its domain as files."""

    @property
    def evidence(self) -> ModelEvidence:
        """What the gate evaluates."""


@dataclass(frozen=True)
class Training(ABC):
    """One model on one state of the data; nothing is read or fitted before it is used.

    Parameters
    ----------
    lake
        Where the data are read from.
    collection, unit
        Id of the collection whose samples it learns from, and the unit of its expression.
    space
        Embedding space whose vectors it may read.
    parts
        Tables of the collection.
    caveats
        Sentences on the data for the card.
    """

    lake: Lake
    collection: str
    unit: str
    space: Space
    parts: CollectionParts
    caveats: tuple[str, ...]

    @property
    @abstractmethod
    def model(self) -> str:
        """Name of the model."""

    @property
    @abstractmethod
    def label(self) -> str:
        """What it reads from a sample, for the card."""

    @property
    @abstractmethod
    def origin(self) -> Origin:
        """What decides the result."""

    @property
    def forgotten_on_purpose(self) -> tuple[str, ...]:
        """Cohorts of the champion that the candidate may leave out."""
        return ()

    @property
    def limits(self) -> tuple[str, ...]:
        """Sentences for the card on what the model cannot."""
        return self.caveats

    @property
    def left_out(self) -> dict[str, int]:
        """Number of samples of classes that are too rare, by class."""
        return {}

    @property
    @abstractmethod
    def judged(self) -> Rows:
        """The held-out samples that the gate evaluates, with features."""

    @property
    @abstractmethod
    def fit(self) -> Fit:
        """The model, trained on all but the holdout."""

    @abstractmethod
    def tables(self) -> Mapping[str, pl.DataFrame]:
        """Rows of published tables by name; ``model_folds`` is among them."""

    @cached_property
    def genes(self) -> tuple[str, ...]:
        """Ensembl ids of the columns of expression."""
        return axis_genes(self.lake, self.parts.axis)

    @property
    def kilobases(self) -> tuple[float, ...] | None:
        """Lengths of the genes, where GenePT-w divides reads by them."""
        if not self.parts.per_kilobase:
            return None
        return tuple(read_kilobases(self.lake, self.parts.axis).astype(float).tolist())

    @property
    def version(self) -> str:
        """Version of the model: equal origins have one version."""
        return sha256_of(self.origin.as_dict())

    def evaluations(self, rows: Mapping[str, list[dict[str, Any]]]) -> pl.DataFrame:
        """Rows of table ``model_evaluations`` from those of `score_rows`, by split."""
        named = self.model, self.version, self.collection
        return pl.concat(evaluation_table(of, *named, split) for split, of in rows.items())


@dataclass(frozen=True)
class Retraining:
    """Result of one retraining.

    Parameters
    ----------
    parts
        Those of the training's own tables, and of ``gate_verdicts``.
    summary
        Whether a model was trained, and what became of the version.
    """

    parts: tuple[Part, ...]
    summary: str


def train(registry: ModelRegistry, training: Training) -> Retraining:
    """Train a model unless this version exists, evaluate it at the gate, promote if it passed.

    Parameters
    ----------
    registry
        Where models are kept.
    training
        What to train.

    Returns
    -------
    Retraining
        Parts of the training's tables and of ``gate_verdicts``, and a summary.

    Raises
    ------
    HoldoutReadError
        If a group of samples lies on both sides of the holdout.
    """
    lake, model, version = training.lake, training.model, training.version
    step = f"models/{model}"
    promote_challenger(registry, model)
    is_new = lake.known(step, training.origin) is None or not registry.has(model, version)

    def compute() -> list[NewPart]:
        return [NewPart(name, rows, (model,)) for name, rows in training.tables().items()]

    parts = lake.build(step, training.origin, compute)
    if not registry.has(model, version):
        registry.submit(trained_model(training, version))
    verdicts = registry.verdicts(model, version)
    if verdicts is None:
        (folds,) = (part for part in parts if part.table == "model_folds")
        frozen_from_table(lake.read(folds))
        manifest = registry.manifest(model, version)
        verdicts = judge_candidate(registry, manifest, training.judged, training.genes)
        registry.judge(verdicts)
    decision = promote_if_due(registry, verdicts)
    origin = Origin(("genept.models.stored_models",), {"verdicts": verdicts.stored_sha256})
    rows = verdicts.table()
    gate = lake.build(f"{step}/gate", origin, lambda: [NewPart("gate_verdicts", rows, (model,))])
    status = "trained" if is_new else "skipped, no new data"
    return Retraining((*parts, *gate), f"{status}: {version[:12]} {decision}")


def trained_model(training: Training, version: str) -> TrainedModel:
    """The model with its manifest and its card, as the registry keeps it."""
    fit = training.fit
    rows, fitted, files, evidence = fit.rows, fit.fitted, fit.files, fit.evidence
    data = sha256_of(dict(training.origin.inputs))
    cohorts = tuple(
        Cohort(id=name, n=n, data_sha256=data)
        for name, n in sorted(Counter(rows.cohorts.tolist()).items())
    )
    manifest = ModelManifest(
        model=training.model,
        version=version,
        collection=training.collection,
        label=training.label,
        representation=fitted.contender.representation,
        head=fitted.contender.head,
        steps=tuple(name for name, _ in fitted.pipeline.steps),
        classes=fitted.classes,
        **fitted.calibration._asdict(),
        abstain_below=ABSTAIN_BELOW,
        space=training.space.id,
        unit=training.unit,
        genes=training.genes,
        kilobases=training.kilobases,
        seed=SEED,
        cohorts=cohorts,
        label_counts=dict(sorted(Counter(rows.labels.tolist()).items())),
        left_out=training.left_out,
        caveats=training.limits,
        forgotten_on_purpose=training.forgotten_on_purpose,
        holdout_sha256=fit.holdout.sha256,
        libraries=training.origin.as_dict()["libraries"],
        pipeline_sha256=sha256(files.pipeline).hexdigest(),
        types=tuple(sorted(stored_types(files.pipeline, where=training.model))),
        probe_sha256=sha256(files.probe).hexdigest(),
        domain_sha256=sha256(files.domain).hexdigest(),
        evidence_sha256=evidence.stored_sha256,
        card_sha256="",
    )
    card = card_markdown(manifest, evidence)
    named = manifest.model_copy(update={"card_sha256": sha256(card.encode()).hexdigest()})
    return TrainedModel(named, files, evidence, card)
