"""The object store that the settings name: a given endpoint, or the embedded server.

The only place that chooses between the two; whoever gets the `ObjectStore`
cannot tell which it is.
"""

from __future__ import annotations

from genept.settings import Settings
from genept.store.embedded import EmbeddedStore
from genept.store.s3 import ObjectStore


def open_store(settings: Settings) -> ObjectStore:
    """The bucket of this installation; starts the embedded server when it is needed and not up.

    Raises
    ------
    StoreError
        The embedded server does not start.
    """
    if settings.s3_endpoint is None:
        endpoint = EmbeddedStore(settings.state / "store", bucket=settings.bucket).ensure()
        return ObjectStore(
            endpoint.url,
            endpoint.access_key,
            endpoint.secret_key,
            settings.s3_region,
            settings.bucket,
        )
    secret = settings.s3_secret_key
    return ObjectStore(
        settings.s3_endpoint,
        settings.s3_access_key,
        secret.get_secret_value() if secret else None,
        settings.s3_region,
        settings.bucket,
    )
