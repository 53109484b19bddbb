"""Pools: what must not run twice at once, whatever launches it and on however many workers.

The limits are the instance's (`infra/dagster.yaml`); a step only says which pool it needs.
"""

from typing import Final

EMBEDDING: Final = "embedding"
"""Text embedders: one metered account, or all cores of the machine."""

MEMORY: Final = "memory"
"""Steps that hold a collection's expression, or all vectors, in memory."""
