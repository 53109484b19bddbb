"""Lists of chats as objects of the store, for a process elsewhere that is to complete them."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pyarrow as pa

from genept.language_models.chats import Chat
from genept.storage import ObjectStore, get_table, put_table


def put_chats(store: ObjectStore, product: str, chats: Sequence[Chat]) -> str:
    """Store a list of chats.

    Parameters
    ----------
    store
        The bucket.
    product
        Key prefix of the installation.
    chats
        Chats.

    Returns
    -------
    str
        Key of the object; the same list has the same key.
    """
    rows = pa.table({"chat": [json.dumps(chat.fields(), sort_keys=True) for chat in chats]})
    return put_table(store, f"{product}/cache/chat_lists/", rows)


def get_chats(store: ObjectStore, key: str) -> list[Chat]:
    """Read a list of chats.

    Parameters
    ----------
    store
        The bucket.
    key
        As `put_chats` returned it.

    Returns
    -------
    list of Chat
        Raises `StoreError` if the object is damaged.
    """
    rows = get_table(store, key, "run again: whoever asks stores the list anew")
    return [Chat.of(json.loads(row)) for row in rows["chat"].to_pylist()]
