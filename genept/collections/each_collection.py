"""Ingest of several collections: a user's own that is refused does not keep the others out."""

from collections.abc import Callable, Iterable
from typing import Final

from genept.collections.preflight import CollectionRefusedError
from genept.common import SourceError
from genept.datasources import Collection
from genept.nomenclature import GeneNamesRefusedError
from genept.storage import Part, TableContractError

OF_THE_FILE: Final = (
    SourceError,
    CollectionRefusedError,
    GeneNamesRefusedError,
    TableContractError,
)
"""Errors that are due to a file, not to the installation."""


def ingest_each(
    collections: Iterable[Collection],
    ingest: Callable[[Collection], list[Part]],
    is_added: Callable[[Collection], bool],
) -> tuple[dict[str, list[Part]], dict[str, str]]:
    """Ingest collections; one that a user added is left out if its files are refused.

    Parameters
    ----------
    collections
        The collections.
    ingest
        Ingests one of them.
    is_added
        Whether a user added a collection; of the others, an error of the files is raised.

    Returns
    -------
    ingested : dict
        Parts of all tables, by id of the collection.
    left_out : dict
        Why a collection is left out, by its id.
    """
    ingested: dict[str, list[Part]] = {}
    left_out: dict[str, str] = {}
    for collection in collections:
        try:
            ingested[collection.id] = ingest(collection)
        except OF_THE_FILE as error:
            if not is_added(collection):
                raise
            left_out[collection.id] = str(error)
    return ingested, left_out
