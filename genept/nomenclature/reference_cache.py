"""The gene reference cached on this machine, and the publishers' files kept as snapshots.

A cached reference is used only if its content has the recorded hashes. How a reference is made is
`genept.nomenclature.reference` and `genept.nomenclature.snapshots`.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from typing import Any, Final

import polars as pl

from genept.common import private_folder
from genept.datasources import newest_entry
from genept.nomenclature.reference import Reference
from genept.storage import sha256_of, sha256_of_file

_ABOUT: Final = "reference.json"
_INDEX: Final = "index"
_READERS: Final = ("nomenclature", "datasources")
"""Packages of genept whose code decides what a reference holds."""


def kept_reference(folder: Path, version: str, make: Callable[[], Reference]) -> Reference:
    """Return a reference from the cache; make and cache it if it is not there or damaged.

    Parameters
    ----------
    folder
        Cache folder; only the newest reference is kept in it.
    version
        Changes with the archives that the reference is made of.
    make
        Makes the reference.

    Returns
    -------
    Reference
        A folder that cannot be written is no error: the reference is made again next time.
    """
    place = folder / sha256_of(version, _code())[:32]
    try:
        return _read(place)
    except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError):
        reference = make()
    with suppress(OSError):
        _write(place, reference)
    return reference


def _code() -> str:
    """Hash of the source files that decide what a reference holds; faster than their syntax."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for name in _READERS:
        for path in sorted((package / name).rglob("*.py")):
            digest.update(f"{path.relative_to(package)} ".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _read(place: Path) -> Reference:
    about = json.loads((place / _ABOUT).read_text("utf-8"))
    frames: dict[str, Any] = {}
    for name, sha256 in about["frames"].items():
        path = place / f"{name}.parquet"
        if sha256_of_file(path) != sha256:
            raise ValueError(f"{path} was changed")
        frames[name] = pl.read_parquet(path)
    index = frames.pop(_INDEX)
    reference = Reference(**about["values"], **frames)
    reference.__dict__[_INDEX] = index  # what `Reference.index` would compute
    return reference


def _write(place: Path, reference: Reference) -> None:
    private_folder(place.parent)
    every = {it.name: getattr(reference, it.name) for it in fields(reference)}
    frames = {name: value for name, value in every.items() if isinstance(value, pl.DataFrame)}
    frames[_INDEX] = reference.index
    with tempfile.TemporaryDirectory(prefix=".new-", dir=place.parent) as scratch:
        new = Path(scratch) / "new"
        new.mkdir()
        hashes = {}
        for name, frame in frames.items():
            frame.write_parquet(new / f"{name}.parquet", compression="lz4")
            hashes[name] = sha256_of_file(new / f"{name}.parquet")
        values = {name: value for name, value in every.items() if name not in frames}
        (new / _ABOUT).write_text(json.dumps({"values": values, "frames": hashes}), "utf-8")
        shutil.rmtree(place, ignore_errors=True)  # damaged, if it is there
        new.replace(place)
    for other in place.parent.iterdir():
        if other.name != place.name and not other.name.startswith("."):
            shutil.rmtree(other, ignore_errors=True)


_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class PublisherFile:
    """A file that a publisher renews.

    Parameters
    ----------
    id, title
        Its name in partitions, and in words.
    pattern
        Glob pattern of its releases, below a mirror's folder.
    """

    id: str
    title: str
    pattern: str


@dataclass(frozen=True)
class ReleasedFile:
    """One release of a publisher's file.

    Parameters
    ----------
    path
        The file, named as the publisher names it.
    release
        From the file's name; its date if the name has none.
    released
        Date in the file's name, or of its newest entry; None if neither is known.
    """

    path: Path
    release: str
    released: date | None


PUBLISHER_FILES: Final = (
    PublisherFile(
        "hgnc-complete-set",
        "HGNC complete set: every approved human gene",
        "hgnc/hgnc_complete_set*.txt*",
    ),
    PublisherFile("hgnc-withdrawn", "HGNC: withdrawn and merged entries", "hgnc/withdrawn*.txt*"),
    PublisherFile("ncbi-gene-info", "NCBI Gene: human genes", "ncbi/Homo_sapiens.gene_info*"),
    PublisherFile("ncbi-gene-history", "NCBI Gene: discontinued ids", "ncbi/gene_history*"),
    PublisherFile("gencode", "GENCODE: the gene table of a release", "gencode/gencode*"),
)


def find_releases(file: PublisherFile, mirrors: Sequence[Path]) -> list[ReleasedFile]:
    """Find the releases of a file in the mirrors' folders.

    Parameters
    ----------
    file
        The file.
    mirrors
        Folders, in order of preference: of two files with one name the first mirror's is taken.

    Returns
    -------
    list of ReleasedFile
        Sorted by file name.
    """
    paths = {path.name: path for mirror in reversed(mirrors) for path in mirror.glob(file.pattern)}
    return [_release_of(path) for _, path in sorted(paths.items())]


def _release_of(path: Path) -> ReleasedFile:
    dated = _DATE.search(path.name)
    released = date.fromisoformat(dated.group()) if dated else newest_entry(path)
    version = re.search(r"[._]v(\d+[a-z]?)[._]", path.name)
    release = version.group(1) if version else str(released or path.name.split(".")[0])
    return ReleasedFile(path, release, released)
