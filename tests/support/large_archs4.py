"""A large file in ARCHS4's layout and chunks, all of them stored, made in seconds.

Chunks are of 2,000 genes × 1 sample, gzipped, as in ARCHS4 2.5, written sample by sample with the
index that HDF5 makes by default. Those of chosen samples hold counts (some 1.2 KB a chunk), the
others only zeros: the index has its real size, and the file is small.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np

N_GENES, ROWS = 60_000, 2_000
SERIES = 25
"""Samples of each series: they follow one another."""
TEXT = h5py.string_dtype()


def counts_of(sample: int) -> np.ndarray:
    """Counts of one sample: a quarter of the genes, most of them a few."""
    rng = np.random.default_rng(sample)
    shown = rng.random(N_GENES) < 0.25
    return np.where(shown, rng.lognormal(2.5, 2, N_GENES).astype("u4"), 0).astype("u4")


def sample_id(sample: int) -> str:
    """Accession of a sample."""
    return f"GSM1{sample:06d}"


def write_large_archs4(path: Path, n_samples: int, chosen: Iterable[int]) -> None:
    """Write the file; `chosen` samples have counts."""
    with_counts = set(chosen)
    zeros = zlib.compress(bytes(4 * ROWS))
    texts = {
        "samples/geo_accession": [sample_id(at) for at in range(n_samples)],
        "samples/series_id": [f"GSE{at // SERIES:06d}" for at in range(n_samples)],
        "samples/title": [f"title {at}" for at in range(n_samples)],
        "samples/source_name_ch1": [f"source {at % 50}" for at in range(n_samples)],
        "samples/characteristics_ch1": [
            f"tissue: part {at % 50},disease: none,age: {at % 90}" for at in range(n_samples)
        ],
        "genes/ensembl_gene": [f"ENSG{at:011d}" for at in range(N_GENES)],
        "genes/symbol": [f"G{at}" for at in range(N_GENES)],
    }
    with h5py.File(path, "w") as file:
        for name, values in texts.items():
            file.create_dataset(f"meta/{name}", data=values, dtype=TEXT)
        file["meta/samples/singlecellprobability"] = np.full(n_samples, 0.1)
        dataset = file.create_dataset(
            "data/expression", (N_GENES, n_samples), "u4", chunks=(ROWS, 1), compression="gzip"
        )
        for sample in range(n_samples):
            counts = counts_of(sample) if sample in with_counts else None
            for gene in range(0, N_GENES, ROWS):
                body = zeros
                if counts is not None:
                    body = zlib.compress(counts[gene : gene + ROWS].tobytes(), 4)
                dataset.id.write_direct_chunk((gene, sample), body)
