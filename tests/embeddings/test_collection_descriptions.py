"""Descriptions of the groups of a collection in the lake: built once, as the table declares."""

import numpy as np
import polars as pl
import pytest
from described_cells import COLLECTION, IDS, REFERENCE, TYPES, described_cells, stored, text_vectors
from planted import MINILM

from genept.embeddings.collection_tables import CollectionTables
from genept.embeddings.text_readings.collection_descriptions import (
    TABLE,
    describe_collections,
    groupings,
)
from genept.embeddings.text_readings.description_inputs import describing_space
from genept.text import Space
from genept.text.embedders import space_of
from validation import undescribed_groups


@pytest.fixture
def of(lake, monkeypatch):
    return described_cells(lake, monkeypatch)


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
    own = text_vectors(of)
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
