"""Stored forms of a model: verdicts, the champion's pointer, and the file of its Pipeline.

Files are skops, not pickle, and are checked against an exact list of types before loading. Where
they are stored is in `genept.models.registry`.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import polars as pl
from sklearn.pipeline import Pipeline

from genept.common import StoreError
from genept.models.evidence import ModelEvidence, ModelManifest
from genept.storage import Document

LIBRARIES: Final = ("numpy", "scikit-learn", "scipy")
"""Whose versions are part of the origin of what models compute."""

Outcome = Literal["pass", "refuse", "wait"]

PASS: Final = "pass"  # noqa: S105 - a verdict

REFUSE: Final = "refuse"

WAIT: Final = "wait"

Answer = tuple[Outcome, str]
"""An outcome, and the evidence for it in words."""


class Verdict(Document):
    """Outcome of one point of the gate, and its evidence.

    Parameters
    ----------
    point, name
        Number of the point, from 1, and its name.
    outcome, evidence
        ``pass``, ``refuse`` or ``wait`` (a person decides), and the reason in words.
    """

    point: int
    name: str
    outcome: Outcome
    evidence: str


class Verdicts(Document):
    """Verdicts on all points of the gate, about one version of one model.

    Parameters
    ----------
    model, version, collection
        The version, and the collection that it was trained on.
    champion_version
        Version that it was compared with; None if there was no champion.
    points
        Verdicts in the order of the gate's numbers.
    """

    model: str
    version: str
    collection: str
    champion_version: str | None
    points: tuple[Verdict, ...]

    @property
    def refused(self) -> tuple[Verdict, ...]:
        """The points that refuse a promotion."""
        return tuple(verdict for verdict in self.points if verdict.outcome == REFUSE)

    @property
    def waiting(self) -> tuple[Verdict, ...]:
        """The points that a person has to decide."""
        return tuple(verdict for verdict in self.points if verdict.outcome == WAIT)

    @property
    def promotes(self) -> bool:
        """Whether the candidate becomes champion by itself."""
        return not self.refused and not self.waiting

    def table(self) -> pl.DataFrame:
        """Rows of table ``gate_verdicts``."""
        return pl.DataFrame([verdict.model_dump() for verdict in self.points]).select(
            pl.lit(self.model).alias("model"),
            pl.lit(self.version).alias("model_version"),
            *("point", "name", "outcome", "evidence"),
            pl.lit(self.collection).alias("collection_id"),
            pl.lit(self.champion_version, pl.String).alias("champion_version"),
        )


_HISTOGRAMS: Final = "sklearn.ensemble._hist_gradient_boosting"

ALLOWED_TYPES: Final = frozenset(
    {
        *("builtins.dict", "builtins.list", "builtins.str", "builtins.tuple"),
        *("numpy.ndarray", "numpy.float64", "numpy.uint64", "numpy.random._generator.Generator"),
        "sklearn.pipeline.Pipeline",
        "sklearn.preprocessing._data.StandardScaler",
        "sklearn.preprocessing._label.LabelEncoder",
        "sklearn.decomposition._pca.PCA",
        "sklearn.discriminant_analysis.LinearDiscriminantAnalysis",
        *(f"genept.models.drug_response.pipeline.{kind}" for kind in ("OfLines", "WithinDrug")),
        "sklearn.linear_model._logistic.LogisticRegression",
        "sklearn.neighbors._classification.KNeighborsClassifier",
        f"{_HISTOGRAMS}.gradient_boosting.HistGradientBoostingClassifier",
        f"{_HISTOGRAMS}.binning._BinMapper",
        f"{_HISTOGRAMS}.predictor.TreePredictor",
        *(f"sklearn._loss.loss.Half{kind}Loss" for kind in ("Binomial", "Multinomial")),
        *(f"sklearn._loss._loss.CyHalf{kind}Loss" for kind in ("Binomial", "Multinomial")),
        *(f"sklearn._loss.link.{kind}" for kind in ("Interval", "LogitLink", "MultinomialLogit")),
    }
)
"""Every type that a model of this platform consists of."""

FORMER_MODULES: Final = {"genept.models.drug_pipeline": "genept.models.drug_response.pipeline"}
"""Modules that files of earlier versions name, and the modules that define the same types now."""


class ModelRefusedError(StoreError):
    """A model file was changed, or names a type that is not allowed."""


def dump_pipeline(pipeline: Pipeline) -> bytes:
    """The pipeline as a skops file.

    Raises
    ------
    ModelRefusedError
        If it consists of a type that is not on the list: it could not be loaded again.
    """
    import skops.io  # loads all of scikit-learn, which most runs do not need

    data: bytes = skops.io.dumps(pipeline)
    _refuse_other_types(data, "the model that was to be stored")
    return data


def load_pipeline(data: bytes, sha256: str, *, where: str) -> Pipeline:
    """Rebuild a pipeline from a skops file whose hash is known.

    Parameters
    ----------
    where
        Address of the file, for the error.

    Raises
    ------
    ModelRefusedError
        If the bytes do not have the hash, or name a type that is not on the list. Nothing
        of the file was rebuilt.
    """
    import skops.io  # see dump_pipeline

    if (actual := hashlib.sha256(data).hexdigest()) != sha256:
        raise ModelRefusedError(
            f"{where} was not loaded: its SHA-256 is {actual}, its manifest says {sha256}; "
            "roll back with `genept models rollback`, and find out who wrote it"
        )
    data = _with_present_modules(data, where)
    _refuse_other_types(data, where)
    trusted = sorted(set(skops.io.get_untrusted_types(data=data)) & ALLOWED_TYPES)
    pipeline = skops.io.loads(data, trusted=trusted)
    if not isinstance(pipeline, Pipeline):
        raise ModelRefusedError(f"{where} holds a {type(pipeline).__name__}, not a Pipeline")
    return pipeline


def stored_types(data: bytes, *, where: str) -> frozenset[str]:
    """Every type that a skops file names, without rebuilding any."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            return frozenset(_types(json.loads(file.read("schema.json"))))
    except (zipfile.BadZipFile, KeyError, json.JSONDecodeError) as error:
        raise ModelRefusedError(f"{where} is not a skops file: {error}") from error


def _refuse_other_types(data: bytes, where: str) -> None:
    if other := sorted(stored_types(data, where=where) - ALLOWED_TYPES):
        raise ModelRefusedError(
            f"{where} was refused: it names {', '.join(other)}, which no model of this platform "
            "consists of (genept/models/stored_models.py has the list)"
        )


def _with_present_modules(data: bytes, where: str) -> bytes:
    """The file as a present version writes it: types under the modules that define them now."""
    if not any(
        name.rpartition(".")[0] in FORMER_MODULES for name in stored_types(data, where=where)
    ):
        return data

    def renamed(node: dict[str, Any]) -> dict[str, Any]:
        module = node.get("__module__")
        if isinstance(module, str):
            node["__module__"] = FORMER_MODULES.get(module, module)
        return node

    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(written, "w") as new:
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename == "schema.json":
                content = json.dumps(json.loads(content, object_hook=renamed)).encode()
            new.writestr(entry, content)
    return written.getvalue()


def _types(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "__class__" in node:
            yield f"{node.get('__module__')}.{node['__class__']}"
        for child in node.values():
            yield from _types(child)
    elif isinstance(node, list):
        for child in node:
            yield from _types(child)


class NamedVersion(Document):
    """A version, and the hash of its manifest."""

    version: str
    manifest_sha256: str


class ChampionPointer(Document):
    """`champion.json`: the champion first, then up to four before it."""

    format: Literal[1] = 1
    seq: int
    models: tuple[NamedVersion, ...]
    reason: str
    swapped_at: str
    nonce: str = ""

    @property
    def champion(self) -> NamedVersion:
        """The champion."""
        return self.models[0]


class Shadow(Document):
    """Since when a challenger predicts beside the champion, unpublished."""

    model: str
    version: str
    since: str


@dataclass(frozen=True)
class ModelFiles:
    """Files of a model, and how far another fit and the stored file are from it.

    Parameters
    ----------
    pipeline, probe, domain
        Its Pipeline, its probe set, and the domain of its training samples.
    refit_difference, reload_difference
        Largest difference in probability on the probe set, after training again and after
        loading the file.
    """

    pipeline: bytes
    probe: bytes
    domain: bytes
    refit_difference: float
    reload_difference: float


@dataclass(frozen=True)
class TrainedModel:
    """A model to be stored in the registry."""

    manifest: ModelManifest
    files: ModelFiles
    evidence: ModelEvidence
    card: str
