"""Expression values checked: what their unit allows, lower bounds, missing values, float32."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from genept.common import SourceError, option
from genept.datasources.formats import TextOptions
from genept.datasources.readers.orientation import Axis
from genept.datasources.readers.parsed import ExpressionRows, Mask, OddGene, Quarantined
from genept.datasources.readers.text_numbers import Chunk
from genept.schema import NEVER_NEGATIVE

MAX_EXACT: Final = 2**24
"""Above this float32 no longer holds every whole number."""

WINDOW: Final = 2**16
"""Values that are looked at together: as many as stay in the cache."""


def checked_blocks(
    expression: ExpressionRows,
    ids: Sequence[str],
    unit: str,
    start: int = 0,
    inputs: Sequence[str] = (),
) -> Iterator[csr_matrix]:
    """Check expression on its way: every value must be possible in its unit.

    Parameters
    ----------
    expression
        Observations × input genes, in `unit`.
    ids
        Ids of the observations that are read.
    unit
        Unit of the collection, such as ``counts``.
    start
        Row of the first of `ids`.
    inputs
        Names of the columns, for messages; none: they are counted.

    Yields
    ------
    csr_matrix
        The rows of `ids`, float32, in blocks as `expression` gives them.

    Raises
    ------
    SourceError
        Values are not finite; shapes do not fit the axes; or values cannot be of that
        unit: negative, broken, or beyond what float32 holds exactly. Names the
        first such value's observation and column.
    """
    rows = 0
    for block in expression.blocks(start, start + len(ids)):
        if block.dtype != np.float32 or block.shape[1] != expression.shape[1]:
            raise SourceError(f"an expression block is {block.dtype} of shape {block.shape}")
        if rows + block.shape[0] > len(ids):
            raise SourceError(f"more expression rows than {len(ids)} observations")
        for first in range(0, block.data.size, WINDOW):
            if (wrong := _wrong(block.data[first : first + WINDOW], unit)) is not None:
                position, what, question = wrong
                where = _place(block, first + position, ids[rows:], inputs)
                raise SourceError(f"{what}, such as {where}{question}")
        rows += block.shape[0]
        yield block
    if rows != len(ids):
        raise SourceError(f"{rows} expression rows for {len(ids)} observations")


def refuse_rounded(values: NDArray[Any], place: Callable[..., str]) -> None:
    """Refuse numbers beyond what float32 holds exactly; `place` names the indices of the first."""
    # NaN is neither above nor below: ingest finds it, and names the observation.
    beyond = (values > MAX_EXACT) | (values < -MAX_EXACT)
    if beyond.any():
        at = tuple(int(index) for index in np.argwhere(beyond)[0])
        raise SourceError(
            f"{place(*at)} holds {values[at]:,.0f}, beyond ±{MAX_EXACT:,}: float32 would round it"
        )


def _wrong(values: NDArray[np.float32], unit: str) -> tuple[int, str, str] | None:
    """Position of the first value that cannot be, what is wrong with it, and a question."""
    if not values.size:
        return None
    low, high = values.min(), values.max()  # NaN, if there is one
    if not (np.isfinite(low) and np.isfinite(high)):
        wrong, what, question = ~np.isfinite(values), "NaN or infinite values", ""
    elif unit == "counts" and low < 0:
        wrong, what, question = values < 0, "negative counts", ": is it a z-score or a log?"
    elif unit == "counts" and high > MAX_EXACT:
        wrong, what = values > MAX_EXACT, f"counts above {MAX_EXACT:,}"
        question = ": float32 would round them"
    elif unit == "counts":
        wrong, what = values != np.floor(values), "counts that are no whole numbers"
        question = ": is it normalised?"
    elif unit in NEVER_NEGATIVE and low < 0:
        wrong, what = values < 0, "negative values"
        question = f": {unit} cannot be; is it a z-score?"
    else:
        return None
    return (int(wrong.argmax()), what, question) if wrong.any() else None


def _place(block: csr_matrix, position: int, ids: Sequence[str], inputs: Sequence[str]) -> str:
    row = int(np.searchsorted(block.indptr, position, side="right")) - 1
    column = int(block.indices[position])
    name = repr(inputs[column]) if inputs else f"column {column + 1}"
    return f"{block.data[position]:.9g} for {name} in observation {ids[row]!r}"


class Values:
    """Cleans chunks of rows as they come, and remembers what it did."""

    def __init__(self, options: TextOptions, unit: str, what: str, genes_in: Axis) -> None:
        self.what = what
        self.divisor: NDArray[np.float64] | None = None
        self._options, self._is_counts, self._genes_in = options, unit == "counts", genes_in
        self._n_floored = self._n_missing = 0
        self._sums: list[NDArray[np.float64]] = []
        self._present: list[NDArray[np.int64]] = []
        self._names: list[str] = []
        self._n_rows = 0
        self.odd: dict[int, OddGene] = {}

    def clean(self, chunk: Chunk, columns: tuple[str, ...]) -> NDArray[np.float32]:
        """Return the chunk's values as float32; missing ones are NaN.

        Raises
        ------
        SourceError
            A value is missing and may not be, or is a count above 2^24; says where.
        """
        values = chunk.values
        if self.divisor is not None:
            values = np.rint(values / self.divisor)
        missing = np.isnan(values)
        for it in chunk.odd:
            self._keep_out(it.row, it.column, it.detail)
        if missing.any():
            values = self._with_missing(values, missing, chunk, columns)
        self._n_rows += len(values)
        if self._is_counts:
            refuse_rounded(
                values,
                lambda row, column: (
                    f"{self.what}: row {chunk.texts[row][0]!r}, column {columns[column]!r}"
                ),
            )
        if self._options.floor is not None:
            below = values < self._options.floor
            self._n_floored += int(below.sum())
            values = np.where(below, self._options.floor, values)
        if self._options.missing == "impute_gene_mean":
            self._add_up(values, missing, chunk, columns)
        return values.astype(np.float32)

    def means(self) -> NDArray[np.float32] | None:
        """Return the mean of every gene over the observations that have it; none: none is missing.

        Raises
        ------
        SourceError
            A gene has no value at all.
        """
        if not self._n_missing:
            return None
        sums, present = np.concatenate(self._sums), np.concatenate(self._present)
        nowhere = [gene for gene in np.flatnonzero(present == 0).tolist() if gene not in self.odd]
        if nowhere:
            raise SourceError(
                f"{self.what}: {len(nowhere)} genes have no value in any observation, such as "
                f"{self._names[nowhere[0]]!r}: there is nothing to impute; take them out"
            )
        return (sums / np.maximum(present, 1)).astype(np.float32)

    def remarks(self, shape: tuple[int, int]) -> list[Quarantined]:
        """Return what was done, with counts."""
        remarks, cells = [], shape[0] * shape[1]
        if self._n_floored:
            detail = f"of {cells:,} values were below {self._options.floor:g} and set to it"
            remarks.append(("floored", detail, self._n_floored))
        if self._n_missing:
            n_genes = int((np.concatenate(self._present) < shape[0]).sum())
            detail = (
                f"of {cells:,} values are missing, in {n_genes} genes: read as the gene's mean "
                "over all observations that have it"
            )
            remarks.append(("imputed", detail, self._n_missing))
        return [Quarantined("file", self.what, *remark, "fixed") for remark in remarks]

    def _with_missing(
        self, values: NDArray[np.float64], missing: Mask, chunk: Chunk, columns: tuple[str, ...]
    ) -> NDArray[np.float64]:
        """The values, if they may be missing; or with 0 in place of those whose gene goes out."""
        if self._options.missing == "impute_gene_mean":
            self._n_missing += int(missing.sum())
            return values
        row, column = (int(it) for it in np.argwhere(missing)[0])
        if missing[row].all() and not chunk.texts[row][0]:
            raise SourceError(
                f"{self.what}: line {chunk.first_line + row} has neither a name nor a value: "
                "delete the empty rows (Excel saves cells that were once used)"
            )
        if self._options.non_numeric == "refuse":
            raise SourceError(
                f"{self.what}: row {chunk.texts[row][0][:40]!r} (line {chunk.first_line + row}), "
                f"column {columns[column]!r}: the value is missing (empty, NA or NaN): complete "
                f"it, or set {option('missing', 'impute_gene_mean')} to have it imputed and "
                f"counted, or {option('non_numeric', 'quarantine')} to keep such genes out and "
                "count them"
            )
        for row, column in np.argwhere(missing).tolist():
            place = f"row {chunk.texts[row][0][:40]!r} (line {chunk.first_line + row})"
            detail = f"{place}, column {columns[column]!r}: the value is missing"
            self._keep_out(row, column, detail)
        return np.where(missing, 0.0, values)

    def _keep_out(self, row: int, column: int, detail: str) -> None:
        """Note that the gene of a value, which is no number, cannot be kept."""
        gene = column if self._genes_in == "columns" else self._n_rows + row
        known = self.odd.get(gene, OddGene(0, detail))
        self.odd[gene] = OddGene(known.n + 1, known.detail)

    def _add_up(
        self, values: NDArray[np.float64], missing: Mask, chunk: Chunk, columns: tuple[str, ...]
    ) -> None:
        axis = 0 if self._genes_in == "columns" else 1
        sums = np.where(missing, 0.0, values).sum(axis)
        present = (~missing).sum(axis)
        if self._genes_in == "rows":
            self._sums.append(sums)
            self._present.append(present)
            self._names.extend(text[0] for text in chunk.texts)
        else:
            self._sums = [sums + self._sums[0] if self._sums else sums]
            self._present = [present + self._present[0] if self._present else present]
            self._names = list(columns)


def refuse_difference(
    described: Mapping[str, object], counted: Iterable[str], what: str, kind: str
) -> None:
    """Refuse a description of other observations than those that were counted.

    Parameters
    ----------
    described
        What is described, by its id.
    counted
        Ids in the matrix.
    what, kind
        File of the description; what the ids are, in the plural: for messages.

    Raises
    ------
    SourceError
        Names an id that only one of the two has.
    """
    if odd := sorted(described.keys() ^ {*counted}):
        raise SourceError(
            f"{what}: {len(odd)} {kind} are only in it or only in the counts, such as {odd[0]!r}; "
            f"expected the same {kind} in both"
        )
