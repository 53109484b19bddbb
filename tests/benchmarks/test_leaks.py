"""A planted leak is found: a text that states its label scores better than its masked version."""

import numpy as np
import polars as pl
import pytest

from genept.benchmarks.gene_tasks import SHUFFLED, PropertyTask
from genept.benchmarks.resampling import paired_differences, resampled
from genept.benchmarks.runs.leaderboard import corrected
from genept.benchmarks.task_base import GeneVectors
from genept.benchmarks.task_scores import ablations, leaks, recipe_steps
from genept.text.local.baselines import LSA
from genept.text.recipes import Mask, Recipe, load_recipes

N = 160
GENES = tuple(f"ENSG{number:011}" for number in range(N))
RNG = np.random.default_rng(0)
YES = RNG.integers(0, 2, N)
MASK = Mask(id="dosage", words=("haploinsufficient",))
TASK = PropertyTask(
    id="t", dataset="d", title="t", positive="yes", metrics=("auroc",), clean=SHUFFLED,
    heads=("logistic-regression",),
)  # fmt: skip


def recipe(id_, parts=("name", "summary"), masks=()):
    return Recipe(id=id_, parts=parts, requires=("name",), biotypes=("protein_coding",),
                  max_tokens=256, masks=masks)  # fmt: skip


RECIPES = {
    recipe_.id: recipe_ for recipe_ in (recipe("stated"), recipe("stated-masked", masks=(MASK,)))
}


def texts(leak):
    words = [f"word{number}" for number in range(40)]
    word_lists = (["gene", *RNG.choice(words, 12)] for _ in range(N))
    return [
        " ".join([*words_, "haploinsufficient in people" if leak and YES[at] else "in people"])
        for at, words_ in enumerate(word_lists)
    ]


def differences(leak):
    labels = ["yes" if is_positive else "no" for is_positive in YES]
    rows = pl.DataFrame(
        {"position": range(N), "ensembl_gene_id": GENES, "label": labels, "fate": "scored"}
    )
    written = texts(leak)
    versions = {
        "lsa-24/stated": written,
        "lsa-24/stated-masked": [MASK.apply(text, {})[0] for text in written],
    }
    scores = {}
    for name, of_genes in versions.items():
        vectors = GeneVectors(name, GENES, LSA.fit(of_genes, 24).embed(of_genes))
        predicted = TASK.predict(rows, vectors, draw=0)
        scores[name] = resampled(predicted, "auroc")
    compared = paired_differences(scores, [("lsa-24/stated", "lsa-24/stated-masked")])
    return corrected(compared).with_columns(task=pl.lit("t"))


def test_a_planted_leak_is_found_by_the_masked_text():
    steps = ablations(differences(leak=True), RECIPES)
    (row,) = leaks(steps).rows(named=True)
    assert (row["task"], row["more"], row["fewer"]) == ("t", "stated", "stated-masked")
    assert row["difference"] > 0.1
    assert row["ci_low"] > 0


def test_a_text_without_the_word_has_no_leak():
    steps = ablations(differences(leak=False), RECIPES)
    assert steps.height == 1
    assert leaks(steps).is_empty()


def test_the_difference_is_that_of_the_fuller_text_in_either_order():
    compared = differences(leak=True)
    other = compared.with_columns(
        representation="other", other="representation", difference=-pl.col("difference"),
        ci_low=-pl.col("ci_high"), ci_high=-pl.col("ci_low"),
    )  # fmt: skip
    assert ablations(other, RECIPES).equals(ablations(compared, RECIPES))


def test_recipes_of_a_step_differ_in_one_part_or_mask():
    more = recipe("more", parts=("name", "summary", "go"))
    steps = recipe_steps(
        [*RECIPES.values(), more, recipe("much", parts=("symbol", "name", "go", "biotype"))]
    )
    assert [(step.fewer, step.more, step.adds) for step in steps] == [
        ("stated", "more", "go"),
        ("stated-masked", "stated", "words of mask dosage"),
    ]
    shipped = {(step.fewer, step.more): step.adds for step in recipe_steps(load_recipes().values())}
    assert shipped["name-ncbi", "name-ncbi-go"] == "go"
    assert shipped["ncbi-every-gene-masked", "ncbi-every-gene"] == "words of mask gene-types"


def test_lengths_of_one_text_are_steps_from_each_to_the_next():
    whole = load_recipes()["name-ncbi-go"]
    steps = recipe_steps([whole, whole.cut_to(64), whole.cut_to(32), whole.cut_to(512)])
    assert [(step.fewer, step.more, step.adds) for step in steps] == [
        ("name-ncbi-go~64", "name-ncbi-go", "up to 256 tokens instead of 64"),
        ("name-ncbi-go", "name-ncbi-go~512", "up to 512 tokens instead of 256"),
        ("name-ncbi-go~32", "name-ncbi-go~64", "up to 64 tokens instead of 32"),
    ]
    assert whole.cut_to(whole.max_tokens) is whole


def test_without_comparisons_there_are_no_leaks():
    assert leaks(ablations(differences(leak=False).clear(), RECIPES)).is_empty()
    assert leaks(pl.DataFrame()).is_empty()


@pytest.mark.parametrize("suffix", ["", ":genept-w"])
def test_pooled_spaces_count_as_their_recipe(suffix):
    compared = differences(leak=True).with_columns(
        pl.col("representation") + suffix, pl.col("other") + suffix
    )
    assert leaks(ablations(compared, RECIPES)).height == 1
