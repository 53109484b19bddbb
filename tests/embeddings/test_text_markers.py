"""Markers that texts name: what is said to be expressed or not, and the genes of the names."""

import numpy as np
import polars as pl
import pytest
from scipy.sparse import csr_matrix

from genept.embeddings.text_readings.readings import (
    MARKERS,
    gene_weights,
    read_observations,
    structure_of,
)
from genept.embeddings.text_readings.text_markers import ids_of_names, marker_matrix, markers_in


@pytest.mark.parametrize(
    ("text", "signs"),
    [
        ("CD14-low, CD16-positive monocyte", {"CD14": -1, "CD16": 1}),
        ("CD14+ Monocytes", {"CD14": 1}),
        ("FCGR3A+ Mono", {"FCGR3A": 1}),
        ("CD11c+CD123- DC", {"CD11c": 1, "CD123": -1}),
        ("CD56bright NK cell", {"CD56": 1}),
        ("CD127 low T cell", {"CD127": -1}),
        ("Ly6Chi monocyte", {"Ly6C": 1}),
        ("HLA-DRA-positive cell", {"HLA-DRA": 1}),
        ("with the phenotype CD25-negative, CD62L-high, and CD44-low.",
         {"CD25": -1, "CD62L": 1, "CD44": -1}),
        ("It expresses CD14 and is negative for the lineage markers CD3, CD19, and CD20.",
         {"CD14": 1, "CD3": -1, "CD19": -1, "CD20": -1}),
        ("A T cell that expresses a T cell receptor and the CD4 coreceptor.", {"CD4": 1}),
        ("A cell that lacks CD3. It releases IL-2 and CXCL8.", {"CD3": -1}),
        ("CD4-positive or CD4-negative cell", {}),
        ("CD138-positive, and MHC Class II-negative", {"CD138": 1}),
        ("IL-2 receptor", {}),
        ("A lymphocyte of B lineage.", {}),
        ("", {}),
    ],
)  # fmt: skip
def test_what_a_text_says_of_names(text: str, signs: dict[str, int]) -> None:
    assert markers_in(text) == signs


INDEX = pl.DataFrame(
    {
        "name": ["CD14", "CD16", "CD8"],
        "ensembl_gene_id": ["E1", None, "E4"],
        "candidates": [[], ["E2", "E3"], []],
    },
    schema={"name": pl.String, "ensembl_gene_id": pl.String, "candidates": pl.List(pl.String)},
)


def test_names_are_genes_on_the_axis() -> None:
    texts = [["CD14-low, CD16-positive monocyte", "CD14+"], ["CD99+ cell"], ["CD8-positive"]]
    matrix = marker_matrix(texts, ["E3", "E1", "E2", "E4"], ids_of_names(INDEX))
    np.testing.assert_allclose(matrix[:, 0], [0.5, 0.0, 0.5, 0.0])  # CD14: once low, once not
    assert not matrix[:, 1].any()
    np.testing.assert_allclose(matrix[:, 2], [0, 0, 0, 1])
    assert not marker_matrix(texts, ["E9"], ids_of_names(INDEX)).any()
    assert marker_matrix([], ["E1"], ids_of_names(INDEX)).shape == (1, 0)


def test_named_markers_tell_types_apart_that_the_descriptions_do_not() -> None:
    rng = np.random.default_rng(0)
    types = np.arange(300) % 2
    rates = np.ones((300, 60))
    rates[:, :20] += 4 * types[:, None]
    counts = csr_matrix(rng.poisson(rates).astype(np.float32))
    structure = structure_of(counts, "counts")
    same = np.repeat(rng.normal(size=(60, 1)), 2, axis=1)
    same[:20] = same.min()  # both texts speak of genes that are alike in both types
    markers = np.zeros((60, 2))
    markers[:10] = -1, 1
    assert (read_observations(structure, same).best == types).mean() < 0.7
    assert (read_observations(structure, same, markers).best == types).mean() > 0.85
    assert (read_observations(structure, same, -markers).best == types).mean() < 0.15


def test_markers_are_added_to_weights_of_unit_length() -> None:
    similar = np.random.default_rng(0).normal(size=(30, 2))
    markers = np.zeros((30, 2))
    markers[[2, 5], 0] = 1, -1
    with_markers, without = gene_weights(similar, markers), gene_weights(similar)
    np.testing.assert_allclose(np.linalg.norm(with_markers - without, axis=0), [MARKERS, 0])
    np.testing.assert_allclose(with_markers[:, 1], without[:, 1])
    undescribed = gene_weights(np.full((30, 2), np.nan), markers)
    np.testing.assert_allclose(np.linalg.norm(undescribed, axis=0), [MARKERS, 0])
