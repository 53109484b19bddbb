"""The hosted embedders of an installation: which are declared, which may be used, and why not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from genept.settings import Settings
from genept.text.embedder import RefusedEmbeddingError
from genept.text.hosted import HostedModel, load_embedders
from genept.text.openai_embedder import OpenAIEmbedder
from genept.text.spaces import Space
from genept.text.till import Purse


@dataclass(frozen=True)
class HostedEmbedders:
    """Declared models, and what the settings say about paying for them."""

    declared: Mapping[str, HostedModel]
    api_key: SecretStr | None
    base_url: str | None
    purse: Purse

    @classmethod
    def of(cls, settings: Settings) -> HostedEmbedders:
        """Those of the settings. Raises `RefusedEmbeddingError` if their file is of no use."""
        return cls(
            load_embedders(settings.embedders),
            settings.openai_api_key,
            settings.openai_base_url,
            Purse(settings.embedding_budget, settings.embedding_batch_api),
        )

    def unavailable(self, id_: str) -> str | None:
        """Why a hosted embedder cannot be used; none if it can, or is not a hosted one."""
        if id_ in self.declared and not (self.api_key and self.api_key.get_secret_value().strip()):
            return f"{id_} is a hosted embedder and there is no key: set GENEPT_OPENAI_API_KEY"
        return None

    def open(self, id_: str) -> OpenAIEmbedder:
        """A hosted embedder; nothing is sent yet. Raises `RefusedEmbeddingError` without a key."""
        if (why := self.unavailable(id_)) or self.api_key is None:
            raise RefusedEmbeddingError(str(why))
        return OpenAIEmbedder(self.declared[id_], self.api_key, self.base_url)

    def price(self, embedder: OpenAIEmbedder) -> float:
        """Share of the full price that is paid."""
        return embedder.declared.batch_price if self.purse.batch_api else 1.0

    def spaces(self, recipes: Iterable[str]) -> list[Space]:
        """Every recipe as embedded by every hosted embedder; whoever wants one names it."""
        return [Space(id_, recipe) for id_ in self.declared for recipe in recipes]
