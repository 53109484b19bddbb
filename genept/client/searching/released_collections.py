"""Which collection of a release is meant, and whether it holds cells or samples.

What is in one is read in `genept.client.searching`; nothing heavy is imported here.
"""

from __future__ import annotations

from typing import Any, Final

import polars as pl

from genept.client.release_lookup import suggestion
from genept.common import StoreError

KIND_OF: Final = {"cells": "single_cell", "samples": "bulk"}
"""Kind of the collections that hold each."""


def collection_row(collections: pl.DataFrame, id_: str, among: str | None = None) -> dict[str, Any]:
    """Find a collection among those of a release.

    Parameters
    ----------
    collections
        Table `collections`.
    id_
        Which one.
    among
        ``cells`` or ``samples``: what it is expected to hold; None: either.

    Returns
    -------
    dict
        Its row.

    Raises
    ------
    StoreError
        There is no such collection, or it holds the other.
    """
    row = collections.filter(collection_id=id_)
    if row.is_empty():
        alike = collections if among is None else collections.filter(kind=KIND_OF[among])
        near = suggestion(id_, sorted(alike["collection_id"]))
        raise StoreError(f"the release has no collection {id_!r}{near}")
    kind = row["kind"].item()
    if among is not None and KIND_OF[among] != kind:
        other = next(name for name, each in KIND_OF.items() if each == kind)
        raise StoreError(f"{id_} holds {other}, not {among}")
    return row.row(0, named=True)
