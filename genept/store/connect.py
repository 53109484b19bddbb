"""The object store that the settings name: a given endpoint, or the embedded server.

The only place that chooses between the two; whoever gets the `ObjectStore`
cannot tell which it is.
"""

from __future__ import annotations

from typing import Final

from genept.settings import Settings
from genept.store.conditions import require
from genept.store.errors import StoreError
from genept.store.roles import Role
from genept.store.s3 import ObjectStore

WRITING: Final[tuple[Role, ...]] = ("writer", "publisher")


def open_store(settings: Settings, role: Role, *, asked: bool = True) -> ObjectStore:
    """The bucket of this installation; starts the embedded server when it is needed and not up.

    Parameters
    ----------
    role
        What the caller needs to do: the embedded server lets it do no more. Elsewhere the keys
        of the settings decide, whoever's they are.
    asked
        Whether another store than the embedded one is asked for conditional writes before it is
        written to; once a day.

    Raises
    ------
    StoreError
        The embedded server does not start, or the store lacks what publishing needs.
    """
    if settings.s3_endpoint is None:
        try:
            from genept.store.embedded import EmbeddedStore
        except ModuleNotFoundError as error:  # an installation that only reads
            raise StoreError(
                "no store is named: set GENEPT_S3_ENDPOINT to where the releases are, or install "
                f"the embedded one with pip install 'genept-platform[platform]' ({error})"
            ) from None
        embedded = EmbeddedStore(settings.private_state() / "store", bucket=settings.bucket)
        endpoint = embedded.ensure()
        keys = endpoint.keys(role)
        return ObjectStore(
            endpoint.url,
            keys.access_key,
            keys.secret_key,
            settings.s3_region,
            settings.bucket,
            flush=embedded.flush,
        )
    secret = settings.s3_secret_key
    store = ObjectStore(
        settings.s3_endpoint,
        settings.s3_access_key,
        secret.get_secret_value() if secret else None,
        settings.s3_region,
        settings.bucket,
    )
    if asked and role in WRITING:
        require(store, settings.product, settings.state / "cache" / "store_properties.json")
    return store
