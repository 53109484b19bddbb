"""The policy of a bucket: what it lets people do who have no keys of ours.

What it is to say is decided in `genept.release.public`; rights of roles are in `policies/`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeAlias

from botocore.exceptions import ClientError

from genept.common import Settings
from genept.storage.connect import find_embedded_store, open_store
from genept.storage.object_store import ObjectStore
from genept.storage.requests import error_code, explained

Statement: TypeAlias = dict[str, Any]


def open_as_operator(settings: Settings) -> ObjectStore:
    """Open the bucket with keys that may change who reads it.

    Parameters
    ----------
    settings
        As for `open_store`.

    Returns
    -------
    ObjectStore
        With the operator's keys of the embedded server; of another store, with those of the
        settings.

    Raises
    ------
    StoreError
        There is no embedded store yet, or it does not start.
    """
    if settings.s3_endpoint is not None or settings.s3_unsigned:
        return open_store(settings, "publisher", tested=False)
    endpoint = find_embedded_store(settings, is_new_allowed=False).ensure()
    keys = endpoint.access_key, endpoint.secret_key
    return ObjectStore(endpoint.url, *keys, settings.s3_region, settings.bucket)


def change_policy(store: ObjectStore, change: Callable[[list[Statement]], list[Statement]]) -> None:
    """Replace the statements of a bucket's policy; without any, there is no policy.

    Parameters
    ----------
    store
        Opened with keys that may change the policy.
    change
        Returns the statements to be, of those that there are.

    Raises
    ------
    StoreError
        The keys may not change the policy, or the account blocks public ones.
    """
    with explained("changing the bucket's policy", store.where):
        try:
            stored = json.loads(store.client.get_bucket_policy(Bucket=store.bucket)["Policy"])
        except ClientError as error:
            if error_code(error) != "NoSuchBucketPolicy":
                raise
            stored = {}
        if statements := change(stored.get("Statement", [])):
            document = {"Version": "2012-10-17", "Statement": statements}
            store.client.put_bucket_policy(Bucket=store.bucket, Policy=json.dumps(document))
        elif stored:
            store.client.delete_bucket_policy(Bucket=store.bucket)
