"""GenePT-s through the lake: read as far as the model reads, paid for once, capped."""

import numpy as np
import pytest
from planted import CountingEmbedder, a_collection, ingest_parsed, numbered_reference, parsed_of

from genept.embeddings.expression import embedding_matrix
from genept.embeddings.representations import Sampling, chosen
from genept.embeddings.sentences import PREFIX, Caps, SentenceError, embed_sentences

REFERENCE = numbered_reference(12)
VALUES = np.random.default_rng(0).poisson(2.0, (30, 12)) + 1.0


class WordCounting(CountingEmbedder):
    """Reads `max_tokens` words."""

    max_tokens = 12

    def count_tokens(self, texts):
        return [2 + len(text.split()) for text in texts]


@pytest.fixture
def arguments(lake, monkeypatch):
    collection = a_collection("counts", kind="single_cell")
    parsed = parsed_of(VALUES, REFERENCE["symbol"].to_list())
    parts = ingest_parsed(monkeypatch, lake, parsed, REFERENCE, collection)
    return {
        "kind": "single_cell",
        "unit": "counts",
        "observations": parts["observations"],
        "axis": parts["gene_axis"],
        "expression": [parts["expression"]],
        "product": lake.prefix,
        "sampling": Sampling(20),
    }


def test_a_sample_is_embedded_once_and_says_what_it_read(lake, arguments):
    embedder = WordCounting()
    messages = []
    (part,) = embed_sentences(lake, **arguments, embedder=embedder, say=messages.append)
    (forecast,) = messages
    assert forecast.endswith("216 tokens are to be embedded, 20 observations chosen")
    assert chosen(part) == "20 of 30 observations, at random, by seed 2023; at most 20"
    assert part.partition == ("minilm-l6-v2/ranked-names", "genept-s", "planted")
    assert (part.table, part.rows, part.dimension) == ("cell_embeddings", 20, 32)
    assert part.origin["settings"]["sampling"]["n_observations"] == 30
    rows = lake.read_arrow(part)
    for id_, vector, coverage in zip(
        rows["observation_id"].to_pylist(),
        embedding_matrix(rows),
        rows["coverage"].to_pylist(),
        strict=True,
    ):
        values = VALUES[int(id_[1:])]
        genes = sorted(range(12), key=lambda gene: (-values[gene], f"G{gene + 1}"))[:3]
        text = PREFIX["single_cell"] + " ".join(f"G{gene + 1}" for gene in genes)
        np.testing.assert_array_equal(vector, CountingEmbedder().embed([text])[0])
        weights = np.log1p(values * 1e4 / values.sum())
        assert coverage == pytest.approx(weights[genes].sum() / weights.sum(), rel=1e-5)
    assert max(embedder.count_tokens(embedder.embedded_texts)) == WordCounting.max_tokens
    again = WordCounting()
    assert embed_sentences(lake, **arguments, embedder=again) == [part]
    assert again.embedded_texts == []


def test_over_a_cap_nothing_is_embedded(lake, arguments):
    embedder = WordCounting()
    for caps, match in ((Caps(texts=3), "sentences"), (Caps(tokens=100), "tokens")):
        with pytest.raises(SentenceError, match=f"{match} are to be embedded"):
            embed_sentences(lake, **arguments, embedder=embedder, caps=caps)
    assert embedder.embedded_texts == []
    embed_sentences(lake, **arguments, embedder=embedder, caps=Caps(20, 240))
