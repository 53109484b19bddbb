"""Reading table parts from local copies: in the lake's own process, and in those that it starts.

What is stored, and which copy is verified, is `genept.storage.lake`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from genept.common import StoreError
from genept.storage.provenance import Part, StoredTable


class PartReader(ABC):
    """Reads parts of tables from local files."""

    @abstractmethod
    def local(self, part: Part) -> Path:
        """Return the path of a local copy of the part."""

    def read(
        self, source: StoredTable | Part | Sequence[Part], columns: list[str] | None = None
    ) -> pl.DataFrame:
        """Read rows into memory; for large tables see `row_groups`.

        Parameters
        ----------
        source
            A table, a part or several parts of one table.
        columns
            Names of the columns to read; all by default.

        Returns
        -------
        polars.DataFrame
            The rows of all parts, in order of the parts.

        Raises
        ------
        StoreError
            There are no parts, or one cannot be read.
        """
        parts = source.parts if isinstance(source, StoredTable) else source
        paths = [self.local(part) for part in ([parts] if isinstance(parts, Part) else parts)]
        if not paths:
            raise StoreError("nothing to read: the table has no parts")
        return pl.concat(pl.read_parquet(path, columns=columns or None) for path in paths)

    def read_arrow(self, part: Part, columns: list[str] | None = None) -> pa.Table:
        """Read one part as an Arrow table; all columns by default."""
        with pq.ParquetFile(self.local(part)) as file:
            return file.read(columns=columns or None)

    def row_groups(self, part: Part, columns: list[str] | None = None) -> Iterator[pa.Table]:
        """Yield the row groups of a part, so that memory is bounded by one row group."""
        with pq.ParquetFile(self.local(part)) as file:
            for index in range(file.num_row_groups):
                yield file.read_row_group(index, columns=columns or None)


@dataclass(frozen=True)
class LocalCopies(PartReader):
    """Copies that a lake has verified, for a process that has no lake; small, so it can be sent.

    Parameters
    ----------
    folder
        The lake's folder of copies.
    """

    folder: Path

    def local(self, part: Part) -> Path:
        """Return the path of the copy, which must be there."""
        return self.folder / f"{part.sha256}.parquet"
