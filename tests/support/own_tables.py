"""Counts and labels of a user as R, pandas, scanpy and Excel write them; the same data in each.

`Truth` holds what must be read back; the writers follow files that the programs themselves wrote.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import polars as pl

WELLS = tuple(f"{row}{column}" for row in "ABCDEF" for column in range(1, 13))


@dataclass(frozen=True)
class Truth:
    """Counts of genes × samples, with the names of both and labels of the samples."""

    genes: pl.DataFrame
    samples: tuple[str, ...]
    counts: np.ndarray

    @classmethod
    def of(cls, genes: pl.DataFrame, seed: int) -> Truth:
        """Random counts of a seed over all `genes`, in samples that are named like wells."""
        rng = np.random.default_rng(seed)
        return cls(genes, WELLS, rng.negative_binomial(2, 0.02, (genes.height, len(WELLS))) + 1)

    def named(self, samples: Sequence[str]) -> Truth:
        """The same counts with other names of the samples."""
        return replace(self, samples=tuple(samples), counts=self.counts[:, : len(samples)])

    @property
    def symbols(self) -> list[str]:
        return self.genes["symbol"].to_list()

    @property
    def ids(self) -> list[str]:
        return self.genes["ensembl_gene_id"].to_list()

    @property
    def labels(self) -> pd.DataFrame:
        """Type and donor of the samples, in another order than the counts."""
        n = len(self.samples)
        frame = pd.DataFrame(
            {
                "cell_type": [("T cell", "B cell")[at % 2] for at in range(n)],
                "donor": [f"d{at % 6}" for at in range(n)],
                "age": [20 + at % 50 for at in range(n)],
            },
            index=list(self.samples),
        )
        return frame.iloc[np.random.default_rng(n).permutation(n)]

    def frame(self, names: str = "ids") -> pd.DataFrame:
        """Genes × samples, genes by `ids` or `symbols`."""
        return pd.DataFrame(self.counts, index=getattr(self, names), columns=list(self.samples))


def r_table(
    frame: pd.DataFrame, sep: str = " ", corner: str | None = None, *, quote: bool = True
) -> str:
    """What `write.table` writes; `corner` is the name over the row names, by default left out."""

    def text(value: Any) -> str:
        return f'"{value}"' if quote and isinstance(value, str) else str(value)

    head = [text(str(name)) for name in frame.columns]
    lines = [head if corner is None else [text(corner), *head]]
    for name, *values in frame.itertuples(name=None):
        lines.append([text(str(name)), *map(text, values)])
    return "".join(sep.join(line) + "\n" for line in lines)


def r_names(names: Sequence[str]) -> list[str]:
    """What `data.frame` makes of the names here: ``X1`` of ``1``, points for hyphens."""
    return [("X" if name[0].isdigit() else "") + name.replace("-", ".") for name in names]


def written(path: Path, text: str, encoding: str = "utf-8") -> str:
    """Write a text, packed where the name says so; the path, for a command line."""
    data = text.encode(encoding)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return str(path)


def excel(frame: pd.DataFrame) -> str:
    """CSV as Excel saves it in Germany, but for the byte-order mark (encoding utf-8-sig)."""
    text: str = frame.to_csv(sep=";", decimal=",", lineterminator="\r\n")
    return text


def feature_counts(truth: Truth) -> str:
    """What featureCounts writes: a comment, and five columns about the genes."""
    frame = truth.frame()
    about = {"Chr": "1;1", "Start": "11;20", "End": "15;29", "Strand": "+;+", "Length": 15}
    for at, (name, value) in enumerate(about.items()):
        frame.insert(at, name, value)
    return '# Program:featureCounts v2.0.6; Command:"x"\n' + frame.to_csv(
        sep="\t", index_label="Geneid"
    )


def annotated(truth: Truth) -> anndata.AnnData:
    """An AnnData with Ensembl ids in `var`, and labels in `obs`."""
    frame = truth.frame("symbols").T.astype(np.float32)
    var = pd.DataFrame({"gene_ids": truth.ids}, index=truth.symbols)
    return anndata.AnnData(frame.values, truth.labels.loc[list(truth.samples)], var)
