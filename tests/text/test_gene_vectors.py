"""Gene embeddings: the right vector beside the right gene, in every kind of space."""

import numpy as np
import pytest
from planted import MINILM, RANDOM, CountingEmbedder, described

from genept.embeddings.expression import embedding_matrix
from genept.storage.lake import Lake
from genept.text.composition import text_sha256
from genept.text.embedders import EmbeddingError, Space, space_of
from genept.text.gene_vectors import embed_genes, has_gene_vectors
from genept.text.local.baselines import RandomVectors, shuffled

GENES = [f"ENSG{number:011d}" for number in range(1, 31)]
# Two genes share a text: they share a vector that is embedded once.
TEXTS = {gene: f"what gene {number // 2} does" for number, gene in enumerate(GENES)}


def refuse():
    raise AssertionError("no text model is needed")


def read(lake, part):
    rows = lake.read_arrow(part)
    return rows, embedding_matrix(rows)


def test_each_gene_has_the_vector_of_its_text(lake: Lake):
    embedder, descriptions = CountingEmbedder(), described(lake, TEXTS)
    part = embed_genes(lake, MINILM, descriptions, lambda: embedder, product="test")
    assert (part.partition, part.dimension) == ((MINILM.id,), 32)
    rows, vectors = read(lake, part)
    assert rows["ensembl_gene_id"].to_pylist() == GENES
    assert rows["symbol"].to_pylist() == [f"G{number}" for number in range(1, 31)]
    assert set(rows["space"].to_pylist()) == {MINILM.id}
    assert rows["text_sha256"].to_pylist() == [text_sha256(TEXTS[gene]) for gene in GENES]
    np.testing.assert_array_equal(vectors, CountingEmbedder().embed(list(TEXTS.values())))
    assert sorted(embedder.embedded_texts) == sorted(set(TEXTS.values()))


def test_a_space_is_made_once_and_a_changed_text_embeds_that_text_only(lake: Lake):
    first, second = CountingEmbedder(), CountingEmbedder()
    assert not has_gene_vectors(lake, MINILM, described(lake, TEXTS))
    part = embed_genes(lake, MINILM, described(lake, TEXTS), lambda: first, product=lake.prefix)
    assert embed_genes(lake, MINILM, described(lake, TEXTS), refuse, product=lake.prefix) == part
    assert has_gene_vectors(lake, MINILM, described(lake, TEXTS))
    assert not has_gene_vectors(lake, MINILM, described(lake, TEXTS), "of another declaration")
    changed = TEXTS | {GENES[4]: "something new is known"}
    assert not has_gene_vectors(lake, MINILM, described(lake, changed))
    after = embed_genes(lake, MINILM, described(lake, changed), lambda: second, product=lake.prefix)
    assert second.embedded_texts == ["something new is known"]
    (before, vectors), (_, new_vectors) = read(lake, part), read(lake, after)
    differ = (vectors != new_vectors).any(axis=1)
    assert np.flatnonzero(differ).tolist() == [4]
    assert before.num_rows == after.rows


def test_another_declaration_of_an_embedder_makes_its_space_anew(lake: Lake):
    descriptions, opened = described(lake, TEXTS), []

    def part(version: str):
        def open_():
            opened.append(version)
            embedder = CountingEmbedder()
            embedder.identity += version
            return embedder

        return embed_genes(lake, MINILM, descriptions, open_, product=lake.prefix, version=version)

    first = part("pooling=mean")
    assert part("pooling=mean") == first
    part("pooling=cls")
    assert opened == ["pooling=mean", "pooling=cls"]


def test_random_vectors_are_keyed_by_gene_and_need_no_model(lake: Lake):
    part = embed_genes(lake, RANDOM, described(lake, TEXTS), refuse, product=lake.prefix)
    _, vectors = read(lake, part)
    np.testing.assert_array_equal(vectors, RandomVectors().embed(GENES))
    assert (vectors[0] != vectors[1]).all(), "genes of one text are kept apart"


def test_genes_that_lsa_cannot_place_can_be_counted(lake: Lake):
    rng = np.random.default_rng(0)
    genes = [f"ENSG{number:011d}" for number in range(1, 501)]
    texts = {gene: " ".join(f"w{word}" for word in rng.integers(0, 700, 8)) for gene in genes}
    texts[genes[7]] = "hapax legomenon"
    descriptions = described(lake, texts)
    part = embed_genes(lake, Space("lsa-384", "name-go"), descriptions, refuse, product=lake.prefix)
    rows, vectors = read(lake, part)
    assert part.dimension == 384
    lost = lake.read(descriptions).join(lake.read(part), on="ensembl_gene_id", how="anti")
    assert lost["ensembl_gene_id"].to_list() == [genes[7]]
    assert rows["text_sha256"].to_pylist() == [
        text_sha256(texts[gene]) for gene in genes if gene != genes[7]
    ]
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_vectors_of_another_model_do_not_enter_a_space(lake: Lake):
    other = CountingEmbedder()
    other.id = "text-embedding-3-small"
    with pytest.raises(EmbeddingError, match=r"minilm-l6-v2/name-go.*text-embedding-3-small"):
        embed_genes(lake, MINILM, described(lake, TEXTS), lambda: other, product=lake.prefix)
    assert other.embedded_texts == []


def test_shuffled_texts_are_other_genes_and_cost_nothing(lake: Lake):
    descriptions = described(lake, TEXTS)
    base = embed_genes(lake, MINILM, descriptions, CountingEmbedder, product=lake.prefix)
    control = space_of(f"{MINILM.id}@shuffled")
    again = CountingEmbedder()
    part = embed_genes(lake, control, descriptions, lambda: again, product=lake.prefix)
    assert again.embedded_texts == []
    assert part.partition == ("minilm-l6-v2/name-go@shuffled",)
    (own, vectors), (given, shuffled_vectors) = read(lake, base), read(lake, part)
    assert given["ensembl_gene_id"].to_pylist() == GENES
    hashes, other = own["text_sha256"].to_pylist(), given["text_sha256"].to_pylist()
    assert sorted(hashes) == sorted(other)
    assert hashes != other
    of_text = dict(zip(hashes, vectors, strict=True))
    np.testing.assert_array_equal(shuffled_vectors, [of_text[text] for text in other])


def test_a_shuffle_moves_every_gene_and_hardly_changes_with_one_more():
    given = shuffled(GENES)
    assert sorted(given) == list(range(30))
    assert (given != np.arange(30)).all()
    np.testing.assert_array_equal(shuffled(GENES), given)
    assert (shuffled(GENES, seed=1) != given).any()
    one_more = shuffled([*GENES, "ENSG00000000999"])
    assert (one_more[:30] != given).sum() == 1
