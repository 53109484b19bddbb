"""Who reads public releases: what the bucket's policy lets people do who have no keys.

Nothing else of the bucket becomes readable, and no release that was taken back. Changing the policy
needs the operator's keys.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from botocore.exceptions import ClientError

from genept.common import MissingObjectError, StoreError
from genept.release import gate
from genept.release.manifest import Pointer
from genept.storage import Bucket, ObjectStore, SwappedDocument, change_policy

SID: Final = "GeneptPublic"
"""How names of our statements in a bucket's policy begin."""


def public_product(product: str) -> str:
    """Product of the public releases of a product.

    Parameters
    ----------
    product
        First segment of the keys of the releases.

    Returns
    -------
    str
        First segment of the keys of public releases.
    """
    return f"{product}-public"


def cited_address(store: Bucket, product: str, release_id: str) -> str:
    """Where a release is found that is cited: of a public one, what a browser opens.

    Parameters
    ----------
    store
        The bucket.
    product
        First segment of the keys.
    release_id
        Id of the release.

    Returns
    -------
    str
        Of its manifest, over HTTP, if the product is public or read without keys; else the S3
        address of its folder.
    """
    access, folder = store.access, f"{product}/releases/{release_id}"
    if not access.unsigned and product != public_product(product.removesuffix("-public")):
        return f"{store.uri(folder)}/"
    if access.endpoint_url:
        return f"{access.endpoint_url.rstrip('/')}/{access.bucket}/{folder}/manifest.json"
    host = f"{access.bucket}.s3.{access.region}.amazonaws.com"
    return f"https://{host}/{folder}/manifest.json"


def statements(
    bucket: str, product: str, kept: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """What a bucket's policy says so that anybody may read and list one product.

    Parameters
    ----------
    bucket
        Name of the bucket.
    product
        First segment of the keys.
    kept
        Ids of the releases that are read; by default all there will be.

    Returns
    -------
    list of dict
        Statements of an S3 bucket policy; none if no release is kept.
    """
    name = "".join(part.capitalize() for part in product.split("-"))
    readable = ["*"]
    if kept is not None:
        readable = ["current.json", "catalog/*", *(f"releases/{it}/*" for it in kept)]
    if kept is not None and not kept:
        return []
    return [
        {
            "Sid": f"{SID}Read{name}",
            "Effect": "Allow",
            "Principal": "*",
            "Action": ["s3:GetObject"],
            "Resource": [f"arn:aws:s3:::{bucket}/{product}/{path}" for path in readable],
        },
        {
            "Sid": f"{SID}List{name}",
            "Effect": "Allow",
            "Principal": "*",
            "Action": ["s3:ListBucket"],
            "Resource": [f"arn:aws:s3:::{bucket}"],
            "Condition": {"StringLike": {"s3:prefix": [f"{product}/*"]}},
        },
    ]


def let_anybody_read(store: ObjectStore, product: str, *, allowed: bool = True) -> bool:
    """Let anybody read the public releases of a product that were not taken back, or no longer.

    Other statements of the bucket's policy stay as they are.

    Parameters
    ----------
    store
        Opened with keys that may change the bucket's policy.
    product
        Product of which the public releases are.
    allowed
        False: only who has keys reads them.

    Returns
    -------
    bool
        Whether the policy let anybody read them before.

    Raises
    ------
    StoreError
        The keys may not change the policy, or the account blocks public ones.
    """
    return _replace(store, product, lambda _: allowed)


def narrow(store: ObjectStore, product: str) -> bool:
    """Let nobody read what was taken back, if anybody reads the public releases of a product.

    Parameters
    ----------
    store, product
        As for `let_anybody_read`.

    Returns
    -------
    bool
        Whether the policy let anybody read them before.

    Raises
    ------
    StoreError
        The keys may not change the policy.
    """
    return _replace(store, product, lambda was_open: was_open)


def anybody_reads(store: Bucket, key: str) -> bool:
    """Ask the store without keys for an object.

    Parameters
    ----------
    store
        The bucket; its keys are not used.
    key
        Key of the object.

    Returns
    -------
    bool
        Whether it was given out; False also if there is none.

    Raises
    ------
    StoreError
        The store does not answer, or fails.
    """
    access = store.access
    place = access.endpoint_url, None, None, access.region, access.bucket
    with Bucket(*place, unsigned=True) as unsigned:
        try:
            unsigned.get(key)
        except MissingObjectError:
            return False
        except StoreError as error:
            cause = error.__cause__
            if isinstance(cause, ClientError) and cause.response["ResponseMetadata"][
                "HTTPStatusCode"
            ] in {401, 403}:
                return False
            raise
    return True


def _replace(store: ObjectStore, product: str, allowed: Callable[[bool], bool]) -> bool:
    """Replace our statements; `allowed` is asked with whether there were any."""
    public = public_product(product)
    names = {statement["Sid"] for statement in statements(store.bucket, public)}
    ours = statements(store.bucket, public, _kept(store, public))
    was_open = False

    def change(stored: list[dict[str, Any]]) -> list[dict[str, Any]]:
        nonlocal was_open
        others = [statement for statement in stored if statement.get("Sid") not in names]
        was_open = others != stored
        return [*others, *(ours if allowed(was_open) else [])]

    change_policy(store, change)
    return was_open


def _kept(store: ObjectStore, product: str) -> list[str] | None:
    """Public releases that were not taken back; None if none was taken back."""
    pointer, _ = SwappedDocument(store, f"{product}/current.json", Pointer).read()
    if pointer is None or all(entry.lifted_at is not None for entry in pointer.denied):
        return None
    past = gate.read_history(store, f"{product}/releases", pointer)
    return [name for name in past.ids if pointer.retracted(name) is None]
