"""Spaces made of a collection: the correlation's eigenvectors, its declaration, its mark."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from planted import a_collection, gene, ingest_parsed, parsed_of, reference_of

from genept.benchmarks.cells import collection_scores
from genept.embeddings.coexpression import (
    FURTHER,
    MIN_OBSERVATIONS,
    coexpression_vectors,
    embed_coexpression,
)
from genept.embeddings.expression import embedding_matrix
from genept.embeddings.representations import CollectionParts
from genept.schema.tables import TABLES
from genept.storage.provenance import StoredTable
from genept.text.embedders import EmbeddingError, space_of
from genept.text.fusion import declared_fusion
from genept.text.knowledge_vectors import embed_fused
from validation.checks import check_table


def expression(n: int = 300, genes: int = 90, seed: int = 0) -> np.ndarray:
    """Log expression of three modules of genes that rise and fall together, and zeros."""
    rng = np.random.default_rng(seed)
    programs = rng.gamma(2, 1, (n, 3))
    values = programs[:, np.arange(genes) % 3] * rng.gamma(3, 0.3, genes)
    values = values + 0.3 * rng.random((n, genes))
    return np.where(rng.random((n, genes)) < 0.1, 0, values)


def in_blocks(values: np.ndarray, rows: int = 64):
    return lambda: (sp.csr_matrix(values[at : at + rows]) for at in range(0, len(values), rows))


def test_vectors_are_the_leading_eigenvectors_of_the_correlation() -> None:
    values = expression()
    kept, vectors = coexpression_vectors(in_blocks(values), 90, 5)
    assert kept.tolist() == list(range(90))
    eigenvalues, eigenvectors = np.linalg.eigh(np.corrcoef(values.T))
    expected = eigenvectors[:, -3:] * np.sqrt(eigenvalues[-3:])
    cosines = expected @ expected.T
    cosines /= np.linalg.norm(expected, axis=1) * np.linalg.norm(expected, axis=1)[:, None]
    _, three = coexpression_vectors(in_blocks(values), 90, 3)
    assert np.abs(three @ three.T - cosines).max() < 0.01
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    same = (np.arange(90)[:, None] - np.arange(90)) % 3 == 0
    assert (three @ three.T)[same].min() > 0.9
    assert (three @ three.T)[~same].max() < 0.5


def test_blocks_and_repetition_change_nothing() -> None:
    values = expression()
    kept, vectors = coexpression_vectors(in_blocks(values), 90, 4)
    again, others = coexpression_vectors(in_blocks(values, 299), 90, 4)
    assert (kept == again).all()
    assert np.allclose(vectors, others, atol=1e-4)
    _, repeated = coexpression_vectors(in_blocks(values), 90, 4)
    assert (vectors == repeated).all()


def test_rare_and_constant_genes_have_no_vector() -> None:
    values = expression()
    values[:, 4] = 0
    values[: MIN_OBSERVATIONS - 1, 4] = 1
    values[:, 9] = 2
    kept, _ = coexpression_vectors(in_blocks(values), 90, 4)
    assert set(range(90)) - set(kept.tolist()) == {4, 9}


def test_too_small_a_collection_is_refused() -> None:
    with pytest.raises(EmbeddingError, match="90 genes that vary in 24 observations are too few"):
        coexpression_vectors(in_blocks(expression(24)), 90, 24 - FURTHER)


def test_a_space_says_which_collections_it_is_made_of() -> None:
    own = space_of("coexpression-200/pbmc-hao")
    assert (own.made_of, own.size, own.has_recipe) == ("coexpression", 200, False)
    assert own.collections == {"pbmc-hao"}
    assert space_of("coexpression-64/x@shuffled").collections == {"x"}
    fusion = declared_fusion(["lsa-384/name", own.id, "coexpression-64/other"])
    assert replace(space_of("fused/mine"), fusion=fusion).collections == {"pbmc-hao", "other"}
    assert not space_of("network-200/string").collections
    assert not space_of("lsa-384/pbmc-hao").collections


def test_cells_that_a_space_is_made_of_are_not_scored_in_it(monkeypatch) -> None:
    collection = a_collection("log1p", kind="single_cell")
    spaces = [space_of(f"coexpression-4/{id_}") for id_ in ("planted", "other")]
    parts = CollectionParts(None, None, (), dict.fromkeys(spaces, ()))
    of = SimpleNamespace(
        lake=None,
        tables={"gene_names": SimpleNamespace(part=lambda: None)},
        parts=lambda _: parts,
        with_further=lambda parts, _: (parts, {"x": "why"}),
        embed_names=lambda _: None,
        ontology=dict,
        ontology_version="",
    )
    monkeypatch.setattr(collection_scores, "too_few_cells", lambda *_: None)
    monkeypatch.setattr(
        collection_scores, "score_cells", lambda *given, **_: list(given[3].embeddings)
    )
    scored, left_out = collection_scores.score_collection(of, collection, advance=print)
    assert scored == spaces[1:]
    assert left_out == {
        "x": "why",
        "planted/coexpression-4/planted": "it is made of the expression of these cells",
    }


@pytest.mark.parametrize("redistributable", [True, False])
def test_the_lake_makes_it_anew_when_the_collection_changes(
    lake, monkeypatch, redistributable
) -> None:
    genes = [gene(number, f"GEN{number}A") for number in range(1, 91)]
    published = reference_of(*genes)
    space = space_of("coexpression-4/planted")

    def made(values: np.ndarray, policy: str = "highest_mean"):
        collection = a_collection("log1p", redistributable=redistributable, duplicate_policy=policy)
        names = tuple(str(row["symbol"]) for row in genes)
        parsed = parsed_of(values, names)
        parts = [*ingest_parsed(monkeypatch, lake, parsed, published, collection).values()]
        return embed_coexpression(lake, space, collection, parts, published)

    first = made(expression())
    assert made(expression()) == first
    assert made(expression(seed=1), "first").sha256 != first.sha256
    assert check_table(lake, StoredTable.of("gene_embeddings", [first])).failed == ()
    rows = lake.read_arrow(first)
    assert rows.schema.names == TABLES["gene_embeddings"].schema(4).names
    assert embedding_matrix(rows).shape == (90, 4)
    assert pl.DataFrame(rows)["symbol"][0] == "GEN1A"
    assert first.origin["settings"]["redistributable"] is redistributable
    fusion = declared_fusion([space.id, f"{space.id}@shuffled"])
    members = dict.fromkeys(fusion.members, first)
    fused = embed_fused(lake, replace(space_of("fused/mine"), fusion=fusion), members)
    assert fused.origin["settings"].get("redistributable", True) is redistributable
