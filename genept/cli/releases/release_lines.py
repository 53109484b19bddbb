"""What `genept release` prints of releases, and where a public one is found."""

from __future__ import annotations

from collections.abc import Iterator

from genept.client import limits_in_words
from genept.common import StoreError
from genept.release import (
    Manifest,
    Pointer,
    Releases,
    anybody_reads,
    let_anybody_read,
    public_product,
)
from genept.storage import ObjectStore


def listed_releases(known: Releases, pointer: Pointer) -> Iterator[str]:
    """One line for each release, newest last, with what is to be said of it.

    Parameters
    ----------
    known
        The releases of a product.
    pointer
        The pointer as it was read.

    Yields
    ------
    str
    """
    history = known.history()
    for release_id in history.ids:
        manifest = history.manifests[release_id]
        rows = sum(table.rows for table in manifest.tables.values())
        size = sum(table.bytes for table in manifest.tables.values())
        remarks = ["current"] if release_id == pointer.release_id else []
        if reason := pointer.retracted(release_id):
            remarks.append(f"taken back: {reason}")
        if release_id == pointer.stable:
            remarks.append("stable")
        if not manifest.complete:
            remarks.append(f"partial: {limits_in_words(manifest.limits)}")
        yield (f"{release_id}  {rows:>11,} rows  {size:>15,} bytes  {'; '.join(remarks)}")
    for release_id in history.missing:
        yield (f"{release_id}  its manifest is missing: restore it from a backup")
    for release_id in history.uncertain:
        yield (f"{release_id}  whether it was ever current is unknown without that")


def taken_back(known: Releases, manifest: Manifest) -> Iterator[str]:
    """A line with the reason if a release was taken back."""
    pointer = known.pointer()
    if pointer is not None and (reason := pointer.retracted(manifest.release_id)):
        yield f"TAKEN BACK: {reason}"


def still_public(known: Releases, pointer: Pointer) -> Iterator[str]:
    """A line for each release that was taken back and whose public copy was not."""
    public = Releases(known.lake, public_product(known.product))
    try:
        if not any(known.store.list(f"{public.product}/current.json")):
            return
        shown, ids = public.pointer(), public.ids()
    except StoreError as error:
        yield f"whether there are public copies of what was taken back could not be seen: {error}"
        return
    for denied in pointer.denied:
        is_listed = shown is None or shown.retracted(denied.release_id) is not None
        if denied.lifted_at is None and denied.release_id in ids and not is_listed:
            yield (
                f"the public copy of {denied.release_id} is not taken back: "
                f"`genept release retract {denied.release_id}` does so"
            )


def after_public_takedown(known: Releases) -> str:
    """Which public release is current after one was taken back."""
    public = Releases(known.lake, public_product(known.product)).pointer()
    if public is None or public.retracted(public.release_id) is not None:
        return "its public copy is taken back, too: none is public any more"
    return f"its public copy is taken back, too: {public.release_id} is the public one"


def withdraw_public(operator: ObjectStore, product: str) -> str:
    """Let nobody read public releases without keys; say what became of it."""
    was_open = let_anybody_read(operator, product, allowed=False)
    if anybody_reads(operator, f"{public_product(product)}/current.json"):
        raise StoreError(
            f"{operator.uri(public_product(product))}/ can STILL be read without keys, by a "
            "statement of the bucket's policy that is not ours: take it out (Terraform: "
            "`public_read = false`)"
        )
    if not was_open:
        return "nothing is public: there was nothing to withdraw"
    return "public releases are read with keys alone now; their files stay"
