"""The compiled loops of the weighted sum: rows taken apart, and rare genes added up in panels.

A panel is `COLUMNS` columns of the table of gene vectors, so narrow that the sum of a row stays in
registers and a bucket of genes in the processor's cache. Needs numba; how the loops are combined
is `genept.embeddings.weighted_sum`.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

COLUMNS: Final = 64
"""Columns of a panel: four registers of AVX-512, eight of AVX2."""

BUCKET_SHIFT: Final = 8
"""Genes of a bucket, as a power of two: 256 genes × 64 columns are 64 kB."""

ONE, TWO, THREE, FOUR = (np.uint64(number) for number in (1, 2, 3, 4))
"""What indexes is unsigned in all loops: a signed index is tested before each use, and
with a signed number it would become a float."""

Floats = NDArray[np.float32]
Indices = NDArray[np.int32]
Doubles = NDArray[np.float64]
Pointers = NDArray[np.int64]


def _add_row(
    _typing: Any, genes: Any, weights: Any, start: Any, stop: Any, table: Any, at: Any, out: Any,
    to: Any,
) -> Any:  # fmt: skip
    """``out[to:to+COLUMNS] += Σ weights[i] · table[at + genes[i]·COLUMNS …]``, start ≤ i < stop.

    Written as LLVM's own vectors: from a loop over 64 array elements, the compiler loads and
    stores the sum anew for every gene, and is 1.7 times slower.
    """
    signature = types.void(genes, weights, start, stop, table, at, out, to)

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        genes, weights, table, out = (
            context.make_array(sig.args[n])(context, builder, args[n]).data for n in (0, 1, 4, 6)
        )
        start, stop, at, to = (args[n] for n in (2, 3, 5, 7))
        wide, lane, index = ir.VectorType(ir.FloatType(), COLUMNS), ir.IntType(32), ir.IntType(64)
        undefined = ir.Constant(wide, ir.Undefined)
        first_lane = ir.Constant(ir.VectorType(lane, COLUMNS), [0] * COLUMNS)
        target = builder.bitcast(builder.gep(out, [to]), wide.as_pointer())
        before = builder.load(target, align=4)
        entry = builder.block
        loop, done = builder.append_basic_block("genes"), builder.append_basic_block("sum")
        builder.cbranch(builder.icmp_signed("<", start, stop), loop, done)

        builder.position_at_end(loop)
        position, total = builder.phi(index), builder.phi(wide)
        gene = builder.zext(builder.load(builder.gep(genes, [position])), index)
        offset = builder.add(at, builder.mul(gene, ir.Constant(index, COLUMNS)))
        vector = builder.bitcast(builder.gep(table, [offset]), wide.as_pointer())
        weight = builder.load(builder.gep(weights, [position]))
        single = builder.insert_element(undefined, weight, ir.Constant(lane, 0))
        spread = builder.shuffle_vector(single, undefined, first_lane)
        product = builder.fmul(spread, builder.load(vector, align=4), flags=("contract",))
        added = builder.fadd(total, product, flags=("contract",))
        following = builder.add(position, ir.Constant(index, 1))
        position.add_incoming(start, entry)
        position.add_incoming(following, loop)
        total.add_incoming(before, entry)
        total.add_incoming(added, loop)
        builder.cbranch(builder.icmp_signed("<", following, stop), loop, done)

        builder.position_at_end(done)
        result = builder.phi(wide)
        result.add_incoming(before, entry)
        result.add_incoming(added, loop)
        builder.store(result, target, align=4)
        return context.get_dummy_value()

    return signature, codegen


add_row: Any = intrinsic(_add_row)


def _take_apart(
    indptr: Pointers, genes: Indices, weights: Floats, slots: Indices, dense: Floats,
    tail_ptr: Pointers, tail_genes: Indices, tail_weights: Floats,
) -> None:  # fmt: skip
    """Popular genes into a dense block, the others one after the other.

    `slots` gives each gene's place: below `popular` a column of the dense block, from there on
    its row in the panels. The last column of the block takes what is not for it: so there
    is no branch in the loop that the processor could not predict.
    """
    popular = np.uint64(dense.shape[1] - 1)
    filled = np.uint64(0)
    tail_ptr[0] = 0
    for row in range(len(indptr) - 1):
        for i in range(np.uint64(indptr[row]), np.uint64(indptr[row + 1])):
            slot = np.uint64(slots[np.uint32(genes[i])])
            dense[np.uint64(row), min(slot, popular)] = weights[i]
            tail_genes[filled] = slot - popular
            tail_weights[filled] = weights[i]
            filled += np.uint64(slot >= popular)
        tail_ptr[row + 1] = filled


def _into_buckets(
    tail_ptr: Pointers, tail_genes: Indices, tail_weights: Floats,
    bucket_ptr: Pointers, place: Pointers, genes: Indices, weights: Floats,
) -> None:  # fmt: skip
    """Sort the rest by bucket, then row: `bucket_ptr`, zero, becomes buckets × (rows + 1) offsets.

    `place` is scratch, one number a bucket.
    """
    last, rows = np.uint32(bucket_ptr.shape[0] - 1), len(tail_ptr) - 1
    for row in range(rows):
        for i in range(np.uint64(tail_ptr[row]), np.uint64(tail_ptr[row + 1])):
            its = min(np.uint32(tail_genes[i]) >> np.uint32(BUCKET_SHIFT), last)
            bucket_ptr[its, np.uint64(row + 1)] += 1
    total = 0
    for bucket in range(last + 1):
        bucket_ptr[bucket, 0] = total
        for row in range(rows):
            total += bucket_ptr[bucket, row + 1]
            bucket_ptr[bucket, row + 1] = total
    for row in range(rows):
        for bucket in range(last + 1):
            place[bucket] = bucket_ptr[bucket, row]
        for i in range(np.uint64(tail_ptr[row]), np.uint64(tail_ptr[row + 1])):
            its = min(np.uint32(tail_genes[i]) >> np.uint32(BUCKET_SHIFT), last)
            to = np.uint64(place[its])
            genes[to], weights[to] = tail_genes[i], tail_weights[i]
            place[its] += 1


def _add_panels(
    bucket_ptr: Pointers, genes: Indices, weights: Floats, panels: Floats, out: Floats
) -> None:
    """Add to `out` (rows × columns of all panels) what the rare genes weigh."""
    size, columns = panels.shape[1] * COLUMNS, out.shape[1]
    for panel in range(panels.shape[0]):
        for bucket in range(bucket_ptr.shape[0]):
            for row in range(out.shape[0]):
                add_row(
                    genes, weights, bucket_ptr[bucket, row], bucket_ptr[bucket, row + 1],
                    panels, panel * size, out, row * columns + panel * COLUMNS,
                )  # fmt: skip


def _sums(indptr: Pointers, genes: Indices, values: Floats, shares: Doubles, sums: Doubles) -> None:
    """Sum of each row, and of its values by the gene's share: rows × 2, added up in float64.

    Four sums take turns, so that an addition need not wait for the one before; they are
    written out, so the order, and with it every bit, is the same on every processor.
    """
    for row in range(len(indptr) - 1):
        a = b = c = d = 0.0
        e = f = g = h = 0.0
        i, stop = np.uint64(indptr[row]), np.uint64(indptr[row + 1])
        while i + FOUR <= stop:
            j, k, m = i + ONE, i + TWO, i + THREE
            a += values[i]
            b += values[j]
            c += values[k]
            d += values[m]
            e += values[i] * shares[np.uint32(genes[i])]
            f += values[j] * shares[np.uint32(genes[j])]
            g += values[k] * shares[np.uint32(genes[k])]
            h += values[m] * shares[np.uint32(genes[m])]
            i += FOUR
        while i < stop:
            a += values[i]
            e += values[i] * shares[np.uint32(genes[i])]
            i += ONE
        sums[row, 0], sums[row, 1] = (a + b) + (c + d), (e + f) + (g + h)


def _normalise(indptr: Pointers, values: Floats, target: float, normalised: Floats) -> None:
    """Every row times what makes its sum the target; a row that sums up to 0 becomes 0.

    Four sums take turns, as in `_sums`; the row is in the cache when it is read again.
    """
    for row in range(len(indptr) - 1):
        a = b = c = d = 0.0
        i, stop = np.uint64(indptr[row]), np.uint64(indptr[row + 1])
        while i + FOUR <= stop:
            a += values[i]
            b += values[i + ONE]
            c += values[i + TWO]
            d += values[i + THREE]
            i += FOUR
        while i < stop:
            a += values[i]
            i += ONE
        total = (a + b) + (c + d)
        factor = np.float32(target / total if total > 0 else 0.0)
        for at in range(np.uint64(indptr[row]), stop):
            normalised[at] = values[at] * factor


# What comes from Arrow is read-only, and a second kind of argument would be compiled anew:
# so the kinds are fixed, and everything is compiled when this module is first imported.
_IN, _OUT = (
    {
        name: types.Array(type_, dimensions, "C", readonly=not writable)
        for name, type_, dimensions in (
            ("genes", types.int32, 1),
            ("weights", types.float32, 1),
            ("shares", types.float64, 1),
            ("pointers", types.int64, 1),
            ("bucket pointers", types.int64, 2),
            ("matrix", types.float32, 2),
            ("panels", types.float32, 3),
            ("sums", types.float64, 2),
        )
    }
    for writable in (False, True)
)
_ROWS = (_IN["pointers"], _IN["genes"], _IN["weights"])


def _compile(loop: Callable[..., None], *arguments: types.Type) -> Any:
    """Machine code of a loop, kept on disk as Python keeps bytecode, where that is possible.

    Numba's cache is beside this module, else in the user's cache folder, or where
    `NUMBA_CACHE_DIR` says; it is keyed by processor and by this file.
    """
    signature = types.void(*arguments)
    try:
        return njit(signature, nogil=True, cache=True)(loop)
    except RuntimeError:  # nothing is writable: three seconds more in each process
        return njit(signature, nogil=True)(loop)


take_apart: Any = _compile(
    _take_apart, *_ROWS, _IN["genes"],
    _OUT["matrix"], _OUT["pointers"], _OUT["genes"], _OUT["weights"],
)  # fmt: skip
into_buckets: Any = _compile(
    _into_buckets, *_ROWS,
    _OUT["bucket pointers"], _OUT["pointers"], _OUT["genes"], _OUT["weights"],
)  # fmt: skip
add_panels: Any = _compile(
    _add_panels,
    _IN["bucket pointers"], _IN["genes"], _IN["weights"], _IN["panels"], _OUT["matrix"],
)  # fmt: skip
sums_of_rows: Any = _compile(_sums, *_ROWS, _IN["shares"], _OUT["sums"])
normalise: Any = _compile(
    _normalise, _IN["pointers"], _IN["weights"], types.float64, _OUT["weights"]
)  # fmt: skip
