"""Writes on a condition: in one request, or in parts when the body is large; uploads left behind.

The store's refusals leave here as they come: what a refusal means, and who wrote
what, is decided in `genept.store.s3`.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from genept.store.errors import StoreError
from genept.store.objects import Stream
from genept.store.transport import reconsidering

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, PutObjectRequestTypeDef

SINGLE_REQUEST_BYTES: Final = 5 << 30
"""The most that S3 takes in one request; only larger bodies go in parts.

Not less, although parts would be quicker to repeat: SeaweedFS 4.48 lets two uploads in
parts that end at the same moment both succeed, and one overwrite the other.
"""

PART_BYTES: Final = 32 << 20
"""Bytes of a part; with the 10,000 parts that S3 allows, objects reach 335 GB."""


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
    """Write in one request over the object that has `etag`, or where there is none.

    Returns the new ETag. Raises `ClientError`: 412 or NoSuchKey when the condition fails.
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


def create(
    client: S3Client,
    bucket: str,
    key: str,
    body: Stream,
    size: int,
    *,
    sha256: str,
    metadata: dict[str, str],
) -> None:
    """Write `size` bytes under a key that must be free; raises as `put` and `upload_in_parts`."""
    if size > SINGLE_REQUEST_BYTES:
        upload_in_parts(client, bucket, key, body, sha256=sha256, metadata=metadata)
    else:
        put(client, bucket, key, body, sha256=sha256, metadata=metadata)


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
    """Upload `body` part by part; it becomes visible at the end, and only if `key` is free.

    Raises
    ------
    StoreError
        The body does not have the hash `sha256`. Nothing was written.
    ClientError
        The store refused; 412 when something is stored under `key`. The upload was aborted.
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
        # What cannot be aborted now is found by `abort_orphaned_uploads` later.
        with suppress(ClientError, BotoCoreError):
            client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
        raise


def orphaned_uploads(client: S3Client, bucket: str, older_than: timedelta) -> list[tuple[str, str]]:
    """Key and id of the uploads begun longer than `older_than` ago."""
    limit = datetime.now(UTC) - older_than
    return [
        (upload["Key"], upload["UploadId"])
        for page in client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket)
        for upload in page.get("Uploads", [])
        if upload["Initiated"] <= limit
    ]


def abort_orphaned_uploads(client: S3Client, bucket: str, older_than: timedelta) -> int:
    """Abort uploads begun longer than `older_than` ago; returns how many there were."""
    orphans = orphaned_uploads(client, bucket, older_than)
    for key, upload_id in orphans:
        client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id)
    return len(orphans)
