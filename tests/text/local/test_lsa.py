"""Latent semantic analysis: deterministic, gene names intact, and honest about unknown texts."""

from __future__ import annotations

import numpy as np
import pytest

from genept.text.embedders import EmbeddingError, validate_vectors
from genept.text.local.baselines import LSA, terms

TOPICS = {
    "immune": "antigen presentation MHC class II HLA-DRB1 peptide binding T-cell lymphocyte",
    "ribosome": "ribosomal subunit translation rRNA protein synthesis 60S cytosolic assembly",
    "channel": "voltage-gated potassium channel membrane transport ion neuron axon current",
}


def corpus(n: int = 90) -> list[str]:
    rng = np.random.default_rng(0)
    topics = [topic.split() for topic in TOPICS.values()]
    return [" ".join(rng.choice(topics[row % 3], 6)) for row in range(n)]


@pytest.fixture(scope="module")
def lsa() -> LSA:
    return LSA.fit(corpus(), dimensions=10)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("HLA-DRB1, IL-2.", ["hla-drb1", "il-2", "hla", "drb1", "il", "2"]),
        ("TGF-β; NKX2.5 (p53)", ["tgf-β", "nkx2.5", "p53", "tgf", "β"]),
        ("5S_rRNA 3'-5' and/or C", ["5s_rrna", "3", "5", "and/or", "c"]),
        ("Transports Na+.", ["transports", "na"]),
        ("— … !", []),
    ],
)
def test_gene_like_terms_stay_whole(text: str, expected: list[str]) -> None:
    assert terms(text) == expected


def test_vectors_keep_the_contract_and_input_order(lsa: LSA) -> None:
    texts = corpus()
    vectors = lsa.embed(texts)
    validate_vectors(vectors, len(texts), 10)
    np.testing.assert_allclose(lsa.embed(texts[::-1]), vectors[::-1], atol=1e-6)


def test_texts_of_one_topic_lie_together(lsa: LSA) -> None:
    immune, ribosome, channel = lsa.embed(list(TOPICS.values()))
    (query,) = lsa.embed(["peptide for a lymphocyte"])
    assert query @ immune > 0.3 + max(query @ ribosome, query @ channel)


def test_two_fits_give_identical_vectors(lsa: LSA) -> None:
    again = LSA.fit(corpus(), dimensions=10)
    np.testing.assert_array_equal(again.embed(corpus()), lsa.embed(corpus()))
    assert again.identity == lsa.identity
    assert again.id == "lsa-10"


def test_identity_follows_the_corpus_and_the_dimensions(lsa: LSA) -> None:
    longer = LSA.fit([*corpus(), "peptide binding"], dimensions=10)
    joined = LSA.fit(["".join(corpus()[:2]), "", *corpus()[2:]], dimensions=10)
    fewer = LSA.fit(corpus(), dimensions=9)
    assert len({lsa.identity, longer.identity, joined.identity, fewer.identity}) == 4


def test_unknown_texts_are_covered_by_no_vector_and_refused_by_index(lsa: LSA) -> None:
    texts = ["peptide binding", "zyx unheard", "", "axon current"]
    assert lsa.covers(texts).tolist() == [True, False, False, True]
    with pytest.raises(EmbeddingError, match=r"2 of 4 texts share no term.*texts 1, 2;"):
        lsa.embed(texts)
    with pytest.raises(EmbeddingError, match=r"texts 0, 1, .*, 9 and 15 more"):
        lsa.embed(["unheard"] * 25)
    assert lsa.covers([]).shape == (0,)


def test_a_term_of_a_single_text_does_not_count() -> None:
    lsa = LSA.fit([*corpus(), "solitary peptide"], dimensions=5)
    assert lsa.covers(["solitary", "peptide"]).tolist() == [False, True]


def test_too_small_a_corpus_is_refused() -> None:
    n_terms = len({term for text in corpus() for term in terms(text)})
    with pytest.raises(ValueError, match=f"span no more than {n_terms} dimensions, 384 were"):
        LSA.fit(corpus())
    with pytest.raises(ValueError, match=r"7 texts that share .* no more than 7 dimensions"):
        LSA.fit(corpus()[:3] + corpus()[:4], dimensions=8)


def test_a_term_weighs_by_how_often_it_is_written() -> None:
    lsa = LSA.fit(corpus(), dimensions=10)
    once, thrice = lsa.embed(["peptide neuron", "peptide peptide peptide neuron"])
    (peptide,) = lsa.embed(["peptide"])
    assert thrice @ peptide > once @ peptide + 0.1
    assert ":tf=counts:" in lsa.identity
