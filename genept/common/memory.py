"""What a process does with memory that it has freed: keep it, or give it back to the system.

What holds memory is in the modules that use it.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from typing import Final

import pyarrow as pa

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_MAX: Final = -4
_M_ARENA_MAX: Final = -8
_NEVER: Final = 2**31 - 1


def keep_memory() -> None:
    """Keep freed memory in this process, where the C library is glibc; else do nothing.

    A shard's arrays are too large for the allocators' own stock: each would be mapped, filled with
    zeros by the kernel, and given back, which took a tenth of the processor time of an ingest.
    """
    pa.set_memory_pool(pa.system_memory_pool())
    _set(_M_MMAP_MAX, 0)
    _set(_M_TRIM_THRESHOLD, _NEVER)


def share_memory() -> None:
    """Have all threads of this process take memory from one stock, where it is glibc's.

    Else threads have stocks of their own, up to eight for each core. What is free at the end of
    such a stock is never given back, and serves no thread of another one. To be called before
    threads are started.
    """
    _set(_M_ARENA_MAX, 1)


def give_memory_back(*, and_garbage: bool = False) -> None:
    """Give freed memory back to the system: Arrow's, and the C library's where it is glibc.

    Both keep what they freed for what comes next: after a large step that is hundreds of megabytes,
    which stand unused while the next one works in processes of its own.

    Parameters
    ----------
    and_garbage
        Whether garbage is collected first, which takes longer the more objects there are.
    """
    if and_garbage:
        gc.collect()
    pa.default_memory_pool().release_unused()
    if (trim := _of_glibc("malloc_trim")) is not None:
        trim(0)


def _set(option: int, value: int) -> None:
    if (mallopt := _of_glibc("mallopt")) is not None:
        mallopt(option, value)


def _of_glibc(name: str) -> Callable[..., int] | None:
    try:
        function: Callable[..., int] = getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError):
        return None
    return function
