"""Descriptions of groups: what is planted is stated with its evidence, or that it is not known."""

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp

from genept.embeddings.text_readings.group_description import (
    FEWEST,
    GroupDescription,
)
from genept.embeddings.text_readings.group_effects import compare_groups, compare_labels
from genept.embeddings.text_readings.group_statements import Vocabulary, describe_groups
from genept.embeddings.text_readings.label_meanings import LabelQuery

N, GENES = 120, 200
IDS = [f"ENSG{at:011d}" for at in range(GENES)]
GROUPS = ["eaters", "movers"]


def expression(strength: float = 8.0) -> sp.csr_matrix:
    """Genes 0 to 11 are high in even observations, 12 to 23 in odd ones."""
    rng = np.random.default_rng(0)
    means = np.full((N, GENES), 2.0)
    means[::2, :12] = means[1::2, 12:24] = max(strength, 2.0)
    return sp.csr_matrix(rng.poisson(means).astype(np.float32))


def vocabulary() -> Vocabulary:
    rng = np.random.default_rng(1)
    rows = [("eating", at) for at in range(12)] + [("moving", at) for at in range(12, 24)]
    rows += [("fasting", int(at)) for at in rng.choice(np.arange(24, GENES), 12, replace=False)]
    terms = pl.DataFrame(
        {"name": [name for name, _ in rows], "ensembl_gene_id": [IDS[at] for _, at in rows]}
    )
    programs = terms.filter(pl.col("name") != "fasting").with_columns(
        name=pl.col("name").replace({"eating": "0", "moving": "1"})
    )
    similarity = rng.standard_normal((GENES, 2)) * 0.1
    similarity[:12, 0] += 1
    similarity[12:24, 1] += 1
    labels = [LabelQuery("CL:1", "phagocyte", ("CL:1",)), LabelQuery("wanderer", "wanderer")]
    symbols = {id_: f"S{at}" for at, id_ in enumerate(IDS[:100])}
    return Vocabulary(IDS, symbols, terms, programs, {"0": "digestion"}, labels, similarity)


def described(group_of: np.ndarray, strength: float = 8.0) -> list[GroupDescription]:
    effects = compare_groups([expression(strength)], group_of.astype(np.intp), "counts", 2)
    return describe_groups(effects, vocabulary(), "made-up", "cell_type", GROUPS)


def test_a_group_is_described_by_what_its_genes_say() -> None:
    eaters, movers = described(np.arange(N) % 2)
    assert eaters.outcome == "described"
    assert {it.name for it in eaters.of("gene")} <= {f"S{at}" for at in range(12)}
    assert [it.name for it in eaters.of("go_term")] == ["eating"]
    assert [(it.id_, it.name) for it in eaters.of("program")] == [("0", "digestion")]
    assert [(it.id_, it.name) for it in eaters.of("label")] == [("CL:1", "phagocyte")]
    assert [(it.id_, it.name) for it in movers.of("program")] == [("1", "program 1")]
    assert [(it.id_, it.name) for it in movers.of("label")] == [(None, "wanderer")]
    (term,) = eaters.of("go_term")
    assert term.q is not None
    assert term.q < 0.05
    assert set(term.genes) <= {f"S{at}" for at in range(12)}
    assert list(term.weights) == sorted(term.weights, reverse=True)
    for words in ("60 observations of cell type eaters in made-up", "60 other", "eating (S"):
        assert words in eaters.paragraph
    assert "not known" not in eaters.paragraph


def test_where_nothing_stands_out_the_paragraph_says_so() -> None:
    halves = np.arange(N) // (N // 2)  # what is planted alternates
    for it in described(halves, strength=2.0):
        assert it.outcome == "nothing_stands_out"
        assert not it.statements
        assert "No term, program or label is surely higher" in it.paragraph


def test_without_a_label_the_paragraph_says_that_its_name_is_not_known() -> None:
    effects = compare_groups([expression()], np.arange(N) % 2, "counts", 2)
    words = vocabulary()
    flat = Vocabulary(
        IDS, words.symbols, words.go_terms, words.programs.clear(), {}, words.labels,
        np.random.default_rng(5).standard_normal((GENES, 2)),
    )  # fmt: skip
    it = describe_groups(effects, flat, "made-up", "cell_type", GROUPS)[0]
    assert it.outcome == "described"
    assert "What to call it is not known" in it.paragraph
    assert "program" not in it.paragraph


@pytest.mark.parametrize(
    ("first", "outcome"),
    [(FEWEST - 1, "too_few_observations"), (FEWEST, "described"), (N - 1, "no_others"),
     (N, "no_others"), (0, "too_few_observations")],
)  # fmt: skip
def test_a_group_needs_enough_observations_and_others(first: int, outcome: str) -> None:
    group_of = np.where(np.argsort(np.arange(N) % 2, kind="stable").argsort() < first, 0, -1)
    it = described(group_of)[0]
    assert it.outcome == outcome
    assert ("not described" in it.paragraph) == (outcome != "described")
    assert bool(it.statements) == (outcome == "described")


def test_a_single_observation_that_is_asked_for_is_described() -> None:
    alone = expression(2.0).tolil()
    alone[4, :12] = 9
    labels = [None if at != 4 else "c4" for at in range(N)]
    effects = compare_labels([sp.csr_matrix(alone)], labels, ["c4"], "counts")
    (it,) = describe_groups(effects, vocabulary(), "made-up", "observation", ["c4"], fewest=1)
    assert it.outcome == "described"
    assert all(gene.q is None for gene in it.of("gene"))
    assert [term.name for term in it.of("go_term")] == ["eating"]
    assert it.paragraph.startswith("Observation c4 of made-up was compared with the 119 other")
