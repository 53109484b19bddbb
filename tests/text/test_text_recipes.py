"""Recipes: what the library ships with, and which declarations are refused."""

import pytest
from pydantic import ValidationError

from genept.text.recipes import Recipe, load_recipes
from genept.text.spaces import SPACES

SOUND = {
    "id": "name-go",
    "parts": ["name", "go"],
    "requires": ["name"],
    "biotypes": ["protein_coding"],
    "max_tokens": 64,
}


def test_every_space_has_its_recipe_under_its_own_name():
    recipes = load_recipes()
    assert {space.recipe for space in SPACES} <= set(recipes)
    assert all(recipe.id == name for name, recipe in recipes.items())


def test_the_default_recipe():
    recipe = load_recipes()["name-go"]
    assert recipe.parts == recipe.requires == ("name", "go")
    assert recipe.max_tokens <= 256, "MiniLM cuts longer texts"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"requires": ["go"], "parts": ["name"]}, "requires"),
        ({"requires": []}, "at least 1 item"),
        ({"parts": ["name", "name"]}, "names a part twice"),
        ({"parts": [], "requires": []}, "at least 1 item"),
        ({"parts": ["summary"]}, "'name' or 'go'"),
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
