"""Files of a user: a table of counts, its labels, and a reference that has its genes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from planted import gene, reference_of

from genept.nomenclature.reference import Reference

GENES = [f"GEN{number}" for number in range(1, 61)]
REFERENCE = Reference(
    "hgnc-test",
    reference_of(*(gene(number, name) for number, name in enumerate(GENES, start=1))),
)


def counts(n: int = 40, seed: int = 0) -> np.ndarray:
    """Counts of `n` observations over `GENES`."""
    return np.random.default_rng(seed).poisson(5, (n, len(GENES))) + 1


def write_counts(path: Path, values: np.ndarray, *, genes_in: str = "columns") -> list[str]:
    """Write a CSV with genes in columns or in rows; return the ids of its observations."""
    ids = [f"cell-{row}" for row in range(len(values))]
    if genes_in == "columns":
        head, rows = ["id", *GENES], zip(ids, values.tolist(), strict=True)
    else:
        head, rows = ["gene", *ids], zip(GENES, values.T.tolist(), strict=True)
    lines = [",".join(head), *(",".join([name, *map(str, row)]) for name, row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return ids


def write_labels(path: Path, ids: list[str]) -> None:
    """Labels by id, in another order than the matrix."""
    kinds, lines = ("T cell", "B cell"), ["note,barcode,cell_type,donor"]
    lines += [f"x,{id_},{kinds[row % 2]},d{row % 4}" for row, id_ in reversed(list(enumerate(ids)))]
    path.write_text("\n".join(lines) + "\n")
