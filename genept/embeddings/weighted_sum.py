"""The weighted sum of gene vectors, close to the speed of the machine's matrix product.

Lays vectors out, and leaves the loops to `genept.embeddings.weighted_sum_loops` (numba). There is
no slower way without numba: an installation that builds has it, and ingest needs it before any sum.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from types import ModuleType
from typing import Any, Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController


class _BlasThreads:
    """Limits BLAS to one thread while any sum runs: the kernel has threads of its own.

    The limit is the whole process's, so the last sum to end restores it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        self._controller: ThreadpoolController | None = None
        self._limit: Any = None

    @contextmanager
    def one_thread(self) -> Iterator[None]:
        with self._lock:
            if not self._running:
                # It looks through all loaded libraries: as long as some hundred rows take.
                self._controller = self._controller or ThreadpoolController()
                self._limit = self._controller.limit(limits=1, user_api="blas")
            self._running += 1
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1
                if not self._running:
                    self._limit.restore_original_limits()


BLAS: Final = _BlasThreads()


POPULAR: Final = 0.3
"""Share of observations from which a gene's column is dense: its product is 3 times as fast."""


RARE: Final = 0.02
"""Share below which genes share one bucket, too seldom read to be kept in the cache."""


ROWS: Final = 512
"""Observations at once: enough for the matrix product, few enough for the cache."""


_CACHE_LINE: Final = 64

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


class WeightedSum:
    """A table of gene vectors, laid out for sums over observations of known gene popularity.

    Parameters
    ----------
    vectors
        Genes × dimensions, float32, finite; genes without a vector are zero.
    popularity
        Share of observations that express each gene. It decides the speed, and the order of
        addition (so the last bits), nothing else.

    Raises
    ------
    ValueError
        If vectors are not float32, not finite, or do not match `popularity`.
    """

    def __init__(self, vectors: Floats, popularity: Doubles) -> None:
        _require_float32("gene vectors", vectors.dtype)
        if vectors.ndim != 2 or popularity.shape != vectors.shape[:1]:
            raise ValueError(
                f"gene vectors are {vectors.shape}, the popularity of genes is {popularity.shape}"
            )
        if vectors.size and not (np.isfinite(vectors.min()) and np.isfinite(vectors.max())):
            row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
            raise ValueError(f"the vector of gene {row} is not finite: embed its text again")
        self.shape = vectors.shape
        self._own = threading.local()
        self._compiled = compiled()
        width = self._compiled.COLUMNS
        order = np.argsort(-popularity, kind="stable")
        n_genes, dimensions = vectors.shape
        popular = int((popularity >= POPULAR).sum())
        n_panels = -(-dimensions // width)
        self._slots = np.empty(n_genes, np.int32)
        self._slots[order] = np.arange(n_genes, dtype=np.int32)
        self._dense_vectors = np.zeros((popular, n_panels * width), np.float32)
        self._dense_vectors[:, :dimensions] = vectors[order[:popular]]
        self._panels = _aligned((n_panels, n_genes - popular, width))
        for number, panel in enumerate(self._panels):
            columns = vectors[:, number * width : (number + 1) * width]
            panel[:, : columns.shape[1]] = columns[order[popular:]]
            panel[:, columns.shape[1] :] = 0
        common = max(int((popularity >= RARE).sum()) - popular, 0)
        self._buckets = (common >> self._compiled.BUCKET_SHIFT) + 1

    def __call__(
        self, weights: sp.csr_matrix, threads: int = 1, out: Floats | None = None
    ) -> Floats:
        """Weighted sums: observations × dimensions, within 1e-5 relative of those in float64.

        The bytes are the same for any number of threads. Weights are observations × genes, float32,
        indices in any order. Sums are written to `out`, rows contiguous, or to fresh memory. Raises
        `ValueError` if weights are not float32, not over the same genes, or do not fit `out`.
        """
        _require_float32("weights", weights.dtype)
        if weights.shape[1] != self.shape[0]:
            raise ValueError(
                f"weights are over {weights.shape[1]} genes, the vectors are of {self.shape[0]}"
            )
        _require_sound(weights)
        if not weights.has_canonical_format:
            weights = weights.copy()
            weights.sum_duplicates()
        wanted = (weights.shape[0], self.shape[1])
        if out is None:
            out = np.empty(wanted, np.float32)
        elif out.shape != wanted or out.dtype != np.float32:
            raise ValueError(f"the sums are {wanted} of float32, `out` is {out.shape}, {out.dtype}")
        with BLAS.one_thread(), ThreadPoolExecutor(threads) as pool:
            each = pool.map if threads > 1 else map
            list(each(lambda start: self._sum_rows(weights, start, out), range(0, len(out), ROWS)))
        return out

    def _sum_rows(self, weights: sp.csr_matrix, start: int, out: Floats) -> None:
        """The sums of `ROWS` observations from `start` on, in memory of the thread's own."""
        of_rows = weights.indptr[start : start + ROWS + 1]
        n, first, last = len(of_rows) - 1, int(of_rows[0]), int(of_rows[-1])
        indptr = of_rows.astype(np.int64) - first
        genes = weights.indices[first:last].astype(np.int32, copy=False)
        popular = len(self._dense_vectors)
        dense = self._scratch("dense", (ROWS, popular + 1))[: max(n, 2)]
        dense[:] = 0
        tail_ptr = np.empty(n + 1, np.int64)
        tail = [
            self._scratch(name, (len(genes) + 1,), type_)
            for name in ("", "sorted ")
            for name, type_ in ((f"{name}genes", np.int32), (f"{name}weights", np.float32))
        ]
        self._compiled.take_apart(
            indptr, genes, weights.data[first:last], self._slots, dense, tail_ptr, *tail[:2]
        )
        target = out[start : start + n]
        # BLAS adds up a single row in another order, so a row's bits would depend on its company.
        fits = n > 1 and self.shape[1] == self._dense_vectors.shape[1]
        sums = target if fits else self._scratch("sums", (ROWS, self._dense_vectors.shape[1]))
        np.matmul(dense[:, :popular], self._dense_vectors, out=sums[: len(dense)])
        sums = sums[:n]
        if tail_ptr[-1]:
            bucket_ptr = np.zeros((self._buckets, n + 1), np.int64)
            place = np.empty(self._buckets, np.int64)
            self._compiled.into_buckets(tail_ptr, *tail[:2], bucket_ptr, place, *tail[2:])
            self._compiled.add_panels(bucket_ptr, *tail[2:], self._panels, sums)
        if not fits:
            target[:] = sums[:, : self.shape[1]]

    def _scratch(self, name: str, shape: tuple[int, ...], type_: Any = np.float32) -> Any:
        """Memory that the thread keeps: fresh pages for every block would cost as much again."""
        size = int(np.prod(shape))
        held = self._own.__dict__.get(name)
        if held is None or held.size < size:
            held = self._own.__dict__[name] = _aligned((size + size // 8,), type_)
        return held[:size].reshape(shape)


def popularity(weights: sp.csr_matrix) -> Doubles:
    """The share of observations that express each gene; weights are observations × genes."""
    _require_sound(weights)
    return np.bincount(weights.indices, minlength=weights.shape[1]) / max(weights.shape[0], 1)


def row_sums(weights: sp.csr_matrix, marked: NDArray[np.bool_] | None = None) -> Doubles:
    """The sum of each row, and of its marked genes alone: observations × 2.

    Weights are observations × genes, float32; without `marked`, all genes are marked.
    """
    _require_float32("weights", weights.dtype)
    _require_sound(weights)
    marked = np.ones(weights.shape[1], np.bool_) if marked is None else marked
    if marked.shape != weights.shape[1:]:
        raise ValueError(f"{marked.size} genes are marked or not, weights are of {weights.shape}")
    sums = np.empty((weights.shape[0], 2))
    indptr = weights.indptr.astype(np.int64)
    genes = weights.indices.astype(np.int32, copy=False)
    compiled().sums_of_rows(indptr, genes, weights.data, marked.astype(np.float64), sums)
    return sums


def normalised(values: sp.csr_matrix, target: float) -> Floats:
    """The stored values with each row scaled to the sum `target`, in new memory.

    Values are observations × genes, float32; a row that sums to 0 becomes 0.
    """
    _require_float32("values", values.dtype)
    _require_offsets(values)
    end = int(values.indptr[-1])
    scaled = np.empty_like(values.data)
    scaled[end:] = 0
    compiled().normalise(values.indptr.astype(np.int64), values.data, target, scaled)
    return scaled


def compiled() -> ModuleType:
    """Import the compiled loops, at the first sum: numba takes a second."""
    return import_module("genept.embeddings.weighted_sum_loops")


def kernel_name() -> str:
    """The implementation that adds up, which decides the last bits of every sum."""
    return f"numba {version('numba')}"


def _aligned(shape: tuple[int, ...], type_: Any = np.float32) -> Any:
    """An array that starts on a cache line: a load across two of them takes twice as long."""
    size = int(np.prod(shape)) * np.dtype(type_).itemsize
    memory = np.empty(size + _CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % _CACHE_LINE
    return memory[start : start + size].view(type_).reshape(shape)


def _require_float32(what: str, type_: np.dtype[Any]) -> None:
    if type_ != np.float32:
        raise ValueError(f"{what} are {type_}, expected float32: convert them where they are made")


def _require_sound(weights: sp.csr_matrix) -> None:
    """Refuse a matrix that would have compiled code read foreign memory."""
    _require_offsets(weights)
    indices = weights.indices
    # Negative ones, too, are beyond any gene when they are read as unsigned.
    if indices.size and indices.view(f"u{indices.itemsize}").max() >= weights.shape[1]:
        raise ValueError(f"the weights name genes outside of 0 to {weights.shape[1] - 1}")


def _require_offsets(weights: sp.csr_matrix) -> None:
    indptr, end = weights.indptr, len(weights.indices)
    if indptr[0] != 0 or (np.diff(indptr) < 0).any() or not indptr[-1] <= end == len(weights.data):
        raise ValueError("the row offsets of the weights do not rise from 0 to their number")
