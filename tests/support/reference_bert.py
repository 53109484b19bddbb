"""BERT's forward pass in plain NumPy float64: the independent reference for encoders.

Written from Devlin et al. 2019 and the pooling of Reimers & Gurevych 2019, one text at a time and
without any padding, so that it shares no implementation detail with the ONNX graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import erf, softmax

Array = npt.NDArray[np.float64]

TOY_WORDS = [f"w{number}" for number in range(90)]
"""Vocabulary of the toy tokenizer, after four special tokens."""


def sentence_vector(
    weights: Mapping[str, npt.NDArray[Any]], ids: Sequence[int], heads: int
) -> Array:
    """The unit vector of one text, given as token ids with its special tokens."""
    mean = token_vectors(weights, ids, heads).mean(axis=0)
    unit: Array = mean / np.linalg.norm(mean)
    return unit


def token_vectors(
    weights: Mapping[str, npt.NDArray[Any]],
    ids: Sequence[int],
    heads: int,
    *,
    first_position: int = 0,
    epsilon: float = 1e-12,
    gelu: Callable[[Array], Array] = lambda x: x * (1 + erf(x / np.sqrt(2))) / 2,
    attention_bias: Array | None = None,
) -> Array:
    """Last hidden state of one text: tokens × dimensions; `attention_bias` is by head."""

    def w(name: str) -> Array:
        return weights[name].astype(np.float64, copy=False)

    def linear(name: str, x: Array) -> Array:
        return x @ w(f"{name}.weight").T + w(f"{name}.bias")

    def layer_norm(name: str, x: Array) -> Array:
        centred = x - x.mean(axis=-1, keepdims=True)
        scale = np.sqrt(x.var(axis=-1, keepdims=True) + epsilon)
        return centred / scale * w(f"{name}.weight") + w(f"{name}.bias")

    def attention(name: str, x: Array) -> Array:
        query, key, value = (linear(f"{name}.self.{part}", x) for part in ("query", "key", "value"))
        size = x.shape[1] // heads
        mixed = np.empty_like(x)
        for head in range(heads):
            of_head = slice(head * size, (head + 1) * size)
            scores = query[:, of_head] @ key[:, of_head].T / np.sqrt(size)
            if attention_bias is not None:
                scores = scores + attention_bias[head]
            mixed[:, of_head] = softmax(scores, axis=-1) @ value[:, of_head]
        return linear(f"{name}.output.dense", mixed)

    x = weights["embeddings.word_embeddings.weight"][list(ids)].astype(np.float64)
    x = x + w("embeddings.position_embeddings.weight")[first_position:][: len(ids)]
    if "embeddings.token_type_embeddings.weight" in weights:
        x = x + w("embeddings.token_type_embeddings.weight")[0]
    x = layer_norm("embeddings.LayerNorm", x)
    n_layers = sum(name.endswith("intermediate.dense.bias") for name in weights)
    for name in (f"encoder.layer.{number}" for number in range(n_layers)):
        x = layer_norm(f"{name}.attention.output.LayerNorm", x + attention(f"{name}.attention", x))
        inner = gelu(linear(f"{name}.intermediate.dense", x))
        x = layer_norm(f"{name}.output.LayerNorm", x + linear(f"{name}.output.dense", inner))
    return x


def random_weights(
    *, vocabulary: int = 100, positions: int = 256, hidden: int = 48, layers: int = 2, seed: int = 0
) -> dict[str, npt.NDArray[np.float32]]:
    """Weights of a small BERT with every bias and scale off its trivial value."""
    rng = np.random.default_rng(seed)
    sizes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (vocabulary, hidden),
        "embeddings.position_embeddings.weight": (positions, hidden),
        "embeddings.token_type_embeddings.weight": (2, hidden),
        "embeddings.LayerNorm.weight": (hidden,),
        "embeddings.LayerNorm.bias": (hidden,),
    }
    for number in range(layers):
        name = f"encoder.layer.{number}"
        linears = {
            "attention.self.query": (hidden, hidden),
            "attention.self.key": (hidden, hidden),
            "attention.self.value": (hidden, hidden),
            "attention.output.dense": (hidden, hidden),
            "intermediate.dense": (4 * hidden, hidden),
            "output.dense": (hidden, 4 * hidden),
        }
        for linear, shape in linears.items():
            sizes[f"{name}.{linear}.weight"] = shape
            sizes[f"{name}.{linear}.bias"] = shape[:1]
        for norm in ("attention.output.LayerNorm", "output.LayerNorm"):
            sizes[f"{name}.{norm}.weight"] = (hidden,)
            sizes[f"{name}.{norm}.bias"] = (hidden,)
    return {
        name: rng.normal(0.0, 0.5, size=shape).astype(np.float32) for name, shape in sizes.items()
    }
