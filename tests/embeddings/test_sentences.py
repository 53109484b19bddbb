"""Sentences of ranked gene names: what they say, where they end, whom they are made of."""

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from genept.embeddings.pooling import expression_weights
from genept.embeddings.representations import Sampling
from genept.embeddings.sentences import (
    PREFIX,
    Caps,
    RankedNames,
    SentenceError,
)

SYMBOLS = ["TP53", "ACTB", "MYC", "GAPDH", "MYC", "CD3E"]  # one symbol, two genes
AXIS = pl.DataFrame(
    {
        "gene_index": range(6),
        "ensembl_gene_id": [f"ENSG{number:011d}" for number in (9, 8, 7, 6, 5, 4)],
        "symbol": SYMBOLS,
    }
)
UNITS = ["counts", "tpm", "log1p", "log2", "zscore"]


def words(texts):
    """Tokens as a model counts that splits symbols by letter, two special tokens included."""
    return [2 + sum(len(word) for word in text.split()) for text in texts]


def test_a_cell_and_a_sample_name_their_genes_highest_first_and_ties_by_symbol():
    expression = sp.csr_matrix(np.float32([[3, 0, 5, 3, 1, 3], [0, 2, 0, 0, 0, 0]]))
    made = RankedNames(AXIS, "single_cell")(expression, "counts")
    assert made.texts == [
        "A cell with genes ranked by expression: MYC CD3E GAPDH TP53 MYC",
        "A cell with genes ranked by expression: ACTB",
    ]
    assert made.coverage.tolist() == [1, 1]
    (text, _) = RankedNames(AXIS, "bulk")(expression, "tpm").texts
    assert text == "A sample with genes ranked by expression: MYC CD3E GAPDH TP53 MYC"


def test_a_gene_without_a_name_stands_in_no_sentence_but_has_its_weight():
    unnamed = pl.col("symbol").is_in(["TP53"])
    symbol = pl.when(unnamed).then("ensembl_gene_id").otherwise("symbol").alias("symbol")
    named = RankedNames(AXIS.with_columns(symbol), "bulk")
    made = named(sp.csr_matrix(np.float32([[8, 0, 2, 0, 0, 0]])), "tpm")
    assert made.texts == ["A sample with genes ranked by expression: MYC"]
    assert 0 < made.coverage.item() < 0.5
    with pytest.raises(SentenceError, match="row 0 expresses no gene that has a name"):
        named(sp.csr_matrix(np.float32([[8, 0, 0, 0, 0, 0]])), "tpm")


def test_the_order_of_the_axis_frame_does_not_matter():
    expression = sp.csr_matrix(np.float32([[1, 2, 2, 2, 2, 1]]))
    expected = RankedNames(AXIS, "bulk")(expression, "counts").texts
    assert RankedNames(AXIS.reverse(), "bulk")(expression, "counts").texts == expected


MATRICES = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.just(6)),
    elements=st.sampled_from([0.0, 0.0, 0.5, 1.0, 3.0, 2.0**24 - 1, 2.0**24 - 2]),
)


@given(MATRICES, st.sampled_from(UNITS), st.booleans(), st.integers(1, 6))
def test_it_is_the_plain_sort_of_what_weighs_something(values, unit, negative, top):
    if negative and unit in ("log2", "zscore"):
        values = values - 1
    weights = expression_weights(sp.csr_matrix(values), unit).toarray()
    values[(weights > 0).sum(axis=1) == 0, 0] = 2.0**24  # everybody expresses something
    weights = expression_weights(sp.csr_matrix(values), unit).toarray().astype(np.float64)
    made = RankedNames(AXIS, "single_cell", top=top)(sp.csr_matrix(values), unit)
    ids = AXIS["ensembl_gene_id"].to_list()
    for row, (text, coverage) in enumerate(zip(made.texts, made.coverage, strict=True)):
        ranking = values[row] if unit in ("counts", "tpm") else weights[row].astype(np.float32)
        expressed = [gene for gene in range(6) if weights[row, gene] > 0]
        expressed.sort(key=lambda gene: (-ranking[gene], SYMBOLS[gene], ids[gene]))
        named = expressed[:top]
        assert text == PREFIX["single_cell"] + " ".join(SYMBOLS[gene] for gene in named)
        assert coverage == pytest.approx(weights[row, named].sum() / weights[row].sum(), rel=1e-6)


@given(MATRICES, st.integers(37, 70))
def test_a_sentence_is_as_long_as_the_budget_allows_and_no_longer(values, budget):
    values[:, 1] = 7  # ACTB, four tokens, is expressed by all
    budget += len(PREFIX["single_cell"].replace(" ", "")) - 33
    full = RankedNames(AXIS, "single_cell")(sp.csr_matrix(values), "counts")
    ranked = RankedNames(AXIS, "single_cell", max_tokens=budget, count_tokens=words)
    try:
        made = ranked(sp.csr_matrix(values), "counts")
    except SentenceError:
        first = [" ".join(text.split()[:8]) for text in full.texts]
        assert max(words(first)) > budget
        return
    for text, whole in zip(made.texts, full.texts, strict=True):
        assert whole.startswith(text)
        assert words([text])[0] <= budget
        if text != whole:
            assert words([" ".join(whole.split()[: len(text.split()) + 1])])[0] > budget


def test_what_has_no_sentence_is_refused():
    with pytest.raises(SentenceError, match="row 1 expresses no gene"):
        RankedNames(AXIS, "bulk")(sp.csr_matrix(np.float32(np.eye(2, 6, 5))), "counts")
    with pytest.raises(ValueError, match="both `max_tokens` and `count_tokens`"):
        RankedNames(AXIS, "bulk", max_tokens=9)
    with pytest.raises(KeyError):
        RankedNames(AXIS, "organoid")


def test_more_sentences_or_tokens_than_a_cap_are_refused():
    Caps().require(1200, 300_000)
    Caps(texts=1200, tokens=300_000).require(1200, 300_000)
    with pytest.raises(SentenceError, match="1,200 sentences are to be embedded, 1,199 are allow"):
        Caps(texts=1199).require(1200, 300_000)
    with pytest.raises(SentenceError, match="300,000 tokens"):
        Caps(tokens=1).require(1200, 300_000)


def observed(labels):
    return pl.DataFrame(
        {"observation_id": [f"o{row}" for row in range(len(labels))], "cell_type": labels},
        schema={"observation_id": pl.String, "cell_type": pl.String},
    )


@given(
    st.lists(st.sampled_from(["T", "T", "T", "B", "NK", None]), min_size=1, max_size=60),
    st.integers(1, 70),
    st.integers(0, 3),
)
def test_a_sample_keeps_shares_and_its_record_adds_up(labels, cap, seed):
    observations = observed(labels)
    sampling = Sampling(cap, "cell_type", seed)
    chosen, record = sampling.choose(observations)
    assert len(chosen) == len(set(chosen)) == min(cap, len(labels)) == record["n_chosen"]
    assert (chosen, record) == sampling.choose(observations.reverse())
    label_of = dict(observations.iter_rows())
    for label, (n, of) in record["chosen_of_label"].items():
        members = [id_ for id_ in chosen if (label_of[id_] or "(none)") == label]
        assert len(members) == n <= of
        assert abs(n - of * min(cap, len(labels)) / len(labels)) < len(record["chosen_of_label"])
        if cap >= len(record["chosen_of_label"]):
            assert n >= 1


def test_another_seed_is_another_sample_and_without_label_all_are_alike():
    observations = observed(["T"] * 40)
    draws = {tuple(Sampling(5, seed=seed).choose(observations)[0]) for seed in range(4)}
    assert len(draws) == 4
    with pytest.raises(ValueError, match="at least one observation"):
        Sampling(0)
