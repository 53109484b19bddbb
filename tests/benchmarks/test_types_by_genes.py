"""Types through the genes of their texts: a planted signal is found, every control is beside it."""

import numpy as np
import polars as pl
import pytest
from declared_rows import declared_frame
from planted import MINILM, RANDOM, a_collection, ingest_parsed, numbered_reference, parsed_of
from planted import embedded as random_vectors

from genept.benchmarks.cells.types_by_genes import (
    DECIDING,
    LINEAGE,
    MARKERS_ALONE,
    TextInputs,
    reading_rows,
)
from genept.benchmarks.cells.types_by_genes import (
    RANDOM as RANDOM_CONTROL,
)
from genept.datasources.gene_ontology import OntologyTerm
from genept.embeddings.expression import axis_genes, embedding_matrix, expression_matrix
from genept.embeddings.known_vectors import KnownVectors
from genept.embeddings.representations import ObservationViews
from genept.schema.tables import TABLES
from genept.storage.provenance import NewPart, Origin

N_CELLS, N_GENES = 240, 90
REFERENCE = numbered_reference(N_GENES)
COLLECTION = a_collection("counts", kind="single_cell", id="planted-cells")
TYPES = ("B cell", "T cell", "neuron")
ONTOLOGY = {
    "CL:1": OntologyTerm("lymphocyte", "", (), {}),
    "CL:2": OntologyTerm("B cell", "", ("B lymphocyte",), {"CL:1": 1}),
    "CL:3": OntologyTerm("T cell", "", (), {"CL:1": 1}),
    "CL:4": OntologyTerm("neuron", "", (), {}),
}


@pytest.fixture
def planted(lake, monkeypatch):
    """Cells of three types, each of which expresses a third of the genes more than others do."""
    rng = np.random.default_rng(0)
    types = np.arange(N_CELLS) % 3
    parsed = parsed_of(
        rng.poisson(np.where(np.arange(N_GENES) % 3 == types[:, None], 4.0, 1.0)),
        REFERENCE["symbol"].to_list(),
        [f"cell-{row:03d}" for row in range(N_CELLS)],
        groups=[f"lane-{row % 4}" for row in range(N_CELLS)],
        labels={"cell_type": [TYPES[row] for row in types]},
    )
    parts = ingest_parsed(monkeypatch, lake, parsed, REFERENCE, COLLECTION)
    axis = parts["gene_axis"]
    _, expression = expression_matrix(lake, [parts["expression"]], axis.rows)
    observations = lake.read(parts["observations"]).sort("observation_id")
    views = ObservationViews(observations, expression, {}, ())
    vectors = random_vectors(lake, MINILM, REFERENCE["ensembl_gene_id"].to_list())
    return lake, views, axis, vectors


def texts_of(lake, axis, vectors):
    """Embeds a name as the mean vector of the genes of its type: texts that say what is planted."""
    table = lake.read_arrow(vectors, ["ensembl_gene_id", "embedding"])
    known = KnownVectors.of(table["ensembl_gene_id"].to_pylist(), embedding_matrix(table))
    genes = REFERENCE["ensembl_gene_id"].to_list()
    assert set(axis_genes(lake, axis)) <= set(genes)
    own = {
        name: known.vectors[[known.number[gene] for gene in genes[at::3]]].mean(axis=0)
        for at, name in enumerate(TYPES)
    }
    own["B lymphocyte"] = own["B cell"]
    return lambda names: np.array([own[name] for name in names])


def test_planted_types_are_found_and_controls_are_not(planted):
    lake, views, axis, vectors = planted
    embed = texts_of(lake, axis, vectors)
    of = TextInputs({MINILM: vectors}, lambda _: embed, ONTOLOGY, "1")
    rows, apart = reading_rows(lake, views, axis, "counts", of, seed=0)
    scores = pl.DataFrame(rows).with_columns(dataset=pl.lit("planted-cells"))
    assert not scores.select(TABLES["benchmark_results"].key).is_duplicated().any()
    by_name = dict(scores.filter(metric=DECIDING).select("representation", "value").rows())
    name = f"{MINILM.id}:genes"
    assert set(by_name) == {
        name, f"{MINILM.id}@shuffled:genes", f"{name}@words-only", RANDOM_CONTROL
    }  # fmt: skip
    assert by_name[name] > 0.9
    assert by_name[f"{MINILM.id}@shuffled:genes"] < 0.6
    assert by_name[RANDOM_CONTROL] < 0.6
    lineage = dict(scores.filter(metric=LINEAGE).select("representation", "value").rows())
    assert all(by_name[shown] <= lineage[shown] + 1e-9 for shown in lineage)
    assert scores.filter(~pl.col("is_control"))["representation"].unique().to_list() == [name]
    lower_ends = dict(apart.select("other", "ci_low").rows())
    assert set(lower_ends) == set(by_name) - {name}
    assert lower_ends[RANDOM_CONTROL] > 0
    assert lower_ends[f"{MINILM.id}@shuffled:genes"] > 0


def test_markers_that_texts_name_are_scored_with_the_vectors_and_alone(planted):
    lake, views, axis, vectors = planted
    own = texts_of(lake, axis, vectors)
    names = REFERENCE["symbol"].to_list()
    # Genes of the second type, by which its definition tells it from the others.
    said = f"T cell: A cell that is {names[1]}-positive, {names[4]}-positive, {names[7]}-positive."
    ontology = ONTOLOGY | {"CL:3": OntologyTerm("T cell", said.partition(": ")[2], (), {"CL:1": 1})}
    index = pl.DataFrame(
        {"name": names, "outcome": "exact", "ensembl_gene_id": REFERENCE["ensembl_gene_id"]}
    ).with_columns(candidates=pl.lit([], pl.List(pl.String)))
    stored = lake.build(
        "names", Origin(code=()), lambda: [NewPart("gene_names", named_rows(index))]
    )

    def embed(texts):
        return own([text.partition(":")[0] for text in texts])

    of = TextInputs({MINILM: vectors}, lambda _: embed, ontology, "1", stored[0])
    assert of.inputs["names"] == stored[0].sha256
    rows, apart = reading_rows(lake, views, axis, "counts", of, seed=0)
    by_name = {row["representation"]: row["value"] for row in rows if row["metric"] == DECIDING}
    name = f"{MINILM.id}:genes"
    assert MARKERS_ALONE in by_name
    assert 1 / 3 < by_name[MARKERS_ALONE] < by_name[name]
    assert MARKERS_ALONE in apart["other"].to_list()


def named_rows(index):
    """Rows of table `gene_names`."""
    declared = declared_frame(TABLES["gene_names"], index.height)
    return declared.with_columns(index.get_columns()).sort("name").to_arrow()


def test_without_a_model_there_is_nothing(planted):
    lake, views, axis, vectors = planted
    rows, apart = reading_rows(
        lake, views, axis, "counts", TextInputs({RANDOM: vectors}, lambda _: None, {}, ""), seed=0
    )
    assert rows == []
    assert apart.is_empty()


def test_no_label_of_a_cell_is_read(planted):
    """With labels dealt to other cells the answers stay what they are, so the score falls."""
    lake, views, axis, vectors = planted
    embed = texts_of(lake, axis, vectors)
    of = TextInputs({MINILM: vectors}, lambda _: embed, {}, "")
    dealt = views.observations.with_columns(pl.col("cell_type").shuffle(seed=1))
    rows, _ = reading_rows(
        lake, ObservationViews(dealt, views.expression, {}, ()), axis, "counts", of, seed=0
    )
    by_name = {row["representation"]: row["value"] for row in rows if row["metric"] == DECIDING}
    assert by_name[f"{MINILM.id}:genes"] < 0.5


def test_another_ontology_is_another_input(planted):
    _, _, _, vectors = planted
    first, second = (
        TextInputs({MINILM: vectors}, lambda _: None, {}, version).inputs for version in "ab"
    )
    assert first != second
