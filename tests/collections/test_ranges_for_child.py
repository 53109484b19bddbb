"""A collection of ARCHS4 is read by ranges in a child without a network, which asks its parent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hdf5_layouts import write_archs4
from planted import gene, reference_of
from publisher import Fault, publisher
from sources_layouts import collection_entry

from genept.collections.ingestion import ingest
from genept.collections.ranges_for_child import fetch_for_child
from genept.collections.sandboxed_ingest import parts_in_child
from genept.common.errors import SourceError
from genept.datasources.catalogue import Catalogue
from genept.datasources.download.archives import Archives
from genept.datasources.download.http import RetryPolicy, Web
from genept.datasources.download.mirrors import SourceLocations
from genept.datasources.readers.sandbox import USUAL
from genept.nomenclature.reference import Reference
from genept.storage.lake import Lake

PATH = "human_gene_v2.6.h5"
SOURCE = {
    "title": "ARCHS4",
    "publisher": "the tests",
    "address": f"https://data.example.org/{PATH}",
    "bytes": 10_000_000,
    "licence": "CC0-1.0",
    "redistributable": True,
    "citation": "none",
    "media": "h5",
    "ranges": True,
    "checksum": "etag",
}
N_GENES = 60
VALUES = np.random.default_rng(1).poisson(20, (N_GENES, 41)).astype("u4")
REFERENCE = Reference("t", reference_of(*(gene(at, f"G{at}") for at in range(1, N_GENES))))
ENTRY: dict[str, Any] = collection_entry(
    "archs4", "counts", "x", series=["GSE3", "GSE4"], genes="symbol"
)
RETRY_POLICY = RetryPolicy(attempts=2, first_wait=0.001)


@pytest.fixture
def body(tmp_path: Path) -> bytes:
    return write_archs4(tmp_path / "w.h5", VALUES, chunks=(20, 1)).read_bytes()


def archives_at(url: str, folder: Path, *, ranges: bool = True) -> Archives:
    catalogue = Catalogue.model_validate(
        {"sources": {"x": SOURCE | {"ranges": ranges}}, "collections": {"c": ENTRY}}
    )
    locations = SourceLocations((), {"x": f"{url}/{PATH}"})
    return Archives(catalogue, folder, locations=locations, web=Web(retry_policy=RETRY_POLICY))


def ingested(lake: Lake, archives: Archives, **options: Any) -> dict[str, str]:
    collection = archives.catalogue.collections["c"]
    parts = ingest(lake, archives, collection, lambda: REFERENCE, "r", **options)
    return {part.table: part.sha256 for part in parts}


def in_child(*arguments: Any) -> Any:
    return parts_in_child(*arguments, allowance=USUAL)


def test_a_child_makes_of_ranges_what_is_made_of_the_whole_file(lake, tmp_path, body) -> None:
    with publisher() as server:
        server.files[PATH] = body
        made = ingested(lake, archives_at(server.url, tmp_path / "a"), make=in_child)
        assert server.sent < len(body)
        other = Lake(lake.store, f"{lake.prefix}-other", lake.cache)
        whole = archives_at(server.url, tmp_path / "b", ranges=False)
        expected = ingested(other, whole)
    assert made == expected
    assert {"expression", "observations", "observation_metadata"} <= made.keys()


def test_what_the_publisher_refuses_is_said_by_the_parent(lake, tmp_path, body) -> None:
    with publisher() as server:
        server.files[PATH] = body
        server.faults[PATH] = [Fault(), Fault(headers={"ETag": '"new"'})]
        with pytest.raises(SourceError, match="changed while it was read by ranges"):
            ingested(lake, archives_at(server.url, tmp_path / "a"), make=in_child)
        assert ingested(lake, archives_at(server.url, tmp_path / "a"), make=in_child)


@pytest.mark.parametrize(
    "question",
    [
        {"ranges_of": "y", "spans": []},
        {"ranges_of": ["x"], "spans": []},
        {"ranges_of": "x"},
        {"ranges_of": "x", "spans": {"a": 1}},
        {"ranges_of": "x", "spans": [1]},
        {"ranges_of": "x", "spans": [[1, 2, 3]]},
        {"ranges_of": "x", "spans": [[-1, 2]]},
        {"ranges_of": "x", "spans": [[5, 2]]},
        {"ranges_of": "x", "spans": [[0, 10**12]]},
        {"ranges_of": "x", "spans": [[0, True]]},
        {"ranges_of": "x", "spans": [["0", "1"]]},
        {"ranges_of": "x", "spans": [[0, 1]] * 300_000},
    ],
)
def test_a_child_may_ask_for_bytes_of_its_files_only(tmp_path, body, question) -> None:
    with publisher() as server:
        server.files[PATH] = body
        opened = archives_at(server.url, tmp_path / "a").ranged("x")
        n = len(server.seen)
        with pytest.raises(SourceError, match="asked for bytes that cannot be"):
            fetch_for_child({"x": opened}, question)
        assert len(server.seen) == n
