"""Measure what bounds the weighted sum: its four steps, and where the vectors of rare genes lie.

Run by `make bench`; one thread, 512 cells of 20,000 genes, everything in one run. The loop over
rare genes is run again with genes that fit each level of the cache: the same instructions, other
bytes.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from bench_pooling import CELLS, gene_vectors, observations, report
from threadpoolctl import threadpool_limits

from genept.embeddings.pooling import expression_weights
from genept.embeddings.weighted_sum import ROWS, WeightedSum, compiled, popularity

DIMENSIONS, ROUNDS = 1536, 9
FITTING = {"L1": 32, "half of L1": 64, "L2, a bucket": 256, "L2": 2048, "L3": 16_384}
"""Genes whose panel of 64 columns takes 256 bytes each."""


def fastest(work: Callable[[], Any]) -> float:
    """Seconds of the fastest of several rounds: the least that others took."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Print seconds, rates and shares."""
    weights = expression_weights(observations(ROWS, CELLS), "counts")
    kernel, loops = WeightedSum(gene_vectors(DIMENSIONS), popularity(weights)), compiled()
    square = np.random.default_rng(3).random((2048, 2048), dtype=np.float32)
    with threadpool_limits(1, user_api="blas"):
        peak = 2 * 2048**3 / fastest(lambda: square @ square)
        whole = fastest(lambda: kernel(weights, 1))
        steps(kernel, loops, weights, whole, peak)


def steps(kernel: WeightedSum, loops: Any, weights: Any, whole: float, peak: float) -> None:
    """The steps of one block, and the loop over rare genes with other genes."""
    indptr, genes = weights.indptr.astype(np.int64), weights.indices.astype(np.int32)
    popular = len(kernel._dense_vectors)
    dense, out = np.zeros((ROWS, popular + 1), np.float32), np.zeros((ROWS, DIMENSIONS), np.float32)
    tail_ptr = np.empty(ROWS + 1, np.int64)
    tail, ordered = (
        (np.empty(len(genes) + 1, np.int32), np.empty(len(genes) + 1, np.float32)) for _ in range(2)
    )
    bucket_ptr = np.zeros((kernel._buckets, ROWS + 1), np.int64)
    place = np.empty(kernel._buckets, np.int64)

    def apart() -> None:
        dense[:] = 0
        loops.take_apart(indptr, genes, weights.data, kernel._slots, dense, tail_ptr, *tail)

    def sorted_by_bucket() -> None:
        bucket_ptr[:] = 0
        loops.into_buckets(tail_ptr, *tail, bucket_ptr, place, *ordered)

    taken = {
        "taken apart": fastest(apart),
        "matrix product": fastest(
            lambda: np.matmul(dense[:, :popular], kernel._dense_vectors, out=out)
        ),
        "sorted by bucket": fastest(sorted_by_bucket),
        "rare genes": fastest(lambda: loops.add_panels(bucket_ptr, *ordered, kernel._panels, out)),
    }
    rare, n_panels = int(tail_ptr[-1]), len(kernel._panels)
    in_last = int(bucket_ptr[-1, -1] - bucket_ptr[-1, 0])
    rates = 2 * weights.nnz * DIMENSIONS / whole
    report(
        f"{ROWS} cells × {DIMENSIONS:,}, one thread: {whole * 1e3:.1f} ms, "
        f"{rates / 1e9:.0f} GFLOP/s that count, {rates / peak:.0%} of {peak / 1e9:.0f}"
    )
    for name, seconds in taken.items():
        report(f"  {name:<17}{seconds * 1e3:6.1f} ms  {seconds / sum(taken.values()):4.0%}")
    product = 2 * ROWS * popular * DIMENSIONS / taken["matrix product"]
    report(
        f"the product of {popular:,} popular genes runs at {product / peak:.0%} of the peak; "
        f"{(weights.nnz - rare) / (ROWS * popular):.0%} of its terms are not zero"
    )
    each = taken["rare genes"] / rare / n_panels
    report(
        f"a rare gene's panel: {each * 1e9:.2f} ns, {128 / each / peak:.0%} of the peak; "
        f"{in_last / rare:.0%} are of the last bucket, "
        f"{kernel._panels[0].nbytes / 2**20:.1f} MiB a panel"
    )
    rng = np.random.default_rng(0)
    for name, n in FITTING.items():
        other = rng.integers(0, n, len(ordered[0])).astype(np.int32)
        run = fastest(
            lambda of=other: loops.add_panels(bucket_ptr, of, ordered[1], kernel._panels, out)
        )
        each = run / rare / n_panels
        report(f"  … of {n:>6,} genes ({name}): {each * 1e9:.2f} ns, {128 / each / peak:.0%}")


if __name__ == "__main__":
    main()
