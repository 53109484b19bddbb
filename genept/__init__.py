"""GenePT: genes, cells and samples embedded from what is known about each gene.

The library: science and storage. It works in a notebook and knows no
orchestrator. Start with :func:`genept.load_table`.
"""

from importlib import import_module
from typing import Any

__all__ = [
    "duckdb_connection",
    "filesystem",
    "load_anndata",
    "load_embeddings",
    "load_table",
    "releases",
    "sql",
    "storage_options",
]


def __getattr__(name: str) -> Any:
    """Load the analyst's functions on first use, so that `import genept` stays instant."""
    if name in __all__:
        module = "queries" if name == "sql" else "api"
        return getattr(import_module(f"genept.client.{module}"), name)
    raise AttributeError(f"module 'genept' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
