"""Embedders that have the time for some genes only: which those are, and that runs continue."""

import numpy as np
import polars as pl
import pytest
from planted import CountingEmbedder, described

from genept.benchmarks.vector_costs import costs_of, space_costs
from genept.common import Settings
from genept.storage.lake import Lake
from genept.text.cached_embedding import genes_in_time
from genept.text.embedder_registry import Embedders
from genept.text.embedders import Space, space_of
from genept.text.gene_vectors import embed_genes

GENES = [f"ENSG{number:011d}" for number in range(1, 41)]
TEXTS = {gene: f"what gene {gene} does" for gene in GENES}  # 8 tokens each, as `described` says
SPACE = Space("minilm-l6-v2", "name-go")


class Slow(CountingEmbedder):
    texts_at_once = 4

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.tokens_per_space = tokens


def rows(n_tokens=8, genes=GENES):
    return pl.DataFrame({"ensembl_gene_id": genes, "n_tokens": n_tokens})


def chosen(tokens, **given):
    return genes_in_time(rows(**given), Slow(tokens))["ensembl_gene_id"].to_list()


def embedded(lake, embedder, space=SPACE):
    version = str(getattr(embedder, "tokens_per_space", ""))
    descriptions = described(lake, TEXTS)
    part = embed_genes(
        lake, space, descriptions, lambda: embedder, product=lake.prefix, version=version
    )
    return lake.read(part)


def test_tokens_decide_how_many_genes_and_more_tokens_replace_none():
    assert chosen(0) == []
    assert len(chosen(8 * 10 - 1)) == 9
    few, more = chosen(8 * 10), chosen(8 * 25)
    assert (len(few), len(more)) == (10, 25)
    assert set(few) < set(more)
    assert few == sorted(few), "rows stay in their order"
    assert few != GENES[:10]
    assert chosen(8 * 1000) == GENES


def test_genes_depend_neither_on_the_order_of_rows_nor_on_other_genes():
    assert sorted(chosen(8 * 10, genes=GENES[::-1])) == chosen(8 * 10)
    without = [gene for gene in GENES if gene != chosen(8 * 10)[0]]
    assert set(chosen(8 * 10)[1:]) < set(chosen(8 * 10, genes=without))


def test_an_embedder_without_a_limit_embeds_all():
    assert genes_in_time(rows(), CountingEmbedder()).height == len(GENES)


def test_genes_beyond_the_limit_have_no_vector_and_a_later_run_continues(lake: Lake):
    first, second = Slow(8 * 10), Slow(8 * 25)
    few, more = embedded(lake, first), embedded(lake, second)
    assert (few.height, more.height) == (10, 25)
    assert len(first.embedded_texts) == 10
    assert len(second.embedded_texts) == 15
    assert set(first.embedded_texts).isdisjoint(second.embedded_texts)
    both = few.join(more, on="ensembl_gene_id", suffix="_later")
    np.testing.assert_array_equal(both["embedding"].to_numpy(), both["embedding_later"].to_numpy())


def test_a_killed_run_keeps_what_it_stored(lake: Lake):
    class Killed(BaseException):
        pass

    class Dying(Slow):
        def embed(self, texts):
            if len(self.embedded_texts) >= 8:
                raise Killed
            return super().embed(texts)

    dying, after = Dying(8 * 25), Slow(8 * 25)
    with pytest.raises(Killed):
        embedded(lake, dying)
    assert embedded(lake, after).height == 25
    assert len(dying.embedded_texts) == 8
    assert len(after.embedded_texts) == 17


def test_the_shuffled_control_has_the_same_genes_and_costs_nothing(lake: Lake):
    own, again = embedded(lake, Slow(8 * 25)), Slow(8 * 25)
    control = embedded(lake, again, space_of(f"{SPACE.id}@shuffled"))
    assert again.embedded_texts == []
    assert control["ensembl_gene_id"].to_list() == own["ensembl_gene_id"].to_list()
    assert control["text_sha256"].to_list() != own["text_sha256"].to_list()


def test_the_cost_is_that_of_the_genes_that_are_embedded(lake: Lake):
    slow = Slow(8 * 25)
    cost = costs_of(lake.read(space_costs(lake, SPACE, described(lake, TEXTS), lambda: slow)))
    assert cost["tokens"].to_list() == [8 * 25]
    assert len(slow.embedded_texts) == Slow.texts_at_once


def test_other_minutes_make_a_space_of_a_language_model_anew_and_no_other(tmp_path):
    def versions(minutes):
        known = Embedders(Settings(state_dir=tmp_path, embedding_minutes=minutes), None)
        return known.version("smollm2-135m"), known.version("minilm-l6-v2")

    (few, minilm), (more, same) = versions(1), versions(2)
    assert few != more
    assert minilm == same
