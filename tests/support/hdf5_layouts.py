"""Small HDF5 files in the exact layouts of anndata (old and new), Cell Ranger and ARCHS4."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp

TEXT = h5py.string_dtype()


def counts(n_rows: int = 23, n_columns: int = 11, seed: int = 0) -> sp.csr_matrix:
    """Small counts, some rows and columns of them empty."""
    random = np.random.default_rng(seed)
    values = random.poisson(0.6, (n_rows, n_columns)) * (random.random((n_rows, n_columns)) < 0.6)
    values[n_rows // 2] = 0
    return sp.csr_matrix(values.astype(np.float32))


def ensembl(n: int) -> list[str]:
    return [f"ENSG{number:011d}" for number in range(1, n + 1)]


def write_h5ad(path: Path, matrix: Any, **parts: Any) -> Path:
    """Written by anndata itself; `compression` and what `AnnData` takes."""
    import anndata

    compression = parts.pop("compression", None)
    raw = parts.pop("raw", None)
    n_rows, n_columns = matrix.shape
    obs = parts.pop("obs", None)
    var = parts.pop("var", None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = anndata.AnnData(
            X=matrix,
            obs=pd.DataFrame(index=[f"c{i}" for i in range(n_rows)]) if obs is None else obs,
            var=pd.DataFrame(index=[f"G{i}" for i in range(n_columns)]) if var is None else var,
            **parts,
        )
        if raw is not None:
            data.raw = anndata.AnnData(X=raw, var=data.var)
        data.write_h5ad(path, compression=compression)
    return path


def write_sparse(
    group: h5py.Group, matrix: Any, *, offsets: str = "i8", places: str = "i4", **options: Any
) -> None:
    """The three arrays, with index types of choice."""
    group.create_dataset("data", data=matrix.data, **options)
    group.create_dataset("indices", data=matrix.indices.astype(places), **options)
    group.create_dataset("indptr", data=matrix.indptr.astype(offsets))


def write_h5ad_0_6(path: Path, matrix: sp.csr_matrix) -> Path:
    """As anndata 0.6 wrote it: compound tables, categories in `uns`, `raw.X` beside `X`."""
    n_rows, n_columns = matrix.shape
    with h5py.File(path, "w") as file:
        for name, values in (("X", matrix.log1p()), ("raw.X", matrix)):
            group = file.create_group(name)
            write_sparse(group, values, offsets="i4")
            group.attrs["h5sparse_format"] = b"csr"
            group.attrs["h5sparse_shape"] = np.array(matrix.shape)
        obs = np.zeros(n_rows, dtype=[("index", "S8"), ("louvain", "i1"), ("donor", "i8")])
        obs["index"] = [f"c{i}".encode() for i in range(n_rows)]
        obs["louvain"] = np.arange(n_rows) % 3 - 1
        obs["donor"] = np.arange(n_rows) % 2
        file["obs"] = obs
        var = np.zeros(n_columns, dtype=[("index", "S8"), ("gene_ids", "S16")])
        var["index"] = [f"G{i}".encode() for i in range(n_columns)]
        var["gene_ids"] = [id_.encode() for id_ in ensembl(n_columns)]
        file["var"], file["raw.var"] = var, var
        file.create_dataset("uns/louvain_categories", data=["B", "T"], dtype=TEXT)
    return path


def write_h5ad_0_7(path: Path, matrix: sp.csr_matrix) -> Path:
    """As anndata 0.7 wrote it: groups of columns, categories in `__categories` by reference."""
    n_rows, n_columns = matrix.shape
    with h5py.File(path, "w") as file:
        group = file.create_group("X")
        write_sparse(group, matrix, offsets="i4")
        group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0"})
        group.attrs["shape"] = np.array(matrix.shape)
        for name, n, letter in (("obs", n_rows, "c"), ("var", n_columns, "G")):
            table = file.create_group(name)
            table.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.1.0"})
            table.attrs["_index"] = "index"
            table.attrs["column-order"] = np.array([], dtype="S1")
            table.create_dataset("index", data=[f"{letter}{i}" for i in range(n)], dtype=TEXT)
        codes = (np.arange(n_rows) % 3 - 1).astype("i1")
        column = file["obs"].create_dataset("cell_type", data=codes)
        categories = file.create_dataset("obs/__categories/cell_type", data=["B", "T"], dtype=TEXT)
        categories.attrs["ordered"] = False
        column.attrs["categories"] = categories.ref
    return path


def write_tenx_v3(
    path: Path,
    matrix: sp.csr_matrix,
    *,
    types: list[str] | None = None,
    genomes: list[str] | None = None,
    ids: list[str] | None = None,
    names: list[str] | None = None,
) -> Path:
    """As Cell Ranger 3 to 9 write ``filtered_feature_bc_matrix.h5``; rows run backwards."""
    n_barcodes, n_features = matrix.shape
    backwards = matrix.copy()
    for row in range(n_barcodes):
        part = slice(matrix.indptr[row], matrix.indptr[row + 1])
        backwards.indices[part] = matrix.indices[part][::-1]
        backwards.data[part] = matrix.data[part][::-1]
    with h5py.File(path, "w") as file:
        file.attrs.update({"chemistry_description": "Single Cell 3' v3", "filetype": "matrix"})
        group = file.create_group("matrix")
        write_tenx_arrays(group, backwards)
        features = group.create_group("features")
        for name, values in (
            ("id", ids or ensembl(n_features)),
            ("name", names or [f"G{i}" for i in range(n_features)]),
            ("feature_type", types or ["Gene Expression"] * n_features),
            ("genome", genomes or ["GRCh38"] * n_features),
        ):
            features.create_dataset(name, data=np.array(values, dtype="S"))
        features.create_dataset("_all_tag_keys", data=np.array(["genome"], dtype="S"))
    return path


def write_tenx_v2(path: Path, genomes: dict[str, sp.csr_matrix]) -> Path:
    """As Cell Ranger 2 writes ``filtered_gene_bc_matrices_h5.h5``: a group a genome."""
    with h5py.File(path, "w") as file:
        for genome, matrix in genomes.items():
            group = file.create_group(genome)
            write_tenx_arrays(group, matrix)
            group.create_dataset("genes", data=np.array(ensembl(matrix.shape[1]), dtype="S"))
            names = [f"G{i}" for i in range(matrix.shape[1])]
            group.create_dataset("gene_names", data=np.array(names, dtype="S"))
    return path


def write_tenx_arrays(group: h5py.Group, matrix: sp.csr_matrix) -> None:
    n_barcodes, n_features = matrix.shape
    group.create_dataset("data", data=matrix.data.astype("i4"), compression="gzip", chunks=True)
    group.create_dataset("indices", data=matrix.indices.astype("i8"), compression="gzip")
    group.create_dataset("indptr", data=matrix.indptr.astype("i8"))
    group.create_dataset("shape", data=np.array([n_features, n_barcodes], dtype="i4"))
    barcodes = [f"ACGT{i:04d}-{1 + i % 2}" for i in range(n_barcodes)]
    group.create_dataset("barcodes", data=np.array(barcodes, dtype="S"))


def write_archs4(path: Path, values: np.ndarray, *, chunks: tuple[int, int] = (4, 3)) -> Path:
    """As ARCHS4 publishes ``human_gene_v2.x.h5``: genes × samples, a dataset a field."""
    n_genes, n_samples = values.shape
    symbols = [f"G{i}" for i in range(n_genes)]
    symbols[-1] = symbols[0]
    series = [f"GSE{1 + i // 5}" for i in range(n_samples)]
    series[0] = "GSE1,GSE2"  # also in a second, as samples of a super-series are
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "data/expression", data=values.astype("u4"), chunks=chunks, compression="gzip"
        )
        for name, texts in (
            ("meta/genes/symbol", symbols),
            ("meta/genes/ensembl_gene", ensembl(n_genes)),
            ("meta/genes/biotype", ["protein_coding"] * n_genes),
            ("meta/samples/geo_accession", [f"GSM{i}" for i in range(n_samples)]),
            ("meta/samples/series_id", series),
            ("meta/samples/title", [f"sample {i}" for i in range(n_samples)]),
            ("meta/samples/source_name_ch1", ["Liver", "blood"] * (n_samples // 2) + ["x"]),
            (
                "meta/samples/characteristics_ch1",
                [f"age: {i},tissue: part {i % 2},sex: F" for i in range(n_samples)],
            ),
        ):
            file.create_dataset(name, data=texts[: n_genes if "genes" in name else n_samples],
                                dtype=TEXT)  # fmt: skip
        likely = np.where(np.arange(n_samples) % 7 == 6, 0.9, 0.1)
        file.create_dataset("meta/samples/singlecellprobability", data=likely)
    return path


def cellxgene(path: Path, organism: str = "Homo sapiens", **parts: Any) -> Path:
    """As CELLxGENE publishes a data set: counts in `raw`, ontology terms, filtered genes."""
    obs = pd.DataFrame(
        {
            "cell_type_ontology_term_id": "CL:0000084",
            "disease_ontology_term_id": "PATO:0000461",
            "cell_type": ["T cell"] * 22 + ["unknown"],
            "disease": "normal",
            "tissue": "blood",
            "donor_id": [f"d{i % 2}" for i in range(23)],
            "organism": [organism] * 23,
        },
        index=[f"c{i}" for i in range(23)],
    ).astype("category")
    var = pd.DataFrame(
        {
            "feature_is_filtered": [i == 1 for i in range(11)],
            "feature_name": [f"G{i}" for i in range(11)],
            "feature_reference": ["NCBITaxon:9606"] * 10 + ["NCBITaxon:32630"],
        },
        index=[*ensembl(10), "ERCC-00002"],
    )
    return write_h5ad(path, counts().log1p(), raw=counts(), obs=obs, var=var, **parts)
