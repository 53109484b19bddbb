"""Tables that belong to one language model each: the newest is used, earlier ones are kept.

What is in them is decided where they are made: `descriptions` (statements), `probes` (results).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import ClassVar

import polars as pl
from pydantic import BaseModel, ConfigDict

from genept.common import SourceError
from genept.storage import (
    Lake,
    NewPart,
    ObjectStore,
    Origin,
    Part,
    Registrations,
    get_table,
    put_table,
)


class WriterTable(BaseModel):
    """The declaration of a table.

    Parameters
    ----------
    writer
        Id of the language model.
    prompts
        Id and version of the prompts that it was asked by.
    counts
        What is in the table, by kind.
    key
        Where it is stored, by the hash of its content.
    redistributable
        Whether a public release may hold it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    writer: str
    prompts: tuple[str, ...]
    counts: dict[str, int]
    key: str
    redistributable: bool = True

    @property
    def sha256(self) -> str:
        """Of the stored table."""
        return PurePosixPath(self.key).stem


@dataclass(frozen=True)
class WriterTables:
    """Tables of one kind on this installation.

    Parameters
    ----------
    open_store
        Opens the bucket, when something is read or stored.
    product
        Key prefix of the installation.
    """

    open_store: Callable[[], ObjectStore]
    product: str

    table: ClassVar[str]
    """Name of the declared table."""

    command: ClassVar[str]
    """Command that makes it."""

    def put(
        self,
        writer: str,
        prompts: tuple[str, ...],
        counts: Mapping[str, int],
        rows: pl.DataFrame,
        *,
        redistributable: bool = True,
    ) -> WriterTable:
        """Store a model's table; it is used from now on.

        Parameters
        ----------
        writer, prompts, counts, redistributable
            As `WriterTable` has them.
        rows
            Of the declared table.

        Returns
        -------
        WriterTable
            The declaration.
        """
        key = put_table(self.open_store(), f"{self._folder}tables/", rows.to_arrow())
        declared = WriterTable(
            writer=writer,
            prompts=prompts,
            counts=dict(counts),
            key=key,
            redistributable=redistributable,
        )
        if (before := self.latest(writer)) == declared:
            return before
        return self._registered.add(f"{writer}/{len(self._ids(writer)) + 1:06d}", declared)

    @property
    def writers(self) -> list[str]:
        """The models that have a table, sorted."""
        return sorted({id_.rpartition("/")[0] for id_ in self._registered.ids})

    def latest(self, writer: str) -> WriterTable | None:
        """The newest declaration of a model; None if it has none."""
        ids = self._ids(writer)
        return self._registered.find(ids[-1]) if ids else None

    def missing(self, writer: str) -> str | None:
        """Why a model has no table; None if it has one."""
        if self.latest(writer) is None:
            return f"{self.table} has nothing of {writer}: `{self.command} --model {writer}`"
        return None

    def sha256(self, writer: str) -> str:
        """Hash of a model's table. Raises `SourceError` if it has none."""
        return self._declared(writer).sha256

    def rows(self, writer: str) -> pl.DataFrame:
        """Rows of a model's table. Raises `SourceError` if it has none."""
        remedy = f"run `{self.command} --model {writer}` again: kept answers cost nothing"
        return pl.DataFrame(get_table(self.open_store(), self._declared(writer).key, remedy))

    def release(self, lake: Lake, writer: str) -> Part:
        """Build a model's part of the declared table, unless the lake holds it.

        Parameters
        ----------
        lake
            Where the table is stored.
        writer
            The model. Raises `SourceError` if it has no table.

        Returns
        -------
        Part
            Partition: the model.
        """
        origin = Origin(
            code=("genept.language_models.writer_tables", "genept.schema.tables"),
            inputs={"rows": self.sha256(writer)},
            settings={"writer": writer}
            | ({} if self._declared(writer).redistributable else {"redistributable": False}),
        )
        (part,) = lake.build(
            f"{self.table}/{writer}",
            origin,
            lambda: [NewPart(self.table, self.rows(writer), (writer,))],
        )
        return part

    @property
    def _folder(self) -> str:
        return f"{self.product}/statements/{self.table}/"

    @property
    def _registered(self) -> Registrations[WriterTable]:
        folder = f"{self._folder}declarations/"
        return Registrations(self.open_store(), folder, WriterTable, self.table)

    def _ids(self, writer: str) -> list[str]:
        return [id_ for id_ in self._registered.ids if id_.rpartition("/")[0] == writer]

    def _declared(self, writer: str) -> WriterTable:
        declared = self.latest(writer)
        if declared is None:
            raise SourceError(self.missing(writer))
        return declared
