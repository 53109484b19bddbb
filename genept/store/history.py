"""Which releases are or were current: read from the manifests, each of which names the one before.

A manifest that is gone ends the chain. If older releases lie there still, nobody can say any more
which of them were current: that is told apart from a chain that ends where garbage was collected.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    """

    ids: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    uncertain: tuple[str, ...] = ()


def read_history(store: Bucket, folder: str, pointer: Pointer | None) -> History:
    """Follow the manifests below `folder` from the pointer back to the first release.

    Raises
    ------
    StoreError
        A manifest is damaged, or of a format that this version does not read.
    """
    known: set[str] = set()
    missing: set[str] = set()
    for newest in pointer.heads if pointer else ():
        release_id: str | None = newest
        while release_id is not None and release_id not in known | missing:
            key = f"{folder}/{release_id}/manifest.json"
            try:
                body = store.get(key)
            except MissingObjectError:
                missing.add(release_id)
                break
            known.add(release_id)
            release_id = Manifest.parse(body, store.uri(key)).previous
    if not missing:
        return History(tuple(sorted(known)))
    sealed = {
        info.key.removeprefix(f"{folder}/").split("/")[0]
        for info in store.list(f"{folder}/")
        if info.key.endswith("/manifest.json") and info.key.count("/") == folder.count("/") + 2
    }
    uncertain = {one for one in sealed - known if one < max(missing)}
    lost = {one for one in missing if uncertain and one > min(uncertain)}
    return History(tuple(sorted(known)), tuple(sorted(lost)), tuple(sorted(uncertain)))
