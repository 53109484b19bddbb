"""The probe set: a few samples, and what a model said of them when it was trained.

A model that was stored, or trained again, must say the same to one part in a million.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from genept.models.heads import DiagnosisModel

PROBE_TOLERANCE: Final = 1e-6


def probe_bytes(model: DiagnosisModel, features: NDArray[np.float32]) -> bytes:
    """The probe set: features of a few samples, and what the model says of them."""
    seen = np.ascontiguousarray(features, dtype=np.float32)
    expected = model.probabilities({model.contender.representation: seen})
    data: bytes = save({"features": seen, "probabilities": np.ascontiguousarray(expected)})
    return data


def probe_difference(model: DiagnosisModel, probe: Mapping[str, NDArray[np.float64]]) -> float:
    """Largest difference between what a model says of the probe set and what it said."""
    features = {model.contender.representation: probe["features"].astype(np.float32)}
    return float(np.abs(model.probabilities(features) - probe["probabilities"]).max())
