"""Spaces: their names, the default, and how a run chooses among them."""

import pytest

from genept.common.errors import SourceError
from genept.text.embedders.spaces import SPACES, Space, chosen_spaces, declared_spaces, space_of


def test_a_space_is_named_after_embedder_and_recipe():
    assert Space("minilm-l6-v2", "name-go").id == "minilm-l6-v2/name-go"
    assert len({space.id for space in SPACES}) == len(SPACES)


def test_the_default_carries_knowledge_and_a_control_stands_beside_it():
    assert not SPACES[0].is_control
    controls = [space for space in SPACES if space.is_control]
    assert SPACES[0].recipe in {space.recipe for space in controls}
    assert {(space.embedder, space.variant) for space in controls} == {
        ("random-384", None), ("minilm-l6-v2", "shuffled")
    }  # fmt: skip


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


def test_a_space_that_is_not_released_unasked_may_be_asked_for():
    ncbi = space_of("minilm-l6-v2/ncbi")
    assert declared_spaces()[ncbi] is False
    assert ncbi not in chosen_spaces(())
    assert chosen_spaces([ncbi.id]) == (ncbi,)


def test_registered_tables_come_after_the_declared_spaces():
    own = space_of("scgpt/whole-human", table="f" * 64)
    assert chosen_spaces((), own=[own]) == (*SPACES, own)
    assert not own.needs_embedder


@pytest.mark.parametrize(
    ("id_", "reason"),
    [
        ("minilm", "is no space"),
        ("MiniLM/name", "is no space"),
        ("a/b/c", "is no space"),
        ("a/..", "is no space"),
        ("minilm-l6-v2/name@permuted", "is no space"),
        ("random-384/name@shuffled", "only a space of texts can be shuffled"),
    ],
)
def test_what_is_no_space_is_refused(id_, reason):
    with pytest.raises(ValueError, match=reason):
        space_of(id_)


def test_spaces_of_ones_own_recipes(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('[[spaces]]\nid = "lsa-64/mine"\n[[spaces]]\nid = "lsa-64/mine@shuffled"\n')
    *_, mine, control = declared_spaces(path)
    assert (mine.id, mine.is_control, control.is_control) == ("lsa-64/mine", False, True)
    path.write_text('[[spaces]]\nid = "lsa-64/mine"\nrelaesed = false\n')
    with pytest.raises(SourceError, match=r"unknown keys \['relaesed'\]"):
        declared_spaces.__wrapped__(path)
    path.write_text('[[spaces]]\nid = "minilm-l6-v2/name"\n')
    with pytest.raises(SourceError, match="declared twice"):
        declared_spaces.__wrapped__(path)
