"""What a folder of a published model says about itself: pooling, prefixes, longest text.

In the files of sentence-transformers (``modules.json`` and those that it names), else in those of
transformers. What a folder does not say, its user must.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from genept.text.embedders import UnusableModelError
from genept.text.local.architectures import read_architecture, read_json
from genept.text.local.local_models import local_model
from genept.text.local.model_files import PublishedFiles, folder_files, unreadable
from genept.text.local.tokenizing import read_tokenizer

WEIGHTS: Final = ("model.safetensors", "onnx/model.onnx", "model.onnx")
POOLINGS: Final = {"cls_token": "cls", "mean_tokens": "mean", "lasttoken": "last"}
"""Ways of pooling that are run here, by their names in files of sentence-transformers."""

QUERIES: Final = ("query", "search_query")
PASSAGES: Final = ("passage", "document", "search_document")
"""Names of prompts."""

NO_POOLING: Final = (
    "does not say how its tokens are pooled: give --pooling mean, cls or last, as its publisher's "
    "page says (mean for E5 and GTE, cls for BGE, SapBERT and MedCPT)"
)


def describe_folder(folder: Path, id_: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Make the declaration of a model of what its folder says and what its user gives.

    Parameters
    ----------
    folder
        With weights, a tokenizer, and config.json.
    id_
        Id of the embedder.
    given
        Fields of `LocalModel` that the user gives; they are taken before what the folder says.

    Returns
    -------
    dict
        Fields of `LocalModel`, with the SHA-256 of every file that is read.

    Raises
    ------
    UnusableModelError
        A file is missing, cannot be read, or says what is not run here.
    """
    folder = folder.expanduser().resolve()
    files = folder_files(folder, {})
    weights = next((name for name in WEIGHTS if files.has(name)), WEIGHTS[0])
    stated: dict[str, Any] = {"weights": weights} if weights != WEIGHTS[0] else {}
    stated = {"id": id_, "kind": "bert", "folder": str(folder), **stated, **given}
    if stated["kind"] == "bert":
        probe = local_model({**stated, "max_tokens": 4})
        if why := unreadable(folder, probe):
            raise UnusableModelError(why)
        if not probe.weights.endswith(".onnx"):
            read_architecture(files.read("config.json"), f"{files.where}/config.json")
        read_tokenizer(files, probe.tokenizer)
    stated |= _sentence_transformers(files) | dict(given)
    if stated["kind"] == "bert":
        if "pooling" not in stated:
            raise UnusableModelError(f"{folder} {NO_POOLING}")
        if "max_tokens" not in stated:
            stated["max_tokens"] = _longest(files)
    model = local_model(stated)
    if why := unreadable(folder, model):
        raise UnusableModelError(why)
    read = (model.weights, model.tokenizer, "config.json", "vocab.txt", "tokenizer_config.json")
    return stated | {"sha256": {name: files.digest(name) for name in read if files.has(name)}}


def _sentence_transformers(files: PublishedFiles) -> dict[str, Any]:
    """Pooling, length of vectors, prefixes and longest text, as far as the folder says."""
    stated: dict[str, Any] = {}
    if files.has("modules.json"):
        stated |= _modules(files)
    if files.has("config_sentence_transformers.json"):
        config = _json(files, "config_sentence_transformers.json")
        prompts = config.get("prompts") or {}
        if not isinstance(prompts, dict):
            raise UnusableModelError(f"{files.where}: `prompts` are no table")
        for field, names in (("query_prefix", QUERIES), ("passage_prefix", PASSAGES)):
            if text := next((prompts[name] for name in names if prompts.get(name)), None):
                stated[field] = text
    if files.has("sentence_bert_config.json"):
        longest = _json(files, "sentence_bert_config.json").get("max_seq_length")
        if isinstance(longest, int):
            stated["max_tokens"] = longest
    return stated


def _modules(files: PublishedFiles) -> dict[str, Any]:
    try:
        modules = json.loads(files.read("modules.json"))
        named = [(str(each["type"]).rpartition(".")[2], str(each["path"])) for each in modules]
    except (ValueError, TypeError, KeyError) as error:
        raise UnusableModelError(f"{files.where}/modules.json cannot be read: {error!r}") from None
    stated: dict[str, Any] = {"normalised": "Normalize" in dict(named)}
    for kind, path in named:
        if kind == "Pooling":
            stated["pooling"] = _pooling(_json(files, f"{path}/config.json"), files.where)
        elif kind not in ("Transformer", "Normalize"):
            raise UnusableModelError(
                f"{files.where}: its vectors go through a module {kind!r}, which is not run here"
            )
    return stated


def _pooling(config: Mapping[str, Any], where: str) -> str:
    prefix = "pooling_mode_"
    modes = [name.removeprefix(prefix) for name, on in config.items()
             if name.startswith(prefix) and on is True]  # fmt: skip
    if isinstance(mode := config.get("pooling_mode"), str):
        modes = [{"cls": "cls_token", "mean": "mean_tokens"}.get(mode, mode)]
    if len(modes) != 1 or modes[0] not in POOLINGS:
        raise UnusableModelError(
            f"{where}: its tokens are pooled by {' and '.join(modes) or 'nothing'}: only "
            f"{', '.join(POOLINGS.values())} are run here, one at a time"
        )
    return POOLINGS[modes[0]]


def _longest(files: PublishedFiles) -> int:
    """Most tokens of a text, by the tokenizer's settings and the table of positions."""
    architecture = read_architecture(files.read("config.json"), f"{files.where}/config.json")
    limits = [512 if architecture.positions is None
              else architecture.positions - architecture.first_position]  # fmt: skip
    if files.has("tokenizer_config.json"):
        stated = _json(files, "tokenizer_config.json").get("model_max_length")
        if isinstance(stated, int) and stated > 0:
            limits.append(stated)
    return min(limits)


def _json(files: PublishedFiles, name: str) -> dict[str, Any]:
    return read_json(files.read(name), f"{files.where}/{name}")
