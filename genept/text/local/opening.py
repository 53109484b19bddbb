"""From a declared model and its files to an embedder that is ready.

The graph that is built of an encoder's weights is kept, so that weights are read and checked once.
"""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import Final

from genept.common import breakage_refused, write_privately
from genept.text.embedders import TextEmbedder, UnusableModelError
from genept.text.local.architectures import (
    Architecture,
    Weights,
    named_as_in_bert,
    read_architecture,
)
from genept.text.local.bert import BertEmbedder
from genept.text.local.bert_graph import GRAPH_VERSION, POSITIONS, build_graph
from genept.text.local.language_model import LanguageModelEmbedder
from genept.text.local.local_models import LANGUAGE_MODEL, LocalModel
from genept.text.local.model_files import PublishedFiles
from genept.text.local.static_table import StaticEmbedder, static_table
from genept.text.local.tokenizing import read_tokenizer

CONFIG: Final = "config.json"
LARGEST: Final = 1_900_000_000
"""Bytes of float32 weights; a file of the format that onnxruntime reads has less than 2 GiB."""


def open_local_model(
    model: LocalModel,
    files: PublishedFiles,
    folder: Path,
    *,
    threads: int = 2,
    minutes: float = 10.0,
) -> TextEmbedder:
    """Open a declared model.

    Parameters
    ----------
    model
        Its declaration.
    files
        Its files.
    folder
        Where graphs are kept, as large as the weights. One whose content does not match its name is
        built again.
    threads
        Threads of one inference; a language model has one.
    minutes
        How long a language model may embed the genes of one space.

    Returns
    -------
    TextEmbedder
        Ready to embed.

    Raises
    ------
    UnusableModelError
        A file is missing, damaged, not the declared one, or of a network that is not run here.
    """
    if model.kind == LANGUAGE_MODEL:
        weights = partial(files.on_disk, model.weights, folder)
        return LanguageModelEmbedder(model, weights, files.digest(model.weights), minutes)
    tokenizer = read_tokenizer(files, model.tokenizer)
    if model.kind == "static":
        table = static_table(read_weights(files, model.weights), model)
        return StaticEmbedder(model, table, tokenizer, files.digest(model.weights))
    if model.weights.endswith(".onnx"):
        with breakage_refused(f"{model.weights} in {files.where}"):
            return BertEmbedder(
                model, files.read(model.weights), tokenizer,
                weights_sha256=files.digest(model.weights), network="onnx", threads=threads,
            )  # fmt: skip
    architecture = read_architecture(files.read(CONFIG), f"{files.where}/{CONFIG}")
    architecture.refuse_longer(model.max_tokens, architecture.positions, model.id)
    weights_sha256 = files.digest(model.weights)
    name = _graph_name(model, architecture, weights_sha256)
    graph = _kept_graph(folder, name)
    if graph is None:
        content = _built(model, files, architecture)
        folder.mkdir(parents=True, exist_ok=True)
        graph = folder / f"{name}{hashlib.sha256(content).hexdigest()}.onnx"
        write_privately(graph, content)
    network = f"graph={GRAPH_VERSION}{architecture.differences}"
    return BertEmbedder(
        model, graph, tokenizer, weights_sha256=weights_sha256, network=network, threads=threads
    )


def read_weights(files: PublishedFiles, name: str) -> Weights:
    """Read a safetensors file; `UnusableModelError` if it is another file, or damaged."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    content = files.read(name)
    try:
        weights: Weights = load(content)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise UnusableModelError(
            f"{name} in {files.where} is no safetensors file, or is damaged: {error!r}"
        ) from None
    return weights


def _built(model: LocalModel, files: PublishedFiles, architecture: Architecture) -> bytes:
    weights = named_as_in_bert(read_weights(files, model.weights), architecture.network)
    if (size := 4 * sum(values.size for values in weights.values())) > LARGEST:
        raise UnusableModelError(
            f"{model.id} has {size / 1e9:.1f} GB of weights, and more than {LARGEST / 1e9:.1f} GB "
            "are not run here: use a smaller model, or an OpenAI-compatible server"
        )
    longest = model.max_tokens or 0
    try:
        architecture.refuse_longer(longest, len(weights[POSITIONS]), model.id)
        return build_graph(
            weights, architecture,
            pooling=model.pooling, normalised=model.normalised, longest=longest,
        )  # fmt: skip
    except (KeyError, ValueError, IndexError) as error:
        if isinstance(error, UnusableModelError):
            raise
        raise UnusableModelError(f"{model.weights} in {files.where}: {error}") from None


def _graph_name(model: LocalModel, architecture: Architecture, weights_sha256: str) -> str:
    """Beginning of a kept graph's name: what it was built from, and by which code."""
    settings = architecture.differences
    settings += "" if model.pooling == "mean" else f":{model.pooling}"
    settings += "" if model.normalised else ":unit_norm=no"
    settings += f":{model.max_tokens}" if architecture.buckets else ""
    mark = f"-{hashlib.sha256(settings.encode()).hexdigest()[:8]}" if settings else ""
    return f"{model.id}-{weights_sha256[:16]}{mark}-v{GRAPH_VERSION}-"


def _kept_graph(folder: Path, name: str) -> Path | None:
    for path in sorted(folder.glob(f"{name}*.onnx")):
        with path.open("rb") as file:
            content_sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        if path.name == f"{name}{content_sha256}.onnx":
            return path
        path.unlink(missing_ok=True)
    return None
