"""Read access to one bucket: its address and credentials, whole objects, downloads, listings.

Writing is in `genept.storage.object_store`; timeouts and retries are in `genept.storage.requests`.
"""

from __future__ import annotations

import hashlib
import io
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Literal, Self, get_args
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from genept.common import MissingObjectError, StoreError
from genept.storage import requests

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_s3 import S3Client
    from pyarrow.fs import S3FileSystem


Role = Literal["reader", "writer", "publisher", "gc"]
"""Reads releases; writes to the lake; publishes releases; deletes garbage."""

ROLES: Final[tuple[Role, ...]] = get_args(Role)


@dataclass(frozen=True)
class Access:
    """Address and credentials of a bucket; without keys, each library uses its defaults.

    If `unsigned`, requests have no signature: only what anybody may read is read.
    """

    endpoint_url: str | None
    access_key: str | None
    secret_key: str | None = field(repr=False)
    region: str
    bucket: str
    unsigned: bool = False

    def session(self) -> boto3.Session:
        """Return the boto3 session that signs with these credentials, made once for the same keys.

        Without keys, boto3 looks for them anew each time.
        """
        keys = self.access_key, self.secret_key, self.region
        return _session(*keys) if self.access_key else _session.__wrapped__(*keys)

    def storage_options(self) -> dict[str, str]:
        """Return the `storage_options` argument of polars' readers and writers."""
        has_endpoint = self.endpoint_url is not None
        options = {
            "aws_region": self.region,
            "aws_endpoint_url": self.endpoint_url,
            "aws_virtualhosted_style_request": "false" if has_endpoint else None,
            "aws_allow_http": str(not self.is_encrypted).lower() if has_endpoint else None,
            "aws_access_key_id": self.access_key,
            "aws_secret_access_key": self.secret_key,
            "aws_skip_signature": "true" if self.unsigned else None,
        }
        return {name: value for name, value in options.items() if value}

    def filesystem(self) -> S3FileSystem:
        """Return the pyarrow filesystem."""
        from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem

        return S3FileSystem(
            access_key=self.access_key,
            secret_key=self.secret_key,
            anonymous=self.unsigned,
            region=self.region,
            endpoint_override=self.host,
            scheme="https" if self.is_encrypted else "http",
            connect_timeout=requests.CONNECT_TIMEOUT,
            request_timeout=requests.READ_TIMEOUT,
            retry_strategy=AwsStandardS3RetryStrategy(max_attempts=requests.ATTEMPTS),
        )

    @property
    def host(self) -> str | None:
        """Host and port of the endpoint."""
        return urlsplit(self.endpoint_url).netloc if self.endpoint_url else None

    @property
    def is_encrypted(self) -> bool:
        """Whether requests go over TLS."""
        return self.endpoint_url is None or urlsplit(self.endpoint_url).scheme == "https"


@cache
def _session(access_key: str | None, secret_key: str | None, region: str) -> boto3.Session:
    import boto3  # a third of the import time of `genept.client`

    return boto3.Session(access_key, secret_key, None, region, requests.new_session())


class Bucket:
    """A bucket to read from.

    Parameters
    ----------
    endpoint_url
        URL of an S3 server; None for AWS.
    access_key, secret_key
        Credentials; None for those of boto3's default chain.
    region
        AWS region that requests are signed for.
    bucket
        Name of the bucket.
    read_timeout
        Seconds without data after which a request is retried.
    flush
        Makes acknowledged writes durable; by default the store is relied upon for that.
    unsigned
        Whether to read without keys what anybody may read.

    Notes
    -----
    Every method raises `StoreError` if the store cannot be reached or refuses the request. What
    polars, pyarrow and DuckDB need to read the bucket is in `access`.
    """

    def __init__(
        self,
        endpoint_url: str | None,
        access_key: str | None,
        secret_key: str | None,
        region: str,
        bucket: str,
        *,
        read_timeout: float = requests.READ_TIMEOUT,
        flush: Callable[[], None] | None = None,
        unsigned: bool = False,
    ) -> None:
        self.access = Access(endpoint_url, access_key, secret_key, region, bucket, unsigned)
        self.bucket, self.read_timeout = bucket, read_timeout
        self.flush = flush or (lambda: None)
        self.where = f"the bucket {bucket!r} at {endpoint_url or 'AWS S3'}"

    def __repr__(self) -> str:
        return f"ObjectStore({self.where})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        if client := self.__dict__.pop("client", None):
            client.close()

    @cached_property
    def client(self) -> S3Client:
        """The boto3 client underneath; safe to share between threads."""
        with requests.explained("connecting", self.where):
            return requests.connect(
                self.access.session(),
                self.access.endpoint_url,
                self.read_timeout,
                unsigned=self.access.unsigned,
            )

    def get(self, key: str) -> bytes:
        """Return the bytes of the object. Raises `MissingObjectError` if there is none."""
        return self.get_with_etag(key)[0]

    def get_with_etag(self, key: str) -> tuple[bytes, str]:
        """Return the bytes of the object, and its ETag for `put_if_match`."""
        sink = io.BytesIO()
        etag = self._read(key, sink)
        return sink.getvalue(), etag

    def head(self, key: str) -> requests.ObjectInfo | None:
        """Return size, ETag, date and metadata of the object under `key`; None if there is none."""
        requests.check_key(key)
        with requests.explained(f"looking for {key!r}", self.where):
            try:
                answer = self.client.head_object(Bucket=self.bucket, Key=key)
            except ClientError as error:
                if requests.http_status(error) != 404:
                    raise
                return None
        return requests.ObjectInfo(
            key, answer["ContentLength"], answer["ETag"], answer["LastModified"], answer["Metadata"]
        )

    def exists(self, key: str) -> bool:
        """Return whether an object is stored under `key`."""
        return self.head(key) is not None

    def presigned(self, key: str, *, bucket: str | None = None) -> str:
        """Return a URL from which plain HTTP clients can read `key` for an hour."""
        place = {"Bucket": bucket or self.bucket, "Key": key}
        with requests.explained(f"signing for {key!r}", self.where):
            return self.client.generate_presigned_url("get_object", place, ExpiresIn=3600)

    def list(self, prefix: str) -> Iterator[requests.ObjectInfo]:
        """Yield the objects whose keys start with `prefix`, in order of their keys."""
        if prefix:
            requests.check_key(prefix.removesuffix("/"))
        with requests.explained(f"listing {prefix!r}", self.where):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=prefix
            )
            for page in pages:
                for item in page.get("Contents", []):
                    yield requests.ObjectInfo(
                        item["Key"], item["Size"], item["ETag"], item["LastModified"]
                    )

    def download(self, key: str, path: Path, sha256: str) -> None:
        """Download the object to `path`, which is created only after its SHA-256 was verified.

        Missing folders are created. Raises `MissingObjectError` if there is no such object,
        `StoreError` if its SHA-256 is another or the file cannot be written.
        """
        requests.check_key(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        try:
            with part.open("w+b") as sink:
                self._read(key, sink)
                sink.seek(0)
                stored_sha256 = hashlib.file_digest(sink, "sha256").hexdigest()
            if stored_sha256 != sha256:
                raise StoreError(
                    f"{self.uri(key)} is damaged: its SHA-256 is {stored_sha256}, expected "
                    f"{sha256}; delete the object and produce it again"
                )
            part.replace(path)
        except OSError as error:
            raise StoreError(f"{path} could not be written: {error.strerror}") from error
        finally:
            part.unlink(missing_ok=True)

    def fetch(self, key: str, path: Path) -> None:
        """Download the object to `path` without verification; see `download` for a known hash."""
        try:
            with path.open("wb") as sink:
                self._read(key, sink)
        except OSError as error:
            raise StoreError(f"{path} could not be written: {error.strerror}") from error

    def digest(self, key: str) -> tuple[int, str]:
        """Return size in bytes and SHA-256 of the stored object; its content is not kept.

        Raises `MissingObjectError` if there is none.
        """
        with self._reading(requests.check_key(key)):
            return self._digest(key)

    def uri(self, key: str) -> str:
        """Return the object's address, such as ``s3://lake/genept/current.json``."""
        return f"s3://{self.bucket}/{key}"

    @contextmanager
    def _reading(self, key: str) -> Iterator[None]:
        with requests.explained(f"reading {key!r}", self.where):
            try:
                yield
            except ClientError as error:
                if requests.error_code(error) != "NoSuchKey":
                    raise
                raise MissingObjectError(f"there is no {self.uri(key)}") from None

    def _read(self, key: str, sink: BinaryIO) -> str:
        """Write the object to `sink`, and return its ETag."""
        with self._reading(requests.check_key(key)):
            return self._fill(key, sink)

    @requests.rereading
    def _fill(self, key: str, sink: BinaryIO) -> str:
        sink.seek(0)
        sink.truncate()
        answer = self.client.get_object(Bucket=self.bucket, Key=key)
        for chunk in requests.chunks(answer["Body"]):
            sink.write(chunk)
        return answer["ETag"]

    @requests.rereading
    def _digest(self, key: str) -> tuple[int, str]:
        size, digest = 0, hashlib.sha256()
        for chunk in requests.chunks(self.client.get_object(Bucket=self.bucket, Key=key)["Body"]):
            size += len(chunk)
            digest.update(chunk)
        return size, digest.hexdigest()
