"""Models as bytes: skops under an exact list of types, never pickle, checked before loading.

The list names every class that a file may rebuild, scikit-learn's own included: a file
that names any other is not opened.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any, Final

import skops.io
from sklearn.pipeline import Pipeline

from genept.store.errors import StoreError

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
        *("genept.models.drug_pipeline.OfLines", "genept.models.drug_pipeline.WithinDrug"),
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


class ModelRefusedError(StoreError):
    """A model file is not what was stored, or holds what a model has no need of."""


def dump_pipeline(pipeline: Pipeline) -> bytes:
    """The pipeline as a skops file.

    Raises
    ------
    ModelRefusedError
        If it consists of a type that is not on the list: it could not be loaded again.
    """
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
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise ModelRefusedError(
            f"{where} was not loaded: its SHA-256 is {found}, its manifest says {sha256}; "
            "roll back with `genept models rollback`, and find out who wrote it"
        )
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
            "consists of (genept/models/persistence.py has the list)"
        )


def _types(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "__class__" in node:
            yield f"{node.get('__module__')}.{node['__class__']}"
        for child in node.values():
            yield from _types(child)
    elif isinstance(node, list):
        for child in node:
            yield from _types(child)
