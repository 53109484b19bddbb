"""Declarations of embedders of this machine: what a model is, and where its files are.

Fields of `[embedders.ID]` with ``kind = "bert"`` or ``"static"``. Reading the files is
`genept.text.local.model_files`, opening the model `genept.text.local.opening`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from genept.common import problems_of
from genept.text.embedder_entries import all_entries
from genept.text.embedders import UnusableModelError
from genept.text.limits import WORDPIECE
from genept.text.local.bert_graph import Pooling

MODEL_ID: Final = "minilm-l6-v2"
"""The embedder of the usual spaces, in whose tokens texts are counted."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class LocalModel(BaseModel):
    """One embedder that runs on this machine.

    Parameters
    ----------
    id
        First half of the ids of its spaces.
    kind
        ``bert``: an encoder of the BERT family; ``static``: a table of vectors of tokens.
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
        Names of files; the weights are safetensors or ONNX.
    tensor
        Name of the table of a static embedder.
    sha256
        SHA-256 by name of file; a file that has another one is refused.
    pooling
        Which tokens of an encoder make the vector.
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
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    kind: Literal["bert", "static"]
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
        if self.source is not None and {self.weights, self.tokenizer} - set(self.sha256):
            raise ValueError("files of an archive are pinned: give `sha256` of each")
        if self.kind == "bert" and self.max_tokens is None:
            raise ValueError("an encoder has a longest text: give `max_tokens`")
        if self.kind == "static" and (self.query_prefix or self.passage_prefix):
            raise ValueError("a static embedder has no prefixes")
        return self


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
        if entry["kind"] in ("bert", "static")
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
