"""The embedders of an installation: which there are, why one cannot be used, what opens it."""

import pytest

from genept.client.platform import Platform
from genept.common.settings import Settings
from genept.text.baselines import RandomVectors
from genept.text.embedder_registry import LOCAL, Embedders, LocalEmbedder
from genept.text.embedders import RefusedEmbeddingError, space_of
from genept.text.limits import WORDS


@pytest.fixture
def opened(monkeypatch):
    """A further local embedder `words-8` is registered; the folders that it was opened with."""
    folders = []

    def open_(resources):
        folders.append(resources.folder)
        return RandomVectors(8)

    monkeypatch.setitem(LOCAL, "words-8", LocalEmbedder(open_, counted_in=WORDS))
    return folders


@pytest.fixture
def settings(tmp_path):
    return Settings(state_dir=tmp_path, openai_api_key=None)


def test_a_registered_embedder_is_opened_once_with_a_folder_for_its_files(settings, opened):
    embedders = Embedders(settings, archives=None)
    assert embedders.unavailable("words-8") is None
    assert embedders.open("words-8") is embedders.open("words-8")
    assert opened == [settings.state / "cache" / "models"]


def test_its_spaces_are_available_and_their_texts_cut_in_its_unit(settings, opened, tmp_path):
    recipe = '[recipes.short]\nlike = "name"\nbudgets = { words-8 = 20 }\n'
    (tmp_path / "own.toml").write_text(recipe + '[[spaces]]\nid = "words-8/short"\n')
    platform = Platform(settings.with_options({"recipes": tmp_path / "own.toml"}))
    space = space_of("words-8/short")
    assert platform.unavailable(space) is None
    assert platform.recipe_of(space).id == "short~20-words"
    assert not opened


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
    with pytest.raises(ValueError, match="no text embedder 'words-8': see `genept spaces list`"):
        Embedders(settings, archives=None).open("words-8")


def test_a_hosted_embedder_without_a_key_is_refused(settings):
    embedders = Embedders(settings, archives=None)
    reason = "text-embedding-3-small is a hosted embedder and there is no key"
    assert reason in embedders.unavailable("text-embedding-3-small")
    with pytest.raises(RefusedEmbeddingError, match=reason):
        embedders.open("text-embedding-3-small")
