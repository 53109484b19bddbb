"""The embedders of an installation: which there are, why one cannot be used, what opens it."""

import json
import weakref

import numpy as np
import pytest
from model_folders import toy_folder
from planted import CountingEmbedder, described

from genept.client.platform import Platform
from genept.common.settings import Settings
from genept.storage.lake import Lake
from genept.text.embedder_registry import Embedders
from genept.text.embedders import RefusedEmbeddingError, space_of
from genept.text.gene_vectors import embed_genes

DECLARED = """
[embedders.toy-48]
kind = "bert"
folder = {folder}
max_tokens = 100
counted_in = "words"
"""


@pytest.fixture
def settings(tmp_path):
    toy_folder(tmp_path / "toy")
    declared = DECLARED.format(folder=json.dumps(str(tmp_path / "toy")))
    (tmp_path / "embedders.toml").write_text(declared)
    return Settings(
        state_dir=tmp_path / "state", openai_api_key=None, embedders=tmp_path / "embedders.toml"
    )


def test_a_declared_model_is_opened_once_and_keeps_its_graph(settings):
    embedders = Embedders(settings, archives=None)
    assert embedders.unavailable("toy-48") is None
    assert not (settings.state / "cache" / "models").exists()
    assert embedders.open("toy-48") is embedders.open("toy-48")
    assert [path.suffix for path in (settings.state / "cache" / "models").iterdir()] == [".onnx"]


def test_a_platform_lets_go_of_what_it_can_read_again(settings):
    platform = Platform(settings)
    embedder, hosted = platform.embedders.open("toy-48"), platform.hosted
    vector = embedder.embed(["what it does"])
    vars(platform).update(dict.fromkeys(("label_mapper", "ontology", "reference"), "much"))
    gone = weakref.ref(embedder)
    del embedder
    platform.release_memory()
    assert gone() is None
    assert not {"label_mapper", "ontology", "reference"} & set(vars(platform))
    assert platform.hosted is hosted, "what was spent still counts"
    again = platform.embedders.open("toy-48").embed(["what it does"])
    assert np.array_equal(again, vector)


def test_its_spaces_are_available_and_their_texts_cut_in_its_unit(settings, tmp_path):
    recipe = '[recipes.short]\nlike = "name"\nbudgets = { toy-48 = 20 }\n'
    (tmp_path / "own.toml").write_text(recipe + '[[spaces]]\nid = "toy-48/short"\n')
    platform = Platform(settings.with_options({"recipes": tmp_path / "own.toml"}))
    space = space_of("toy-48/short")
    assert platform.unavailable(space) is None
    assert platform.recipe_of(space).id == "short~20-words"


@pytest.mark.parametrize(
    ("embedder", "unit"),
    [
        ("minilm-l6-v2", "wordpiece"),
        ("lsa-384", "words"),
        ("text-embedding-3-small", "cl100k_base"),
        ("random-384", "wordpiece"),
    ],
)
def test_a_budget_is_counted_in_the_tokens_of_its_embedder(settings, embedder, unit):
    assert Embedders(settings, archives=None).counted_in(embedder) == unit


def test_an_embedder_that_nobody_registered_is_refused(settings):
    with pytest.raises(
        ValueError, match="no text embedder 'nowhere-8': see `genept embedders list`"
    ):
        Embedders(settings, archives=None).open("nowhere-8")


def test_a_hosted_embedder_without_a_key_is_refused(settings):
    embedders = Embedders(settings, archives=None)
    reason = "text-embedding-3-small is a hosted embedder and there is no key"
    assert reason in embedders.unavailable("text-embedding-3-small")
    with pytest.raises(RefusedEmbeddingError, match=reason):
        embedders.open("text-embedding-3-small")


def test_genes_without_a_vector_are_counted_with_the_minutes_for_all(
    lake: Lake, tmp_path, monkeypatch
):
    monkeypatch.setattr("genept.text.local.language_model.PACKAGE", "json")
    genes = [f"ENSG{number:011d}" for number in range(1, 3001)]
    texts = described(lake, dict.fromkeys(genes, "what it does"))  # 8 tokens each
    stored = lake.assemble("gene_descriptions", [texts])
    platform = Platform(Settings(state_dir=tmp_path, embedding_minutes=1.5))
    monkeypatch.setattr(Platform, "lake", lake)
    space = space_of("smollm2-135m/name-go")

    def vectors(n):
        class Slow(CountingEmbedder):
            tokens_per_space, texts_at_once = 8 * n, 1000

        embedder = Slow(576)
        embedder.id = "smollm2-135m"
        return embed_genes(
            lake, space, texts, lambda: embedder, product=lake.prefix, version=str(n)
        )

    assert platform.lacking_vectors(space, vectors(3000), stored) is None
    assert platform.lacking_vectors(space, vectors(1200), stored) == (
        "1,200 of 3,000 genes have a vector; GENEPT_EMBEDDING_MINUTES=4 embeds all"
    )
    assert platform.lacking_vectors(space_of("minilm-l6-v2/name-go"), vectors(7), stored) == (
        "7 of 3,000 genes have a vector"
    )
