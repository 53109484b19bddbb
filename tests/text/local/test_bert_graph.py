"""The ONNX graph on small random weights, against the plain NumPy reading of the same network."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_bert import random_weights, sentence_vector

from genept.text.local.architectures import Architecture
from genept.text.local.bert_graph import build_graph


def run(graph: bytes, texts: list[list[int]], width: int, padding: int = 0) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    ids = np.full((len(texts), width), padding, dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, tokens in enumerate(texts):
        ids[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
    (embedding,) = session.run(["embedding"], {"input_ids": ids, "attention_mask": mask})
    return embedding


@pytest.mark.parametrize(
    ("layers", "hidden", "heads"), [(1, 32, 4), (2, 32, 4), (2, 48, 12), (3, 16, 1)]
)
def test_graph_agrees_with_the_plain_forward_pass(layers: int, hidden: int, heads: int) -> None:
    weights = random_weights(hidden=hidden, layers=layers)
    rng = np.random.default_rng(1)
    texts = [rng.integers(0, 100, size).tolist() for size in (1, 2, 7, 30, 40)]
    got = run(build_graph(weights, Architecture(heads=heads)), texts, width=40)
    expected = np.array([sentence_vector(weights, tokens, heads) for tokens in texts])
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, atol=1e-5)


SMALL = random_weights(hidden=16, layers=2)
SMALL_GRAPH = build_graph(SMALL, Architecture(heads=2))


@settings(max_examples=30, deadline=None)
@given(
    tokens=st.lists(st.integers(0, 99), min_size=1, max_size=20),
    extra=st.integers(0, 200),
    padding=st.integers(0, 99),
)
def test_padding_does_not_matter(tokens: list[int], extra: int, padding: int) -> None:
    alone = run(SMALL_GRAPH, [tokens], len(tokens))
    padded = run(SMALL_GRAPH, [tokens, [5] * (len(tokens) + extra)], len(tokens) + extra, padding)
    np.testing.assert_allclose(padded[0], alone[0], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(padded, axis=1), 1.0, atol=1e-5)


def test_order_of_tokens_matters() -> None:
    there, back = run(SMALL_GRAPH, [[3, 4, 5], [5, 4, 3]], 3)
    assert np.abs(there - back).max() > 1e-3


def test_same_weights_give_the_same_bytes_and_others_do_not() -> None:
    shuffled = dict(reversed(SMALL.items()))
    assert build_graph(shuffled, Architecture(heads=2)) == SMALL_GRAPH
    assert (
        build_graph(random_weights(hidden=16, layers=2, seed=1), Architecture(heads=2))
        != SMALL_GRAPH
    )


def test_half_precision_weights_become_float32() -> None:
    half = {name: values.astype(np.float16) for name, values in SMALL.items()}
    whole = {name: values.astype(np.float32) for name, values in half.items()}
    got = run(build_graph(half, Architecture(heads=2)), [[1, 2, 3]], 3)
    np.testing.assert_allclose(got[0], sentence_vector(whole, [1, 2, 3], 2), atol=2e-3)
    assert got.dtype == np.float32


def test_missing_weight_is_named() -> None:
    incomplete = {
        name: v for name, v in SMALL.items() if name != "encoder.layer.1.output.dense.bias"
    }
    with pytest.raises(ValueError, match=r"encoder\.layer\.1\.output\.dense\.bias' is missing"):
        build_graph(incomplete, Architecture(heads=2))


def test_heads_must_divide_the_hidden_size() -> None:
    with pytest.raises(ValueError, match="hidden size 16 does not divide into 3 heads"):
        build_graph(SMALL, Architecture(heads=3))
