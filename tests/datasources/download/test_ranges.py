"""Files that are read by ranges, from a publisher on loopback that misbehaves."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from publisher import DATED, Fault, Publisher, publisher

from genept.common.errors import SourceError
from genept.datasources.catalogue import Catalogue
from genept.datasources.download.archives import Archives
from genept.datasources.download.http import RetryPolicy, Web
from genept.datasources.download.mirrors import SourceLocations
from genept.datasources.download.ranges import RemoteFile
from genept.datasources.download.segments import Segments, requests_for

HDF5 = b"\x89HDF\r\n\x1a\n"
BODY = HDF5 + np.random.default_rng(5).bytes(300_000)
PATH = "human.h5"
ENTRY = {
    "title": "a large file",
    "publisher": "the tests",
    "address": "https://data.example.org/human.h5",
    "bytes": 1_000_000,
    "licence": "CC0-1.0",
    "redistributable": True,
    "citation": "none",
    "media": "h5",
    "ranges": True,
    "checksum": "etag",
}
RETRY_POLICY = RetryPolicy(attempts=3, first_wait=0.001, longest_wait=5, slowest=5000, window=0.2)


@pytest.fixture
def server() -> Iterator[Publisher]:
    with publisher() as running:
        running.files[PATH] = BODY
        yield running


@pytest.fixture
def make(server: Publisher, tmp_path: Path) -> Callable[..., Archives]:
    def archives_with(**changes: object) -> Archives:
        catalogue = Catalogue.model_validate({"sources": {"x": ENTRY | changes}, "collections": {}})
        locations = SourceLocations((), {"x": f"{server.url}/{PATH}"})
        return Archives(
            catalogue, tmp_path / "a", locations=locations, web=Web(retry_policy=RETRY_POLICY)
        )

    return archives_with


def opened(archives: Archives) -> RemoteFile:
    remote = archives.ranged("x")
    assert isinstance(remote, RemoteFile)
    return remote


def read(remote: RemoteFile, start: int, stop: int) -> bytes | None:
    return Segments(remote.copy.folder).read(start, stop)


def spans_of(server: Publisher) -> list[str]:
    return [headers["range"] for headers in server.requests_of(PATH)]


def test_only_what_is_asked_for_travels_and_only_once(make, server) -> None:
    remote = opened(make())
    remote.ensure([(100_000, 101_000), (200_000, 200_500), (100_500, 100_600)])
    assert read(remote, 100_200, 100_900) == BODY[100_200:100_900]
    assert read(remote, 200_000, 200_500) == BODY[200_000:200_500]
    assert read(remote, 150_000, 150_001) is None
    assert server.sent == 16_384 + 1_500
    again = opened(make())
    again.ensure([(100_000, 101_000), (200_400, 200_600)])
    assert spans_of(server)[-1] == "bytes=200500-200599", "neither opened nor fetched again"
    assert make().data_version("x") == remote.copy.version


def test_a_cut_transfer_goes_on_where_it_broke_off(make, server) -> None:
    remote = opened(make())
    server.faults[PATH] = [Fault(cut_at=30_000), Fault(cut_at=0)]
    remote.ensure([(50_000, 150_000)])
    assert read(remote, 50_000, 150_000) == BODY[50_000:150_000]
    assert spans_of(server)[-1] == "bytes=80000-149999"
    assert server.sent == 16_384 + 100_000


def test_what_came_before_it_was_given_up_is_kept(make, server) -> None:
    server.faults[PATH] = [Fault(), Fault(cut_at=30_000), *[Fault(status=503)] * 3]
    with pytest.raises(SourceError, match="answered 503"):
        opened(make()).ensure([(50_000, 150_000)])
    remote = opened(make())
    remote.ensure([(50_000, 150_000)])
    assert server.sent == 16_384 + 100_000
    assert read(remote, 50_000, 150_000) == BODY[50_000:150_000]


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault(ignore_range=True), r"answered 200 instead of a range \(206\)"),
        (Fault(shift=7), r"asked for bytes 50000-50999, and bytes 50007-51006/300008 came"),
        (Fault(headers={"ETag": '"other"'}), "changed while it was read by ranges"),
        (Fault(headers={"Last-Modified": "Mon, 02 Feb 2026 10:00:00 GMT"}), "changed while"),
        (Fault(headers={"Content-Range": "bytes 50000-50999/99"}), "changed while"),
        (Fault(headers={"Content-Range": "none"}), "changed while"),
        (Fault(headers={"Content-Encoding": "gzip"}), r"came packed \(gzip\), unasked"),
        (Fault(status=403), "answered 403"),
    ],
)
def test_what_is_not_the_range_is_refused(make, server, fault, says) -> None:
    remote = opened(make())
    server.faults[PATH] = [fault]
    with pytest.raises(SourceError, match=says):
        remote.ensure([(50_000, 51_000)])
    assert read(remote, 50_000, 51_000) is None


def test_where_one_request_is_refused_no_more_are_made(make, server) -> None:
    remote = opened(make())
    server.faults[PATH] = [Fault(status=403)] * 100
    with pytest.raises(SourceError, match="answered 403"):
        remote.ensure([(at, at + 10) for at in range(20_000, 120_000, 1_000)])
    assert len(server.requests_of(PATH)) < 30


def test_ranges_that_cannot_be_kept_are_said(make, monkeypatch) -> None:
    remote = opened(make())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Segments, "add", full)
    with pytest.raises(SourceError, match=r"human\.h5: what came cannot be kept .*No space left"):
        remote.ensure([(20_000, 20_010)])


def test_several_processes_share_what_came(tmp_path) -> None:
    spans = [[(at * 1_000 + 100 * n, bytes([n]) * 500) for at in range(40)] for n in range(4)]
    with ProcessPoolExecutor(4, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(_add, [tmp_path] * 4, spans))
    segments = Segments(tmp_path)
    for parts in spans:
        for start, body in parts:
            content = segments.read(start, start + len(body))
            assert content is not None
            assert len(content) == len(body)
    size = sum(800 for _ in range(40))
    assert (tmp_path / "bytes").stat().st_size == size, "what two have is kept once"


def _add(folder: Path, parts: list[tuple[int, bytes]]) -> None:
    segments = Segments(folder)
    for part in parts:
        segments.add([part])


def test_a_file_that_changed_is_never_mixed_with_the_new_one(make, server) -> None:
    remote = opened(make())
    before = make().data_version("x")
    server.files[PATH] = HDF5 + BODY[::-1]
    with pytest.raises(SourceError, match="Run again: the new version is then read from its begin"):
        remote.ensure([(50_000, 51_000)])
    new = opened(make())
    assert new.copy.version != before
    assert not remote.copy.folder.exists(), "ranges of the old version are gone"
    new.ensure([(50_000, 51_000)])
    assert read(new, 50_000, 51_000) == server.files[PATH][50_000:51_000]


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault(ignore_range=True), "answered 200 instead of a range.*genept sources fetch x"),
        (Fault(headers={"Content-Range": "bytes 5-20/300008"}), "first bytes, and others came"),
        (Fault(headers={"Content-Range": "bytes 0-16383/*"}), "first bytes, and others came"),
        (Fault(headers={"Content-Range": "bytes 0-16383/1000001"}), "accepts 1,000,000 at most"),
        (Fault(body=b"<html>" + bytes(20_000)), "a web page came instead of the file"),
        (Fault(status=404), "is not there"),
    ],
)
def test_what_cannot_be_read_by_ranges_is_refused(make, server, fault, says) -> None:
    server.faults[PATH] = [fault]
    with pytest.raises(SourceError, match=says):
        make().ranged("x")


def test_a_server_that_tells_no_versions_apart_is_refused(make, server) -> None:
    server.validators = False
    with pytest.raises(SourceError, match="states neither an ETag nor a date"):
        make().ranged("x")


def test_a_date_is_enough_to_tell_versions_apart(make, server) -> None:
    server.etags[PATH] = 'W/"weak"'
    remote = opened(make())
    remote.ensure([(20_000, 20_010)])
    assert server.requests_of(PATH)[-1]["if-range"] == DATED


def test_damage_on_disk_is_noticed_and_fetched_anew(make, server) -> None:
    remote = opened(make())
    remote.ensure([(50_000, 51_000), (60_000, 61_000)])
    kept = remote.copy.folder / "bytes"
    content = bytearray(kept.read_bytes())
    content[content.index(BODY[50_500:50_600])] ^= 1
    kept.write_bytes(content)
    assert read(remote, 50_000, 51_000) is None
    assert read(remote, 60_000, 61_000) == BODY[60_000:61_000]
    again = opened(make())
    again.ensure([(50_000, 51_000), (60_000, 61_000)])
    assert spans_of(server)[-1] == "bytes=50000-50999"
    assert read(again, 50_000, 51_000) == BODY[50_000:51_000]


def test_a_record_that_was_cut_is_not_there(make) -> None:
    remote = opened(make())
    remote.ensure([(50_000, 51_000)])
    index = remote.copy.folder / "index"
    index.write_bytes(index.read_bytes()[:-5])
    assert read(remote, 50_000, 51_000) is None
    opened(make()).ensure([(50_000, 51_000), (70_000, 70_010)])
    assert read(remote, 50_000, 51_000) == BODY[50_000:51_000]
    assert read(remote, 70_000, 70_010) == BODY[70_000:70_010]


def test_a_file_that_is_here_as_a_whole_is_read_there(make, server) -> None:
    make().fetch("x")
    assert make().ranged("x") is None
    assert make(ranges=False).ranged("x") is None


def test_having_it_ready_opens_it_and_sees_a_new_version(make, server) -> None:
    archives = make()
    archives.obtain("x")
    assert server.sent == 16_384, "not the whole file"
    before = archives.data_version("x")
    archives.obtain("x", refresh=True)
    assert archives.data_version("x") == before
    server.files[PATH] = HDF5 + BODY[::-1]
    archives.obtain("x", refresh=True)
    assert archives.data_version("x") != before


Spans = st.lists(
    st.tuples(st.integers(0, 999), st.integers(1, 300)).map(lambda it: (it[0], it[0] + it[1])),
    max_size=8,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(Spans, min_size=1, max_size=4))
def test_segments_hold_exactly_what_was_added(tmp_path_factory, rounds) -> None:
    whole, here = bytes(range(256)) * 6, set[int]()
    folder = tmp_path_factory.mktemp("segments")
    segments = Segments(folder)
    for spans in rounds:
        gaps = segments.missing(spans)
        wanted = {at for start, stop in spans for at in range(start, stop)}
        covered = [at for start, stop in gaps for at in range(start, stop)]
        assert covered == sorted(wanted - here), "what is missing, once, in order"
        segments.add([(start, whole[start:stop]) for start, stop in spans])
        here |= wanted
        for reader in (segments, Segments(folder)):
            for start, stop in spans:
                assert reader.read(start, stop) == whole[start:stop]
            for at in range(0, 1300, 37):
                assert (reader.read(at, at + 1) is not None) == (at in here)


@given(Spans, st.integers(1, 100_000))
def test_requests_cover_what_is_missing_with_little_waste(spans, factor) -> None:
    missing = Segments(Path("none")).missing((a * factor, b * factor) for a, b in spans)
    requests = requests_for(missing)
    assert all(before[1] <= after[0] for before, after in pairwise(requests))
    for start, stop in missing:
        left = [(a, b) for a, b in requests if a < stop and b > start]
        assert left[0][0] <= start
        assert left[-1][1] >= stop
        assert all(a[1] == b[0] for a, b in pairwise(left))
    payload = sum(stop - start for start, stop in missing)
    assert sum(stop - start for start, stop in requests) <= 1.02 * payload
    assert all(stop - start <= 512 << 10 for start, stop in requests)
