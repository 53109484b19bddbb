"""Which files of publishers are kept as snapshots, and where they lie in a mirror's folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import BinaryIO, Final

from genept.sources.gene_files import newest_entry

_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class PublisherFile:
    """A file that a publisher renews; `pattern` finds its releases below a mirror's folder."""

    id: str
    title: str
    pattern: str


@dataclass(frozen=True)
class FoundFile:
    """One release of a publisher's file, ready to be opened.

    Parameters
    ----------
    release
        Told by the file's name, or else by its date.
    """

    opener: Callable[[], AbstractContextManager[BinaryIO]]
    filename: str
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


def find_releases(file: PublisherFile, mirrors: Sequence[Path]) -> list[FoundFile]:
    """The releases of a file in the mirrors' folders, by name; of doubles the first mirror's."""
    found: dict[str, Path] = {}
    for mirror in mirrors:
        for path in sorted(mirror.glob(file.pattern)):
            found.setdefault(path.name, path)
    return [_found(path) for _, path in sorted(found.items())]


def _found(path: Path) -> FoundFile:
    dated = _DATE.search(path.name)
    released = date.fromisoformat(dated.group()) if dated else newest_entry(path)
    version = re.search(r"[._]v(\d+[a-z]?)[._]", path.name)
    release = version.group(1) if version else str(released or path.name.split(".")[0])
    return FoundFile(lambda: path.open("rb"), path.name, release, released)
