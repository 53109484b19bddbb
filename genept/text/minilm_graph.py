"""The ONNX graph of all-MiniLM-L6-v2, built around its published weights with `onnx.helper`.

A BERT encoder (Devlin et al. 2019) with mean pooling over the attention mask and
L2 normalisation inside the graph, as in Sentence-BERT (Reimers & Gurevych 2019). Layer sizes
come from the weights' shapes. Tokenising and running the graph belong to
`genept.text.minilm`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import onnx

Weights = Mapping[str, npt.NDArray[Any]]

GRAPH_VERSION = 1
"""Raise it with every change that alters the graph's bytes: cached graphs are named by it."""

OPSET = 20
IR_VERSION = 9
LAYER_NORM_EPSILON = 1e-12
MASKED = -1e9
"""Added to the attention scores of padding; far below any score, far from float32's limit."""


def build_graph(weights: Weights, *, heads: int = 12) -> bytes:
    """Build the encoder as a serialised float32 ONNX model; the same weights give the same bytes.

    The graph takes ``input_ids`` and ``attention_mask``, int64 of shape (batch, sequence), and
    returns ``embedding``, float32 of shape (batch, hidden), rows of unit length. All tokens are
    of segment 0, whose embedding is folded into the positions'.

    Parameters
    ----------
    weights
        Arrays under the names that BERT checkpoints use in safetensors files.
    heads
        Attention heads; the one size that the weights' shapes do not tell.

    Raises
    ------
    ValueError
        If a weight is missing or the hidden size does not divide into `heads`.
    """
    import onnx

    try:
        model = _Encoder(weights, heads).model()
    except KeyError as missing:
        raise ValueError(f"these weights are not a BERT encoder: {missing} is missing") from None
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


class _Encoder:
    """Collects nodes and initialisers; each method adds one part of the network."""

    def __init__(self, weights: Weights, heads: int) -> None:
        self.weights = weights
        self.heads = heads
        self.hidden = int(weights["embeddings.word_embeddings.weight"].shape[1])
        if self.hidden % heads:
            raise ValueError(f"hidden size {self.hidden} does not divide into {heads} heads")
        self.layers = sum(name.endswith("attention.self.query.weight") for name in weights)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def model(self) -> onnx.ModelProto:
        from onnx import TensorProto, helper

        mask = self.op("Cast", "attention_mask", to=TensorProto.FLOAT)
        mask_columns = self.op("Unsqueeze", mask, self.integers("axes_1_2", [1, 2]))
        bias = self.op(
            "Mul",
            self.op("Sub", self.scalar("one", 1.0), mask_columns),
            self.scalar("masked", MASKED),
        )
        state = self.embeddings()
        for layer in range(self.layers):
            state = self.layer(f"encoder.layer.{layer}", state, bias)
        self.pooling(state, mask)

        tokens = ["batch", "sequence"]
        graph = helper.make_graph(
            self.nodes,
            "sentence_encoder",
            [
                helper.make_tensor_value_info("input_ids", TensorProto.INT64, tokens),
                helper.make_tensor_value_info("attention_mask", TensorProto.INT64, tokens),
            ],
            [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", self.hidden])],
            initializer=list(self.constants.values()),
        )
        return helper.make_model(
            graph,
            producer_name="genept",
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
        )

    def embeddings(self) -> str:
        positions = (
            self.weights["embeddings.position_embeddings.weight"]
            + self.weights["embeddings.token_type_embeddings.weight"][0]
        )
        words = self.op(
            "Gather", self.weight("embeddings.word_embeddings.weight"), "input_ids", axis=0
        )
        length = self.op("Shape", "input_ids", start=1, end=2)
        places = self.op(
            "Slice", self.constant("positions", positions), self.integers("start", [0]), length
        )
        return self.layer_norm("embeddings.LayerNorm", self.op("Add", words, places))

    def layer(self, name: str, state: str, bias: str) -> str:
        attended = self.attention(f"{name}.attention", state, bias)
        state = self.layer_norm(
            f"{name}.attention.output.LayerNorm", self.op("Add", attended, state)
        )
        inner = self.op(
            "Gelu", self.linear(f"{name}.intermediate.dense", state), approximate="none"
        )
        outer = self.linear(f"{name}.output.dense", inner)
        return self.layer_norm(f"{name}.output.LayerNorm", self.op("Add", outer, state))

    def attention(self, name: str, state: str, bias: str) -> str:
        size = self.hidden // self.heads
        query = self.split_heads(self.linear(f"{name}.self.query", state), [0, 2, 1, 3])
        # Keys come out transposed, ready to be multiplied with.
        key = self.split_heads(self.linear(f"{name}.self.key", state), [0, 2, 3, 1])
        value = self.split_heads(self.linear(f"{name}.self.value", state), [0, 2, 1, 3])
        scores = self.op(
            "Div", self.op("MatMul", query, key), self.scalar("root_of_size", math.sqrt(size))
        )
        shares = self.op("Softmax", self.op("Add", scores, bias), axis=-1)
        mixed = self.op("Transpose", self.op("MatMul", shares, value), perm=[0, 2, 1, 3])
        joined = self.op("Reshape", mixed, self.integers("joined", [0, 0, self.hidden]))
        return self.linear(f"{name}.output.dense", joined)

    def pooling(self, state: str, mask: str) -> None:
        """Mean over the tokens of the text, then unit length.

        The sum will do for the mean: a positive factor does not survive the normalisation.
        """
        kept = self.op("Unsqueeze", mask, self.integers("axis_1", [1]))
        pooled = self.op("Squeeze", self.op("MatMul", kept, state), self.integers("axis_1", [1]))
        self.op("LpNormalization", pooled, output="embedding", axis=-1, p=2)

    def split_heads(self, projected: str, order: list[int]) -> str:
        shape = self.integers("heads", [0, 0, self.heads, self.hidden // self.heads])
        return self.op("Transpose", self.op("Reshape", projected, shape), perm=order)

    def linear(self, name: str, state: str) -> str:
        # Checkpoints hold (output, input); MatMul from the right needs (input, output).
        matrix = self.constant(f"{name}.weight", self.weights[f"{name}.weight"].T)
        return self.op("Add", self.op("MatMul", state, matrix), self.weight(f"{name}.bias"))

    def layer_norm(self, name: str, state: str) -> str:
        return self.op(
            "LayerNormalization",
            state,
            self.weight(f"{name}.weight"),
            self.weight(f"{name}.bias"),
            axis=-1,
            epsilon=LAYER_NORM_EPSILON,
        )

    def op(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        from onnx import helper

        name = output or f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def weight(self, name: str) -> str:
        return self.constant(name, self.weights[name])

    def scalar(self, name: str, value: float) -> str:
        return self.constant(name, np.asarray(value, dtype=np.float32))

    def integers(self, name: str, values: list[int]) -> str:
        return self.constant(name, np.asarray(values, dtype=np.int64))

    def constant(self, name: str, values: npt.NDArray[Any]) -> str:
        from onnx import numpy_helper

        if name not in self.constants:
            type_ = values.dtype if values.dtype == np.int64 else np.float32
            self.constants[name] = numpy_helper.from_array(
                np.asarray(values, dtype=type_, order="C"), name
            )
        return name
