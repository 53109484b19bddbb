"""Which releases are or were current: read from the manifests, each of which names the one before.

A manifest that is gone ends the chain. If older releases lie there still, nobody can say any more
which of them were current: that is told apart from a chain that ends where garbage was collected.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from genept.store.bucket import Bucket
from genept.store.errors import MissingObjectError
from genept.store.manifest import Manifest, Pointer


@dataclass(frozen=True)
class History:
    """What is known of the releases of a product.

    Parameters
    ----------
    ids
        Releases that are or were current, oldest first.
    missing
        Releases whose manifest is gone although older releases lie there still.
    uncertain
        Those older ones: sealed, and perhaps current once.
    manifests
        Of both, as they were when they were read: some may be gone by now.
    """

    ids: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    uncertain: tuple[str, ...] = ()
    manifests: Mapping[str, Manifest] = field(default_factory=dict)


def read_history(store: Bucket, folder: str, pointer: Pointer | None) -> History:
    """Follow the manifests below `folder` from the pointer back to the first release.

    Raises
    ------
    StoreError
        A manifest is damaged, or of a format that this version does not read.
    """
    known: dict[str, Manifest] = {}
    missing: set[str] = set()
    for newest in pointer.heads if pointer else ():
        release_id: str | None = newest
        while release_id is not None and release_id not in known.keys() | missing:
            manifest = _read(store, folder, release_id)
            if manifest is None:
                missing.add(release_id)
                break
            known[release_id] = manifest
            release_id = manifest.previous
    if not missing:
        return History(tuple(sorted(known)), manifests=known)
    uncertain = {
        one: manifest
        for one in _sealed(store, folder) - known.keys()
        if one < max(missing) and (manifest := _read(store, folder, one)) is not None
    }
    lost = [one for one in missing if uncertain and one > min(uncertain)]
    return History(
        tuple(sorted(known)), tuple(sorted(lost)), tuple(sorted(uncertain)), known | uncertain
    )


def _read(store: Bucket, folder: str, release_id: str) -> Manifest | None:
    key = f"{folder}/{release_id}/manifest.json"
    try:
        return Manifest.parse(store.get(key), store.uri(key))
    except MissingObjectError:
        return None


def _sealed(store: Bucket, folder: str) -> set[str]:
    """Releases that have a manifest, current once or not."""
    paths = [info.key.removeprefix(f"{folder}/").split("/") for info in store.list(f"{folder}/")]
    return {path[0] for path in paths if path[1:] == ["manifest.json"]}
