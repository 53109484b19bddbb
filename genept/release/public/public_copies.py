"""Public releases: copies without restricted data, below a prefix that anybody may read.

They are a product of their own, `{product}-public`, with its own pointer and SQL catalogues: what
reads, verifies, rolls back or collects releases does so with public ones. Who may read them is in
`genept.release.public.public_policy`.
"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from genept.common import progress_bar
from genept.release.candidates import Published
from genept.release.catalogs import make_catalog, refresh_catalog
from genept.release.manifest import Manifest, ReleasedFile, ReleasedTable
from genept.release.public.public_policy import public_product
from genept.release.publish import Pages, Releases
from genept.release.staging import ReleaseRefusedError, store_pages
from genept.storage import sha256_of


def publish_public(
    releases: Releases,
    manifest: Manifest,
    *,
    metadata: Pages = lambda *_: {},
    pages: Pages = lambda *_: {},
    now: datetime | None = None,
) -> Published:
    """Copy a release, without what may not be passed on, to the public product.

    Files that hold restricted data, or results computed from them, are left out as a whole, as
    with ``GENEPT_RESTRICTED=leave_out``; so are all pages of the audit, which show them: pages are
    rendered from the copy. Who may read the public product is decided by `let_anybody_read`.

    Parameters
    ----------
    releases
        The releases of the product, opened with the publisher's keys.
    manifest
        Manifest of the release to copy.
    metadata
        Renders the files beside the manifest that describe the release.
    pages
        Renders the pages of its audit, such as its site, from its manifest and files.
    now
        Time at which the copy becomes current; the present time by default.

    Returns
    -------
    Published
        The public release, and whether it is new.

    Raises
    ------
    ReleaseRefusedError
        The release or its copy was taken back, or a later one is public already.
    StoreError
        A file of the release is damaged or missing, or the catalogue cannot be made.
    """
    public = Releases(releases.lake, public_product(releases.product))
    own = releases.pointer()
    for denied in own.denied if own else ():
        if denied.release_id == manifest.release_id and denied.lifted_at is None:
            raise ReleaseRefusedError(
                f"{manifest.release_id} was rolled back from on {denied.denied_at} "
                f"({denied.reason}): it does not become public"
            )
    pointer, etag = public.pointer_with_etag()
    if pointer is not None and (reason := pointer.retracted(manifest.release_id)):
        raise ReleaseRefusedError(
            f"the public copy of {manifest.release_id} was taken back ({reason}): publish a later "
            f"release, or `GENEPT_PRODUCT={public.product} genept release allow "
            f"{manifest.release_id}` first"
        )
    if pointer is not None and pointer.release_id == manifest.release_id:
        return Published(public.named_by(pointer), is_new=False)
    if pointer is not None and manifest.release_id < max(pointer.heads):
        raise ReleaseRefusedError(
            f"{max(pointer.heads)} is or was public already, and {manifest.release_id} is an "
            "earlier release: publish a later one"
        )
    now = now or datetime.now(UTC)
    copy = _redistributable(manifest, pointer.release_id if pointer else None)
    folder = public.folder(copy.release_id)

    def local(file: ReleasedFile) -> Path:
        return releases.files.local(manifest, file)

    files = [file for table in copy.tables.values() for file in table.files]
    with progress_bar("publishing", sum(file.bytes for file in files)) as advance:
        for file in files:
            public.store.put_if_absent(f"{folder}/{file.path}", local(file), sha256=file.sha256)
            advance(file.bytes)
    with tempfile.TemporaryDirectory(dir=releases.lake.cache) as scratch:
        copy = public.with_catalog(copy, make_catalog, releases.lake.cache, Path(scratch))
    described = store_pages(public.store, folder, metadata(copy, public.files))
    audit = store_pages(public.store, f"{folder}/audit", pages(copy, public.files))
    copy = copy.model_copy(update={"metadata": described, "audit": audit})
    public.store.put_if_absent(public.manifest_key(copy.release_id), copy.body())
    sealed = public.manifest(copy.release_id, sha256=copy.stored_sha256)
    public.swap(public.following(pointer, copy, copy.stored_sha256, now), etag)
    refresh_catalog(public)
    return Published(sealed, is_new=True)


def _redistributable(manifest: Manifest, previous: str | None) -> Manifest:
    """The manifest of a public copy."""
    tables = {name: _without_restricted(name, table) for name, table in manifest.tables.items()}
    evidence = {
        name: proof.model_copy(
            update={
                "data_version": tables[name].data_version,
                "page": "",
                "warnings": ("checked together with parts that were left out", *proof.warnings),
            }
        )
        if tables[name].data_version != manifest.tables[name].data_version
        else proof.model_copy(update={"page": ""})
        for name, proof in manifest.evidence.items()
    }
    kept = {file.partition[0] for file in tables["collections"].files}
    dropped = [
        file for table in manifest.tables.values() for file in table.files
        if not file.redistributable
    ]  # fmt: skip
    named = {of for file in dropped for of in file.collections} - kept
    named |= {"/".join(file.partition) for file in dropped if not file.collections} - {""}
    return manifest.model_copy(
        update={
            "tables": tables,
            "evidence": evidence,
            "audit": {},
            "metadata": {},
            "catalog": {},
            "previous": previous,
            "left_out": tuple(sorted({*manifest.left_out, *named})),
            "data_version": sha256_of(
                {name: table.data_version for name, table in tables.items()},
                manifest.complete,
                manifest.limits,
            ),
        }
    )


def _without_restricted(name: str, table: ReleasedTable) -> ReleasedTable:
    files = tuple(file for file in table.files if file.redistributable)
    if files == table.files:
        return table
    return table.model_copy(
        update={
            "files": files,
            "rows": sum(file.rows for file in files),
            "bytes": sum(file.bytes for file in files),
            "data_version": sha256_of(name, [(file.partition, file.sha256) for file in files]),
        }
    )
