"""How a worker process gets its memory: what it had once it keeps, for the next shard.

For processes that work on shards and then end. A server must give back what it does not need, so
it stays with the system's ways.
"""

from __future__ import annotations

import ctypes
from typing import Final

import pyarrow as pa

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_MAX: Final = -4
_NEVER: Final = 2**31 - 1


def keep_memory() -> None:
    """Keep freed memory in this process, where the C library is glibc; else do nothing.

    A shard's arrays are too large for the allocators' own stock: each would be mapped, filled with
    zeros by the kernel, and given back, which took a tenth of the processor time of an ingest.
    """
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, _NEVER)
