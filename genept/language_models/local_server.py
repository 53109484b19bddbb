"""Models of this machine: weights out of the catalogue, served on loopback by llama.cpp.

The server is a process of its own (`genept.language_models.local_process`) with a random key on a
free port. It is started by the first request and ends with the context, or with this process.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from pydantic import SecretStr

from genept.common import private_folder
from genept.language_models.chat_service import ChatService
from genept.language_models.chats import RefusedChatError
from genept.language_models.declared_models import LanguageModel, ModelWeights
from genept.text import UnusableModelError
from genept.text.hosted import RequestPolicy
from genept.text.local import missing_extra
from genept.text.local import unpacked_weights as unpacked

if TYPE_CHECKING:
    from openai import OpenAI

ENDING_SECONDS: Final = 10.0

PATIENT: Final = RequestPolicy(read=1800, attempts=2)
"""A long answer takes minutes on a busy machine, and a server that is gone does not come back."""

OpenMember = Callable[[str, str], AbstractContextManager[BinaryIO]]
"""Opens a member of a source of the catalogue."""


class LocalChatService(ChatService):
    """A language model of this machine, as a context.

    Parameters
    ----------
    declared
        The model; it has weights.
    weights
        Has its file ready; called when the server is started.
    log
        File that what the server prints is appended to.
    threads
        Threads of one answer.
    """

    def __init__(
        self, declared: LanguageModel, weights: Callable[[], Path], log: Path, threads: int
    ) -> None:
        super().__init__(declared, SecretStr(secrets.token_urlsafe(32)), retry_policy=PATIENT)
        self._weights, self._log, self._threads = weights, log, threads
        self._process: subprocess.Popen[str] | None = None

    @cached_property
    def client(self) -> OpenAI:
        """OpenAI's client; the server is started for it."""
        self.base_url = self._start()
        return super().client

    def close(self) -> None:
        """Close the client and end the server."""
        super().close()
        if self._process is None:
            return
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        self._process = None

    def _start(self) -> str:
        if why := missing_extra():
            raise RefusedChatError(f"{self.id} {why}")
        orders = {
            "file": str(self._weights()),
            "model": self.declared.model,
            "key": self.api_key.get_secret_value(),
            "context_tokens": self.declared.context_tokens,
            "threads": self._threads,
        }
        private_folder(self._log.parent)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "genept.language_models.local_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,  # Ctrl-C reaches this process, which then ends it
            )
        assert self._process.stdin  # noqa: S101
        assert self._process.stdout  # noqa: S101
        try:
            self._process.stdin.write(json.dumps(orders) + "\n")
            self._process.stdin.flush()
            return str(json.loads(self._process.stdout.readline())["url"])
        except (OSError, ValueError) as error:
            self.close()
            raise RefusedChatError(
                f"{self.id}: its server did not start; {self._log} says why"
            ) from error


def unpacked_weights(weights: ModelWeights, open_member: OpenMember, folder: Path) -> Path:
    """Return the file of weights, unpacked from its source and checked.

    Parameters
    ----------
    weights
        Which.
    open_member
        Opens a member of a source.
    folder
        Where it is kept.

    Returns
    -------
    Path
        A GGUF file with the declared SHA-256.

    Raises
    ------
    RefusedChatError
        The source holds another file.
    """
    try:
        return unpacked(lambda: open_member(weights.source, weights.member), weights.sha256, folder)
    except UnusableModelError as error:
        raise RefusedChatError(f"source {weights.source}, {weights.member}: {error}") from error
