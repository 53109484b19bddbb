"""Types left out: a planted signal is found without their label, every control is beside it."""

import numpy as np
import polars as pl
import pytest
from planted import MINILM, RANDOM, a_collection, ingest_parsed, numbered_reference, parsed_of
from planted import embedded as random_vectors
from scipy.sparse import csr_matrix

from genept.benchmarks.cells.left_out_scores import (
    BY_GENES,
    BY_MAP,
    BY_TYPES,
    GENERATED,
    LEFT_OUT,
    left_out_rows,
)
from genept.benchmarks.cells.left_out_types import Labelled, TypeTexts
from genept.benchmarks.cells.types_by_genes import TextInputs
from genept.embeddings.expression import embedding_matrix, expression_matrix
from genept.embeddings.known_vectors import KnownVectors
from genept.embeddings.representations import ObservationViews

N_CELLS, N_GENES = 240, 96
REFERENCE = numbered_reference(N_GENES)
COLLECTION = a_collection("counts", kind="single_cell", id="planted-cells")
TYPES = ("B cell", "T cell", "astrocyte", "neuron")
NAME = f"{MINILM.id}:genes"


@pytest.fixture
def planted(lake, monkeypatch):
    """Cells of four types with genes of their own; pairs of types share further genes."""
    rng = np.random.default_rng(0)
    types, genes = np.arange(N_CELLS) % 4, np.arange(N_GENES)
    own = genes % 4 == types[:, None]
    shared = ((genes // 4) % 3 == 0) & (genes % 2 == types[:, None] // 2)
    parsed = parsed_of(
        rng.poisson(1.0 + 3.0 * own + 3.0 * shared),
        REFERENCE["symbol"].to_list(),
        [f"cell-{row:03d}" for row in range(N_CELLS)],
        groups=[f"lane-{row % 11}" for row in range(N_CELLS)],
        labels={"cell_type": [TYPES[row] for row in types]},
    )
    parts = ingest_parsed(monkeypatch, lake, parsed, REFERENCE, COLLECTION)
    axis = parts["gene_axis"]
    _, expression = expression_matrix(lake, [parts["expression"]], axis.rows)
    observations = lake.read(parts["observations"]).sort("observation_id")
    views = ObservationViews(observations, expression, {}, ())
    vectors = random_vectors(lake, MINILM, REFERENCE["ensembl_gene_id"].to_list())
    return lake, views, axis, vectors


def texts_of(lake, vectors):
    """Embeds a name as the mean vector of the genes of its type, and of its relative by a third."""
    table = lake.read_arrow(vectors, ["ensembl_gene_id", "embedding"])
    known = KnownVectors.of(table["ensembl_gene_id"].to_pylist(), embedding_matrix(table))
    genes = REFERENCE["ensembl_gene_id"].to_list()
    own = [
        known.vectors[[known.number[gene] for gene in genes[at::4]]].mean(axis=0) for at in range(4)
    ]
    means = {name: own[at] + 0.3 * own[at ^ 1] for at, name in enumerate(TYPES)}

    def embed(names):
        return np.array([means.get(name, np.zeros(384)) for name in names], np.float32)

    return embed


def scored(planted, **changed):
    lake, views, axis, vectors = planted
    embed = texts_of(lake, vectors)
    of = TextInputs({MINILM: vectors}, lambda _: embed, {}, "")
    return left_out_rows(lake, changed.get("views", views), axis, "counts", of, seed=0)


def test_a_type_is_found_and_generated_without_its_label(planted):
    rows, apart = scored(planted)
    by_name = {(row["task"], row["model"], row["representation"]): row for row in rows}
    ranked = by_name[LEFT_OUT, BY_GENES, NAME]
    assert ranked["value"] > 0.9
    assert not ranked["is_control"]
    assert ranked["n"] == N_CELLS
    assert ranked["ci_low"] <= ranked["value"] <= ranked["ci_high"]
    for control in (f"{MINILM.id}@shuffled:genes", f"{NAME}@permuted-labels",
                    f"{NAME}@random-vectors"):  # fmt: skip
        row = by_name[LEFT_OUT, BY_GENES, control]
        assert row["is_control"]
        assert row["value"] < 0.75
    generated = by_name[GENERATED, BY_TYPES, NAME]
    assert generated["n"] == 4
    for control in ("@permuted-labels", "@random-vectors", "@nearest-type"):
        assert generated["value"] > by_name[GENERATED, BY_TYPES, NAME + control]["value"]
    assert (LEFT_OUT, BY_MAP, f"{MINILM.id}:map") in by_name
    assert (LEFT_OUT, BY_MAP, f"{MINILM.id}@shuffled:map") not in by_name
    for rows in apart.values():
        assert not rows.select("representation", "other").is_duplicated().any()
    genes = apart[LEFT_OUT].filter(pl.col("model") == BY_GENES)
    assert set(genes["representation"]) == {NAME}
    lead = genes.filter(pl.col("other") == f"{NAME}@permuted-labels").row(0, named=True)
    assert 0 < lead["ci_low"] <= lead["difference"]
    assert lead["p"] < 0.05


def test_no_label_of_the_type_that_is_left_out_is_read(planted):
    """With labels dealt to other cells, nothing of a type can be known from its own cells."""
    _, views, _, _ = planted
    dealt = views.observations.with_columns(pl.col("cell_type").shuffle(seed=1))
    rows, _ = scored(planted, views=ObservationViews(dealt, views.expression, {}, ()))
    values = {(row["task"], row["model"]): row["value"] for row in rows if not row["is_control"]}
    assert values[LEFT_OUT, BY_GENES] < 0.7
    assert values[LEFT_OUT, BY_MAP] < 0.7
    assert values[GENERATED, BY_TYPES] < 0.2


def test_cells_of_the_type_that_is_left_out_are_no_part_of_what_is_generated(planted):
    """Their expression may change: what is generated for the type stays the same."""
    _, views, _, _ = planted
    changed = views.expression.toarray()
    neurons = (views.observations["cell_type"] == "neuron").to_numpy()
    changed[neurons] = changed[neurons][:, ::-1]
    first = Labelled.of(views, "counts")
    second = Labelled.of(
        ObservationViews(views.observations, csr_matrix(changed), {}, ()), "counts"
    )
    at = first.types.index("neuron")
    np.testing.assert_allclose(first.others[at][0].means, second.others[at][0].means)
    assert not np.allclose(first.others[at][1], second.others[at][1])


def test_ties_share_their_ranks():
    labelled = Labelled(("a", "b"), np.array([0, 1]), np.array(["x", "y"]), None, ())
    np.testing.assert_allclose(labelled.ranks(np.array([[1.0, 1.0], [0.0, 2.0]])), [1 / 1.5, 1])


def test_controls_keep_what_is_not_dealt():
    rng = np.random.default_rng(0)
    similarity = rng.normal(size=(20, 3))
    similarity[4] = np.nan
    markers = rng.normal(size=(20, 3))
    lineages = rng.normal(size=(3, 4))
    texts = TypeTexts(np.eye(3), similarity, markers, lineages)
    for control in (texts.shuffled(rng), texts.random(rng)):
        assert np.isnan(control.similarity[4]).all()
        assert np.isfinite(np.delete(control.similarity, 4, axis=0)).all()
        np.testing.assert_array_equal(control.markers, markers)
    shuffled = np.sort(texts.shuffled(rng).similarity, axis=0)
    np.testing.assert_array_equal(shuffled, np.sort(similarity, axis=0))
    dealt = texts.dealt(np.array([1, 2, 0]))
    np.testing.assert_array_equal(dealt.vectors, np.eye(3)[[1, 2, 0]])
    np.testing.assert_array_equal(dealt.similarity, similarity[:, [1, 2, 0]])
    np.testing.assert_array_equal(dealt.markers, markers[:, [1, 2, 0]])
    np.testing.assert_array_equal(dealt.lineages, lineages[[1, 2, 0]])
    assert texts.random(rng).beside_lineages.shape == (3, 3)
    assert texts.beside_lineages.shape == (3, 7)


def test_rare_types_and_too_few_types_are_left_alone(planted):
    lake, views, axis, vectors = planted
    rare = views.observations.with_row_index("row").with_columns(
        cell_type=pl.when(pl.col("row") < 2).then(pl.lit("rare")).otherwise(pl.col("cell_type"))
    )
    of = Labelled.of(ObservationViews(rare, views.expression, {}, ()), "counts")
    assert of.types == tuple(sorted(TYPES))
    assert len(of.codes) == N_CELLS - 2
    two = views.only(views.observations["cell_type"].is_in(TYPES[:2]).to_numpy())
    assert scored(planted, views=two) == ([], {})
    without_model = TextInputs({RANDOM: vectors}, lambda _: None, {}, "")
    assert left_out_rows(lake, views, axis, "counts", without_model, seed=0) == ([], {})
