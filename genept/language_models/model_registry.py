"""The language models of an installation, local and hosted, and what may be spent on them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, partial

from genept.common import Settings
from genept.language_models.answer_cache import AnswerCache
from genept.language_models.chat_service import ChatService
from genept.language_models.chats import RefusedChatError
from genept.language_models.declared_models import LanguageModel, load_language_models
from genept.language_models.local_server import (
    LocalChatService,
    OpenMember,
    unpacked_weights,
)
from genept.storage import ObjectStore
from genept.text.hosted import SpendingLimit
from genept.text.local import missing_extra


class LanguageModels:
    """The language models of an installation by id.

    Parameters
    ----------
    settings
        Say which models there are besides ours, and what may be spent.
    open_member
        Opens a member of a source of the catalogue; None: local models cannot be opened.
    """

    def __init__(self, settings: Settings, open_member: OpenMember | None = None) -> None:
        self._settings, self._open_member = settings, open_member

    @cached_property
    def declared(self) -> Mapping[str, LanguageModel]:
        """The declared models by id."""
        return load_language_models(self._settings.language_models)

    @property
    def spending_limit(self) -> SpendingLimit:
        """What may be spent, on embedders and language models together."""
        return SpendingLimit(self._settings.embedding_budget)

    @property
    def batch_limit(self) -> SpendingLimit:
        """The same for chats that may wait for a day: in batches, if the settings say so."""
        return SpendingLimit(self._settings.embedding_budget, self._settings.embedding_batch_api)

    def unavailable(self, id_: str) -> str | None:
        """Why a model cannot be used here; None if it can."""
        if id_ not in self.declared:
            return f"there is no language model {id_!r}: see `genept chat models`"
        if self.declared[id_].weights:
            return f"{id_} {why}" if (why := missing_extra()) else None
        key = self._settings.openai_api_key
        if not (key and key.get_secret_value().strip()):
            return f"{id_} is a hosted model and there is no key: set GENEPT_OPENAI_API_KEY"
        return None

    def open(self, id_: str) -> ChatService:
        """Open a model, as a context; nothing is started or sent before the first request.

        Raises
        ------
        RefusedChatError
            There is none of that id, there is no key for it, or an extra is not installed.
        """
        if why := self.unavailable(id_):
            raise RefusedChatError(why)
        declared, settings = self.declared[id_], self._settings
        if declared.weights is None:
            assert settings.openai_api_key  # noqa: S101 - else it is unavailable
            return ChatService(declared, settings.openai_api_key, settings.openai_base_url)
        if self._open_member is None:
            raise RefusedChatError(f"{id_} runs on the machine that asks it: no flow is needed")
        folder = settings.state / "cache" / "models"
        return LocalChatService(
            declared,
            partial(unpacked_weights, declared.weights, self._open_member, folder),
            settings.private_state() / "logs" / "language_model.log",
            settings.threads,
        )

    def cache(self, service: ChatService, store: ObjectStore) -> AnswerCache:
        """The replies of a model in the store of this installation."""
        return AnswerCache(store, self._settings.product, service)
