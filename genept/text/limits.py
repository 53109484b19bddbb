"""What limits a description: its budget in tokens.

Tokens are counted before a text is embedded: exactly, or by a stated estimate. tiktoken (extra
`tokens`) downloads its vocabularies at first use. Here it is used only if the vocabulary is on this
machine already, so that counting needs no network.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from genept.common import SourceError

BYTES_PER_TOKEN: Final = 3
"""Bytes per token that the estimate assumes. Gene descriptions have 3.6 (names) to 4.7 (names with
GO terms) UTF-8 bytes per cl100k token, measured on all of both recipes: the estimate is
too high rather than too low."""

ESTIMATE: Final = f"estimate: one token for every {BYTES_PER_TOKEN} bytes, an upper bound on genes"

VOCABULARIES: Final = {
    "cl100k_base": (
        "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    )
}
"""Name of tiktoken's cached copy, and the SHA-256 without which tiktoken would fetch it again."""


WORDPIECE: Final = "wordpiece"
WORDS: Final = "words"
ESTIMATED: Final = "estimated"
"""Units of a budget, besides the encodings of tiktoken; those not available are estimated."""

CountTokens = Callable[[Sequence[str]], list[int]]
"""Lengths of texts in tokens, the special tokens around a text included."""

SPECIAL_TOKENS: Final = 2
"""Tokens that WordPiece adds around a text; counted in every unit, so that no text is too long."""


def counting(unit: str, wordpiece: Callable[[], CountTokens]) -> CountTokens:
    """Return a function that counts tokens in a unit.

    Parameters
    ----------
    unit
        `WORDPIECE`, `WORDS`, `ESTIMATED`, or an encoding of tiktoken.
    wordpiece
        Opens MiniLM's tokenizer; called only if that is the unit.

    Returns
    -------
    callable
        Texts to their lengths, special tokens included.
    """
    if unit == WORDPIECE:
        return wordpiece()
    if unit == WORDS:
        return lambda texts: [SPECIAL_TOKENS + len(text.split()) for text in texts]
    counter = TokenCounter(unit)
    return lambda texts: [SPECIAL_TOKENS + n for n in counter.count(texts)]


def counted_by(unit: str) -> str:
    """Describe how a unit is counted on this machine.

    Parameters
    ----------
    unit
        As for `counting`.

    Returns
    -------
    str
        The unit, the encoding of tiktoken, or `ESTIMATE`.
    """
    return unit if unit in (WORDPIECE, WORDS) else TokenCounter(unit).basis


class TokenCounter:
    """Counts tokens of one encoding; estimates them where its vocabulary is not available.

    Parameters
    ----------
    encoding
        Name in tiktoken; None: always estimate.
    tokenizer
        The model's ``tokenizer.json``, which counts instead, special tokens included.
    """

    def __init__(self, encoding: str | None, tokenizer: Path | None = None) -> None:
        self.encoding, self.tokenizer = encoding, tokenizer

    @property
    def is_exact(self) -> bool:
        """Whether the model's own tokens are counted."""
        return self.tokenizer is not None or self._tiktoken is not None

    @property
    def basis(self) -> str:
        """How tokens are counted, in words."""
        if self.tokenizer is not None:
            return f"tokenizer {self.tokenizer.name}"
        return f"tiktoken {self.encoding}" if self.is_exact else ESTIMATE

    def count(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text.

        Parameters
        ----------
        texts
            Texts.

        Returns
        -------
        list of int
            Without special tokens, unless a ``tokenizer.json`` adds them.

        Raises
        ------
        SourceError
            The ``tokenizer.json`` cannot be read.
        """
        if self.tokenizer is not None:
            return [len(encoding.ids) for encoding in self._of_file.encode_batch_fast(list(texts))]
        if self._tiktoken is None:
            return [-(-len(text.encode()) // BYTES_PER_TOKEN) for text in texts]
        # `ordinary`: a description that quotes a special token must not be read as one.
        return [len(ids) for ids in self._tiktoken.encode_ordinary_batch(list(texts))]

    @cached_property
    def _of_file(self) -> Any:
        from tokenizers import Tokenizer

        try:
            tokenizer = Tokenizer.from_file(str(self.tokenizer))
        except Exception as error:  # the library raises nothing more exact
            raise SourceError(f"the tokenizer {self.tokenizer} cannot be read: {error}") from None
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer

    @cached_property
    def _tiktoken(self) -> Any:
        if self.encoding is None or not _is_available(self.encoding):
            return None
        try:
            import tiktoken
        except ImportError:
            return None
        return tiktoken.get_encoding(self.encoding)


def _is_available(encoding: str) -> bool:
    """Whether tiktoken finds this vocabulary without a network."""
    if encoding not in VOCABULARIES:
        return False
    default = Path(tempfile.gettempdir()) / "data-gym-cache"
    folder = os.environ.get("TIKTOKEN_CACHE_DIR") or os.environ.get("DATA_GYM_CACHE_DIR") or default
    name, sha256 = VOCABULARIES[encoding]
    try:
        return hashlib.sha256((Path(folder) / name).read_bytes()).hexdigest() == sha256
    except OSError:
        return False
