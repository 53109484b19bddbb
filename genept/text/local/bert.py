"""An encoder of the BERT family on onnxruntime: neither an account nor torch is needed.

Tokenising, batching without wasted padding, prefixes, pooling and cutting of vectors. The network
itself is in `genept.text.local.bert_graph`; finding and opening a model's files is
`genept.text.local.opening`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from copy import copy
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from genept.text.embedders import EmbeddingError, UnusableModelError
from genept.text.local.bert_graph import Pooling
from genept.text.local.local_models import LocalModel
from genept.text.local.tokenizing import encodings, open_tokenizer

BATCH_TOKENS = 2048
"""Padded tokens a batch: on two cores throughput is flat from 1,024 on, memory grows with it."""

HIDDEN: Final = ("last_hidden_state", "token_embeddings")
"""Outputs of published ONNX files that hold a vector of each token."""

INPUTS: Final = frozenset({"input_ids", "attention_mask", "token_type_ids"})

TokenIds = npt.NDArray[np.int64]
Vectors = npt.NDArray[np.float32]


class BertEmbedder:
    """Embeds texts with an encoder; make it with `open_local_model`.

    Parameters
    ----------
    model
        Its declaration.
    graph
        ONNX model, or the file that holds it. With an output ``embedding`` pooling is part of it;
        else it has one of `HIDDEN`, and vectors are pooled here.
    tokenizer
        Content of the model's ``tokenizer.json``.
    weights_sha256
        SHA-256 of the weights.
    network
        How the weights are run; part of the identity.
    threads
        Threads of one inference.
    """

    dollars_per_million_tokens = 0.0

    def __init__(
        self,
        model: LocalModel,
        graph: bytes | Path,
        tokenizer: bytes,
        *,
        weights_sha256: str,
        network: str,
        threads: int,
    ) -> None:
        self.model, self.id = model, model.id
        self.max_tokens, self.unit_norm = model.max_tokens, model.normalised
        self.session = _session(graph, threads)
        self._output, length = _output(self.session, model.id)
        self.dimensions = _dimensions(model, length)
        self._inputs = {each.name for each in self.session.get_inputs()}
        if unknown := sorted(self._inputs - INPUTS):
            raise UnusableModelError(f"{model.id}: its ONNX file asks for inputs {unknown}")
        self._tokenizer = open_tokenizer(tokenizer, model.max_tokens)
        # What is counted must be the whole text.
        self._untruncated = open_tokenizer(tokenizer, None)
        self._empty = {
            prefix: self._tokenizer.encode(prefix).ids
            for prefix in (model.passage_prefix, model.query_prefix)
        }
        # onnxruntime's version is left out: its rounding, 1e-7, is no reason to embed anew.
        self._made_of = (
            f"{model.id}:weights={weights_sha256}"
            f":tokenizer={hashlib.sha256(tokenizer).hexdigest()}"
            f":max_tokens={model.max_tokens}:{network}"
        )
        if self.dimensions != length:
            self._made_of += f":dimensions={self.dimensions}"
        self.identity = self._made_of + self._differences()

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed `texts`; a text that occurs several times is embedded once.

        Returns
        -------
        ndarray of float32, shape (len(texts), dimensions), in input order

        Raises
        ------
        EmbeddingError
            If a text is empty or has no token that the model reads.
        """
        return self._embedded(texts, self.model.passage_prefix)

    def for_queries(self) -> BertEmbedder:
        """The same model, which puts before each text what stands before a query."""
        queries = copy(self)
        queries.model = self.model.model_copy(update={"passage_prefix": self.model.query_prefix})
        queries.identity = self._made_of + queries._differences()
        return queries

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, special ones included, before anything is cut."""
        return [len(encoding.ids) for encoding in encodings(self._untruncated, texts)]

    def _differences(self) -> str:
        """What the declaration says about vectors, where it is not what MiniLM's says."""
        model = self.model
        differences = "" if model.pooling == "mean" else f":pooling={model.pooling}"
        if not model.normalised:
            differences += ":unit_norm=no"
        if prefix := model.passage_prefix:
            differences += f":prefix={hashlib.sha256(prefix.encode()).hexdigest()[:16]}"
        return differences

    def _embedded(self, texts: Sequence[str], prefix: str) -> Vectors:
        first: dict[str, int] = {}
        distinct_of = np.array([first.setdefault(text, len(first)) for text in texts], dtype=int)
        prefixed = [prefix + text for text in first] if prefix else list(first)
        ids = [
            np.array(encoding.ids, dtype=np.int64)
            for encoding in encodings(self._tokenizer, prefixed)
        ]
        empty = self._empty[prefix]
        for position, tokens in enumerate(ids):
            if len(tokens) <= len(empty) and tokens.tolist() == empty[: len(tokens)]:
                row = int(np.flatnonzero(distinct_of == position)[0])
                raise EmbeddingError(
                    f"text {row} is empty or has no readable token: {texts[row]!r}; "
                    f"leave it out and account for it"
                )
        vectors = np.empty((len(first), self.dimensions), dtype=np.float32)
        for batch in _batches([len(tokens) for tokens in ids]):
            vectors[batch] = self._cut(self._run([ids[position] for position in batch]))
        return np.asarray(vectors[distinct_of])

    def _run(self, batch: Sequence[TokenIds]) -> Vectors:
        width = max(len(tokens) for tokens in batch)
        ids = np.zeros((len(batch), width), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, tokens in enumerate(batch):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        feed = {name: values for name, values in feed.items() if name in self._inputs}
        output = np.asarray(self.session.run([self._output], feed)[0])
        if self._output == "embedding":
            return output
        pooled = _pooled(output.astype(np.float32, copy=False), mask, self.model.pooling)
        return _unit(pooled) if self.unit_norm else pooled

    def _cut(self, vectors: Vectors) -> Vectors:
        if vectors.shape[1] == self.dimensions:
            return vectors
        cut = vectors[:, : self.dimensions]
        return _unit(cut) if self.unit_norm else cut


def _dimensions(model: LocalModel, length: int) -> int:
    if (model.dimensions or 0) > length:
        raise UnusableModelError(
            f"{model.id} has vectors of {length} dimensions, and {model.dimensions} are declared"
        )
    return model.dimensions or length


def _output(session: Any, id_: str) -> tuple[str, int]:
    """Name of the output that is read, and its last dimension."""
    outputs = {output.name: output.shape for output in session.get_outputs()}
    for name in ("embedding", *HIDDEN):
        if name in outputs and isinstance(outputs[name][-1], int):
            return name, int(outputs[name][-1])
    raise UnusableModelError(
        f"{id_}: its ONNX file has outputs {sorted(outputs)}, and none of {list(HIDDEN)} with a "
        "stated number of dimensions"
    )


def _pooled(states: Vectors, mask: TokenIds, pooling: Pooling) -> Vectors:
    """Vectors of texts of those of their tokens, padded on the right."""
    if pooling == "cls":
        return states[:, 0]
    if pooling == "last":
        return np.asarray(states[np.arange(len(states)), mask.sum(axis=1) - 1])
    weights = (mask / mask.sum(axis=1, keepdims=True)).astype(np.float32)
    return np.asarray(np.einsum("ts,tsd->td", weights, states))


def _unit(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def _session(graph: bytes | Path, threads: int) -> Any:
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    source = str(graph) if isinstance(graph, Path) else graph
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def _batches(lengths: Sequence[int]) -> Iterator[npt.NDArray[np.intp]]:
    """Positions of texts of like length, longest first: what does not fit fails at once."""
    order = np.argsort(np.negative(lengths), kind="stable")
    start = 0
    while start < len(order):
        size = max(1, BATCH_TOKENS // lengths[order[start]])
        yield order[start : start + size]
        start += size
