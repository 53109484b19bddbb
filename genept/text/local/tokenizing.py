"""Tokenizers of local embedders: tokenizer.json, or the vocabulary of WordPiece."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from genept.text.embedders import UnusableModelError
from genept.text.local.architectures import read_json
from genept.text.local.model_files import PublishedFiles

TOKENIZED_AT_ONCE: Final = 1024
"""Texts; the tokenizer's own records weigh far more than the ids kept of them."""


def read_tokenizer(files: PublishedFiles, name: str) -> bytes:
    """Read a tokenizer as the content of a tokenizer.json.

    Parameters
    ----------
    files
        Files of the model.
    name
        Usually ``tokenizer.json``; where there is none, WordPiece is made of ``vocab.txt``.

    Raises
    ------
    UnusableModelError
        There is neither, or they cannot be read.
    """
    if files.has(name):
        return files.read(name)
    if not files.has("vocab.txt"):
        raise UnusableModelError(
            f"{files.where} has neither {name} nor vocab.txt: take tokenizer.json from the "
            "publisher, or write it with `tokenizer.save_pretrained(folder)` of transformers"
        )
    settings: dict[str, Any] = {}
    if files.has("tokenizer_config.json"):
        content = files.read("tokenizer_config.json")
        settings = read_json(content, f"{files.where}/tokenizer_config.json")
    return str(_word_piece(files, settings).to_str()).encode()


def _word_piece(files: PublishedFiles, settings: dict[str, Any]) -> Any:
    """BERT's tokenizer: words, then the longest pieces of each that the vocabulary has."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    try:
        words = files.read("vocab.txt").decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise UnusableModelError(f"vocab.txt in {files.where} is no text: {error}") from None
    vocabulary = {word.rstrip("\r"): number for number, word in enumerate(words) if word}
    special = {name: settings.get(f"{name}_token") or f"[{name.upper()}]"
               for name in ("unk", "cls", "sep")}  # fmt: skip
    if lacking := [word for word in special.values() if word not in vocabulary]:
        raise UnusableModelError(f"vocab.txt in {files.where} lacks {lacking}: it is not BERT's")
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=special["unk"]))
    tokenizer.normalizer = normalizers.BertNormalizer(
        lowercase=bool(settings.get("do_lower_case", True)),
        handle_chinese_chars=bool(settings.get("tokenize_chinese_chars", True)),
        strip_accents=settings.get("strip_accents"),
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    first, last = special["cls"], special["sep"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}",
        special_tokens=[(first, vocabulary[first]), (last, vocabulary[last])],
    )
    return tokenizer


def open_tokenizer(content: bytes, max_tokens: int | None) -> Any:
    """Open a tokenizer that does not pad, and cuts texts after `max_tokens` only.

    The file's own settings are not used: some cut texts that the model can read.
    """
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_buffer(content)
    except Exception as error:  # the library raises nothing more exact
        raise UnusableModelError(f"the tokenizer cannot be read: {error}") from None
    tokenizer.no_padding()
    if max_tokens is None:
        tokenizer.no_truncation()
    else:
        tokenizer.enable_truncation(max_length=max_tokens)
    return tokenizer


def encodings(tokenizer: Any, texts: Sequence[str], *, special: bool = True) -> Iterator[Any]:
    """Tokenize texts, some at a time."""
    for start in range(0, len(texts), TOKENIZED_AT_ONCE):
        some = list(texts[start : start + TOKENIZED_AT_ONCE])
        yield from tokenizer.encode_batch_fast(some, add_special_tokens=special)
