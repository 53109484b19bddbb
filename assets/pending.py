"""Assets that wait for batches: they have an observation that says so, and no output."""

from collections.abc import Mapping
from typing import Final

import dagster as dg  # reads annotations at run time: no `from __future__ import annotations`

from assets.results import Context
from genept.text import PendingBatchesError

PENDING: Final = "waits for batches of"
"""Metadata of the observation of an asset that waits for batches under way: of what."""


def leave_pending(
    context: Context,
    key: dg.AssetKey,
    what: str,
    pending: Mapping[str, PendingBatchesError],
    *,
    is_partition: bool = False,
) -> None:
    """Say in the event log that an asset waits for batches; without output, later steps wait.

    Parameters
    ----------
    context
        Of the step.
    key
        Of the asset.
    what
        What the batches are of: ``space`` or ``writer``.
    pending
        What is waited for, by id.
    is_partition
        Whether the id is a partition of the asset.
    """
    for id_, error in pending.items():
        context.log_event(
            dg.AssetObservation(
                key,
                partition=id_ if is_partition else None,
                description=f"{what} {id_} is pending: {error}",
                metadata={
                    PENDING: id_,
                    f"{error.what} under way": error.n,
                    "until": dg.MetadataValue.timestamp(error.until),
                },
            )
        )
