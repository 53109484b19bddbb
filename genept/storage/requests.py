"""S3 requests: the client, timeouts, retries, conditional writes in one request or in parts.

Errors are explained, and lost responses resolved, in `genept.storage.object_store`.
"""

from __future__ import annotations

import hashlib
import io
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from botocore.exceptions import (
    BotoCoreError,
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

from genept.common import InvalidKeyError, StoreError, http_status

if TYPE_CHECKING:
    import boto3
    from botocore.config import _S3Dict
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, PutObjectRequestTypeDef

CONNECT_TIMEOUT: Final = 5.0
READ_TIMEOUT: Final = 60.0
ATTEMPTS: Final = 4
CONNECTIONS: Final = 32
CHUNK: Final = 1 << 20


def connect(session: boto3.Session, endpoint_url: str | None, read_timeout: float) -> S3Client:
    """Return a boto3 client with bounded timeouts and retries."""
    from botocore.config import Config

    is_here = endpoint_url is not None and is_loopback(endpoint_url)
    s3: _S3Dict = {"addressing_style": "path" if endpoint_url else "auto"}
    if is_here:
        # As with TLS: the SHA-256 of the body is in a signed header already, and hashing it
        # again on both sides takes a tenth of the time of a write.
        s3["payload_signing_enabled"] = False
    return session.client(
        "s3",
        endpoint_url=endpoint_url,
        config=Config(
            signature_version="s3v4",  # the default for presigned URLs is the older version
            s3=s3,
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=read_timeout,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            max_pool_connections=CONNECTIONS,
            # A proxy from the environment cannot reach the loopback of this machine.
            proxies={} if is_here else None,
        ),
    )


def is_loopback(url: str) -> bool:
    """Return whether an address is on the loopback of this machine.

    Parameters
    ----------
    url
        Of host names only ``localhost`` counts; none is resolved.

    Returns
    -------
    bool
    """
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def chunks(body: StreamingBody) -> Iterator[bytes]:
    """Yield the body in chunks, and close it.

    Raises `ResponseStreamingError` if the body was cut short or timed out: botocore does not retry.
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
"""Decorator: repeats a read whose body was cut short."""


def _is_race(error: BaseException) -> bool:
    return isinstance(error, ClientError) and http_status(error) == 409


reconsidering = retry(
    retry=retry_if_exception(_is_race),
    stop=stop_after_attempt(8),
    wait=wait_random_exponential(multiplier=0.05, max=2),
    reraise=True,
)
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
    """

    key: str
    bytes: int
    etag: str
    last_modified: datetime


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


@contextmanager
def opened(body: bytes | Path) -> Iterator[tuple[Stream, int]]:
    """Open the body as a stream; also its length in bytes."""
    if isinstance(body, bytes):
        yield io.BytesIO(body), len(body)
        return
    with body.open("rb") as stream:
        yield stream, body.stat().st_size


SINGLE_REQUEST_BYTES: Final = 5 << 30
"""Maximum size of one S3 request; only larger bodies are uploaded in parts.

SeaweedFS 4.48 lets two concurrent uploads in parts both succeed, so that one overwrites the other.
"""

PART_BYTES: Final = 32 << 20
"""Bytes of a part; with at most 10,000 parts, an object can have 335 GB."""


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


@reconsidering
def upload_in_parts(
    client: S3Client,
    bucket: str,
    key: str,
    body: Stream,
    *,
    sha256: str,
    metadata: dict[str, str],
) -> None:
    """Upload `body` in parts; the object is created at the end, if `key` is free.

    Raises `StoreError` for another SHA-256, `ClientError` if the store refuses (412: key in use).
    """
    body.seek(0)
    upload = client.create_multipart_upload(
        Bucket=bucket, Key=key, Metadata=metadata, ChecksumAlgorithm="SHA256"
    )["UploadId"]
    try:
        parts: list[CompletedPartTypeDef] = []
        whole = hashlib.sha256()
        while part := body.read(PART_BYTES):
            whole.update(part)
            checksum = b64encode(hashlib.sha256(part).digest()).decode()
            number = len(parts) + 1
            answer = client.upload_part(
                Bucket=bucket,
                Key=key,
                UploadId=upload,
                PartNumber=number,
                Body=part,
                ChecksumSHA256=checksum,
            )
            parts.append({"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": checksum})
        if whole.hexdigest() != sha256:
            raise StoreError(
                f"{key!r} was not written: its bytes have the SHA-256 {whole.hexdigest()}, "
                f"expected {sha256}; the file changed since it was hashed: write it anew"
            )
        client.complete_multipart_upload(
            Bucket=bucket,
            Key=key,
            UploadId=upload,
            MultipartUpload={"Parts": parts},
            IfNoneMatch="*",
        )
    except BaseException:
        # If this fails, `abort_orphaned_uploads` aborts the upload later.
        with suppress(ClientError, BotoCoreError):
            client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
        raise
