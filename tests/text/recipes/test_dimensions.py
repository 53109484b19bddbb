"""Dimensions: which sentences speak of what, and descriptions of those alone."""

import polars as pl
import pytest
from pydantic import ValidationError

from genept.common import SourceError
from genept.text.gene_descriptions import describe
from genept.text.knowledge import Knowledge
from genept.text.recipes import Dimension, load_dimensions, load_recipes, speaking

GENES = pl.DataFrame(
    {
        "ensembl_gene_id": ["ENSG1", "ENSG2", "ENSG3"],
        "symbol": ["TP53", "MDM2", "AR"],
        "biotype": "protein_coding",
    }
)


def items(*sentences, gene="ENSG1"):
    return pl.DataFrame({"ensembl_gene_id": [gene] * len(sentences), "item": sentences})


@pytest.mark.parametrize(
    ("dimension", "sentence", "speaks"),
    [
        ("cell-types", "It is found on monocytes.", True),
        ("cell-types", "It is needed for the cell cycle.", False),
        ("cell-types", "A T cell receptor.", True),
        ("tissues", "Expressed in the Cerebellum.", True),
        ("tissues", "It binds retinoids.", False),
        ("pathways", "A component of the Wnt signaling cascade.", True),
        ("pathways", "Alternative splicing results in multiple transcript variants.", False),
        ("functions", "Multiple transcript variants encoding different isoforms exist.", False),
        ("functions", "This gene encodes a kinase.", True),
        ("drugs", "It makes tumors resistant to cisplatin.", True),
        ("diseases", "Mutations in this gene cause Meckel syndrome.", True),
        ("aging", "It shortens telomeres.", True),
        ("genes", "It is regulated by MDM2.", True),
        ("genes", "TP53 stands here itself.", False),
        ("genes", "It acts in AR tissue, two letters that may be anything.", False),
    ],
)
def test_what_a_sentence_speaks_of(dimension, sentence, speaks):
    spoken = load_dimensions()[dimension].spoken_of(items(sentence), GENES)
    assert spoken.to_list() == [speaks]


def test_sentences_that_speak_of_any_keep_their_order():
    known = items("MDM2 binds it.", "Nothing.", "In muscle.", "Nothing.", "In muscle and MDM2.")
    wanted = [load_dimensions()[name] for name in ("genes", "tissues")]
    kept = speaking(known, wanted, GENES)["item"].to_list()
    assert kept == ["MDM2 binds it.", "In muscle.", "In muscle and MDM2."]


def test_words_are_no_patterns():
    odd = Dimension(id="odd", title="odd", words=("a.b", "c+"), not_words=("x (y)",))
    spoken = odd.spoken_of(items("axb", "a.b", "x (y) a.b", "x (y)"), GENES)
    assert spoken.to_list() == [False, True, True, False]


@pytest.mark.parametrize("words", [(), ("*",), (" ",)])
def test_a_dimension_without_words_is_refused(words):
    with pytest.raises(ValidationError):
        Dimension(id="odd", title="odd", words=words)


def test_a_recipe_takes_the_sentences_of_its_dimension_alone():
    summary = pl.concat(
        [
            items("It is a kinase.", "It is found in muscle.", "It acts in mitosis."),
            items("It is a kinase.", gene="ENSG2"),
        ]
    )
    knowledge = Knowledge(GENES, {"summary": summary}, {"summary": "ncbi-test"})
    recipe = load_recipes()["extract-tissues"]
    rows, left_out = describe(knowledge, recipe, lambda texts: [9 for _ in texts])
    assert rows.select("symbol", "text").rows() == [("TP53", "It is found in muscle.")]
    assert rows["parts"].to_list() == [["summary:tissues@ncbi-test 1/1"]]
    assert dict(left_out.select("symbol", "reason").rows()) == {
        "MDM2": "its sources say nothing of what the recipe is about",
        "AR": "its sources say nothing of what the recipe is about",
    }


def test_every_dimension_has_a_recipe_of_its_own():
    recipes = load_recipes()
    for name, dimension in load_dimensions().items():
        parts = recipes[f"extract-{name}"].parts
        named = {each for use in parts for each in use.dimensions}
        assert named <= {dimension}, name
    assert recipes["extract"].parts[1].label == "summary:8-dimensions"


def test_an_unknown_dimension_is_refused_by_name(tmp_path):
    own = tmp_path / "own.toml"
    own.write_text(
        "[recipes.mine]\nparts = [{ part = 'summary', dimensions = ['cosmos'] }]\n"
        "biotypes = ['protein_coding']\nmax_tokens = 64\n"
    )
    with pytest.raises(SourceError, match=r"unknown dimensions \['cosmos'\]; known are"):
        load_recipes(own)
