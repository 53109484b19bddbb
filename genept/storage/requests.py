"""S3 requests: the client, timeouts, retries, conditional writes; errors and what to do about them.

Lost responses are resolved, and large bodies uploaded, in `genept.storage.object_store`.
"""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ResponseStreamingError,
)
from botocore.utils import parse_timestamp
from tenacity import (
    retry,
    retry_base,
    retry_if_exception,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from genept.common import InvalidKeyError, StoreError, UnreachableStoreError, is_loopback

if TYPE_CHECKING:
    import boto3
    from botocore.config import _S3Dict
    from botocore.loaders import Loader
    from botocore.response import StreamingBody
    from botocore.session import Session
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import PutObjectRequestTypeDef

CONNECT_TIMEOUT: Final = 5.0
READ_TIMEOUT: Final = 60.0
ATTEMPTS: Final = 4
CONNECTIONS: Final = 32
CHUNK: Final = 1 << 20

_CONNECTING: Final = Lock()

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


@cache
def _descriptions() -> Loader:
    """The reader of botocore's descriptions of services, which keeps what it has read.

    A session with a reader of its own parses a megabyte of JSON for its first client: a tenth of a
    second, many times in a run.
    """
    from botocore.loaders import create_loader

    return create_loader()


def new_session() -> Session:
    """Return a botocore session that shares the descriptions of services with all others."""
    from botocore.session import Session

    session = Session()
    session.register_component("data_loader", _descriptions())
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=moment)
    return session


def moment(stated: str) -> datetime:
    """Return a time that a response states: botocore's way takes a tenth of a request for each.

    Listings state ISO 8601, headers RFC 1123; anything else is left to botocore.
    """
    if stated.endswith("Z"):
        with suppress(ValueError):
            return datetime.fromisoformat(stated)
    elif stated.endswith(" GMT"):
        with suppress(ValueError):
            return parsedate_to_datetime(stated)
    read: datetime = parse_timestamp(stated)
    return read


def connect(
    session: boto3.Session, endpoint_url: str | None, read_timeout: float, *, unsigned: bool = False
) -> S3Client:
    """Return a boto3 client with bounded timeouts and retries."""
    from botocore import UNSIGNED
    from botocore.config import Config

    is_here = endpoint_url is not None and is_loopback(endpoint_url)
    s3: _S3Dict = {"addressing_style": "path" if endpoint_url else "auto"}
    if is_here:
        # As with TLS: the SHA-256 of the body is in a signed header already, and hashing it
        # again on both sides takes a tenth of the time of a write.
        s3["payload_signing_enabled"] = False
    config = Config(
        # The default for presigned URLs is an older version.
        signature_version=UNSIGNED if unsigned else "s3v4",
        s3=s3,
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=read_timeout,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        max_pool_connections=CONNECTIONS,
        # The default is composed anew for every request, in a tenth of its time.
        user_agent="genept-platform",
        # A proxy from the environment cannot reach the loopback of this machine.
        proxies={} if is_here else None,
    )
    with _CONNECTING:  # clients may be used by several threads, and sessions may not
        return session.client("s3", endpoint_url=endpoint_url, config=config)


def chunks(body: StreamingBody) -> Iterator[bytes]:
    """Yield the body in chunks, and close it.

    Raises `ResponseStreamingError` if the body was cut short or timed out: botocore does not retry.
    """
    with closing(body):
        try:
            yield from body.iter_chunks(CHUNK)
        except (IncompleteReadError, HTTPClientError) as error:
            raise ResponseStreamingError(error=error) from error


def repeated(
    when: retry_base, *, attempts: int, seconds: float, at_most: float
) -> Callable[[Decorated], Decorated]:
    """Decorate a function so that it is called again, after growing intervals of random length."""
    wait = wait_random_exponential(multiplier=seconds, max=at_most)
    again = retry(retry=when, stop=stop_after_attempt(attempts), wait=wait, reraise=True)
    return cast("Callable[[Decorated], Decorated]", again)


rereading = repeated(
    retry_if_exception_type((ResponseStreamingError, FlexibleChecksumError)),
    attempts=3, seconds=0.1, at_most=2,
)  # fmt: skip
"""Decorator: repeats a read whose body was cut short."""


reconsidering = repeated(
    retry_if_exception(lambda error: isinstance(error, ClientError) and http_status(error) == 409),
    attempts=8, seconds=0.05, at_most=2,
)  # fmt: skip
"""Decorator: repeats a conditional write that was answered by 409 (concurrent writes)."""

Stream = io.BytesIO | io.BufferedReader
"""A body that can be read again from its start."""


@dataclass(frozen=True)
class ObjectInfo:
    """Metadata of an object.

    Parameters
    ----------
    key, bytes, etag, last_modified
        Key, size, ETag (not a hash of the content), and time of the write by the store's clock.
    metadata
        What the writer set; not in listings.
    """

    key: str
    bytes: int
    etag: str
    last_modified: datetime
    metadata: Mapping[str, str] = field(default_factory=dict, compare=False)


def check_key(key: str) -> str:
    """Return the key. Raises `InvalidKeyError` for keys that not all servers treat alike."""
    if not key or len(key.encode()) > 1024 or not key.isprintable() or "\\" in key:
        raise InvalidKeyError(
            f"{key!r} is not a valid key: use 1 to 1024 printable bytes without a backslash"
        )
    if not {"", ".", ".."}.isdisjoint(key.split("/")):
        raise InvalidKeyError(
            f"{key!r} is not a valid key: a segment between slashes is empty, '.' or '..'"
        )
    return key


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
    """Return the S3 error code, or the HTTP status if the response had no body (HEAD)."""
    return str(error.response.get("Error", {}).get("Code", ""))


def http_status(error: ClientError) -> int:
    """Return the HTTP status of an error response; 0 if there is none."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


@contextmanager
def explained(doing: str, where: str) -> Iterator[None]:
    """Turn botocore's failures into a `StoreError`: what failed, where, and what to do about it.

    `doing` is such as ``"reading 'a/b.parquet'"``, `where` such as ``"the bucket 'lake' at
    http://127.0.0.1:8333"``. Raises `UnreachableStoreError` if the store does not answer.
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


@contextmanager
def opened(body: bytes | Path) -> Iterator[tuple[Stream, int]]:
    """Open the body as a stream; also its length in bytes."""
    if isinstance(body, bytes):
        yield io.BytesIO(body), len(body)
        return
    with body.open("rb") as stream:
        yield stream, body.stat().st_size


@reconsidering
def put(
    client: S3Client,
    bucket: str,
    key: str,
    body: bytes | Stream,
    *,
    sha256: str,
    etag: str | None = None,
    metadata: dict[str, str] | None = None,
) -> str:
    """Write in one request: replace the object that has `etag`, or create it if `etag` is None.

    Returns the new ETag. Raises `ClientError` (412 or NoSuchKey) if the condition fails.
    """
    if not isinstance(body, bytes):
        body.seek(0)
    request: PutObjectRequestTypeDef = {
        "Bucket": bucket,
        "Key": key,
        "Body": body,
        "ChecksumSHA256": b64encode(bytes.fromhex(sha256)).decode(),
        "Metadata": metadata or {},
    }
    if etag:
        request["IfMatch"] = etag
    else:
        request["IfNoneMatch"] = "*"
    return client.put_object(**request)["ETag"]
