"""Going back: the pointer swapped to an earlier release, and the bad one kept from coming back.

Whether a release still lies in the store as it was sealed is verified file by file, through S3.
"""

from __future__ import annotations

from datetime import UTC, datetime

from genept.common.display import progress_bar
from genept.common.errors import MissingObjectError, StoreError
from genept.release.gate import refuse_unproved
from genept.release.manifest import Denied, Manifest, Pointer
from genept.release.publish import Releases
from genept.release.staging import ReleaseRefusedError
from genept.storage.bucket import Bucket


def verify(store: Bucket, folder: str, manifest: Manifest) -> list[str]:
    """What is wrong with a release: missing, damaged or unlisted objects; empty if nothing is.

    Every listed byte is read: data and pages by SHA-256, data by size as well.
    """
    listed: dict[str, tuple[int | None, str]] = {
        f"audit/{path}": (None, sha256) for path, sha256 in manifest.audit.items()
    }
    for table in manifest.tables.values():
        listed |= {file.path: (file.bytes, file.sha256) for file in table.files}
    found = []
    with progress_bar("verifying", len(listed)) as advance:
        for path, (size, sha256) in listed.items():
            if fault := _fault(store, f"{folder}/{path}", size, sha256):
                found.append(f"{path} {fault}")
            advance(1)
    stored = {info.key.removeprefix(f"{folder}/") for info in store.list(f"{folder}/")}
    unlisted = sorted(stored - set(listed) - {"manifest.json"})
    return [*found, *(f"{path} is not listed in the manifest" for path in unlisted)]


def _fault(store: Bucket, key: str, size: int | None, sha256: str) -> str | None:
    try:
        stored_size, stored_sha256 = store.digest(key)
    except MissingObjectError:
        return "is missing"
    if size not in {None, stored_size}:
        return f"has {stored_size} bytes, {size} were sealed"
    if stored_sha256 != sha256:
        return f"has the SHA-256 {stored_sha256[:12]}…, {sha256[:12]}… was sealed"
    return None


def roll_back(
    releases: Releases,
    release_id: str | None = None,
    *,
    reason: str,
    now: datetime | None = None,
) -> Pointer:
    """Make an earlier release current again; by default the one before the current.

    The current release, and those between it and the earlier one, go on the deny list:
    their content is refused when it is published again, until `allow` takes it off.

    Raises
    ------
    ReleaseRefusedError
        If there is no such earlier release, its content is denied or that of the current one, it
        is damaged or being deleted, or its evidence fails.
    ConflictError
        If a publisher moved the pointer meanwhile.
    """
    pointer, etag = releases.pointer_with_etag()
    if pointer is None:
        raise ReleaseRefusedError("nothing has been released yet: there is nothing to undo")
    denied = {one.data_version for one in pointer.denied if one.lifted_at is None}
    past = releases.history()
    known = past.manifests
    history = [one for one in past.ids if known[one].data_version not in denied]
    earlier = [one for one in history if one < pointer.release_id]
    release_id = release_id or (earlier[-1] if earlier else "")
    if release_id not in earlier:
        raise ReleaseRefusedError(
            f"{release_id or 'nothing'} is not an earlier release that was current and is not "
            f"denied; those are: {', '.join(earlier) or 'none'}"
        )
    target = known[release_id]
    if target.data_version == pointer.data_version:
        raise ReleaseRefusedError(f"{release_id} has the content of {pointer.release_id} itself")
    refuse_unproved(target.tables, target.evidence)
    # Read after the pointer: a collector lists what it deletes, and then changes the pointer.
    if going := {release_id, target.previous} & set(releases.marks.read().doomed):
        raise ReleaseRefusedError(
            f"garbage collection is deleting {', '.join(sorted(map(str, going)))}: go back to a "
            "later release, or run `genept release gc --yes` if the collection was killed, and try "
            "again"
        )
    if damaged := verify(releases.store, releases.folder(release_id), target):
        raise ReleaseRefusedError(f"{release_id} is damaged: {'; '.join(damaged[:5])}")
    now = now or datetime.now(UTC)
    passed_over = [known[one] for one in history if release_id < one]
    bad = [one for one in passed_over if one.data_version != target.data_version]
    # Not the hash of `target` as it would be written today: fields may have been added since.
    try:
        _, sha256 = releases.store.digest(releases.manifest_key(release_id))
    except MissingObjectError:
        raise ReleaseRefusedError(f"{release_id} is damaged: its manifest is gone") from None
    replacement = releases.following(pointer, target, sha256, now).model_copy(
        update={
            "rolled_back_from": pointer.release_id,
            "denied": (*_without(pointer, bad), *(_denied(one, reason, now) for one in bad)),
        }
    )
    return releases.swap(replacement, etag)


def allow(releases: Releases, release_id: str, *, now: datetime | None = None) -> Pointer:
    """Take a release off the deny list: the next run that makes its content publishes it.

    Raises
    ------
    StoreError
        If it is not on the list.
    """
    pointer, etag = releases.pointer_with_etag()
    listed = [one.release_id for one in pointer.denied if one.lifted_at is None] if pointer else []
    if pointer is None or release_id not in listed:
        raise StoreError(f"{release_id} is not denied; denied are: {', '.join(listed) or 'none'}")
    moment = (now or datetime.now(UTC)).isoformat(timespec="seconds")
    replacement = pointer.model_copy(
        update={
            "seq": pointer.seq + 1,
            "swapped_at": moment,
            "denied": tuple(
                one.model_copy(update={"lifted_at": moment})
                if one.release_id == release_id
                else one
                for one in pointer.denied
            ),
        }
    )
    return releases.swap(replacement, etag)


def _denied(manifest: Manifest, reason: str, now: datetime) -> Denied:
    return Denied(
        release_id=manifest.release_id,
        data_version=manifest.data_version,
        reason=reason,
        denied_at=now.isoformat(timespec="seconds"),
    )


def _without(pointer: Pointer, bad: list[Manifest]) -> list[Denied]:
    """The deny list without what is denied anew."""
    again = {one.release_id for one in bad}
    return [one for one in pointer.denied if one.release_id not in again]
