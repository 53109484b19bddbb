"""Taking a release back: its content is denied, and its public copy closed.

Rolling back to an earlier release is in `genept.release.rollback`; who reads public releases, in
`genept.release.public`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from genept.common import StoreError
from genept.release.catalogs import refresh_catalog
from genept.release.manifest import Denied, Manifest, Pointer
from genept.release.public import anybody_reads, narrow, public_product
from genept.release.publish import Releases
from genept.release.rollback import known_release, roll_back
from genept.release.staging import ReleaseRefusedError
from genept.storage import ObjectStore

PublicCopy: TypeAlias = Literal["none", "closed already", "taken back"]
"""What became of the public copy of a release: there is none, nobody reads it, or it was closed."""


def retract(releases: Releases, release_id: str, *, reason: str) -> Pointer:
    """Take a release back: nothing names it any more, and its content is not published again.

    The current release is rolled back from. An earlier one is put on the deny list, with the
    reason; its files stay for those who named it by its id, and readers are warned.

    Parameters
    ----------
    releases
        Opened with the publisher's keys.
    release_id
        Id of a release that is or was current.
    reason
        Why it is taken back; readers see it.

    Returns
    -------
    Pointer
        The new pointer.

    Raises
    ------
    ReleaseRefusedError
        There is no such release, it was taken back already, or the current release has the same
        content.
    """
    pointer, etag = known_release(releases, release_id)
    if release_id == pointer.release_id:
        return roll_back(releases, reason=reason)
    manifest = releases.manifest(release_id)
    if manifest.data_version == pointer.data_version:
        raise ReleaseRefusedError(
            f"{release_id} has the content of the current release {pointer.release_id}: retract "
            "that first"
        )
    return releases.swap(_denying(pointer, manifest, reason), etag)


def retract_public(
    releases: Releases, release_id: str, *, reason: str, open_operator: Callable[[], ObjectStore]
) -> PublicCopy:
    """Take back the public copy of a release, so that nobody reads it without keys.

    It is put on the deny list of the public product. If it is the current one there, the last
    public release that was not taken back is current again; without one, nothing is public any
    more. May be repeated until it is done.

    Parameters
    ----------
    releases
        The releases of the product, not the public ones, opened with the publisher's keys.
    release_id
        Id of a release, which was taken back.
    reason
        Why it is taken back.
    open_operator
        Opens the bucket with keys that may change its policy; called if anybody reads the copy.

    Returns
    -------
    PublicCopy
        Whether there is a public copy, and whether this took it back.

    Raises
    ------
    StoreError
        The copy can still be read without keys, as these keys may not change the bucket's policy;
        or they may not write where public releases are. The message says what to do.
    """
    public = Releases(releases.lake, public_product(releases.product))
    key = public.manifest_key(release_id)
    again = f"genept release retract {release_id}"
    try:
        if not list(public.store.list(key)):
            return "none"
        changed = _deny_publicly(releases, public, release_id, reason)
    except StoreError as error:
        raise StoreError(
            f"the public copy of {release_id} was NOT taken back: {error}. Give keys that may "
            f"write below {public.store.uri(public.product)}/ and repeat `{again}`"
        ) from error
    if not anybody_reads(public.store, key):
        return "taken back" if changed else "closed already"
    why = "the bucket's policy lets anybody read it by a statement that is not ours"
    try:
        narrow(open_operator(), releases.product)
    except StoreError as error:
        why = str(error)
    if anybody_reads(public.store, key):
        raise StoreError(
            f"{public.store.uri(key)} can STILL be read without keys ({why}). Let nobody read "
            "public releases: `genept release publish --withdraw`, with keys that may change the "
            "bucket's policy, or Terraform's `public_read = false`; or give such keys and repeat "
            f"`{again}`"
        )
    return "taken back"


def _deny_publicly(releases: Releases, public: Releases, release_id: str, reason: str) -> bool:
    """Put a copy on the deny list of the public product; False if it is there already."""
    pointer, etag = public.pointer_with_etag()
    if pointer is None or pointer.retracted(release_id) is not None:
        return False
    back = _last_that_stays(releases, public, pointer) if pointer.release_id == release_id else None
    if back is not None:
        try:
            roll_back(public, back, reason=reason)
        except ReleaseRefusedError:  # it is damaged or being deleted: nothing is gone back to
            back = None
    if back is None:
        public.swap(_denying(pointer, public.manifest(release_id), reason), etag)
    refresh_catalog(public)
    return True


def _last_that_stays(releases: Releases, public: Releases, pointer: Pointer) -> str | None:
    """The last earlier public release that neither product took back, with other content."""
    own, history = releases.pointer(), public.history()
    for name in reversed(history.ids):
        taken = [it for it in (own, pointer) if it is not None and it.retracted(name) is not None]
        same = history.manifests[name].data_version == pointer.data_version
        if name < pointer.release_id and not taken and not same:
            return name
    return None


def _denying(pointer: Pointer, manifest: Manifest, reason: str) -> Pointer:
    """The pointer with a release on its deny list; the current release stays."""
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    entry = Denied.of(manifest, reason, moment)
    kept = [other for other in pointer.denied if other.release_id != manifest.release_id]
    update = {
        "seq": pointer.seq + 1,
        "swapped_at": moment,
        "denied": (*kept, entry),
        "stable": None if pointer.stable == manifest.release_id else pointer.stable,
    }
    return pointer.model_copy(update=update)
