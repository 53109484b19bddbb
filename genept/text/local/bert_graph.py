"""The ONNX graph of an encoder of the BERT family, built around its weights with `onnx.helper`.

BERT (Devlin et al. 2019) or a relative of it, with pooling and, if wanted, L2 normalisation inside
the graph, as in Sentence-BERT (Reimers & Gurevych 2019). Layer sizes come from the weights' shapes,
the rest from `genept.text.local.architectures`. Tokenising and running the graph belong to
`genept.text.local.bert`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import numpy.typing as npt

from genept.text.local.architectures import Architecture, Weights

if TYPE_CHECKING:
    import onnx

Pooling = Literal["mean", "cls", "last"]

GRAPH_VERSION = 1
"""Raise it with every change that alters the graph's bytes: cached graphs are named by it."""

OPSET = 20
IR_VERSION = 9
MASKED = -1e9
"""Added to the attention scores of padding; far below any score, far from float32's limit."""

POSITIONS: Final = "embeddings.position_embeddings.weight"
SEGMENTS: Final = "embeddings.token_type_embeddings.weight"
DISTANCES: Final = "encoder.relative_attention_bias.weight"
FARTHEST: Final = 128
"""Distance of tokens from which on relative attention tells none apart."""


def build_graph(
    weights: Weights,
    architecture: Architecture | None = None,
    *,
    pooling: Pooling = "mean",
    normalised: bool = True,
    longest: int = 512,
) -> bytes:
    """Build the encoder as a serialised float32 ONNX model; the same weights give the same bytes.

    The graph takes ``input_ids`` and ``attention_mask``, int64 of shape (batch, sequence), padded
    on the right, and returns ``embedding``, float32 of shape (batch, hidden). All tokens are of
    segment 0, whose embedding is folded into the positions'.

    Parameters
    ----------
    weights
        Arrays under the names that BERT checkpoints use in safetensors files.
    architecture
        What the weights' shapes do not tell; None: MiniLM's.
    pooling
        Which tokens make the vector: the mean of all, the first, or the last.
    normalised
        Whether vectors have unit length.
    longest
        Most tokens of a text, where attention is relative.

    Raises
    ------
    ValueError
        If a weight is missing or the hidden size does not divide into the heads.
    """
    import onnx

    try:
        encoder = _Encoder(weights, architecture or Architecture(), longest)
        model = encoder.model(pooling, normalised=normalised)
    except KeyError as missing:
        raise ValueError(f"these weights are not a BERT encoder: {missing} is missing") from None
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def distance_buckets(longest: int, buckets: int) -> npt.NDArray[np.int64]:
    """Which row of the table of distances each pair of positions has; shape (longest, longest).

    Half of the rows are for tokens that come later. Of each half, the first half is one row for
    each distance, the rest are rows for distances that grow by a factor (Raffel et al. 2020).
    """
    position = np.arange(longest)
    distance = position[:, None] - position[None, :]  # of a query to a key
    half = buckets // 2
    exact = half // 2
    magnitude = np.abs(distance)
    growth = np.log(np.maximum(magnitude, 1) / exact) / np.log(FARTHEST / exact)
    far = np.minimum(exact + (growth.astype(np.float32) * (half - exact)).astype(int), half - 1)
    near = np.where(magnitude < exact, magnitude, far)
    return np.asarray(near + half * (distance < 0), dtype=np.int64)


class _Encoder:
    """Collects nodes and initialisers; each method adds one part of the network."""

    def __init__(self, weights: Weights, architecture: Architecture, longest: int) -> None:
        self.weights = weights
        self.architecture = architecture
        self.heads = heads = architecture.heads
        self.longest = longest
        self.hidden = int(weights["embeddings.word_embeddings.weight"].shape[1])
        if self.hidden % heads:
            raise ValueError(f"hidden size {self.hidden} does not divide into {heads} heads")
        self.layers = sum(name.endswith("attention.self.query.weight") for name in weights)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def model(self, pooling: Pooling, *, normalised: bool) -> onnx.ModelProto:
        from onnx import TensorProto, helper

        mask = self.op("Cast", "attention_mask", to=TensorProto.FLOAT)
        mask_columns = self.op("Unsqueeze", mask, self.integers("axes_1_2", [1, 2]))
        bias = self.op(
            "Mul",
            self.op("Sub", self.scalar("one", 1.0), mask_columns),
            self.scalar("masked", MASKED),
        )
        if self.architecture.buckets:
            bias = self.op("Add", bias, self.relative_bias(self.architecture.buckets))
        state = self.embeddings()
        for layer in range(self.layers):
            state = self.layer(f"encoder.layer.{layer}", state, bias)
        self.pooling(state, mask, pooling, normalised=normalised)

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
        positions = self.weights[POSITIONS][self.architecture.first_position :]
        if SEGMENTS in self.weights or self.architecture.network == "bert":
            positions = positions + self.weights[SEGMENTS][0]
        words = self.op(
            "Gather", self.weight("embeddings.word_embeddings.weight"), "input_ids", axis=0
        )
        length = self.op("Shape", "input_ids", start=1, end=2)
        places = self.op(
            "Slice", self.constant("positions", positions), self.integers("start", [0]), length
        )
        return self.layer_norm("embeddings.LayerNorm", self.op("Add", words, places))

    def relative_bias(self, buckets: int) -> str:
        """What is added to the scores of attention for the distance of two tokens."""
        rows = self.weights[DISTANCES][distance_buckets(self.longest, buckets)]
        table = self.constant("distances", np.transpose(rows, (2, 0, 1))[None])
        length = self.op("Shape", "input_ids", start=1, end=2)
        ends = self.op("Concat", length, length, axis=0)
        starts, axes = self.integers("starts", [0, 0]), self.integers("last_axes", [2, 3])
        return self.op("Slice", table, starts, ends, axes)

    def layer(self, name: str, state: str, bias: str) -> str:
        attended = self.attention(f"{name}.attention", state, bias)
        state = self.layer_norm(
            f"{name}.attention.output.LayerNorm", self.op("Add", attended, state)
        )
        inner = self.activated(self.linear(f"{name}.intermediate.dense", state))
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

    def activated(self, state: str) -> str:
        if self.architecture.activation == "relu":
            return self.op("Relu", state)
        is_exact = self.architecture.activation == "gelu"
        return self.op("Gelu", state, approximate="none" if is_exact else "tanh")

    def pooling(self, state: str, mask: str, pooling: Pooling, *, normalised: bool) -> None:
        """Weighted sum over the tokens, then unit length.

        Where vectors have unit length the sum will do for the mean: a positive factor does not
        survive the normalisation.
        """
        if pooling != "mean":
            mask = self.only_token(mask, pooling)
        kept = self.op("Unsqueeze", mask, self.integers("axis_1", [1]))
        name = None if normalised or pooling == "mean" else "embedding"
        product = self.op("MatMul", kept, state)
        pooled = self.op("Squeeze", product, self.integers("axis_1", [1]), output=name)
        if normalised:
            self.op("LpNormalization", pooled, output="embedding", axis=-1, p=2)
        elif pooling == "mean":
            count = self.op("ReduceSum", mask, self.integers("axis_1", [1]), keepdims=1)
            self.op("Div", pooled, count, output="embedding")

    def only_token(self, mask: str, pooling: Pooling) -> str:
        """A mask of the first or the last token of each text."""
        unit, axis = self.integers("one_step", [1]), self.integers("axis_1", [1])
        start, end = self.integers("start", [0]), self.integers("end", [np.iinfo(np.int64).max])
        first = self.op("Slice", mask, start, unit, axis)
        nothing = self.op("Sub", first, first)
        following = self.op("Slice", mask, unit, end, axis)
        if pooling == "cls":
            return self.op("Concat", first, self.op("Sub", following, following), axis=1)
        return self.op("Sub", mask, self.op("Concat", following, nothing, axis=1))

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
            epsilon=self.architecture.epsilon,
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
