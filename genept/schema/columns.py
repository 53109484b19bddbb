"""Classes that declare tables: columns with types, units, bounds and meanings.

The classes with which `genept.schema.tables` is written. Reading, writing and
checking belong to `genept.storage` and `validation`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

ENSEMBL_GENE_ID = r"^ENSG\d{11}$"


@dataclass(frozen=True)
class Column:
    """One column: what it means, and what must be true of its values.

    A rule that no check would read is refused.

    Parameters
    ----------
    name
        Name in the table.
    type
        Arrow type of a row's value.
    meaning
        What a value says; never empty.
    unit
        Unit of the values, if they have one.
    nullable
        Whether a value may be missing.
    minimum, maximum
        Bounds of numbers; of a list column, of its elements.
    allowed
        All values that a text may have.
    pattern
        Regular expression that a text must match.
    norm
        Euclidean length of each row's vector.
    deprecated
        What to read instead, set in the release before the one that drops or retypes the column.
    subject
        What a value names, such as ``collection``: rows that a release adds under a new value are
        explained by that value. How releases are compared by it is in `genept.release.drift`.
    lasting
        False where a value of `subject` may disappear from one release to the next, as a label may.

    Raises
    ------
    ValueError
        There is no meaning, or a rule does not apply to the type.
    """

    name: str
    type: pa.DataType
    meaning: str
    unit: str | None = None
    nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    allowed: tuple[str, ...] | None = None
    pattern: str | None = None
    norm: float | None = None
    deprecated: str | None = None
    subject: str | None = None
    lasting: bool = True

    def __post_init__(self) -> None:
        if not self.meaning.strip():
            raise ValueError(f"column {self.name!r} says nothing about its meaning")
        is_text = pa.types.is_string(self.type)
        is_number = self.is_floating or pa.types.is_integer(self.element)
        applies = {
            "minimum": is_number and not self.is_vector,
            "maximum": is_number and not self.is_vector,
            "allowed": is_text,
            "pattern": is_text,
            "norm": self.is_vector,
            "subject": is_text and not self.nullable,
        }
        for rule, is_read in applies.items():
            if getattr(self, rule) is not None and not is_read:
                raise ValueError(f"column {self.name!r}: no check reads `{rule}` of {self.type}")

    @property
    def element(self) -> pa.DataType:
        """The type of a single value."""
        return self.type.value_type if self.is_list else self.type

    @property
    def is_list(self) -> bool:
        """Whether a row holds several values."""
        return bool(pa.types.is_list(self.type) or pa.types.is_fixed_size_list(self.type))

    @property
    def is_floating(self) -> bool:
        """Whether a value could be NaN or infinite."""
        return bool(pa.types.is_floating(self.element))

    @property
    def is_vector(self) -> bool:
        """Whether the column is an embedding; its dimension is the space's, not the table's."""
        return bool(pa.types.is_fixed_size_list(self.type))

    @property
    def type_name(self) -> str:
        """The type in a release, as a reader of the data dictionary sees it."""
        if self.is_vector:
            return "list<float>[dimensions of the space]"
        return f"list<{self.element}>" if self.is_list else str(self.type)

    def field(self, dimension: int | None = None) -> pa.Field:
        """The Arrow field, with meaning and unit in its metadata.

        Parameters
        ----------
        dimension
            Length of the vectors; needed for a vector column.

        Returns
        -------
        pa.Field
            A vector column as a list of `dimension` float32.

        Raises
        ------
        ValueError
            A vector column without a dimension.
        """
        type_ = self.type
        if self.is_vector:
            if dimension is None:
                raise ValueError(f"column {self.name!r} is a vector: give its dimension")
            type_ = pa.list_(pa.field("item", pa.float32(), nullable=False), dimension)
        metadata = {"description": self.meaning} | ({"unit": self.unit} if self.unit else {})
        return pa.field(self.name, type_, nullable=self.nullable, metadata=metadata)


VECTOR = pa.list_(pa.field("item", pa.float32(), nullable=False), 0)
"""Type of embedding columns: float32; the space's dimension replaces the 0."""


@dataclass(frozen=True)
class Table:
    """One published table.

    Parameters
    ----------
    name
        Name, and folder in a release.
    meaning
        What a row of it is.
    group
        The subject it belongs to: the name of the package and of the Dagster group.
    key
        Columns that together identify a row, never empty. Rows are sorted by them.
    columns
        Its columns, in order.
    partition
        The columns (a prefix of the key) by whose values the table is split into files:
        so no two files can share a key.
    minimum_rows
        Fewer rows than this in the whole table fail its check.
    collection
        The column that names the collection a row was made of, and whose licence it is
        under; by default `collection_id`, where there is one.
    lists_missing
        Whether its rows are things that are missing or were kept out: fewer are no loss.
    deprecated
        Set in the release before the one that drops the table: what to read instead.

    Raises
    ------
    ValueError
        A column is declared twice, or `key`, `partition` or `collection` does not fit the columns.
    """

    name: str
    meaning: str
    group: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    partition: tuple[str, ...] = ()
    minimum_rows: int = 1
    collection: str | None = None
    lists_missing: bool = False
    deprecated: str | None = None

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        if self.collection is None and "collection_id" in names:
            object.__setattr__(self, "collection", "collection_id")
        if self.collection is not None and self.collection not in names:
            raise ValueError(f"table {self.name!r}: {self.collection!r} is not declared")
        if len(set(names)) != len(names):
            raise ValueError(f"table {self.name!r} declares a column twice")
        if not self.key or self.key[: len(self.partition)] != self.partition:
            raise ValueError(
                f"table {self.name!r}: its partition {self.partition} must be the first columns "
                f"of its key {self.key}"
            )
        for name in self.key:
            if name not in names:
                raise ValueError(f"table {self.name!r}: key column {name!r} is not declared")
            if self[name].nullable or self[name].is_list:
                raise ValueError(f"table {self.name!r}: key column {name!r} must be one value")
        for name in self.partition:
            if not pa.types.is_string(self[name].type):
                raise ValueError(
                    f"table {self.name!r}: {name!r} names a folder, so it must be text"
                )

    def __getitem__(self, name: str) -> Column:
        try:
            return self._by_name[name]
        except KeyError:
            raise KeyError(f"table {self.name!r} has no column {name!r}") from None

    @cached_property
    def _by_name(self) -> dict[str, Column]:
        return {column.name: column for column in self.columns}

    @cached_property
    def subjects(self) -> tuple[Column, ...]:
        """The columns that say what a row is about: of the key, and the one of the collection."""
        return tuple(
            column
            for column in self.columns
            if column.subject and column.name in (*self.key, self.collection)
        )

    @cached_property
    def vector(self) -> Column | None:
        """The embedding column, if the table has one."""
        return next((column for column in self.columns if column.is_vector), None)

    def schema(self, dimension: int | None = None) -> pa.Schema:
        """The parquet schema, with every description inside."""
        fields = [column.field(dimension) for column in self.columns]
        metadata = {"table": self.name, "description": self.meaning, "key": ",".join(self.key)}
        return pa.schema(fields, metadata=metadata)

    def partition_path(self, values: Sequence[str]) -> str:
        """Folder of one partition below the table's own, such as ``minilm-l6-v2/name-go``."""
        if len(values) != len(self.partition) or not all(values):
            raise ValueError(
                f"table {self.name!r} is partitioned by {self.partition}, got values {values}"
            )
        return "/".join(values)
