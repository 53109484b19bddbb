"""How requests travel to the object store: timeouts, retries, and bodies cut short.

What is asked of the store is decided in `genept.store.s3`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from botocore.exceptions import (
    ClientError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    ResponseStreamingError,
)
from tenacity import (
    retry,
    retry_if_exception,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from genept.store.errors import http_status

if TYPE_CHECKING:
    import boto3
    from botocore.config import _S3Dict
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client

CONNECT_TIMEOUT: Final = 5.0
READ_TIMEOUT: Final = 60.0
ATTEMPTS: Final = 4
CONNECTIONS: Final = 32
CHUNK: Final = 1 << 20


def connect(session: boto3.Session, endpoint_url: str | None, read_timeout: float) -> S3Client:
    """A client that gives up in bounded time; with an endpoint, buckets are part of the path."""
    from botocore.config import Config

    is_here = endpoint_url is not None and is_loopback(endpoint_url)
    s3: _S3Dict = {"addressing_style": "path" if endpoint_url else "auto"}
    if is_here:
        # As over TLS: the SHA-256 of what is stored is a signed header already, and to hash it
        # once more on either side is a tenth of what storing costs.
        s3["payload_signing_enabled"] = False
    return session.client(
        "s3",
        endpoint_url=endpoint_url,
        config=Config(
            signature_version="s3v4",  # presigned addresses would be signed the old way
            s3=s3,
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=read_timeout,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            max_pool_connections=CONNECTIONS,
            # A proxy of the environment cannot reach a server on this machine's loopback.
            proxies={} if is_here else None,
        ),
    )


def is_loopback(url: str) -> bool:
    """Whether `url` names this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def chunks(body: StreamingBody) -> Iterator[bytes]:
    """The body in pieces, closed at the end.

    Raises
    ------
    ResponseStreamingError
        The body stopped before its end, or hung. botocore retries neither.
    """
    with closing(body):
        try:
            yield from body.iter_chunks(CHUNK)
        except (IncompleteReadError, HTTPClientError) as error:
            raise ResponseStreamingError(error=error) from error


rereading = retry(
    retry=retry_if_exception_type((ResponseStreamingError, FlexibleChecksumError)),
    stop=stop_after_attempt(3),
    wait=wait_random_exponential(multiplier=0.1, max=2),
    reraise=True,
)
"""Repeats a read whose body was cut: a GET has no side effects, so the whole is asked for again."""


def _is_race(error: BaseException) -> bool:
    return isinstance(error, ClientError) and http_status(error) == 409


reconsidering = retry(
    retry=retry_if_exception(_is_race),
    stop=stop_after_attempt(8),
    wait=wait_random_exponential(multiplier=0.05, max=2),
    reraise=True,
)
"""Repeats a conditional write answered by 409: the store could not yet say who was first."""
