"""Replies of a model by the SHA-256 of the requests, in the store, with what was paid for them.

Every reply is kept, also one that breaks its form: what came of a chat, and what is to be requested
next, follows from the replies alone, so that nothing is asked twice after a kill.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Final

import pyarrow as pa

from genept.language_models.chat_service import ChatService
from genept.language_models.chats import Chat, ChatOutcome, Reply
from genept.storage import ObjectStore, ShardCache, sha256_of
from genept.text import Payment

REPETITIONS: Final = 3
"""How often a chat whose replies break its form is requested in all."""

_SCHEMA: Final = pa.schema(
    [
        ("request_sha256", pa.string()),
        ("text", pa.string()),
        ("declined", pa.string()),
        ("finish_reason", pa.string()),
        ("model", pa.string()),
        ("input_tokens", pa.int64()),
        ("output_tokens", pa.int64()),
    ]
)


class AnswerCache(ShardCache[Reply]):
    """The replies of one model.

    Parameters
    ----------
    store
        The bucket.
    product
        Key prefix of the installation.
    service
        Its id and identity name the folder of its replies.
    """

    def __init__(self, store: ObjectStore, product: str, service: ChatService) -> None:
        self.product = product
        place = sha256_of(service.id, service.identity)[:16]
        super().__init__(store, f"{product}/cache/chats/{service.id}/{place}/")

    def next_request(self, chat: Chat) -> Chat | None:
        """What is to be requested for a chat; None if it has an outcome."""
        known = self.known()
        for number in range(REPETITIONS):
            request = chat.repetition(number)
            reply = known.get(request.address)
            if reply is None:
                return request
            if reply.declined or not _fault(chat, reply):
                return None
        return None

    def outcome(self, chat: Chat) -> ChatOutcome:
        """What came of a chat. Raises `KeyError` if it has no outcome yet."""
        known = self.known()
        faults: list[str] = []
        for number in range(REPETITIONS):
            reply = known[chat.repetition(number).address]
            if reply.declined:
                reason = f"the model declined: {reply.declined}"
                return ChatOutcome(chat, None, reason, tuple(faults), reply)
            fault = _fault(chat, reply)
            if fault is None:
                return ChatOutcome(chat, reply.text, "", tuple(faults), reply)
            faults.append(fault)
        reason = f"none of {REPETITIONS} answers has the required form: the last {faults[-1]}"
        return ChatOutcome(chat, None, reason, tuple(faults), reply)

    def add(self, replies: Mapping[str, Reply], payment: Payment | None) -> None:
        """Store replies by the address of the request, and what they cost, or none did."""
        self.keep(list(replies), list(replies.values()), [payment.note()] if payment else [])

    def rows_of(self, addresses: Sequence[str], values: Sequence[Reply]) -> pa.Table:
        """Replies as rows."""
        rows = [
            {"request_sha256": address, **asdict(reply)}
            for address, reply in zip(addresses, values, strict=True)
        ]
        return pa.Table.from_pylist(rows, schema=_SCHEMA)

    def values_in(self, rows: pa.Table) -> tuple[Sequence[str], Sequence[Reply]]:
        """Addresses and replies of a shard."""
        entries = rows.to_pylist()
        addresses = [entry.pop("request_sha256") for entry in entries]
        return addresses, [Reply(**entry) for entry in entries]


def _fault(chat: Chat, reply: Reply) -> str | None:
    """What is wrong with a reply, and whether the limit of tokens is the reason."""
    fault = chat.answer_format.fault(reply.text)
    if fault and reply.finish_reason == "length":
        return f"{fault} (it was cut after {chat.sampling.max_output_tokens} tokens)"
    return fault
