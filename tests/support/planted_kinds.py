"""Ninety genes of four kinds that their vectors tell, for tasks on pairs."""

import numpy as np
import polars as pl

from genept.benchmarks.task_base import GeneVectors
from genept.nomenclature.mapping import Nomenclature

N_GENES = 90
ENSEMBL = [f"ENSG{number:011d}" for number in range(1, N_GENES + 1)]
KINDS = 4


def names(same: tuple[int, int] | None = None) -> Nomenclature:
    """Genes 1 … 90; two ids of one gene, if asked."""
    ids = list(ENSEMBL)
    if same:
        ids[same[1] - 1] = ids[same[0] - 1]
    return Nomenclature.of(
        pl.DataFrame(
            {
                "hgnc_id": [f"HGNC:{number}" for number in range(1, N_GENES + 1)],
                "symbol": [f"G{number}" for number in range(1, N_GENES + 1)],
                "ensembl_gene_id": ids,
                "entrez_id": [str(number) for number in range(1, N_GENES + 1)],
                "aliases": [[]] * N_GENES,
                "previous_symbols": [[]] * N_GENES,
            },
            schema_overrides={
                "aliases": pl.List(pl.String),
                "previous_symbols": pl.List(pl.String),
            },
        )
    )


def kind_of(gene: int) -> int:
    return int(np.random.default_rng(gene).integers(KINDS))


def telling() -> GeneVectors:
    """Vectors that tell the kind, with noise."""
    rng = np.random.default_rng(0)
    signs = rng.choice([-1.0, 1.0], (KINDS, 32))
    kinds = [kind_of(number) for number in range(1, N_GENES + 1)]
    matrix = signs[kinds] + rng.normal(0, 0.3, (N_GENES, 32))
    return GeneVectors("telling", tuple(ENSEMBL), matrix.astype(np.float32))


def area_of(predicted: pl.DataFrame, split: str, model: str) -> float:
    from sklearn.metrics import roc_auc_score

    of = predicted.filter(split=split, model=model)
    return float(
        np.mean(
            [
                roc_auc_score(part["truth"].cast(pl.Int64), part["score"])
                for part in of.partition_by("fold")
            ]
        )
    )
