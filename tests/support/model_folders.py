"""Folders of models as they are published: tiny random encoders, and MiniLM's own weights.

The tokenizer knows the words of `reference_bert.TOY_WORDS`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from reference_bert import TOY_WORDS, random_weights
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

CONFIG = {
    "model_type": "bert", "num_attention_heads": 12, "hidden_act": "gelu", "pad_token_id": 0,
    "layer_norm_eps": 1e-12, "position_embedding_type": "absolute",
    "max_position_embeddings": 256,
}  # fmt: skip
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
TRANSFORMER = {
    "idx": 0,
    "name": "0",
    "path": "",
    "type": "sentence_transformers.models.Transformer",
}
POOLING = {
    "idx": 1,
    "name": "1",
    "path": "1_Pooling",
    "type": "sentence_transformers.models.Pooling",
}
NORMALIZE = {
    "idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize",
}  # fmt: skip


def toy_tokenizer() -> Tokenizer:
    vocabulary = {word: number for number, word in enumerate((*SPECIAL, *TOY_WORDS, "query", ":"))}
    toy = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    toy.normalizer = normalizers.BertNormalizer()
    toy.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    toy.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    # As in published files, whose own settings must not cut texts that the model can read.
    toy.enable_truncation(max_length=128)
    toy.enable_padding(length=128)
    return toy


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def toy_folder(
    folder: Path,
    *,
    weights: Mapping[str, npt.NDArray[Any]] | None = None,
    config: Mapping[str, Any] | None = None,
    pooling: str | None = None,
    normalised: bool = True,
    prompts: Mapping[str, str] | None = None,
    longest: int | None = None,
) -> Path:
    """A model of two layers; with `pooling`, in the layout of sentence-transformers."""
    folder.mkdir(parents=True, exist_ok=True)
    own = random_weights() if weights is None else weights
    save_file(
        {name: np.ascontiguousarray(v) for name, v in own.items()}, folder / "model.safetensors"
    )
    toy_tokenizer().save(str(folder / "tokenizer.json"))
    write_json(folder / "config.json", CONFIG | dict(config or {}))
    if pooling is not None:
        modules = [TRANSFORMER, POOLING, *([NORMALIZE] if normalised else [])]
        write_json(folder / "modules.json", modules)
        modes = {f"pooling_mode_{mode}": mode.startswith(pooling)
                 for mode in ("cls_token", "mean_tokens", "max_tokens", "lasttoken")}  # fmt: skip
        write_json(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": 48, **modes})
    if prompts is not None:
        write_json(folder / "config_sentence_transformers.json", {"prompts": dict(prompts)})
    if longest is not None:
        write_json(folder / "sentence_bert_config.json", {"max_seq_length": longest})
    return folder
