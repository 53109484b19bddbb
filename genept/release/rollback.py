"""Rollback to an earlier release, the deny list, and verification of a release file by file.

Publishing is in `genept.release.publish`, taking a release back in `genept.release.retraction`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from genept.common import MissingObjectError, StoreError, progress_bar
from genept.release.gate import refuse_unproved
from genept.release.manifest import Denied, Manifest, Pointer
from genept.release.publish import Releases
from genept.release.staging import ReleaseRefusedError
from genept.storage import Bucket


def verify(store: Bucket, folder: str, manifest: Manifest) -> list[str]:
    """Verify all objects of a release by size and SHA-256.

    Parameters
    ----------
    store
        The bucket.
    folder
        Key prefix of the release.
    manifest
        Its manifest.

    Returns
    -------
    list of str
        One sentence for each missing, damaged or unlisted object.
    """
    listed: dict[str, tuple[int | None, str]] = {
        **{f"audit/{path}": (None, sha256) for path, sha256 in manifest.audit.items()},
        **{path: (None, sha256) for path, sha256 in manifest.metadata.items()},
    }
    listed |= {path: (None, sha256) for path, sha256 in manifest.catalog.items()}
    for table in manifest.tables.values():
        listed |= {file.path: (file.bytes, file.sha256) for file in table.files}
    faults = []
    with progress_bar("verifying", len(listed)) as advance:
        for path, (size, sha256) in listed.items():
            if fault := _fault(store, f"{folder}/{path}", size, sha256):
                faults.append(f"{path} {fault}")
            advance(1)
    stored = {info.key.removeprefix(f"{folder}/") for info in store.list(f"{folder}/")}
    unlisted = sorted(stored - set(listed) - {"manifest.json"})
    return [*faults, *(f"{path} is not listed in the manifest" for path in unlisted)]


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
    releases: Releases, release_id: str | None = None, *, reason: str, now: datetime | None = None
) -> Pointer:
    """Make an earlier release current again.

    The current release, and those between it and the earlier one, are put on the deny list: their
    content is refused until `allow` takes it off.

    Parameters
    ----------
    releases
        Opened with the publisher's keys.
    release_id
        Id of the earlier release; by default the last before the current that has other content
        and is not denied.
    reason
        Why the current release is bad.
    now
        Time of the rollback; the present time by default.

    Returns
    -------
    Pointer
        The new pointer.

    Raises
    ------
    ReleaseRefusedError
        There is no such earlier release, its content is denied or equal to that of the current
        one, it is damaged or being deleted, or its evidence fails.
    ConflictError
        Another process swapped the pointer.
    """
    pointer, etag = releases.pointer_with_etag()
    if pointer is None:
        raise ReleaseRefusedError("nothing has been released yet: there is nothing to undo")
    denied = {entry.data_version for entry in pointer.denied if entry.lifted_at is None}
    past = releases.history()
    known = past.manifests
    history = [known_id for known_id in past.ids if known[known_id].data_version not in denied]
    earlier = [known_id for known_id in history if known_id < pointer.release_id]
    others = [name for name in earlier if known[name].data_version != pointer.data_version]
    if release_id is None:
        if not others:
            raise ReleaseRefusedError(_no_way_back(pointer, past.ids))
        release_id = others[-1]
    if release_id not in earlier:
        raise ReleaseRefusedError(
            f"{release_id} is not an earlier release that was current and is not "
            f"denied; those are: {', '.join(earlier) or 'none'}"
        )
    target = known[release_id]
    if target.data_version == pointer.data_version:
        raise ReleaseRefusedError(
            f"{release_id} has the content of {pointer.release_id} itself; with other content "
            f"there are: {', '.join(others) or 'none'}"
        )
    refuse_unproved(target.tables, target.evidence)
    # Read after the pointer: a collector lists the releases first, and then swaps the pointer.
    if going := {release_id, target.previous} & set(releases.marks.read().doomed):
        raise ReleaseRefusedError(
            f"garbage collection is deleting {', '.join(sorted(map(str, going)))}: go back to a "
            "later release, or run `genept release gc --yes` if the collection was killed, and try "
            "again"
        )
    if damaged := verify(releases.store, releases.folder(release_id), target):
        raise ReleaseRefusedError(f"{release_id} is damaged: {'; '.join(damaged[:5])}")
    now = now or datetime.now(UTC)
    passed_over = [known[known_id] for known_id in history if release_id < known_id]
    bad = [manifest for manifest in passed_over if manifest.data_version != target.data_version]
    # The hash of the stored bytes: this version might write further fields.
    try:
        _, sha256 = releases.store.digest(releases.manifest_key(release_id))
    except MissingObjectError:
        raise ReleaseRefusedError(f"{release_id} is damaged: its manifest is gone") from None
    again = {manifest.release_id for manifest in bad}
    moment = now.isoformat(timespec="seconds")
    newly = [Denied.of(manifest, reason, moment) for manifest in bad]
    before = [entry for entry in pointer.denied if entry.release_id not in again]
    stable = None if pointer.stable in again else pointer.stable
    replacement = releases.following(pointer, target, sha256, now).model_copy(
        update={
            "rolled_back_from": pointer.release_id,
            "denied": (*before, *newly),
            "stable": stable,
        }
    )
    return releases.swap(replacement, etag)


def _no_way_back(pointer: Pointer, ids: Sequence[str]) -> str:
    """Why no earlier release can be current again, and what can be done."""
    withdraw = "withdraw the public copy with `genept release publish --withdraw`"
    if len(ids) == 1:
        return f"{pointer.release_id} is the only release: publish another first, or {withdraw}"
    return (
        f"there is no earlier release than {pointer.release_id} that was current, is not denied "
        "and has other content: publish another first, take an earlier one off the deny list with "
        f"`genept release allow RELEASE`, or {withdraw}"
    )


def allow(releases: Releases, release_id: str) -> Pointer:
    """Take a release off the deny list, so that its content can be published again.

    Parameters
    ----------
    releases
        Opened with the publisher's keys.
    release_id
        Id of the release.

    Returns
    -------
    Pointer
        The new pointer.

    Raises
    ------
    StoreError
        The release is not on the list.
    """
    pointer, etag = releases.pointer_with_etag()
    listed = (
        [entry.release_id for entry in pointer.denied if entry.lifted_at is None] if pointer else []
    )
    if pointer is None or release_id not in listed:
        raise StoreError(f"{release_id} is not denied; denied are: {', '.join(listed) or 'none'}")
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    denied = tuple(
        entry.model_copy(update={"lifted_at": moment}) if entry.release_id == release_id else entry
        for entry in pointer.denied
    )
    update = {"seq": pointer.seq + 1, "swapped_at": moment, "denied": denied}
    return releases.swap(pointer.model_copy(update=update), etag)


def mark_stable(releases: Releases, release_id: str) -> Pointer:
    """Let the alias ``stable`` name a release; it is kept by garbage collection.

    Parameters
    ----------
    releases
        Opened with the publisher's keys.
    release_id
        Id of a release that is or was current.

    Returns
    -------
    Pointer
        The new pointer.

    Raises
    ------
    ReleaseRefusedError
        There is no such release, or it was rolled back from or retracted.
    """
    pointer, etag = known_release(releases, release_id)
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    update = {"seq": pointer.seq + 1, "swapped_at": moment, "stable": release_id}
    return releases.swap(pointer.model_copy(update=update), etag)


def known_release(releases: Releases, release_id: str) -> tuple[Pointer, str | None]:
    """Read the pointer and its ETag, if a release may be named.

    Parameters
    ----------
    releases
        The releases of a product.
    release_id
        Id of a release that is or was current.

    Returns
    -------
    tuple of Pointer, str or None
        The pointer, and the condition of the next swap.

    Raises
    ------
    ReleaseRefusedError
        There is no such release, or it was rolled back from or retracted.
    """
    pointer, etag = releases.pointer_with_etag()
    ids = releases.ids()
    if pointer is None or release_id not in ids:
        raise ReleaseRefusedError(
            f"{release_id} is no release that is or was current; those are: "
            f"{', '.join(ids[-5:]) or 'none'}"
        )
    if reason := pointer.retracted(release_id):
        raise ReleaseRefusedError(f"{release_id} was taken back already: {reason}")
    return pointer, etag
