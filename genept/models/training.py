"""One retraining over the lake: trained unless it is, judged by the gate, promoted if it may be.

The same for every kind of model. What there is to train, and on what, is in
`genept.models.diagnosis.diagnosis_training` and `genept.models.drug_response.drug_training`.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Protocol

import numpy as np

from genept.models.cards.card import Facts
from genept.models.cards.model_reports import card_markdown
from genept.models.diagnosis.heads import DiagnosisModel
from genept.models.evidence import ABSTAIN_BELOW, Cohort, Evidence, ModelManifest
from genept.models.promotion.promotion import judge_candidate, promote_challenger, promote_if_due
from genept.models.registry import ModelRegistry
from genept.models.splits.folds import frozen_from_table
from genept.models.splits.holdout import Holdout, Rows
from genept.models.stored_models import TrainedModel, stored_types
from genept.storage.lake import Lake
from genept.storage.provenance import NewPart, Origin, Part, sha256_of
from genept.text.embedders.spaces import Space

SEED: Final = 2023
CODE: Final = ("genept.benchmarks", "genept.embeddings", "genept.models", "genept.schema.tables")
LIBRARIES: Final = ("numpy", "scikit-learn", "scipy")


class Fit(Protocol):
    """A fitted model, and all that is stored beside it."""

    @property
    def fitted(self) -> DiagnosisModel:
        """The model itself."""

    @property
    def pipeline(self) -> bytes:
        """Its Pipeline as a file."""

    @property
    def probe(self) -> bytes:
        """A probe set, and what the model says of it."""

    @property
    def domain(self) -> bytes:
        """What samples look like that it may judge."""

    @property
    def evidence(self) -> Evidence:
        """What the gate asks."""


class Training(Protocol):
    """One model on one state of the data; nothing is read or fitted before it is asked for."""

    @property
    def model(self) -> str:
        """Name of the model."""

    @property
    def origin(self) -> Origin:
        """What decides the result."""

    @property
    def collection(self) -> str:
        """Whose samples it learns from."""

    @property
    def label(self) -> str:
        """What it reads from a sample."""

    @property
    def unit(self) -> str:
        """Of the expression that it reads."""

    @property
    def space(self) -> Space:
        """Whose vectors it may read."""

    @property
    def genes(self) -> tuple[str, ...]:
        """Ensembl ids of the columns of expression."""

    @property
    def caveats(self) -> tuple[str, ...]:
        """What the card must say of the data."""

    @property
    def left_out(self) -> dict[str, int]:
        """Samples of classes that are too rare, by class."""

    @property
    def forgotten_on_purpose(self) -> tuple[str, ...]:
        """Cohorts that the champion knew and that need not come back."""

    @property
    def rows(self) -> Rows:
        """Everything that takes part, held out or not."""

    @property
    def holdout(self) -> Holdout:
        """Who is held out, of those that the gate looks at."""

    @property
    def judged(self) -> Rows:
        """The same with features, for a champion to be asked about."""

    @property
    def fit(self) -> Fit:
        """The model, trained on all but the holdout."""

    def tables(self) -> list[NewPart]:
        """Parts of published tables; ``model_folds`` is among them."""


@dataclass(frozen=True)
class Retraining:
    """What came of one retraining.

    Parameters
    ----------
    parts
        Those of the training's own tables, and of ``gate_verdicts``.
    said
        Whether anything was trained, and what became of the version.
    """

    parts: tuple[Part, ...]
    said: str


def version_of(origin: Origin) -> str:
    """Version of a model: two of the same origin are one."""
    return sha256_of(origin.as_dict())


def train(lake: Lake, registry: ModelRegistry, training: Training) -> Retraining:
    """Train a model unless it is trained, ask the gate, promote if it says so."""
    model, version, step = training.model, version_of(training.origin), f"models/{training.model}"
    promote_challenger(registry, model)
    is_new = not (lake.remembers(step, training.origin) and registry.has(model, version))
    made = lake.build(step, training.origin, training.tables)
    if not registry.has(model, version):
        registry.submit(with_papers(training, version))
    verdicts = registry.verdicts(model, version)
    if verdicts is None:
        (folds,) = (part for part in made if part.table == "model_folds")
        frozen_from_table(lake.read(folds))
        manifest = registry.manifest(model, version)
        verdicts = judge_candidate(registry, manifest, training.judged, training.genes)
        registry.judge(verdicts)
    decided = promote_if_due(registry, verdicts)
    origin = Origin(("genept.models.stored_models",), {"verdicts": verdicts.stored_sha256})
    rows = verdicts.table()
    gate = lake.build(f"{step}/gate", origin, lambda: [NewPart("gate_verdicts", rows, (model,))])
    done = "trained" if is_new else "skipped, no new data"
    return Retraining((*made, *gate), f"{done}: {version[:12]} {decided}")


def with_papers(training: Training, version: str) -> TrainedModel:
    """The model with its manifest and its card, as the registry keeps it."""
    fit, rows = training.fit, training.rows
    fitted, evidence = fit.fitted, fit.evidence
    data = sha256_of(dict(training.origin.inputs))
    cohorts = tuple(
        Cohort(id=name, n=n, data_sha256=data) for name, n in _counts(rows.cohorts).items()
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
        **fitted.tempering._asdict(),
        abstain_below=ABSTAIN_BELOW,
        space=training.space.id,
        unit=training.unit,
        genes=training.genes,
        seed=SEED,
        cohorts=cohorts,
        label_counts=_counts(rows.labels),
        left_out=training.left_out,
        caveats=training.caveats,
        forgotten_on_purpose=training.forgotten_on_purpose,
        holdout_sha256=training.holdout.sha256,
        libraries=training.origin.as_dict()["libraries"],
        pipeline_sha256=sha256(fit.pipeline).hexdigest(),
        types=tuple(sorted(stored_types(fit.pipeline, where=training.model))),
        probe_sha256=sha256(fit.probe).hexdigest(),
        domain_sha256=sha256(fit.domain).hexdigest(),
        evidence_sha256=evidence.stored_sha256,
        card_sha256="",
    )
    card = card_markdown(Facts.of(manifest), evidence)
    named = manifest.model_copy(update={"card_sha256": sha256(card.encode()).hexdigest()})
    return TrainedModel(named, fit.pipeline, fit.probe, fit.domain, evidence, card)


def _counts(values: np.ndarray[tuple[int], np.dtype[np.str_]]) -> dict[str, int]:
    names, counts = np.unique(values, return_counts=True)
    return {str(name): int(n) for name, n in zip(names, counts, strict=True)}
