"""Parsed parts of one collection, such as the projects of recount3, put below one another."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl
from scipy.sparse import csr_matrix

from genept.common import SourceError
from genept.datasources.readers.parsed import ExpressionRows, ParsedCollection, refuse_repeats


@dataclass(frozen=True)
class StackedRows:
    """The rows of several matrices of the same columns, one after the other."""

    parts: tuple[ExpressionRows, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Observations × input genes."""
        return sum(part.shape[0] for part in self.parts), self.parts[0].shape[1]

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[csr_matrix]:
        """Rows `start` to `stop`; no block is of two parts."""
        stop = self.shape[0] if stop is None else min(stop, self.shape[0])
        first = 0
        for part in self.parts:
            n = part.shape[0]
            low, high = max(start - first, 0), min(stop - first, n)
            if low < high:
                yield from part.blocks(low, high)
            first += n


def stacked(parts: Sequence[ParsedCollection], names: Sequence[str]) -> ParsedCollection:
    """Put parts below one another.

    Parameters
    ----------
    parts
        At least one; without drug responses.
    names
        What messages call them.

    Returns
    -------
    ParsedCollection
        All observations; a field that a part does not have is empty there.

    Raises
    ------
    SourceError
        Two parts have not the same genes in the same order, or share an observation.
    """
    first = parts[0]
    for part, name in zip(parts, names, strict=True):
        if part.input_genes != first.input_genes:
            odd = next(
                (
                    f"{ours!r} instead of {theirs!r}"
                    for ours, theirs in zip(part.input_genes, first.input_genes, strict=False)
                    if ours != theirs
                ),
                f"{len(part.input_genes):,} instead of {len(first.input_genes):,}",
            )
            raise SourceError(f"{name} has other genes than {names[0]}: {odd}; take it out")
    observations = pl.concat([part.observations for part in parts])
    refuse_repeats(observations["observation_id"].to_list(), f"{', '.join(names)}: observations")
    metadata = [part.metadata for part in parts if part.metadata is not None]
    kept_out = {(it.item, it.input_id, it.reason): it for part in parts for it in part.quarantined}
    return ParsedCollection(
        input_genes=first.input_genes,
        symbols=first.symbols,
        entrez_ids=first.entrez_ids,
        observations=observations,
        expression=StackedRows(tuple(part.expression for part in parts)),
        responses=None,
        metadata=pl.concat(metadata, how="diagonal") if metadata else None,
        quarantined=tuple(kept_out.values()),
        remarks=tuple(remark for part in parts for remark in part.remarks),
    )
