"""Published files on disk, in place of downloads, and the catalogue entries that read them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, vstack
from sources_layouts import collection_entry, source_entry

from genept.datasources.catalogue import Catalogue, Collection
from genept.datasources.download.archives import Archives
from genept.datasources.parsers import parse_collection
from genept.datasources.readers.parsed import ParsedCollection


class LocalFiles(Archives):
    """Archives whose sources are local files."""

    def __init__(self, catalogue: Catalogue, folder: Path, files: Mapping[str, Path]) -> None:
        super().__init__(catalogue, folder)
        self._files = files

    def fetch(self, source_id: str) -> Path:
        return self._files[source_id]


def local_files(
    folder: Path, format_: str, unit: str, files: list[Path], **options: Any
) -> tuple[LocalFiles, Collection]:
    """Make `files` the sources of one collection."""
    ids = [f"s{at}" for at in range(len(files))]
    entry = collection_entry(format_, unit, *ids, **options)
    catalogue = Catalogue.model_validate(
        {"sources": {id_: source_entry(id_, b"x") for id_ in ids}, "collections": {"c": entry}}
    )
    archives = LocalFiles(catalogue, folder, dict(zip(ids, files, strict=True)))
    return archives, catalogue.collections["c"]


def parse_files(
    folder: Path, format_: str, unit: str, files: list[Path], **options: Any
) -> ParsedCollection:
    """Parse and validate `files` as the sources of one collection."""
    return parse_collection(*local_files(folder, format_, unit, files, **options))


def dense(parsed: ParsedCollection, start: int = 0, stop: int | None = None) -> Any:
    empty = csr_matrix((0, parsed.expression.shape[1]), dtype=np.float32)
    return vstack([empty, *parsed.expression.blocks(start, stop)]).toarray()


def column(parsed: ParsedCollection, name: str) -> list[Any]:
    return parsed.observations[name].to_list()


def odd(parsed: ParsedCollection) -> set[tuple[str, str, int]]:
    return {(item.input_id, item.reason, item.n) for item in parsed.quarantined}


def numbers(shape: tuple[int, int], seed: int = 0) -> Any:
    """Small whole numbers, half of them zero."""
    rng = np.random.default_rng(seed)
    return (rng.poisson(1.0, shape) * rng.integers(0, 3, shape)).astype(np.float32)
