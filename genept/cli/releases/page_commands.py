"""`genept release pages`: the pages of a release as files, for a browser."""

import hashlib
from pathlib import Path, PurePosixPath
from typing import Annotated

import typer

from genept.client import open_releases
from genept.common import StoreError, open_console, replacement

answer = open_console(soft_wrap=True)


def pages(
    release: Annotated[
        str, typer.Argument(help="Id of a release, `latest` or `stable`.")
    ] = "latest",
    out: Annotated[
        Path | None, typer.Option(help="Folder to write to; by default one named by the release.")
    ] = None,
) -> None:
    """Copy the pages of a release to a folder, and say which to open in a browser."""
    known = open_releases()
    manifest = known.named(release)
    if not manifest.audit:
        raise StoreError(f"release {manifest.release_id} has no pages")
    folder = out or Path(f"genept-pages-{manifest.release_id}")
    if folder.exists() and not folder.is_dir():
        raise StoreError(f"{folder} is a file: name a folder with --out")
    for path, sha256 in sorted(manifest.audit.items()):
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise StoreError(f"{manifest.release_id} names a page outside of its folder: {path}")
        body = known.store.get(f"{known.folder(manifest.release_id)}/audit/{path}")
        if hashlib.sha256(body).hexdigest() != sha256:
            raise StoreError(f"page {path} of {manifest.release_id} is damaged in the store")
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacement(file, 0o644) as stream:
            stream.write(body)
    answer.print(f"{len(manifest.audit)} pages in {folder}; open", markup=False)
    answer.print(f"{(folder / 'site' / 'index.html').resolve()}", markup=False)
