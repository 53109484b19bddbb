"""Recipes: what the library ships with, and which declarations are refused."""

import pytest
from pydantic import ValidationError

from genept.common.errors import SourceError
from genept.text.declared_spaces import chosen_spaces
from genept.text.recipes import Recipe, load_recipes

SOUND = {
    "id": "name-go",
    "parts": ["name", "go"],
    "requires": ["name"],
    "biotypes": ["protein_coding"],
    "max_tokens": 64,
}


def test_every_space_has_its_recipe_under_its_own_name():
    recipes = load_recipes()
    assert {space.recipe for space in chosen_spaces(())} <= set(recipes)
    assert all(recipe.id == name for name, recipe in recipes.items())


def test_the_default_recipe():
    recipe = load_recipes()["name-go"]
    assert recipe.part_names == recipe.requires == ("name", "go")
    assert recipe.max_tokens <= 256, "MiniLM cuts longer texts"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"requires": ["go"], "parts": ["name"]}, "requires"),
        ({"parts": ["name", "name"]}, "names a part twice"),
        ({"parts": [], "requires": []}, "at least 1 item"),
        ({"parts": ["summry"]}, "'summary'"),
        ({"gives_way": ["name-go"]}, "cannot give way"),
        ({"budgets": {"ada": 2}}, "at least 4"),
        ({"parts": [{"part": "name", "aspects": ["process"]}, "go"]}, "only go has"),
        ({"biotypes": []}, "at least 1 item"),
        ({"max_tokens": 3}, "greater than or equal to 4"),
        ({"id": "Name/Go"}, "match pattern"),
        ({"separator": "; "}, "Extra inputs"),
    ],
)
def test_unsound_declarations_are_refused(change, reason):
    Recipe.model_validate(SOUND)
    with pytest.raises(ValidationError, match=reason):
        Recipe.model_validate(SOUND | change)


def test_a_budget_of_an_embedder_is_a_recipe_of_its_own():
    recipe = load_recipes()["ncbi"]
    assert recipe.for_embedder("minilm-l6-v2") is recipe
    larger = recipe.for_embedder("text-embedding-3-small", "cl100k_base")
    assert (larger.id, larger.max_tokens) == ("ncbi~8000-cl100k-base", 8000)
    assert larger.counted_in == "cl100k_base"
    assert recipe.for_embedder("text-embedding-3-small").id == "ncbi~8000", "in WordPiece"
    assert recipe.for_embedder("lsa-384", "words") is recipe, "no budget of its own: the same text"
    assert larger.parts == recipe.parts


OWN = """
[masks.kinases]
words = ["kinase", "kinases"]

[recipes.mine]
like = "name-go"
masks = ["kinases", "own-name"]
max_tokens = 32
"""


def test_a_recipe_of_ones_own_needs_no_code(tmp_path):
    (tmp_path / "mine.toml").write_text(OWN)
    recipes = load_recipes(tmp_path / "mine.toml")
    assert set(recipes) == {*load_recipes(), "mine"}
    mine = recipes["mine"]
    assert (mine.part_names, mine.max_tokens) == (("name", "go"), 32)
    assert [mask.id for mask in mine.masks] == ["kinases", "own-name"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[recipes.name]\nlike = 'full'", r"recipes \['name'\] are shipped already"),
        ("[masks.own-name]\nown_name = true", r"masks \['own-name'\] are shipped already"),
        ("[recipes.x]\nlike = 'nix'", r"\[recipes.x\]: recipe 'x' is like 'nix', which is no"),
        ("[recipes.x]\nlike = 'name'\nmasks = ['nix']", r"unknown masks \['nix'\]; known are"),
        ("[recipes.x]\nlike = 'name'\nmax_token = 3", r"\[recipes.x\]: max_token: there is no"),
        ("[masks.x]\nwords = []", r"\[masks.x\]: .*takes out nothing"),
        ("[receips.x]\nlike = 'name'", r"\['receips'\] is none of"),
        ("[recipes", "cannot be read"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, text, reason):
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(SourceError, match=reason):
        load_recipes(path)
