"""ARCHS4 over loopback: only the chunks of the chosen samples travel."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.sparse as sp
from hdf5_layouts import TEXT, write_archs4
from large_archs4 import N_GENES as N_LARGE
from large_archs4 import SERIES, counts_of, write_large_archs4
from publisher import Fault, Publisher, publisher
from sources_layouts import collection_entry

from genept.common.errors import SourceError
from genept.datasources.catalogue import Catalogue
from genept.datasources.download.archives import Archives
from genept.datasources.download.http import RetryPolicy, Web
from genept.datasources.download.mirrors import SourceLocations
from genept.datasources.parsers import parse_collection
from genept.datasources.readers.hdf5 import ranged
from genept.datasources.readers.hdf5.ranged import RangedStream, fetch_chunks
from genept.datasources.readers.hdf5.sample_columns import SampleColumns, chunks_of
from genept.datasources.readers.parsed import ParsedCollection

N_GENES, N_SAMPLES = 400, 600
VALUES = np.random.default_rng(3).poisson(9, (N_GENES, N_SAMPLES)).astype("u4")
PATH = "human_gene_v2.6.h5"
ENTRY = {
    "title": "ARCHS4",
    "publisher": "the tests",
    "address": f"https://data.example.org/{PATH}",
    "bytes": 100_000_000,
    "licence": "CC0-1.0",
    "redistributable": True,
    "citation": "none",
    "media": "h5",
    "ranges": True,
    "checksum": "etag",
}
RETRY_POLICY = RetryPolicy(attempts=3, first_wait=0.001, longest_wait=5, slowest=5000, window=0.2)


@pytest.fixture(scope="module")
def settled() -> Iterator[None]:
    """What earlier modules left is collected once: each test then collects only what is new."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def server(settled: None) -> Iterator[Publisher]:
    # The publisher is a thread of this process: were it to collect objects of h5py that another
    # test has left, it would wait for HDF5's lock, which the reader holds while it waits for it.
    gc.collect()
    gc.disable()
    try:
        with publisher() as running:
            yield running
    finally:
        gc.enable()


@pytest.fixture
def publish(server: Publisher, tmp_path: Path) -> Callable[..., Path]:
    def published(chunks: tuple[int, int]) -> Path:
        path = write_archs4(tmp_path / "whole.h5", VALUES, chunks=chunks)
        server.files[PATH] = path.read_bytes()
        return path

    return published


def archives_at(server: Publisher, folder: Path, **options: Any) -> Archives:
    entry = collection_entry("archs4", "counts", "x", **options)
    catalogue = Catalogue.model_validate({"sources": {"x": ENTRY}, "collections": {"c": entry}})
    locations = SourceLocations((), {"x": f"{server.url}/{PATH}"})
    return Archives(catalogue, folder, locations=locations, web=Web(retry_policy=RETRY_POLICY))


def parse(server: Publisher, folder: Path, **options: Any) -> ParsedCollection:
    archives = archives_at(server, folder, **options)
    return parse_collection(archives, archives.catalogue.collections["c"])


def dense(parsed: ParsedCollection) -> np.ndarray:
    return sp.vstack(list(parsed.expression.blocks())).toarray()


@pytest.mark.parametrize("chunks", [(100, 1), (1, 100), (64, 7), (400, 600)])
def test_chosen_samples_are_those_of_the_whole_file(publish, server, tmp_path, chunks) -> None:
    path = publish(chunks)
    options = {"series": ("GSE7", "GSE60"), "contains": {"title": "sample 31"}}
    parsed = parse(server, tmp_path / "a", **options)
    server.files.clear()  # whatever is read now is here
    got = dense(parsed)
    whole = tmp_path / "b" / "x"
    whole.mkdir(parents=True)
    (whole / PATH).write_bytes(path.read_bytes())
    with publisher() as other:
        other.files[PATH] = path.read_bytes()
        archives = archives_at(other, tmp_path / "b", **options)
        archives.fetch("x")
        expected = parse_collection(archives, archives.catalogue.collections["c"])
    assert parsed.observations.equals(expected.observations)
    assert parsed.metadata.equals(expected.metadata)
    assert parsed.input_genes == expected.input_genes
    np.testing.assert_array_equal(got, dense(expected))
    numbers = [int(id_.removeprefix("GSM")) for id_ in parsed.observations["observation_id"]]
    np.testing.assert_array_equal(got, VALUES[:, numbers].T)


def test_chunks_of_other_samples_stay_where_they_are(publish, server, tmp_path) -> None:
    path = publish((100, 1))
    parse(server, tmp_path / "a", samples=["GSM301"])
    remote = archives_at(server, tmp_path / "a", samples=["GSM301"]).ranged("x")
    assert remote is not None
    chosen = [(gene, sample) for sample in range(300, 340) for gene in range(0, N_GENES, 100)]
    before = server.sent
    stream = RangedStream(remote)
    with h5py.File(stream) as file:
        n, n_bytes = fetch_chunks(file["data/expression"], stream, chosen)
    with h5py.File(path) as file:
        dataset = file["data/expression"]
        sizes = [len(dataset.id.read_direct_chunk(at)[1]) for at in chosen]
        assert (n, n_bytes) == (len(chosen), sum(sizes))
    fresh = server.sent - before
    assert 0.8 * n_bytes < fresh < path.stat().st_size / 4
    with h5py.File(RangedStream(remote)) as file:
        fetch_chunks(file["data/expression"], stream, chosen)
    assert server.sent == before + fresh, "nothing is fetched twice"


def test_samples_of_a_few_series_cost_little_more_than_their_chunks(server, tmp_path) -> None:
    chosen = np.array([first + at for first in (100, 700, 1_500, 2_075) for at in range(SERIES)])
    path = tmp_path / "w.h5"
    write_large_archs4(path, 3_000, chosen.tolist())
    server.files[PATH], server.etags[PATH] = path.read_bytes(), '"large"'
    remote = archives_at(server, tmp_path / "a", samples=["x"]).ranged("x")
    assert remote is not None
    stream = RangedStream(remote)
    with h5py.File(stream) as file:
        dataset = file["data/expression"]
        server.bodies.clear()
        n, n_bytes = fetch_chunks(dataset, stream, chunks_of(dataset, chosen))
        assert n == 30 * chosen.size
        assert n_bytes < server.sent < 1.3 * n_bytes
        server.bodies.clear()
        fetch_chunks(dataset, stream, chunks_of(dataset, chosen[10:60]))
        assert server.sent == 0
    rows = SampleColumns(remote.copy, chosen, N_LARGE)
    got = sp.vstack(list(rows.blocks())).toarray()
    np.testing.assert_array_equal(got, [counts_of(sample) for sample in chosen])


@pytest.mark.parametrize(
    ("libver", "maxshape"),
    [
        ("earliest", None),
        ("latest", None),
        ("latest", (N_GENES, None)),
        ("latest", (None, None)),
    ],
)
def test_chunks_are_found_by_every_kind_of_index(server, tmp_path, libver, maxshape) -> None:
    path = tmp_path / "w.h5"
    with h5py.File(path, "w", libver=libver) as file:
        file.create_dataset(
            "data/expression", data=VALUES, chunks=(100, 1), compression="gzip", maxshape=maxshape
        )
    server.files[PATH] = path.read_bytes()
    remote = archives_at(server, tmp_path / "a", samples=["x"]).ranged("x")
    assert remote is not None
    chosen, stream = np.array([3, 4, 5, 311, 599]), RangedStream(remote)
    with h5py.File(stream) as file:
        dataset = file["data/expression"]
        n, n_bytes = fetch_chunks(dataset, stream, chunks_of(dataset, chosen))
    with h5py.File(path) as file:
        read = file["data/expression"].id.read_direct_chunk
        stored = [len(read((gene, at))[1]) for at in chosen for gene in range(0, N_GENES, 100)]
    assert (n, n_bytes) == (len(stored), sum(stored))
    rows = SampleColumns(remote.copy, chosen, N_GENES)
    got = sp.vstack(list(rows.blocks())).toarray()
    np.testing.assert_array_equal(got, VALUES[:, chosen].T)


def test_chunks_that_are_not_stored_hold_the_fill_value(server, tmp_path) -> None:
    path = write_archs4(tmp_path / "w.h5", VALUES, chunks=(100, 1))
    with h5py.File(path, "a") as file:
        del file["data/expression"]
        dataset = file.create_dataset(
            "data/expression", VALUES.shape, "u4", chunks=(100, 1), compression="gzip"
        )
        dataset[100:200, 12] = VALUES[100:200, 12]
    server.files[PATH] = path.read_bytes()
    parsed = parse(server, tmp_path / "a", samples=["GSM11", "GSM12"])
    expected = np.zeros((2, N_GENES))
    expected[1, 100:200] = VALUES[100:200, 12]
    np.testing.assert_array_equal(dense(parsed), expected)


def test_many_neighbours_with_long_texts_take_few_rounds(server, tmp_path, monkeypatch) -> None:
    path = write_archs4(tmp_path / "w.h5", VALUES, chunks=(400, 20))
    titles = [f"{at} " + "long " * 1_000 for at in range(N_SAMPLES)]
    with h5py.File(path, "a") as file:
        del file["meta/samples/title"]
        file.create_dataset("meta/samples/title", data=titles, dtype=TEXT)
    server.files[PATH], server.etags[PATH] = path.read_bytes(), '"long"'
    monkeypatch.setattr(ranged, "_MOST_ROUNDS", 100)
    everything = {"contains": {"geo_accession": "GSM"}, "max_singlecell_probability": None}
    parsed = parse(server, tmp_path / "a", **everything)
    assert parsed.metadata is not None
    assert parsed.metadata["title"].to_list() == [
        titles[int(id_.removeprefix("GSM"))] for id_ in parsed.metadata["observation_id"]
    ]


def test_it_goes_on_after_a_cut(publish, server, tmp_path) -> None:
    publish((100, 1))
    whole = parse(server, tmp_path / "a", series=["GSE30", "GSE31"])
    once, n_requests = server.sent, len(server.seen)
    server.bodies.clear()
    # Some request in the middle fails for good.
    server.faults[PATH] = [Fault()] * (n_requests * 2 // 3) + [Fault(status=403)]
    with pytest.raises(SourceError, match="answered 403"):
        parse(server, tmp_path / "b", series=["GSE30", "GSE31"])
    assert 0 < server.sent < once
    server.faults.clear()
    again = parse(server, tmp_path / "b", series=["GSE30", "GSE31"])
    assert server.sent <= 1.02 * once, "what had come before was not fetched again"
    np.testing.assert_array_equal(dense(again), dense(whole))


def test_a_change_under_way_is_refused(publish, server, tmp_path) -> None:
    publish((100, 1))
    server.faults[PATH] = [Fault()] * 6 + [Fault(headers={"ETag": '"new"'})]
    with pytest.raises(SourceError, match="changed while it was read by ranges"):
        parse(server, tmp_path / "a", series=["GSE30"])


def test_expression_whose_bytes_are_gone_is_not_zero(publish, server, tmp_path) -> None:
    publish((100, 1))
    parsed = parse(server, tmp_path / "a", samples=["GSM301"])
    kept = next((tmp_path / "a").rglob("bytes"))
    kept.write_bytes(bytes(kept.stat().st_size))
    with pytest.raises(SourceError, match=r"human_gene_v2\.6\.h5: bytes .* were changed on disk"):
        dense(parsed)


@pytest.mark.parametrize("damage", ["link", "title", "cut"])
def test_a_foreign_file_is_refused_as_a_local_one_is(server, tmp_path, damage) -> None:
    path = write_archs4(tmp_path / "w.h5", VALUES, chunks=(100, 1))
    if damage != "cut":
        with h5py.File(path, "a") as file:
            if damage == "link":
                file["meta/stolen"] = h5py.ExternalLink("/etc/passwd", "x")
            else:
                del file["meta/samples/title"]
    body = path.read_bytes()
    server.files[PATH] = body[: len(body) * 2 // 3] if damage == "cut" else body
    says = {"link": "leads out of the file", "title": "no 'meta/samples/title'", "cut": "damaged"}
    with pytest.raises(SourceError, match=says[damage]):
        parse(server, tmp_path / "a", contains={"title": "sample 3"})
