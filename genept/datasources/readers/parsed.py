"""Result of every parser: genes as published, observations, expression, drug responses.

One shape for single cells and bulk samples. Nothing here knows a file format or
maps a gene name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from genept.common import SourceError

Mask = NDArray[np.bool_]
LABELS: Final = ("batch", "cell_type", "tissue", "tissue_subtype", "diagnosis")
OBSERVATION_SCHEMA: Final = pl.Schema(
    dict.fromkeys(("observation_id", "group_id", *LABELS), pl.String)
)
RESPONSE_SCHEMA: Final = pl.Schema(
    dict.fromkeys(("observation_id", "drug_id", "value", "measure", "unit"), pl.String)
    | {"value": pl.Float64, "n_measured": pl.Int64}
)
MOST_VALUES: Final = 8_000_000
"""Values of an author's fields that are kept of a collection."""
BLOCK_ROWS: Final = 512  # observations a block, where nothing else sets its size


@dataclass(frozen=True)
class Quarantined:
    """Something of the publisher's that was kept out, fixed, or looks odd; and why.

    Parameters
    ----------
    item, input_id
        What kind of thing it is, and its name as published.
    reason, detail
        Code, such as ``non_numeric``; explanation for people: what is wrong, and where.
    n, action
        How many values, rows or columns it concerns; what was done.
    """

    item: Literal["gene", "observation", "response", "file"]
    input_id: str
    reason: str
    detail: str
    n: int = 1
    action: Literal["kept_out", "fixed", "warned"] = "kept_out"


@dataclass(frozen=True)
class OddGene:
    """A gene some of whose values are no numbers: how many, and the first of them."""

    n: int
    detail: str


class ExpressionRows(Protocol):
    """Expression as published, read anew at each call.

    It can be sent to another process, which reads its share of the rows from the
    same local file; so it holds paths and names, not open files.
    """

    @property
    def shape(self) -> tuple[int, int]:
        """Observations × input genes."""

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[csr_matrix]:
        """Rows `start` to `stop` as float32 blocks of sorted indices, in published order."""


@dataclass(frozen=True)
class InMemory:
    """Expression that was small enough to be read whole."""

    matrix: csr_matrix

    @property
    def shape(self) -> tuple[int, int]:
        """Observations × input genes."""
        rows, columns = self.matrix.shape
        return rows, columns

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[csr_matrix]:
        """Rows `start` to `stop`, `BLOCK_ROWS` at a time."""
        stop = self.shape[0] if stop is None else min(stop, self.shape[0])
        for first in range(start, stop, BLOCK_ROWS):
            yield self.matrix[first : min(first + BLOCK_ROWS, stop)]


@dataclass(frozen=True)
class ParsedCollection:
    """One collection as published: checked, unmapped.

    Parameters
    ----------
    input_genes
        The expression columns as the publisher names them, unique.
    symbols
        What to look up for each of them (``TRIM66`` for ``TRIM66_9866``); need not be unique.
    entrez_ids
        NCBI Gene ids for each of them, if published.
    observations
        One row per cell or sample, of `OBSERVATION_SCHEMA`; only the first two are never null.
    expression
        Observations × input genes, in their orders and in the collection's unit.
    responses
        Drug responses of `RESPONSE_SCHEMA`, or none.
    quarantined, remarks
        What was kept out, and why; what was kept, but corrected or worth a warning.
    metadata
        Column ``observation_id``, and every field of the author's as text; None without any.
    """

    input_genes: tuple[str, ...]
    symbols: tuple[str, ...]
    entrez_ids: tuple[str | None, ...] | None
    observations: pl.DataFrame
    expression: ExpressionRows
    responses: pl.DataFrame | None
    quarantined: tuple[Quarantined, ...]
    remarks: tuple[Quarantined, ...] = ()
    metadata: pl.DataFrame | None = None

    def __post_init__(self) -> None:
        refuse_repeats(self.input_genes, "input genes")
        for name, values in (("symbols", self.symbols), ("Entrez ids", self.entrez_ids)):
            if values is not None and len(values) != len(self.input_genes):
                raise SourceError(f"{len(values)} {name} for {len(self.input_genes)} input genes")
        expected = (self.observations.height, len(self.input_genes))
        if self.expression.shape != expected:
            raise SourceError(
                f"the matrix is {self.expression.shape}, but there are {expected[0]} observations "
                f"and {expected[1]} genes"
            )
        _refuse_schema(self.observations, OBSERVATION_SCHEMA, "observations")
        for required in ("observation_id", "group_id"):
            if self.observations[required].null_count():
                raise SourceError(f"{required} is empty for some observations")
        refuse_repeats(self.observations["observation_id"].to_list(), "observation ids")
        if self.responses is not None:
            _refuse_schema(self.responses, RESPONSE_SCHEMA, "responses")
            self._refuse_responses(self.responses)
        kept_out = [f"{it.item} {it.input_id} ({it.reason})" for it in self.quarantined]
        refuse_repeats(kept_out, "quarantined items")

    def _refuse_responses(self, responses: pl.DataFrame) -> None:
        if responses.null_count().sum_horizontal().item():
            raise SourceError("responses have empty fields")
        if not responses["value"].is_finite().all():
            raise SourceError("responses hold NaN or infinite values")
        pairs = responses.select(pl.concat_str("observation_id", "drug_id", separator=" / "))
        refuse_repeats(pairs.to_series().to_list(), "line–drug pairs")
        unmatched = responses.join(self.observations, on="observation_id", how="anti")
        if unmatched.height:
            raise SourceError(
                f"responses of {unmatched['observation_id'][0]!r}, which has no expression"
            )


def from_matrix(
    values: NDArray[np.float32],
    *,
    input_genes: Sequence[str],
    observations: pl.DataFrame,
    symbols: Sequence[str] | None = None,
    entrez_ids: Sequence[str | None] | None = None,
    responses: pl.DataFrame | None = None,
    quarantined: Sequence[Quarantined] = (),
    metadata: pl.DataFrame | None = None,
) -> ParsedCollection:
    """Make a collection of a matrix in memory: of small files that must be read whole.

    Parameters
    ----------
    values
        Observations × input genes.
    input_genes, observations, entrez_ids, responses, quarantined, metadata
        As of `ParsedCollection`.
    symbols
        What to look up for each column; None: `input_genes`.

    Returns
    -------
    ParsedCollection
        Observations that have a value other than zero; `quarantined` names the others, too.
    """
    if values.shape != (observations.height, len(input_genes)):
        raise SourceError(
            f"the matrix is {values.shape[0]} × {values.shape[1]}, but there are "
            f"{observations.height} observations and {len(input_genes)} genes"
        )
    filled = values.any(axis=1)
    empty = observations.filter(~pl.Series(filled))["observation_id"].to_list()
    return ParsedCollection(
        input_genes=tuple(input_genes),
        symbols=tuple(symbols if symbols is not None else input_genes),
        entrez_ids=None if entrez_ids is None else tuple(entrez_ids),
        observations=observations.filter(pl.Series(filled)),
        expression=InMemory(csr_matrix(values[filled], dtype=np.float32)),
        responses=responses,
        metadata=metadata,
        quarantined=(
            *quarantined,
            *(Quarantined("observation", id_, "empty", "every value is zero") for id_ in empty),
        ),
    )


def observation_frame(
    observation_id: Sequence[str],
    group_id: Sequence[str],
    labels: Mapping[str, Sequence[str | None] | str | None],
) -> pl.DataFrame:
    """Make a table of observations.

    Parameters
    ----------
    observation_id, group_id
        Id of each cell or sample, unique; donor or the like: no split may cut a group.
    labels
        Label of `LABELS` to a value per observation, or to one for all.

    Returns
    -------
    pl.DataFrame
        Of `OBSERVATION_SCHEMA`; labels that are not given are null.
    """
    columns: dict[str, Sequence[str | None]] = {
        "observation_id": observation_id,
        "group_id": group_id,
    }
    for label in LABELS:
        given = labels.get(label)
        if given is None or isinstance(given, str):
            given = [given] * len(observation_id)
        columns[label] = given
    return pl.DataFrame(columns, schema=OBSERVATION_SCHEMA)


def distinct_inputs(names: Sequence[str]) -> tuple[str, ...]:
    """Names of input columns made unique: the second ``TBCE`` becomes ``TBCE#2``.

    The name itself is looked up; the duplicate policy decides on several columns of one gene.

    Parameters
    ----------
    names
        Names as published.

    Returns
    -------
    tuple of str
        In the order of `names`.
    """
    seen: Counter[str] = Counter()
    distinct = []
    for name in names:
        seen[name] += 1
        distinct.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return tuple(distinct)


def refuse_repeats(values: Sequence[str], what: str) -> None:
    """Refuse names of which one occurs twice.

    Parameters
    ----------
    values, what
        Names that must be unique; what they are, in the plural, for messages.

    Raises
    ------
    SourceError
        Names the first value that occurs twice.
    """
    if len(set(values)) == len(values):
        return
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise SourceError(f"{what} are not unique: {value!r} occurs more than once")
        seen.add(value)


def _refuse_schema(frame: pl.DataFrame, schema: pl.Schema, what: str) -> None:
    if frame.schema != schema:
        raise SourceError(f"{what} have columns {frame.schema}, expected {schema}")
