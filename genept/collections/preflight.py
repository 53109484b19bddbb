"""Checks of a catalogue entry against its file before a long ingest: axis, and unit by the values.

What the units are is `genept.schema.tables`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from genept.common import StoreError
from genept.datasources import Collection
from genept.datasources.readers import ParsedCollection
from genept.nomenclature import Nomenclature, Reference

Unlog: TypeAlias = Callable[[NDArray[np.float64]], NDArray[np.float64]]


LOG_CEILING = 30.0
"""No logarithm of an expression value exceeds this: 2^30 reads of one gene."""


PER_MILLION = 1e6

_CLOSE = 0.02
"""Relative distance within which sums agree."""

_EXACT, _SAME = 1e-4, 1e-3

_CLEARER = 10
"""Sums must agree this many times more closely than those of any other logarithm."""

_FEW = 0.01
"""Share of negative values below which whole numbers are counts with a mistake in them."""


@dataclass(frozen=True)
class UnitFinding:
    """Units that fit the values, and what the values show.

    Parameters
    ----------
    possible
        The likeliest first.
    seen
        What the values show, in words.
    is_certain
        Whether the values prove the first of them, so that no question is needed.
    is_flawed
        Whether some values are impossible in that unit; the ingest refuses the first of them.
    """

    possible: tuple[str, ...]
    seen: str
    is_certain: bool = False
    is_flawed: bool = False

    @property
    def are_counts(self) -> bool:
        """Whether all values are certainly counts."""
        return self.possible == ("counts",) and not self.is_flawed


def detect_unit(values: sp.csr_matrix) -> UnitFinding:
    """Tell the unit of a sample of observations.

    Parameters
    ----------
    values
        Observations × genes, as published; a few hundred observations are enough.

    Returns
    -------
    UnitFinding
        Certain are ``counts`` (whole numbers), ``tpm`` (every observation adds up to a million)
        and ``log1p`` or ``log2`` if the observations add up to the same once that logarithm, and
        not the other, is undone. Whole numbers of which one in hundreds is negative are counts
        with a mistake. Nothing else is certain: values too large for logarithms may be ``tpm`` or
        other abundances, small ones any of the three, negative ones ``log2`` or ``zscore``.
        Values that are not finite tell nothing; the ingest names the first of them.
    """
    if not (finite := np.isfinite(values.data)).all():
        known = np.where(finite, values.data, 0)
        values = sp.csr_matrix((known, values.indices, values.indptr), shape=values.shape)
    data = values.data
    if not data.size:
        return UnitFinding((), "no value other than zero")
    low, high = float(data.min()), float(data.max())
    if data.size < values.shape[0] * values.shape[1]:
        low, high = min(low, 0.0), max(high, 0.0)
    finding = _of_range(values, low, high)
    return replace(finding, seen=f"values from {low:.4g} to {high:.4g}, {finding.seen}")


def _of_range(values: sp.csr_matrix, low: float, high: float) -> UnitFinding:
    data = values.data
    whole = np.array_equal(data, np.floor(data))
    if low < 0:
        return _of_negatives(values, whole=whole)
    sums = _sums_of(values, np.positive)
    if _are_close(sums, PER_MILLION):
        if whole:  # rounded abundances, or counts thinned to a million
            seen = "all whole, and every observation adds up to about a million"
            return UnitFinding(("tpm",), seen)
        return UnitFinding(("tpm",), "every observation adds up to about a million", True)
    if whole:
        return UnitFinding(("counts",), "all whole", True)
    of_sums = f"the observations add up to {sums.min():.4g} to {sums.max():.4g}, not to a million"
    if high > LOG_CEILING:
        return UnitFinding(("tpm",), f"not whole, too large for logarithms; {of_sums}")
    return _of_logarithms(values, of_sums)


def _of_logarithms(values: sp.csr_matrix, of_sums: str) -> UnitFinding:
    """Judge values that may be logarithms.

    Normalised values add up to the same in every observation once their logarithm is undone. So do
    those of quantile-normalised arrays, with or without a logarithm: they prove nothing.
    """
    apart = {
        unit: max(_apart(_sums_of(values, unlog)), _EXACT)
        for unit, unlog in (
            ("tpm", np.positive),
            ("log1p", np.expm1),
            ("log2", lambda values: np.exp2(values) - 1),
        )
    }
    unit = min(apart, key=apart.__getitem__)
    if apart[unit] > (_SAME if unit == "tpm" else _CLOSE):
        return UnitFinding(("log2", "log1p", "tpm"), f"not whole; {of_sums}")
    others = min(value for other, value in apart.items() if other != unit)
    if others < _CLEARER * apart[unit]:
        seen = "not whole; every observation adds up to the same, with a logarithm or without"
        return UnitFinding(("log2", "log1p", "tpm"), seen)
    if unit == "tpm":  # normalised to another sum than a million
        middle = float(np.median(_sums_of(values, np.positive)))
        seen = f"not whole; every observation adds up to about {middle:.4g}"
        return UnitFinding(("tpm", "log2", "log1p"), seen)
    seen = f"not whole; taken back from {unit}, every observation adds up to the same"
    return UnitFinding((unit,), seen, True)


def _of_negatives(values: sp.csr_matrix, *, whole: bool) -> UnitFinding:
    """z-scores lie around zero, per observation or per gene; logarithms need not."""
    share = float(np.mean(values.data < 0))
    if whole and share < _FEW:  # the ingest names the first that cannot be one
        return UnitFinding(("counts",), f"all whole, {share:.2%} negative", True, True)
    seen = f"{share:.0%} negative"
    dense = values.astype(np.float64).toarray()
    for axis in (0, 1):
        mean, spread = dense.mean(axis=axis), dense.std(axis=axis)
        if dense.shape[axis] > 2 and np.median(np.abs(mean)) < 0.25 * np.median(spread):
            return UnitFinding(("zscore", "log2"), seen)
    return UnitFinding(("log2", "zscore"), seen)


def _sums_of(values: sp.csr_matrix, unlog: Unlog) -> NDArray[np.float64]:
    back = sp.csr_matrix(
        (unlog(values.data.astype(np.float64)), values.indices, values.indptr), shape=values.shape
    )
    return np.asarray(back.sum(axis=1).A1, dtype=np.float64)


def _are_close(sums: NDArray[np.float64], expected: float) -> bool:
    """Whether more than nine in ten of the sums that are not zero are near a known one."""
    sums = sums[sums != 0]
    return bool(sums.size and np.mean(np.abs(sums - expected) <= _CLOSE * expected) > 0.9)


def _apart(sums: NDArray[np.float64]) -> float:
    """How far apart nine in ten of the sums are, relative to their median; a few tell nothing."""
    sums = sums[sums != 0]
    if sums.size < 3:
        return np.inf
    middle = float(np.median(sums))
    return float(np.quantile(np.abs(sums - middle), 0.9)) / middle


MINIMUM_NAMED = 0.2
"""A file of whose gene names fewer than this are known is not read any further."""


SAMPLED_OBSERVATIONS = 512


class CollectionRefusedError(StoreError):
    """A collection is not what its catalogue entry says."""


def unit_of_first(parsed: ParsedCollection) -> UnitFinding | None:
    """The unit of the first `SAMPLED_OBSERVATIONS` observations; None if there are none."""
    blocks = list(parsed.expression.blocks(0, SAMPLED_OBSERVATIONS))
    return detect_unit(sp.csr_matrix(sp.vstack(blocks, format="csr"))) if blocks else None


def refuse_other_axis(
    collection: Collection, parsed: ParsedCollection, names: pl.DataFrame, reference: Reference
) -> None:
    """Refuse a matrix whose columns are not human genes, perhaps because it is transposed.

    Parameters
    ----------
    collection
        Its catalogue entry.
    parsed
        Its contents.
    names
        `MappingResult.rows` of its input columns.
    reference
        The gene reference, to test whether the observations are genes.

    Raises
    ------
    CollectionRefusedError
        Fewer than `MINIMUM_NAMED` of the names are known.
    """
    known = _share_known(names)
    if known >= MINIMUM_NAMED:
        return
    ids = parsed.observations["observation_id"].head(SAMPLED_OBSERVATIONS).to_list()
    others = _share_known(Nomenclature(reference.index).map(ids).rows)
    remedy = (
        f"of its observation ids {others:.0%} are: it lies on its side, so turn it, or say so "
        "in its options"
        if others > max(known, MINIMUM_NAMED)
        else f"the first of them is {parsed.symbols[0]!r}; is it human, and are its columns genes?"
    )
    raise CollectionRefusedError(
        f"collection {collection.id!r}: only {known:.0%} of its {names.height} gene names are "
        f"known; {remedy}"
    )


def _share_known(names: pl.DataFrame) -> float:
    return float(names["ensembl_gene_id"].is_not_null().sum() / max(names.height, 1))


def refuse_other_unit(collection: Collection, parsed: ParsedCollection) -> None:
    """Refuse values that contradict the unit of the catalogue entry.

    Parameters
    ----------
    collection
        Its catalogue entry.
    parsed
        Its contents; the first `SAMPLED_OBSERVATIONS` observations are read.

    Raises
    ------
    CollectionRefusedError
        The values cannot be in the declared unit, or there are none.
    """
    finding = unit_of_first(parsed)
    if finding is None:
        raise CollectionRefusedError(f"collection {collection.id!r} has no observations")
    if collection.unit not in finding.possible:
        is_broken = collection.unit == "counts" and finding.possible[:1] != ("counts",)
        round_first = "; estimated counts (salmon, RSEM) are to be rounded" if is_broken else ""
        raise CollectionRefusedError(
            f"collection {collection.id!r} is declared as {collection.unit}, but its values "
            f"look like {' or '.join(finding.possible) or 'nothing'}: {finding.seen}. Correct the "
            f"unit, or name the matrix that holds what was claimed{round_first}"
        )
