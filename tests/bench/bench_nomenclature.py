"""Measure the mapping of names, beside a plain dictionary look-up of the same names.

Run by `make bench`; it prints, and asserts nothing about time.
"""

from __future__ import annotations

import io
import random
import time
from collections.abc import Callable
from typing import Any

import polars as pl

from genept.client.platform import Platform
from genept.common.settings import Settings
from genept.nomenclature.mapping import Nomenclature

N_NAMES = 60_000
ROUNDS = 5


def cpu_seconds(work: Callable[[], Any]) -> float:
    """The fastest of a few rounds, in CPU seconds."""
    rounds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        rounds.append(time.process_time() - start)
    return min(rounds)


def mixed_names(genes: pl.DataFrame) -> list[str]:
    """Symbols, versioned ids, former and other names, clone names, dates and mouse symbols."""
    rng = random.Random(0)  # noqa: S311 - a fixed mixture, no secret
    ids = genes["ensembl_gene_id"].drop_nulls().to_list()
    names = [
        *genes["symbol"].to_list()[:30_000],
        *(f"{id_}.{rng.randint(1, 20)}" for id_ in ids[:12_000]),
        *genes["previous_symbols"].explode().drop_nulls().to_list()[:6_000],
        *genes["aliases"].explode().drop_nulls().to_list()[:6_000],
        *(f"AC{rng.randint(0, 999_999):06}.{rng.randint(1, 9)}" for _ in range(4_000)),
        *(symbol.title() for symbol in genes["symbol"].to_list()[:1_400]),
        *["1-Sep", "2-Mar", "44075"] * 200,
    ][:N_NAMES]
    rng.shuffle(names)
    return names


def main() -> None:
    """Print loading and mapping times, and the ratio to a plain look-up."""
    reference = Platform(Settings()).reference
    stored = io.BytesIO()
    reference.index.write_parquet(stored)
    names = mixed_names(reference.genes)
    loading = cpu_seconds(lambda: Nomenclature(pl.read_parquet(stored.getvalue())))
    nomenclature = Nomenclature(reference.index)
    plain = dict(reference.index.select("name", "ensembl_gene_id").iter_rows())
    baseline = cpu_seconds(lambda: [plain.get(name) for name in names])  # what a script would do
    mapping = cpu_seconds(lambda: nomenclature.map(names))
    print(f"names in the index          {reference.index.height:>10,}")  # noqa: T201
    print(f"load from parquet           {loading:>10.3f} CPU s")  # noqa: T201
    print(f"map {len(names):,} mixed names      {mapping:>10.3f} CPU s")  # noqa: T201
    print(f"plain dictionary look-up    {baseline:>10.3f} CPU s")  # noqa: T201
    print(f"ratio                       {mapping / baseline:>10.1f}")  # noqa: T201


if __name__ == "__main__":
    main()
