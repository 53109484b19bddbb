"""One collection in every representation: the same observations, in the same order."""

from dataclasses import replace

import numpy as np
import pytest
from planted import (
    MINILM,
    RANDOM,
    a_collection,
    in_every_space,
    ingest_parsed,
    numbered_reference,
    parsed_of,
)

from genept.embeddings.expression import embedding_matrix
from genept.embeddings.representations import read_views, representation_name
from genept.storage.lake import Lake

REFERENCE = numbered_reference(10)
VALUES = np.random.default_rng(4).normal(5, 1, (40, 10)).astype(np.float32)
IDS = [f"patient-{number}" for number in np.random.default_rng(5).permutation(len(VALUES))]
DIAGNOSES = [None if row % 5 == 0 else f"type {row % 3}" for row in range(len(VALUES))]


@pytest.fixture
def parts(lake: Lake, monkeypatch):
    return planted(lake, monkeypatch, len(VALUES))


def planted(lake, monkeypatch, n):
    collection = a_collection("log2")
    ingested = ingest_parsed(
        monkeypatch,
        lake,
        parsed_of(
            VALUES[:n], REFERENCE["symbol"].to_list(), IDS[:n], labels={"diagnosis": DIAGNOSES[:n]}
        ),
        REFERENCE,
        collection,
    )
    return in_every_space(lake, ingested, collection, REFERENCE["ensembl_gene_id"].to_list())


def test_every_row_is_the_same_observation_everywhere(lake: Lake, parts):
    views = read_views(lake, parts)
    ids = views.observations["observation_id"].to_list()
    assert ids == sorted(IDS)
    np.testing.assert_array_equal(
        views.expression.toarray(), VALUES[[IDS.index(id_) for id_ in ids]]
    )
    assert list(views.spaces) == ["minilm-l6-v2/name-go:genept-w", "random-384/name-go:genept-w"]
    assert views.controls == ("random-384/name-go:genept-w",)
    for space, (shard,) in parts.embeddings.items():
        rows = lake.read_arrow(shard)
        assert rows["observation_id"].to_pylist() == ids
        np.testing.assert_array_equal(
            views.spaces[representation_name(space)], embedding_matrix(rows)
        )


def test_labelled_keeps_whole_rows(lake: Lake, parts):
    views = read_views(lake, parts)
    kept = views.labelled("diagnosis")
    labels = dict(zip(IDS, DIAGNOSES, strict=True))
    chosen = [row for row, id_ in enumerate(sorted(IDS)) if labels[id_] is not None]
    assert kept.observations["observation_id"].to_list() == [sorted(IDS)[row] for row in chosen]
    np.testing.assert_array_equal(kept.expression.toarray(), views.expression.toarray()[chosen])
    for name, matrix in views.spaces.items():
        np.testing.assert_array_equal(kept.spaces[name], matrix[chosen])
    assert kept.controls == views.controls
    assert views.labelled("cell_type").observations.height == 0


def test_every_input_counts_as_an_origin(parts):
    names = {"observations", "axis", "expression", *map(representation_name, (MINILM, RANDOM))}
    assert set(parts.inputs) == names
    assert len(set(parts.inputs.values())) == len(names)
    for change in (
        {"observations": parts.axis},
        {"axis": parts.observations},
        {"expression": parts.expression * 2},
        {"embeddings": parts.embeddings | {RANDOM: parts.embeddings[MINILM]}},
    ):
        other = replace(parts, **change).inputs
        assert [name for name in names if other[name] != parts.inputs[name]]


@pytest.mark.parametrize("stale", ["expression", "random-384/name-go"])
def test_parts_of_different_ingests_do_not_meet(
    lake: Lake, object_store, store_prefix, tmp_path, monkeypatch, parts, stale
):
    other = Lake(object_store, f"{store_prefix}-other", tmp_path / "other")
    fewer = planted(other, monkeypatch, 30)
    if stale == "expression":
        mixed = {"expression": fewer.expression}
    else:
        mixed = {"embeddings": parts.embeddings | {RANDOM: fewer.embeddings[RANDOM]}}
    with pytest.raises(ValueError, match=rf"{stale} holds 30 observations that are not the 40"):
        read_views(lake, type(parts)(**vars(parts) | mixed))
