"""What can go wrong with the object store, said to the person who must act.

Every botocore failure leaves this room as a `StoreError` that names the store,
the key and the remedy. Retrying is decided in `genept.store.s3`, not here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
)


class StoreError(RuntimeError):
    """The object store could not do what was asked."""


class MissingObjectError(StoreError):
    """The object that was asked for is not there."""


class ConflictError(StoreError):
    """Something else is stored where a conditional write wanted to write."""


class UnreachableStoreError(StoreError):
    """Nobody answers where the store should be."""


class InvalidKeyError(StoreError, ValueError):
    """A key that no object may have; it was refused before it was sent."""


REMEDIES = {
    "InvalidAccessKeyId": "the access key is not known there: check GENEPT_S3_ACCESS_KEY",
    "SignatureDoesNotMatch": "the secret key is wrong: check GENEPT_S3_SECRET_KEY",
    "AccessDenied": "these credentials may not do this: check the keys and the bucket's policy",
    "403": "the keys are wrong or may not do this: check GENEPT_S3_ACCESS_KEY, "
    "GENEPT_S3_SECRET_KEY and the bucket's policy",
    "NoSuchBucket": "the bucket does not exist: create it, or set GENEPT_BUCKET",
    "RequestTimeTooSkewed": "this machine's clock is wrong: set it",
    "BadDigest": "the bytes that arrived are not those that were sent: check the given SHA-256, "
    "then try again",
    "XAmzContentChecksumMismatch": "the bytes that arrived are not those of the given SHA-256",
    "InternalError": "the store failed on its side: look at its log and its free disk space",
    "500": "the store failed on its side: look at its log and its free disk space",
    "SlowDown": "the store is overloaded: try again later",
    "503": "the store is overloaded or starting: try again later",
}


def error_code(error: ClientError) -> str:
    """The S3 error code, or the HTTP status where the answer had no body (HEAD)."""
    return str(error.response.get("Error", {}).get("Code", ""))


def http_status(error: ClientError) -> int:
    """The HTTP status of the refusal; 0 when the answer carried none."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


@contextmanager
def explained(doing: str, where: str) -> Iterator[None]:
    """Turn botocore's failures into a `StoreError`.

    Parameters
    ----------
    doing
        What was being done, such as ``"reading 'a/b.parquet'"``.
    where
        The store, such as ``"the bucket 'lake' at http://127.0.0.1:8333"``.

    Raises
    ------
    StoreError
        What failed, where, and what to do about it.
    """
    try:
        yield
    except ClientError as error:
        code, message = error_code(error), error.response.get("Error", {}).get("Message", "")
        status = http_status(error)
        remedy = REMEDIES.get(code) or REMEDIES.get(str(status)) or "see the store's log"
        raise StoreError(
            f"{doing} in {where} failed: {code or status} {message}".rstrip() + f"; {remedy}"
        ) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise StoreError(
            f"{doing} in {where} failed: no credentials were found; set GENEPT_S3_ACCESS_KEY and "
            "GENEPT_S3_SECRET_KEY, or give boto3 a profile"
        ) from error
    except (ConnectionError, HTTPClientError) as error:
        raise UnreachableStoreError(
            f"{doing}: {where} does not answer ({type(error).__name__}); start the embedded store "
            "with `genept store start`, or check GENEPT_S3_ENDPOINT and the network"
        ) from error
    except BotoCoreError as error:
        raise StoreError(f"{doing} in {where} failed: {error}") from error
