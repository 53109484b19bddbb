"""Pictures of a collection in a space: drawn once, the same bytes for the same rows."""

import numpy as np
import polars as pl
import pytest
from planted import a_collection, in_every_space, ingest_parsed, numbered_reference, parsed_of

from genept.embeddings import projections
from genept.embeddings.projections import DRAWN, draw_projection, drawn_of, pictures_of
from genept.embeddings.representations import LABELS, label_of

REFERENCE = numbered_reference(12)
PNG = b"\x89PNG\r\n\x1a\n"


def planted(n, labels=None):
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((n, 8)).astype(np.float32)
    ids = [f"o{row:05d}" for row in range(n)]
    empty = {name: pl.Series(name, [None] * n, dtype=pl.String) for name in LABELS}
    observations = pl.DataFrame({"observation_id": ids, **empty})
    if labels:
        observations = observations.with_columns(
            pl.Series("cell_type", [labels[row % len(labels)] for row in range(n)])
        )
    observed = observations.with_columns(coverage=rng.random(n, dtype=np.float32))
    embedding = pl.Series(vectors, dtype=pl.Array(pl.Float32, 8))
    rows = pl.DataFrame({"observation_id": ids, "embedding": embedding})
    return observed, rows.filter(pl.col("observation_id").is_in(drawn_of(observed)))


@pytest.mark.parametrize(
    ("n", "labels"),
    [
        (1, None),
        (2, ["T"]),
        (40, [f"type {number}" for number in range(12)]),
        (DRAWN + 100, ["a", None]),
    ],
)
def test_the_same_rows_give_the_same_picture(n, labels):
    observations, embeddings = planted(n, labels)
    picture = draw_projection(observations, embeddings, "planted")
    assert picture.startswith(PNG)
    assert len(picture) < 150_000
    assert len(embeddings) == min(n, DRAWN)
    shuffled = embeddings.sample(fraction=1, shuffle=True, seed=1)
    assert draw_projection(observations, shuffled, "planted") == picture


def test_another_embedding_is_another_picture():
    observations, embeddings = planted(40, ["a", "b"])
    other = embeddings.with_columns(pl.col("embedding").reverse())
    assert draw_projection(observations, embeddings, "x") != draw_projection(
        observations, other, "x"
    )


def test_the_finest_label_that_there_is():
    observations, _ = planted(4, ["T"])
    assert label_of(observations) == "cell_type"
    assert label_of(planted(4)[0]) is None


def test_every_space_is_drawn_once(lake, monkeypatch):
    values = np.random.default_rng(0).poisson(2.0, (30, 12)) + 1.0
    collection = a_collection("counts", kind="single_cell")
    parsed = parsed_of(values, REFERENCE["symbol"].to_list())
    parts = ingest_parsed(monkeypatch, lake, parsed, REFERENCE, collection)
    genes = REFERENCE["ensembl_gene_id"].to_list()
    of_collection = in_every_space(lake, parts, collection, genes)
    observations = lake.assemble("observations", parts.values())
    made = [part for shards in of_collection.embeddings.values() for part in shards]
    table = lake.assemble("cell_embeddings", made)
    pictures = pictures_of(lake, observations, table)
    assert set(pictures) == {
        f"planted/{space}" for space in ("minilm-l6-v2/name-go", "random-384/name-go")
    }
    for key, picture in pictures.values():
        assert lake.store.get(key) == picture
        assert picture.startswith(PNG)

    def refuse(*_):
        raise AssertionError("it is drawn already")

    monkeypatch.setattr(projections, "draw_projection", refuse)
    assert pictures_of(lake, observations, table) == pictures
