"""Spaces: their names, the default, and how a run chooses among them."""

import pytest

from genept.text.spaces import SPACES, Space, chosen_spaces


def test_a_space_is_named_after_embedder_and_recipe():
    assert Space("minilm-l6-v2", "name-go").id == "minilm-l6-v2/name-go"
    assert len({space.id for space in SPACES}) == len(SPACES)


def test_the_default_carries_knowledge_and_a_control_stands_beside_it():
    assert not SPACES[0].is_control
    controls = [space for space in SPACES if space.is_control]
    assert SPACES[0].recipe in {space.recipe for space in controls}
    assert {space.embedder for space in controls} == {"random-384"}


def test_all_spaces_unless_some_are_named():
    assert chosen_spaces(()) == SPACES
    two = ("random-384/name-go", "minilm-l6-v2/name-go", "random-384/name-go")
    assert [space.id for space in chosen_spaces(two)] == [
        "minilm-l6-v2/name-go",
        "random-384/name-go",
    ]


def test_an_unknown_space_is_named_beside_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown spaces \['minilm/go'\]; known are .*lsa-384"):
        chosen_spaces(["minilm/go", "lsa-384/name-go"])


def test_a_hosted_space_is_embedded_only_when_it_is_named():
    hosted = Space("text-embedding-3-small", "name")
    assert hosted not in chosen_spaces((), [hosted])
    assert chosen_spaces([hosted.id], [hosted]) == (hosted,)
