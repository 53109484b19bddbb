"""Declarations of embedders of this machine: what a model is, and where its files are.

Fields of `[embedders.ID]` whose ``kind`` is not that of a service. Reading the files is
`genept.text.local.model_files`, opening the model `genept.text.local.opening`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from genept.common import problems_of
from genept.text.embedder_entries import all_entries
from genept.text.embedders import UnusableModelError
from genept.text.limits import WORDPIECE
from genept.text.local.bert_graph import Pooling

LANGUAGE_MODEL: Final = "language-model"
MODEL_ID: Final = "minilm-l6-v2"
"""The embedder of the usual spaces, in whose tokens texts are counted."""

Kind = Literal["bert", "static", "language-model"]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class LocalModel(BaseModel):
    """One embedder that runs on this machine.

    Parameters
    ----------
    id
        First half of the ids of its spaces.
    kind
        ``bert``: an encoder of the BERT family; ``static``: a table of vectors of tokens;
        ``language-model``: the states of a model that llama.cpp runs (extra `llm`).
    repository, revision
        Where the model is published, and which version it is.
    licence, citation
        Terms of the weights, and what to cite.
    source, members
        Archive of the catalogue that holds its files, and the folder inside.
    folder
        Folder with its files. Without `source` and `folder` it is looked for as ``models/ID`` in
        every folder of GENEPT_MIRRORS.
    weights, tokenizer
        Names of files; the weights are safetensors or ONNX, of a language model GGUF, which holds
        the tokenizer, too.
    tensor
        Name of the table of a static embedder.
    sha256
        SHA-256 by name of file; a file that has another one is refused.
    pooling
        Which tokens of an encoder or language model make the vector.
    query_prefix, passage_prefix
        What stands before a query, and before a text that is searched.
    dimensions
        Length of the vectors; None: what the weights have. Fewer: the first so many.
    normalised
        Whether vectors have unit length.
    max_tokens
        Tokens, special ones included, beyond which a text is cut; None: never.
    special_tokens
        Whether the tokenizer adds its special tokens; static tables usually have none.
    counted_in
        Unit of budgets of descriptions: see `genept.text.limits`.
    tokens_per_second
        Speed of a language model, in tokens of descriptions: with it GENEPT_EMBEDDING_MINUTES
        says how many genes of a space are embedded.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    kind: Kind
    repository: str | None = None
    revision: str | None = None
    licence: str = "not stated"
    citation: str = ""
    source: str | None = None
    members: str = ""
    folder: Path | None = None
    weights: str = "model.safetensors"
    tokenizer: str = "tokenizer.json"
    tensor: str | None = None
    sha256: dict[str, Sha256] = {}
    pooling: Pooling = "mean"
    query_prefix: str = ""
    passage_prefix: str = ""
    dimensions: int | None = Field(None, ge=1)
    normalised: bool = True
    max_tokens: int | None = Field(None, ge=4)
    special_tokens: bool = False
    counted_in: str = WORDPIECE
    tokens_per_second: float | None = Field(None, gt=0)

    def tokens_in(self, minutes: float) -> int:
        """Tokens of descriptions that a language model reads in so many minutes."""
        return int((self.tokens_per_second or 0.0) * 60 * minutes)

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files that it cannot do without."""
        return (self.weights,) if self.kind == LANGUAGE_MODEL else (self.weights, self.tokenizer)

    @property
    def of_vectors(self) -> dict[str, Any]:
        """What vectors depend on, by name of the field."""
        return self.model_dump(
            mode="json",
            include={
                "id", "kind", "weights", "tokenizer", "tensor", "sha256", "pooling",
                "passage_prefix", "dimensions", "normalised", "max_tokens", "special_tokens",
            },
        )  # fmt: skip

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        if self.source is not None and self.folder is not None:
            raise ValueError("give `source` (an archive of the catalogue) or `folder`, not both")
        if self.source is not None and set(self.files) - set(self.sha256):
            raise ValueError("files of an archive are pinned: give `sha256` of each")
        if self.kind == "bert" and self.max_tokens is None:
            raise ValueError("an encoder has a longest text: give `max_tokens`")
        if self.kind == "static" and (self.query_prefix or self.passage_prefix):
            raise ValueError("a static embedder has no prefixes")
        self._is_sound_language_model()
        return self

    def _is_sound_language_model(self) -> None:
        if self.kind != LANGUAGE_MODEL:
            if self.tokens_per_second is not None:
                raise ValueError("only a language model has `tokens_per_second`")
            return
        needed = ("dimensions", "max_tokens", "tokens_per_second")
        if lacking := [name for name in needed if getattr(self, name) is None]:
            raise ValueError(f"a language model needs {', '.join(lacking)}")
        if self.query_prefix or self.passage_prefix or self.pooling == "cls":
            raise ValueError("a language model has no prefixes, and pooling mean or last")


def load_local_models(*own: Path) -> dict[str, LocalModel]:
    """Load the declared embedders of this machine.

    Parameters
    ----------
    own
        Files of a user's own declarations.

    Returns
    -------
    dict
        By id, shipped ones first.

    Raises
    ------
    UnusableModelError
        A declaration is wrong; it is named.
    """
    return {
        id_: local_model(entry)
        for id_, entry in all_entries(*own).items()
        if entry["kind"] in get_args(Kind)
    }


def local_model(entry: Mapping[str, Any]) -> LocalModel:
    """Make a model of the fields of its declaration.

    Parameters
    ----------
    entry
        Value by field.

    Returns
    -------
    LocalModel
        Validated.

    Raises
    ------
    UnusableModelError
        A field is wrong or unknown.
    """
    try:
        return LocalModel(**entry)
    except ValidationError as error:
        raise UnusableModelError(f"[embedders.{entry.get('id')}]: {problems_of(error)}") from error
