"""A bucket in memory that answers each request as S3 does, atomically and at once.

Delays, losses and repetitions are simulated in `network`. ETags are hashes of the content and
times have whole seconds, as with S3, so that code which relies on more fails here too.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

PAGE = 20
"""Keys in one page of a listing: few, so that others write between two pages."""


@dataclass(frozen=True)
class Stored:
    """One object."""

    body: bytes
    etag: str
    metadata: dict[str, str]
    last_modified: datetime


@dataclass(frozen=True)
class Change:
    """Change of one key by a request; `before` and `after` are None where there was no object."""

    key: str
    before: Stored | None
    after: Stored | None


def refusal(status: int, code: str, operation: str) -> ClientError:
    """An error response, as botocore raises it."""
    return ClientError(
        {
            "Error": {"Code": code, "Message": code},
            "ResponseMetadata": {"HTTPStatusCode": status},
        },  # type: ignore[typeddict-item]
        operation,
    )


class MemoryBucket:
    """The objects, and the requests that are implemented.

    Parameters
    ----------
    now
        The clock of the store.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now = now
        self.objects: dict[str, Stored] = {}

    def handle(
        self, operation: str, request: dict[str, Any]
    ) -> tuple[dict[str, Any], list[Change]]:
        """The answer to a request, and what it changed. Raises `ClientError` for a refusal."""
        answer, changes = getattr(self, f"_{operation}")(**request)
        for change in changes:
            if change.after is None:
                self.objects.pop(change.key, None)
            else:
                self.objects[change.key] = change.after
        return answer, changes

    def _put_object(
        self,
        Key: str,
        Body: bytes,
        Metadata: dict[str, str] | None = None,
        ChecksumSHA256: str | None = None,
        IfMatch: str | None = None,
        IfNoneMatch: str | None = None,
        **_: object,
    ) -> tuple[dict[str, Any], list[Change]]:
        before = self.objects.get(Key)
        if IfNoneMatch is not None and before is not None:
            raise refusal(412, "PreconditionFailed", "PutObject")
        if IfMatch is not None:
            if before is None:
                raise refusal(404, "NoSuchKey", "PutObject")
            if before.etag != IfMatch:
                raise refusal(412, "PreconditionFailed", "PutObject")
        digest = b64encode(hashlib.sha256(Body).digest()).decode()
        if ChecksumSHA256 not in {None, digest}:
            raise refusal(400, "BadDigest", "PutObject")
        etag = f'"{hashlib.md5(Body, usedforsecurity=False).hexdigest()}"'
        after = Stored(Body, etag, dict(Metadata or {}), self.now().replace(microsecond=0))
        return {"ETag": etag}, [Change(Key, before, after)]

    def _get_object(self, Key: str, **_: object) -> tuple[dict[str, Any], list[Change]]:
        stored = self.objects.get(Key)
        if stored is None:
            raise refusal(404, "NoSuchKey", "GetObject")
        return {**_head(stored), "Body": stored.body}, []

    def _head_object(self, Key: str, **_: object) -> tuple[dict[str, Any], list[Change]]:
        stored = self.objects.get(Key)
        if stored is None:
            raise refusal(404, "404", "HeadObject")
        return _head(stored), []

    def _list_objects_v2(
        self, Prefix: str = "", StartAfter: str = "", **_: object
    ) -> tuple[dict[str, Any], list[Change]]:
        keys = sorted(key for key in self.objects if key.startswith(Prefix) and key > StartAfter)
        contents = [
            {
                "Key": key,
                "Size": len(self.objects[key].body),
                "ETag": self.objects[key].etag,
                "LastModified": self.objects[key].last_modified,
            }
            for key in keys[:PAGE]
        ]
        return {"Contents": contents, "IsTruncated": len(keys) > PAGE}, []

    def _delete_objects(
        self, Delete: dict[str, Any], **_: object
    ) -> tuple[dict[str, Any], list[Change]]:
        keys = [item["Key"] for item in Delete["Objects"]]
        return {}, [Change(key, self.objects[key], None) for key in keys if key in self.objects]

    def _delete_object(self, Key: str, **_: object) -> tuple[dict[str, Any], list[Change]]:
        return self._delete_objects({"Objects": [{"Key": Key}]})

    def _list_multipart_uploads(self, **_: object) -> tuple[dict[str, Any], list[Change]]:
        return {"Uploads": [], "IsTruncated": False}, []


def _head(stored: Stored) -> dict[str, Any]:
    return {
        "ContentLength": len(stored.body),
        "ETag": stored.etag,
        "LastModified": stored.last_modified,
        "Metadata": stored.metadata,
    }
