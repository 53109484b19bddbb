"""Conditional writes to one bucket.

All access of the platform to S3 goes through `ObjectStore`. Keys and formats belong to
`genept.storage.lake` and `genept.release.publish`; reading is in `genept.storage.bucket`.
"""

from __future__ import annotations

import hashlib
import secrets
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from genept.common import ConflictError, MissingObjectError, StoreError
from genept.storage import requests
from genept.storage.bucket import Bucket
from genept.storage.requests import (
    Stream,
    check_key,
    error_code,
    explained,
    http_status,
    opened,
    reconsidering,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

DELETED_AT_ONCE: Final = 1000
WRITTEN_ANEW: Final = 4
WRITER: Final = "genept-writer"
"""Metadata by which a writer recognises its own object after the response was lost."""


SINGLE_REQUEST_BYTES: Final = 5 << 30
"""Maximum size of one S3 request; only larger bodies are uploaded in parts.

SeaweedFS 4.48 lets two concurrent uploads in parts both succeed, so that one overwrites the other.
"""

PART_BYTES: Final = 32 << 20
"""Bytes of a part; with at most 10,000 parts, an object can have 335 GB."""


class ObjectStore(Bucket):
    """A bucket to write to, opened as `Bucket` is; objects change only if their ETag is given."""

    def put_if_absent(self, key: str, body: bytes | Path, *, sha256: str | None = None) -> bool:
        """Store `body` under `key`, which must be free or hold the same bytes.

        Parameters
        ----------
        key
            Key of the object.
        body
            Bytes, or the path of a file.
        sha256
            SHA-256 of the body as hex digits, if it is known.

        Returns
        -------
        bool
            True if this call wrote the object, even if the response was lost; False if the same
            bytes were stored before.

        Raises
        ------
        ConflictError
            Other bytes are stored under `key`; they were not changed.
        StoreError
            The store cannot be reached, or `key` is deleted by another process each time.

        Notes
        -----
        Of several concurrent writers one succeeds, up to 5 GiB. Larger bodies are uploaded in
        parts, for which the server decides; SeaweedFS does not guarantee it.
        """
        check_key(key)
        signature = {WRITER: secrets.token_hex(16)}
        with opened(body) as (stream, size), explained(f"writing {key!r}", self.where):
            sha256 = sha256 or hashlib.file_digest(stream, "sha256").hexdigest()
            for _ in range(WRITTEN_ANEW):
                try:
                    if size > SINGLE_REQUEST_BYTES:
                        _upload_in_parts(
                            self.client, self.bucket, key, stream, sha256=sha256, metadata=signature
                        )
                    else:
                        requests.put(
                            self.client, self.bucket, key, stream, sha256=sha256, metadata=signature
                        )
                except ClientError as error:
                    if http_status(error) != 412 and error_code(error) != "NoSuchUpload":
                        raise
                else:
                    return True
                with suppress(MissingObjectError):
                    return self._is_own_work(key, size, sha256, signature[WRITER])
        raise StoreError(
            f"{self.uri(key)} is deleted by another process each time it is written: stop "
            "that process, then write it again"
        )

    def put_if_match(self, key: str, body: bytes, etag: str | None) -> str:
        """Replace the object that has `etag`, or create it where `etag` is None.

        If a response is lost and the repeated request is refused, the object is read back, and
        equal bytes mean success; so `body` should contain a nonce. Everything stored before is
        durable before this object is written, and the object before the method returns: after a
        power loss, whatever a stored pointer refers to is stored, too.

        Parameters
        ----------
        key
            Key of the object.
        body
            The new content.
        etag
            ETag of the object to replace; None if there must be none.

        Returns
        -------
        str
            The new ETag.

        Raises
        ------
        ConflictError
            Another writer replaced the object; its content was not changed.
        StoreError
            The store cannot be reached, or its disk failed.
        """
        check_key(key)
        self.flush()
        written = self._put_if_match(key, body, etag)
        self.flush()
        return written

    def _put_if_match(self, key: str, body: bytes, etag: str | None) -> str:
        with explained(f"writing {key!r}", self.where):
            try:
                sha256 = hashlib.sha256(body).hexdigest()
                return requests.put(self.client, self.bucket, key, body, sha256=sha256, etag=etag)
            except ClientError as error:
                if http_status(error) != 412 and error_code(error) != "NoSuchKey":
                    raise
        try:
            stored, stored_etag = self.get_with_etag(key)
        except MissingObjectError:
            raise ConflictError(f"{self.uri(key)} is gone: read it again, then retry") from None
        if stored != body:
            raise ConflictError(f"{self.uri(key)} was replaced by another writer")
        return stored_etag

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; keys without an object are no error."""
        checked = map(check_key, keys)
        while batch := list(islice(checked, DELETED_AT_ONCE)):
            with explained(f"deleting {len(batch)} objects", self.where):
                answer = self.client.delete_objects(
                    Bucket=self.bucket,
                    Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True},
                )
            if refused := answer.get("Errors"):
                first = refused[0]
                raise StoreError(
                    f"{len(refused)} objects in {self.where} were not deleted; the first is "
                    f"{first.get('Key')!r}: {first.get('Code')} {first.get('Message')}"
                )

    def ensure_bucket(self) -> None:
        """Create the bucket if it does not exist."""
        with explained("looking for the bucket", self.where):
            try:
                self.client.head_bucket(Bucket=self.bucket)
            except ClientError as error:
                if http_status(error) != 404:
                    raise
                self.client.create_bucket(Bucket=self.bucket)

    def orphaned_uploads(self, older_than: timedelta = timedelta(days=1)) -> list[str]:
        """Return the keys of unfinished multipart uploads of killed writers."""
        with explained("looking for old uploads", self.where):
            return [key for key, _ in self._orphans(older_than)]

    def abort_orphaned_uploads(self, older_than: timedelta = timedelta(days=1)) -> int:
        """Abort unfinished multipart uploads of killed writers, and return their number."""
        with explained("aborting old uploads", self.where):
            orphans = list(self._orphans(older_than))
            for key, upload in orphans:
                self.client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload)
        return len(orphans)

    def _orphans(self, older_than: timedelta) -> Iterator[tuple[str, str]]:
        """Key and id of unfinished uploads that were begun longer than `older_than` ago."""
        limit = datetime.now(UTC) - older_than
        pages = self.client.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket)
        for page in pages:
            for upload in page.get("Uploads", []):
                if upload["Initiated"] <= limit:
                    yield upload["Key"], upload["UploadId"]

    def _is_own_work(self, key: str, size: int, sha256: str, writer: str) -> bool:
        """After a refused creation: True if `writer` made the object, False if it is the same.

        If a response is lost, the store refuses the repeated request because of the first.

        Raises
        ------
        MissingObjectError
            The object was deleted since, for example when shards were merged.
        ConflictError
            It holds other bytes.
        """
        if (info := self.head(key)) is None:
            raise MissingObjectError(f"there is no {self.uri(key)}")
        if info.metadata.get(WRITER) == writer:
            return True
        if info.bytes == size and self.digest(key)[1] == sha256:
            return False
        raise ConflictError(
            f"{self.uri(key)} exists with other content ({info.bytes} bytes, here {size}); "
            "it was not changed: stored objects are never rewritten, so choose another key"
        )


@reconsidering
def _upload_in_parts(
    client: S3Client, bucket: str, key: str, body: Stream, *, sha256: str, metadata: dict[str, str]
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
