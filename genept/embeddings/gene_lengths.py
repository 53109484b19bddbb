"""Lengths of genes: reads of whole transcripts are counted per kilobase before genes are weighed.

A gene of twice the length has twice the reads of equally many molecules. Which collections count
reads is declared with them (`genept.datasources.Collection.per_kilobase`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from genept.storage import Lake, Part

Kilobases = NDArray[np.float32]
"""Length of every gene of an axis."""

_BASES: Final = np.float32(1000)


def kilobases_of(lengths: pl.Series) -> Kilobases:
    """Lengths of genes in kilobases; a gene without a length has the median of the others.

    Parameters
    ----------
    lengths
        In base pairs, in the order of the genes; null where it is not known.

    Returns
    -------
    ndarray of float32
        All 1 where no length is known: nothing is then divided.
    """
    if lengths.null_count() == len(lengths):
        return np.ones(len(lengths), dtype=np.float32)
    filled = lengths.cast(pl.Float64).fill_null(lengths.median())
    return filled.to_numpy().astype(np.float32) / _BASES


def read_kilobases(lake: Lake, axis: Part) -> Kilobases:
    """Lengths of the genes of a collection, in the order of its gene axis.

    Parameters
    ----------
    lake
        The lake that holds the axis.
    axis
        The collection's part of table `gene_axis`.

    Returns
    -------
    ndarray of float32
        See `kilobases_of`.
    """
    return kilobases_of(lake.read(axis, ["gene_index", "length"]).sort("gene_index")["length"])


def per_kilobase(
    reads: sp.csr_matrix, kilobases: Kilobases | Sequence[float] | None
) -> sp.csr_matrix:
    """Reads divided by the lengths of their genes: in proportion to molecules, as TPM are.

    Parameters
    ----------
    reads
        Observations × genes, float32.
    kilobases
        One length a gene; None: values that do not depend on it are returned as they are.

    Returns
    -------
    scipy.sparse.csr_matrix
        Same shape, float32.
    """
    if kilobases is None:
        return reads
    values = reads.data / np.asarray(kilobases, np.float32)[reads.indices]
    return sp.csr_matrix((values, reads.indices, reads.indptr), shape=reads.shape)
