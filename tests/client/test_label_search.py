"""Search by labels and generated profiles, of a small release with planted types."""

from __future__ import annotations

import json
from pathlib import Path

import anndata
import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from labelled_release import (
    COLLECTION,
    DIMENSIONS,
    N_GENES,
    SPACE,
    TYPES,
    publish_labelled,
)

from genept.client.platform import Platform
from genept.client.searching.label_search import (
    FittedLabels,
    is_searchable,
    label_scores,
)
from genept.client.searching.profile_generation import BY_GENES, BY_TYPES, generate_for_text
from genept.client.searching.released_expression import ReleasedExpression
from genept.client.searching.search import Among, SpaceSearch
from genept.common.errors import SourceError, StoreError
from genept.common.settings import Settings
from genept.datasources.formats import H5adOptions
from genept.datasources.readers.hdf5.h5ad import read_h5ad
from genept.embeddings.text_readings.label_meanings import LabelQuery
from genept.embeddings.text_readings.similarities import softmax, unit_rows_of
from genept.embeddings.text_readings.term_shares import type_terms
from genept.storage.object_store import ObjectStore

WORDS = {name: np.eye(4, DIMENSIONS)[at] * 2 for at, name in enumerate(TYPES)}
WORDS["lymphocyte"] = WORDS["B cell"] + WORDS["T cell"]


def embed(texts: list[str]) -> np.ndarray:
    """Each text means the types that it names."""
    return np.array([
        sum((vector for word, vector in WORDS.items() if word in text), np.zeros(DIMENSIONS))
        for text in texts
    ]).astype(np.float32)  # fmt: skip


@pytest.fixture(scope="module")
def published(object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The release, which the tests only read, each with a state folder of its own."""
    return publish_labelled(object_store, tmp_path_factory.mktemp("labelled"))


@pytest.fixture(scope="module")
def published_unlabelled(
    object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    folder = tmp_path_factory.mktemp("unlabelled")
    return publish_labelled(object_store, folder, labelled=False)


def searched(settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch) -> SpaceSearch:
    own = settings.model_copy(update={"state_dir": folder})
    search = SpaceSearch(Platform(own), SPACE)
    monkeypatch.setitem(vars(search), "_embedder", embed)
    monkeypatch.setitem(vars(search.platform), "ontology", {})
    return search


@pytest.fixture
def search(published: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SpaceSearch:
    return searched(published, tmp_path, monkeypatch)


@pytest.fixture
def unlabelled(
    published_unlabelled: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SpaceSearch:
    return searched(published_unlabelled, tmp_path / "unlabelled", monkeypatch)


def types_of(hits: pl.DataFrame) -> set[str]:
    return {TYPES[int(id_[1:]) % 4] for id_ in hits["id"]}


def test_cells_are_found_by_their_labels_and_the_answer_says_so(search: SpaceSearch) -> None:
    for name in TYPES:
        hits = search.text(f"a {name} of the blood", "cells", n=5)
        assert types_of(hits.rows) == {name}
        assert set(hits.rows["label"]) == {name}
        assert "published labels, 4 types" in hits.query
    both = search.text("lymphocyte", "cells", n=20)
    assert types_of(both.rows) == {"B cell", "T cell"}
    genes = search.text("B cell", "cells", n=5, labels=False)
    assert "labels" not in genes.query
    assert types_of(genes.rows) == {"B cell"}


def test_without_labels_genes_decide(unlabelled: SpaceSearch) -> None:
    hits = unlabelled.text("neuron", "cells", n=5)
    assert "labels" not in hits.query
    assert types_of(hits.rows) == {"neuron"}


def test_a_fitted_map_is_kept_and_read_back(
    search: SpaceSearch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = search.text("B cell", "cells", n=5).rows
    (kept,) = (tmp_path / "cache" / "text_maps").iterdir()

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the map is fitted again")

    monkeypatch.setattr("genept.client.searching.label_search.type_probabilities", refuse)
    again = SpaceSearch(search.platform, SPACE)
    monkeypatch.setitem(vars(again), "_embedder", embed)
    assert again.text("B cell", "cells", n=5).rows.equals(first)
    kept.write_bytes(b"damaged")
    assert FittedLabels.load(kept) is None
    third = SpaceSearch(search.platform, SPACE)
    monkeypatch.setitem(vars(third), "_embedder", embed)
    with pytest.raises(AssertionError, match="fitted again"):
        third.text("B cell", "cells")


def fitted_labels_of(likely: np.ndarray, kinds: list[str], texts: np.ndarray) -> FittedLabels:
    """Labels without ontology terms: each type is compared by its text alone."""
    terms = type_terms([LabelQuery(kind, kind) for kind in kinds], {})
    return FittedLabels(likely, texts, terms, texts)


def test_a_type_of_another_collection_takes_its_share() -> None:
    """A collection without the type that is meant is not searched for the next best."""
    rng = np.random.default_rng(0)
    texts = unit_rows_of(np.array([WORDS[name] + 0.5 for name in TYPES]))
    likely = softmax(5 * np.eye(2)[np.arange(60) % 2] + rng.normal(size=(60, 2)))

    def fitted(at: list[int]) -> FittedLabels:
        return fitted_labels_of(likely, [TYPES[each] for each in at], texts[at])

    none = {"with": np.zeros(60), "without": np.zeros(60)}
    maps = {"with": fitted([0, 1]), "without": fitted([2, 3])}
    text = unit_rows_of(texts[0] + 0.1 * texts[2])
    together = label_scores(maps, text, none)
    alone = label_scores({"without": maps["without"]}, text, none)
    assert together["with"].max() > 5 * together["without"].max()
    assert alone["without"].max() > 2 * together["without"].max()


def test_a_collection_that_is_all_of_what_is_meant_is_found() -> None:
    """Its observations match the text equally well: less their own mean nothing would be left."""
    rng = np.random.default_rng(0)
    codes = np.arange(60) % 2
    likely = softmax(5 * np.eye(2)[codes] + rng.normal(size=(60, 2)))
    meant, other = np.eye(6)[0], np.eye(6)[1]
    kinds = {"all": [meant + 0.3 * np.eye(6)[2], meant + 0.3 * np.eye(6)[3]], "one": [meant, other]}
    maps = {
        name: fitted_labels_of(likely, [f"{name} 0", f"{name} 1"], unit_rows_of(np.array(texts)))
        for name, texts in kinds.items()
    }
    none = {"all": np.zeros(60), "one": np.zeros(60)}
    scores = label_scores(maps, unit_rows_of(meant), none)
    assert scores["all"].min() > scores["one"][codes == 1].max()
    assert scores["one"][codes == 0].min() > scores["one"][codes == 1].max()


def test_a_collection_without_labels_is_not_searched_by_them(
    search: SpaceSearch, unlabelled: SpaceSearch
) -> None:
    assert is_searchable(search.expression_of(COLLECTION))
    of = unlabelled.expression_of(COLLECTION)
    assert not is_searchable(of)
    assert of.label is None
    assert of.types == ()


def test_genes_without_a_vector_are_not_compared(search: SpaceSearch) -> None:
    of: ReleasedExpression = search.expression_of(COLLECTION)
    few = search.genes.only(of.genes[::2])
    similar = of.similarity(few, [embed(["B cell"])])
    assert np.isfinite(similar[::2]).all()
    assert np.isnan(similar[1::2]).all()


@pytest.mark.parametrize(
    ("among", "collection", "message"),
    [
        ("cells", "no-such", f"no collection 'no-such'; there are {COLLECTION}"),
        ("samples", COLLECTION, f"{COLLECTION} holds cells, not samples"),
        ("samples", None, "no samples were embedded in space"),
    ],
)
def test_what_cannot_be_searched_is_said_of_the_collection(
    search: SpaceSearch, among: Among, collection: str | None, message: str
) -> None:
    with pytest.raises(StoreError, match=message):
        search.text("a monocyte", among, collection=collection)


def test_a_profile_is_generated_and_marked(search: SpaceSearch) -> None:
    profile = generate_for_text(search, "a monocyte", COLLECTION, n=5)
    assert profile.genes["generated"].all()
    assert profile.about["generated"] is True
    assert "no measurement" in profile.about["note"]
    assert profile.about["method"] == BY_TYPES
    assert profile.about["types"] == sorted(TYPES)
    assert profile.about["release"] == search.release.manifest.release_id
    number = profile.genes["ensembl_gene_id"].str.slice(4).cast(pl.Int64) - 1
    assert (number[:10] % 4 == TYPES.index("monocyte")).mean() > 0.8
    assert set(profile.nearest["label"]) == {"monocyte"}
    assert (profile.genes["ci_low"] <= profile.genes["expected"]).all()
    assert profile.about["nearest_type"] == "monocyte"
    assert profile.about["genes_not_measured"] == []
    of = search.expression_of(COLLECTION)
    measured = of.expression[of.labels == "monocyte"].mean(axis=0)
    beside = dict(profile.genes.select("ensembl_gene_id", "nearest_type").iter_rows())
    found = np.array([beside[gene] for gene in of.genes])
    assert np.corrcoef(found, np.asarray(measured).ravel())[0, 1] > 0.9
    assert profile.genes["symbol"].null_count() == 0


def test_without_labels_genes_of_the_text_are_all_there_is(unlabelled: SpaceSearch) -> None:
    profile = generate_for_text(unlabelled, "a monocyte", COLLECTION)
    assert profile.about["method"] == BY_GENES
    assert profile.genes["expected"].null_count() == N_GENES
    number = profile.genes["ensembl_gene_id"].str.slice(4).cast(pl.Int64) - 1
    assert (number[:10] % 4 == TYPES.index("monocyte")).mean() > 0.8
    with pytest.raises(StoreError, match="has nothing for"):
        generate_for_text(unlabelled, "a monocyte", "no-such-collection")


def test_files_say_that_they_were_generated(search: SpaceSearch, tmp_path: Path) -> None:
    profile = generate_for_text(search, "a monocyte", COLLECTION)
    profile.write(tmp_path / "p.parquet")
    table = pq.read_table(tmp_path / "p.parquet")
    assert table.schema.metadata[b"generated"] == b"true"
    about = json.loads(table.schema.metadata[b"genept"])
    assert about["text"] == "a monocyte"
    assert len(about["nearest"]) == 10
    assert all(table["generated"].to_pylist())
    profile.write(tmp_path / "p.h5ad")
    read = anndata.read_h5ad(tmp_path / "p.h5ad")
    assert bool(read.uns["generated"])
    assert read.obs["generated"].tolist() == [True]
    assert read.shape == (1, N_GENES)
    expected = profile.genes.sort("ensembl_gene_id")["expected"].to_numpy()
    np.testing.assert_allclose(np.asarray(read.X)[0], expected, rtol=1e-6)
    with pytest.raises(StoreError, match="ending must be .parquet or .h5ad"):
        profile.write(tmp_path / "p.csv")


def test_a_generated_file_is_not_ingested(search: SpaceSearch, tmp_path: Path) -> None:
    path = tmp_path / "p.h5ad"
    generate_for_text(search, "a monocyte", COLLECTION).write(path)
    with pytest.raises(SourceError, match="marked as generated"):
        read_h5ad(path, H5adOptions(), unit="log1p", folder=tmp_path)
