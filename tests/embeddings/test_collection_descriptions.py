"""Descriptions of the groups of a collection in the lake: built once, as the table declares."""

import numpy as np
import polars as pl
import pytest
from planted import MINILM, a_collection, ingest_parsed, numbered_reference, parsed_of
from planted import embedded as random_vectors

from genept.embeddings.collection_tables import CollectionTables
from genept.embeddings.text_readings.collection_descriptions import (
    TABLE,
    describe_collections,
    groupings,
)
from genept.embeddings.text_readings.description_inputs import GO_TERMS, describing_space
from genept.schema.tables import TABLES
from genept.storage import NewPart, Origin
from genept.text import Space
from genept.text.embedders import space_of
from validation import undescribed_groups

N_CELLS, N_GENES = 120, 90
REFERENCE = numbered_reference(N_GENES)
IDS = REFERENCE["ensembl_gene_id"].to_list()
COLLECTION = a_collection("counts", kind="single_cell", id="planted-cells")
TYPES = ("B cell", "T cell", "neuron")


def stored(lake, name, columns, partition=()):
    schema = TABLES[name].schema()
    rows = pl.DataFrame(columns).sort(*TABLES[name].key).to_arrow()
    rows = rows.select(schema.names).cast(schema)
    origin = Origin((), {"rows": str(columns)})
    return lake.assemble(
        name, lake.build(f"test/{name}", origin, lambda: [NewPart(name, rows, partition)])
    )


@pytest.fixture
def of(lake, monkeypatch):
    """Cells of three types, each of which expresses ten genes more; terms and programs of them."""
    rng = np.random.default_rng(0)
    types = np.arange(N_CELLS) % 3
    own = (np.arange(N_GENES)[None, :] // 10) == types[:, None]
    parsed = parsed_of(
        rng.poisson(np.where(own, 6.0, 1.0)),
        REFERENCE["symbol"].to_list(),
        [f"cell-{row:03d}" for row in range(N_CELLS)],
        groups=[f"lane-{row % 4}" for row in range(N_CELLS)],
        labels={"cell_type": [TYPES[kind] if at else None for at, kind in enumerate(types)],
                "tissue": ["blood"] * N_CELLS},
    )  # fmt: skip
    parts = ingest_parsed(monkeypatch, lake, parsed, REFERENCE, COLLECTION)
    members = [(f"process {number}", IDS[gene]) for number in range(9)
               for gene in range(10 * number, 10 * number + 10)]  # fmt: skip
    rows = [
        {"task": GO_TERMS, "position": at, "input_id": gene, "ensembl_gene_id": gene,
         "outcome": "ensembl_id", "label": name, "split": None, "is_member": None,
         "fate": "scored"}
        for at, (name, gene) in enumerate(members)
    ]  # fmt: skip
    programs = {
        "space": MINILM.id, "program": [at // 10 for at in range(N_GENES)],
        "ensembl_gene_id": IDS, "symbol": REFERENCE["symbol"].to_list(), "similarity": 1.0,
    }  # fmt: skip
    terms = {
        "space": [MINILM.id], "program": [1], "kind": [GO_TERMS], "term": ["process 1"],
        "n_program": [10], "n_term": [10], "n_shared": [10], "p": [0.0], "q": [0.0],
    }  # fmt: skip
    tables = {
        name: lake.assemble(name, [parts[name]])
        for name in ("observations", "gene_axis", "expression")
    }
    vectors = random_vectors(lake, MINILM, IDS)
    tables |= {
        "gene_embeddings": lake.assemble("gene_embeddings", [vectors]),
        "gene_properties": stored(lake, "gene_properties", rows),
        "gene_programs": stored(lake, "gene_programs", programs, (MINILM.id,)),
        "program_terms": stored(lake, "program_terms", terms, (MINILM.id,)),
    }
    return CollectionTables(lake, tables, [COLLECTION], [MINILM])


def test_every_group_is_described_once(of):
    parts = describe_collections(of)
    (part,) = parts[COLLECTION.id]
    assert part.partition == (COLLECTION.id,)
    rows = of.lake.read(part)
    paragraphs = rows.filter(kind="paragraph")
    assert paragraphs["group_label"].to_list() == list(TYPES)
    assert paragraphs["n_observations"].to_list() == [39, 40, 40]
    assert set(paragraphs["outcome"]) == {"described"}
    best = rows.filter(rank=1, group_label="T cell").rows_by_key("kind", named=True, unique=True)
    assert best["go_term"]["name"] == "process 1"
    assert (best["program"]["id"], best["program"]["name"]) == ("1", "process 1")
    assert best["program"]["space"] == MINILM.id
    assert set(best["go_term"]["genes"]) <= set(REFERENCE["symbol"][10:20])
    assert best["gene"]["id"] in IDS[10:20]
    assert best["paragraph"]["text"].startswith("The 40 observations of cell type T cell in")
    assert describe_collections(of) == parts


def test_what_is_not_read_does_not_build_it_anew(of, monkeypatch):
    (part,) = describe_collections(of)[COLLECTION.id]
    module = "genept.embeddings.text_readings.collection_descriptions"
    monkeypatch.setattr(f"{module}.describe_label", lambda *_: pytest.fail("described again"))
    assert describe_collections(of)[COLLECTION.id] == [part]


def test_labels_are_read_where_the_model_of_the_space_is_here(of):
    vectors = of.lake.read_arrow(of.tables["gene_embeddings"].part(MINILM.id))
    at = {gene: row for row, gene in enumerate(vectors["ensembl_gene_id"].to_pylist())}
    matrix = np.array(vectors["embedding"].to_pylist(), np.float32)
    own = {
        name: matrix[[at[gene] for gene in IDS[10 * kind : 10 * kind + 10]]].mean(axis=0)
        for kind, name in enumerate(TYPES)
    }
    asked = []

    def embed(texts):
        asked.extend(texts)
        return np.array([own[text] for text in texts])

    with_model = CollectionTables(
        of.lake, of.tables, of.collections, of.spaces, lambda _: embed, dict, "none"
    )
    (part,) = describe_collections(with_model)[COLLECTION.id]
    labels = of.lake.read(part).filter(kind="label", rank=1)
    assert labels["name"].to_list() == labels["group_label"].to_list()
    assert set(labels["group_label"]) == set(TYPES)
    assert sorted(asked) == sorted(TYPES)


def test_the_space_is_the_preferred_one_or_of_texts():
    def chosen(*spaces):
        return describing_space(CollectionTables(None, {}, [], spaces))

    other, control = Space("lsa-384", "name"), space_of("minilm-l6-v2/name-go@shuffled")
    preferred = Space("minilm-l6-v2", "name-go")
    assert chosen(other, preferred) == preferred
    assert chosen(other) == other
    assert chosen(control) is None


def test_labels_with_one_value_make_no_groups():
    rows = pl.DataFrame(
        {"cell_type": ["a", "b", None], "tissue": ["x"] * 3, "tissue_subtype": ["y", None, None],
         "diagnosis": [None] * 3},
        schema=dict.fromkeys(("cell_type", "tissue", "tissue_subtype", "diagnosis"), pl.String),
    )  # fmt: skip
    assert groupings(rows) == {"cell_type": ["a", "b"], "tissue_subtype": ["y"]}


def test_a_group_without_a_paragraph_or_of_another_size_is_found(of):
    (part,) = describe_collections(of)[COLLECTION.id]
    observations = of.tables["observations"]
    whole = of.lake.assemble(TABLE, [part])
    assert undescribed_groups(of.lake, whole, observations) == []
    none = of.lake.assemble(TABLE, [])
    assert undescribed_groups(of.lake, none, observations) == [
        "planted-cells: 3 groups without a paragraph, such as ('cell_type', 'B cell', 39)"
    ]
    rows = of.lake.read(part).with_columns(n_observations=pl.col("n_observations") + 1)
    changed = stored(of.lake, TABLE, rows.to_dict(as_series=False), (COLLECTION.id,))
    findings = undescribed_groups(of.lake, changed, observations)
    assert len(findings) == 2
    assert "3 paragraphs of no group, such as ('cell_type', 'B cell', 40)" in findings[1]
