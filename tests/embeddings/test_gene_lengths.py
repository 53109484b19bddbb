"""Reads of whole transcripts are counted per kilobase: long genes do not rule a sample's vector."""

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose
from planted import MINILM, a_collection, embedded, gene, ingest_parsed, parsed_of, reference_of
from pydantic import ValidationError

from genept.embeddings.gene_lengths import kilobases_of, per_kilobase, read_kilobases
from genept.embeddings.pooled_shards import embed_shards, shards_of
from genept.embeddings.pooling import expression_weights
from genept.nomenclature.reference import Reference
from genept.storage.lake import Lake

MOLECULES = np.array([[40.0, 40.0, 10.0]])
LENGTHS = pl.Series([1_000, 8_000, None], dtype=pl.Int64)
READS = (MOLECULES * [1, 8, 4.5]).astype(np.float32)


def test_genes_of_equally_many_molecules_weigh_the_same_whatever_their_length():
    reads, kilobases = sp.csr_matrix(READS), kilobases_of(LENGTHS)
    by_length = expression_weights(reads, "counts", kilobases).toarray()
    assert by_length[0, 0] == by_length[0, 1] > by_length[0, 2] > 0
    assert_allclose(by_length, np.log1p(MOLECULES * 1e4 / MOLECULES.sum()), rtol=1e-6)
    by_reads = expression_weights(reads, "counts").toarray()
    assert by_reads[0, 1] > 1.2 * by_reads[0, 0], "what length does where it is left out"


def test_a_gene_without_a_length_has_the_median_of_the_others():
    assert kilobases_of(LENGTHS).tolist() == [1, 8, 4.5]
    assert kilobases_of(pl.Series([None, None], dtype=pl.Int64)).tolist() == [1, 1]


def test_values_that_do_not_depend_on_length_are_as_they_are():
    values = sp.csr_matrix(READS)
    assert per_kilobase(values, None) is values
    for unit in ("log1p", "log2", "zscore"):
        with_lengths = expression_weights(values, unit, kilobases_of(LENGTHS))
        assert (with_lengths != expression_weights(values, unit)).nnz == 0


def ingested(lake: Lake, monkeypatch, kind: str, **declared: str):
    """A sample of three genes, one of them without a length, and its gene vectors."""
    genes = reference_of(*(gene(number, f"G{number}") for number in (1, 2, 3)))
    annotation = pl.DataFrame(
        {"ensembl_gene_id": genes["ensembl_gene_id"], "length": LENGTHS.to_list()}
    )

    def published(_: Reference) -> pl.DataFrame:
        return genes.join(annotation, on="ensembl_gene_id")

    monkeypatch.setattr(Reference, "published", property(published))
    collection = a_collection("counts", kind=kind).model_copy(update=declared)
    of = ingest_parsed(monkeypatch, lake, parsed_of(READS, ["G1", "G2", "G3"]), genes, collection)
    vectors = embedded(lake, MINILM, genes["ensembl_gene_id"])
    shards = shards_of(
        kind, "counts", vectors, of["gene_axis"], [of["expression"]],
        per_kilobase=collection.per_kilobase,
    )  # fmt: skip
    (part,) = embed_shards(lake, shards)
    pooled = np.array(lake.read(part)["embedding"].to_list())[0]
    return of, np.array(lake.read(vectors)["embedding"].to_list()), pooled


@pytest.mark.parametrize(
    ("kind", "declared", "weights"),
    [
        ("bulk", {}, "log1p_counts_per_kilobase"),
        ("bulk", {"counts_of": "molecules"}, "log1p_counts"),
        ("single_cell", {}, "log1p_counts"),
        ("single_cell", {"counts_of": "reads"}, "log1p_counts_per_kilobase"),
    ],
)
def test_what_is_counted_is_declared_with_the_collection(
    lake: Lake, monkeypatch, kind, declared, weights
):
    parts, vectors, pooled = ingested(lake, monkeypatch, kind, **declared)
    abundance = MOLECULES if weights.endswith("kilobase") else READS
    expected = np.log1p(abundance * 1e4 / abundance.sum())[0] @ vectors
    assert_allclose(pooled, expected / np.linalg.norm(expected), atol=1e-6)
    row = lake.read(parts["collections"])
    assert row.select("weights", "n_without_length").row(0) == (weights, 1)
    assert lake.read(parts["gene_axis"])["length"].to_list() == [1000, 8000, None]
    assert read_kilobases(lake, parts["gene_axis"]).tolist() == [1, 8, 4.5]


def test_what_counts_are_of_is_said_of_counts_alone():
    declared = a_collection("log2", kind="bulk").model_dump() | {"counts_of": "reads"}
    with pytest.raises(ValidationError, match="counts_of says what counts are of, and the unit is"):
        type(a_collection("log2", kind="bulk")).model_validate(declared)
