"""Sources from addresses and mirrors, against a publisher on loopback that misbehaves."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from publisher import Fault, Publisher, publisher
from sources_layouts import source_entry, tarred, zipped

from genept.common.display import console
from genept.common.errors import SourceError
from genept.datasources.catalogue import Catalogue
from genept.datasources.download.archives import Archives
from genept.datasources.download.http import RetryPolicy, Web
from genept.datasources.download.mirrors import SourceLocations
from genept.datasources.download.network import Network

TABLE = b"symbol\tid\n" + b"".join(f"GENE{n}\tENSG{n:011}\n".encode() for n in range(20_000))
PAGE = b"<!DOCTYPE html><html><body>Service unavailable</body></html>"
PUBLIC = {
    "title": "a table",
    "publisher": "the tests",
    "address": "https://data.example.org/x/table.tsv",
    "bytes": 2_000_000,
    "licence": "CC0-1.0",
    "redistributable": True,
    "citation": "none",
    "checksum": "etag",
}
RETRY_POLICY = RetryPolicy(attempts=3, first_wait=0.001, longest_wait=5, slowest=5000, window=0.2)


def pin(data: bytes) -> dict[str, Any]:
    return {"checksum": None, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


@pytest.fixture
def server() -> Iterator[Publisher]:
    with publisher() as running:
        running.files["table.tsv"] = TABLE
        yield running


@pytest.fixture
def make(server: Publisher, tmp_path: Path) -> Callable[..., Archives]:
    """Archives with one source `x`, its address overridden by the loopback publisher's."""

    def archives_with(
        *, mirrors: tuple[str, ...] = (), override: bool = True, **changes: Any
    ) -> Archives:
        entry = {name: value for name, value in (PUBLIC | changes).items() if value is not None}
        name = entry["address"].rsplit("/", 1)[-1] if "address" in entry else ""
        locations = SourceLocations(mirrors, {"x": f"{server.url}/{name}"} if override else {})
        web = Web(Network(connect_timeout=2, read_timeout=0.5), RETRY_POLICY)
        catalogue = Catalogue.model_validate({"sources": {"x": entry}, "collections": {}})
        return Archives(catalogue, tmp_path / "state", locations=locations, web=web)

    return archives_with


Make = Callable[..., Archives]


def left_over(archives: Archives) -> set[str]:
    folder = archives.folder / "x"
    return {path.name for path in folder.iterdir()} - {".lock"} if folder.exists() else set()


def test_a_file_is_streamed_verified_and_remembered(make: Make, server: Publisher) -> None:
    archives = make(**pin(TABLE))
    assert not archives.is_cached("x")
    path = archives.fetch("x")
    assert path.read_bytes() == TABLE
    assert archives.is_cached("x")
    assert left_over(archives) == {"table.tsv", "seen.json"}
    assert make(**pin(TABLE)).fetch("x") == path
    assert len(server.seen) == 1
    assert archives.data_version("x") == hashlib.sha256(TABLE).hexdigest()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_passing_trouble_is_waited_out(make: Make, server: Publisher, status: int) -> None:
    server.faults["table.tsv"] = [Fault(status=status, headers={"Retry-After": "0"})] * 2
    assert make().fetch("x").read_bytes() == TABLE
    assert len(server.seen) == 3


def test_lasting_trouble_ends(make: Make, server: Publisher) -> None:
    server.faults["table.tsv"] = [Fault(status=503)] * 99
    archives = make()
    with pytest.raises(SourceError, match=r"x cannot be had: .*answered 503.*GENEPT_MIRRORS"):
        archives.fetch("x")
    assert len(server.seen) == RETRY_POLICY.attempts
    assert left_over(archives) == set()


def test_a_server_that_wants_a_long_rest_gets_it(make: Make, server: Publisher) -> None:
    server.faults["table.tsv"] = [Fault(status=429, headers={"Retry-After": "3600"})]
    with pytest.raises(SourceError, match="come back in 3600 s"):
        make().fetch("x")
    assert len(server.seen) == 1


def test_a_refusal_is_not_repeated(make: Make, server: Publisher) -> None:
    server.faults["table.tsv"] = [Fault(status=403)]
    with pytest.raises(SourceError, match="answered 403"):
        make().fetch("x")
    assert len(server.seen) == 1


def test_a_broken_transfer_goes_on_where_it_broke(make: Make, server: Publisher) -> None:
    server.faults["table.tsv"] = [Fault(cut_at=100_000), Fault(cut_at=100_000)]
    assert make(**pin(TABLE)).fetch("x").read_bytes() == TABLE
    first, second, third = server.requests_of("table.tsv")
    assert "range" not in first
    for later in (second, third):
        assert later["if-range"].startswith('"')
    starts = [int(later["range"][6:-1]) for later in (second, third)]
    assert 0 < starts[0] < starts[1] <= 200_000


def test_another_process_goes_on_too(make: Make, server: Publisher) -> None:
    server.faults["table.tsv"] = [Fault(cut_at=150_000)] + [Fault(status=503)] * 3
    with pytest.raises(SourceError):
        make().fetch("x")
    assert left_over(make()) == {"table.tsv.partial", "table.tsv.partial.json"}
    assert make().fetch("x").read_bytes() == TABLE
    assert int(server.seen[-1][1]["range"][6:-1]) > 0


def test_a_file_that_changed_meanwhile_is_taken_anew(make: Make, server: Publisher) -> None:
    server.faults["table.tsv"] = [Fault(cut_at=100_000)]
    newer = TABLE[::-1]
    archives = make()
    folder = archives.folder / "x"
    server.faults["table.tsv"] += [Fault(status=503)] * 3
    with pytest.raises(SourceError):
        archives.fetch("x")
    assert (folder / "table.tsv.partial").stat().st_size > 0
    server.files["table.tsv"] = newer
    assert archives.fetch("x").read_bytes() == newer


def test_a_206_of_another_version_is_not_glued_on(make: Make, server: Publisher) -> None:
    mixed = Fault(status=206, headers={"Content-Range": "bytes 5-9/10", "ETag": '"other"'})
    server.faults["table.tsv"] = [Fault(cut_at=100_000), mixed]
    assert make().fetch("x").read_bytes() == TABLE


def test_a_server_without_ranges_sends_all_again(make: Make, server: Publisher) -> None:
    server.faults["table.tsv"] = [Fault(cut_at=100_000), Fault(ignore_range=True)]
    assert make(**pin(TABLE)).fetch("x").read_bytes() == TABLE


def test_a_transfer_that_never_gets_further_ends(make: Make, server: Publisher) -> None:
    server.faults["table.tsv"] = [Fault(cut_at=100_000, ignore_range=True)] * 99
    with pytest.raises(SourceError, match="the transfer broke off"):
        make().fetch("x")
    assert len(server.seen) <= 3 * RETRY_POLICY.attempts


def test_without_validators_nothing_is_resumed(make: Make, server: Publisher) -> None:
    server.validators = False
    server.faults["table.tsv"] = [Fault(cut_at=100_000)]
    assert make().fetch("x").read_bytes() == TABLE
    assert all("range" not in headers for headers in server.requests_of("table.tsv"))


def test_a_range_beyond_the_end_starts_anew(make: Make, server: Publisher) -> None:
    archives = make()
    folder = archives.folder / "x"
    folder.mkdir(parents=True)
    (folder / "table.tsv.partial").write_bytes(TABLE)
    note = {"place": f"{server.url}/table.tsv", "modified": None}
    etag = f'"{hashlib.md5(TABLE).hexdigest()}"'  # noqa: S324
    (folder / "table.tsv.partial.json").write_text(json.dumps(note | {"etag": etag}))
    assert archives.fetch("x").read_bytes() == TABLE


@pytest.mark.parametrize(
    ("body", "media", "complaint"),
    [
        (PAGE, "gzip", "a web page came instead"),
        (b"\xef\xbb\xbf \r\n<html>", "plain", "a web page came instead"),
        (b"<?xml version='1.0'?><Error/>", "plain", "a web page came instead"),
        (PAGE.decode().encode("utf-16"), "plain", "a web page came instead"),
        (b"", "gzip", r"empty \(0 bytes\)"),
        (b"", "plain", r"empty \(0 bytes\)"),
        (TABLE[:900], "gzip", "expected gzip, but it begins with"),
        (TABLE[:900], "h5", "expected h5"),
        (TABLE[:900], "zip", "expected zip"),
        (b"\x80\x04\x95pickle", "plain", "expected plain text"),
        (gzip.compress(TABLE), "plain", "expected plain text"),
        (b"a\0b", "plain", "expected plain text"),
    ],
)
def test_what_is_no_such_file_is_refused_twice_and_not_kept(
    make: Make, server: Publisher, body: bytes, media: str, complaint: str
) -> None:
    server.files["table.tsv"] = body
    archives = make(media=media)
    with pytest.raises(SourceError, match=complaint + r".*fetched twice"):
        archives.fetch("x")
    assert len(server.seen) == 2
    assert left_over(archives) == set()


def test_a_web_page_that_goes_away_does_no_harm(make: Make, server: Publisher) -> None:
    server.faults["table.tsv"] = [Fault(body=PAGE)]
    assert make().fetch("x").read_bytes() == TABLE


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (TABLE[:-1], r"table.tsv has 508,899 bytes, expected 508,900"),
        (TABLE.replace(b"GENE7\t", b"GENE8\t"), "has SHA-256 .* expected"),
        (TABLE + b"x", "accepts .* at most"),
    ],
)
def test_other_bytes_than_the_pinned_ones_are_refetched_once_then_refused(
    make: Make, server: Publisher, data: bytes, complaint: str
) -> None:
    archives = make(**pin(TABLE))
    server.faults["table.tsv"] = [Fault(body=data)]
    assert archives.fetch("x").read_bytes() == TABLE
    assert len(server.seen) == 2
    (archives.folder / "x" / "table.tsv").unlink()
    server.files["table.tsv"] = data
    with pytest.raises(SourceError, match=complaint):
        make(**pin(TABLE)).fetch("x")
    assert len(server.seen) == 4


def test_a_file_without_length_may_not_grow_beyond_its_bound(make: Make, server: Publisher) -> None:
    with pytest.raises(SourceError, match=r"accepts 1,000 at most.*raise `bytes`"):
        make(bytes=1000).fetch("x")


@pytest.mark.parametrize(
    ("listing", "complaint"),
    [
        ("{good}  ./table.tsv\n{bad}  other.tsv\n", None),
        ("{good}", None),
        ("MD5 (table.tsv) = {good}\n", None),
        ("{bad}  table.tsv\n{good}  other.tsv\n", "has md5 .* published is 0{32}"),
        ("{bad}  a\n{good}  b\n", "states 0 md5 sums of table.tsv"),
        ("{bad}  table.tsv\n{good}  table.tsv\n", "states 2 md5 sums"),
    ],
)
def test_a_published_checksum_is_looked_up_and_held(
    make: Make, server: Publisher, listing: str, complaint: str | None
) -> None:
    good = hashlib.md5(TABLE).hexdigest()  # noqa: S324
    server.files["MD5SUMS"] = listing.format(good=good, bad="0" * 32).encode()
    rule = {"algorithm": "md5", "address": "https://data.example.org/x/MD5SUMS"}
    archives = make(checksum=rule)
    if complaint is None:
        assert archives.fetch("x").read_bytes() == TABLE
    else:
        with pytest.raises(SourceError, match=complaint):
            archives.fetch("x")


def test_a_server_that_hangs_is_given_up(make: Make, server: Publisher) -> None:
    server.faults["table.tsv"] = [Fault(hang=True)] * 3
    with pytest.raises(SourceError, match="does not answer"):
        make().fetch("x")


def test_a_trickle_is_no_transfer(make: Make, server: Publisher) -> None:
    server.faults["table.tsv"] = [Fault(trickle=True), Fault()]
    assert make().fetch("x").read_bytes() == TABLE
    assert "range" in server.seen[-1][1]


def test_nobody_there_is_said_so(make: Make, tmp_path: Path) -> None:
    archives = make()
    archives.locations.addresses["x"] = "http://127.0.0.1:9/table.tsv"
    with pytest.raises(SourceError, match=r"http://127\.0\.0\.1:9/table\.tsv does not answer"):
        archives.fetch("x")


def test_an_unchanged_source_costs_one_request_when_due_and_none_before(
    make: Make, server: Publisher
) -> None:
    archives = make(refresh="daily")
    path = archives.fetch("x")
    make(refresh="daily").fetch("x")
    assert len(server.seen) == 1
    age(path.parent)
    make(refresh="daily").fetch("x")
    assert len(server.seen) == 2
    assert server.seen[-1][1]["if-none-match"].startswith('"')
    make(refresh="daily").fetch("x")
    assert len(server.seen) == 2


def age(folder: Path) -> None:
    memory = json.loads((folder / "seen.json").read_text())
    memory["checked_at"] = "2020-01-01T00:00:00+00:00"
    (folder / "seen.json").write_text(json.dumps(memory))


def test_news_are_fetched_and_a_run_keeps_what_it_began_with(make: Make, server: Publisher) -> None:
    archives = make(refresh="daily")
    path = archives.fetch("x")
    before = archives.data_version("x")
    server.files["table.tsv"] = TABLE + b"NEW\t1\n"
    age(path.parent)
    assert archives.data_version("x") == before
    later = make(refresh="daily")
    assert later.fetch("x").read_bytes().endswith(b"NEW\t1\n")
    assert later.data_version("x") != before
    seen = later.cache_metadata("x")
    assert seen is not None
    assert seen.released is not None
    assert seen.released.date() == date(2026, 2, 1)


def test_without_the_publisher_the_last_copy_serves_and_says_so(
    make: Make, server: Publisher
) -> None:
    path = make(refresh="daily").fetch("x")
    age(path.parent)
    server.faults["table.tsv"] = [Fault(status=503)] * 9
    with console.capture() as printed:
        assert make(refresh="daily").fetch("x").read_bytes() == TABLE
    assert "could not be checked for a new version" in printed.get()


def test_a_copy_that_was_touched_is_fetched_again(make: Make, server: Publisher) -> None:
    archives = make()
    path = archives.fetch("x")
    path.write_bytes(b"tampered")
    assert not archives.is_cached("x")
    assert archives.fetch("x").read_bytes() == TABLE


def test_observation_is_one_conditional_request(make: Make, server: Publisher) -> None:
    archives = make()
    absent = archives.probe("x")
    assert (absent.state, absent.requests) == ("absent", 1)
    archives.fetch("x")
    n_requests = len(server.seen)
    same = archives.probe("x")
    assert (same.state, same.data_version) == ("unchanged", absent.data_version)
    assert len(server.seen) == n_requests + 1
    server.files["table.tsv"] = TABLE[::-1]
    news = archives.probe("x")
    assert news.state == "changed"
    assert news.data_version != same.data_version
    pinned = make(**pin(TABLE)).probe("x")
    assert (pinned.state, pinned.requests) == ("pinned", 0)
    assert len(server.seen) == n_requests + 2


def test_a_folder_is_asked_first_and_used_where_it_lies(
    make: Make, server: Publisher, tmp_path: Path
) -> None:
    (tmp_path / "mirror" / "x").mkdir(parents=True)
    held = tmp_path / "mirror" / "x" / "table.tsv"
    held.write_bytes(TABLE)
    archives = make(mirrors=(str(tmp_path / "nowhere"), str(tmp_path / "mirror")), **pin(TABLE))
    assert archives.fetch("x") == held
    assert server.seen == []


def test_a_wrong_file_in_a_mirror_is_passed_over_aloud(
    make: Make, server: Publisher, tmp_path: Path
) -> None:
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "t.tsv").write_bytes(TABLE[:-1])
    with console.capture() as printed:
        archives = make(mirrors=(str(tmp_path / "mirror"),), mirror="t.tsv", **pin(TABLE))
        assert archives.fetch("x").read_bytes() == TABLE
    assert "passed over" in " ".join(printed.get().split())
    assert len(server.seen) == 1


def test_a_file_of_a_folder_that_is_no_mirror_any_more_is_not_available(
    make: Make, server: Publisher, tmp_path: Path
) -> None:
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "t.tsv").write_bytes(TABLE)
    with_mirror = make(mirrors=(str(tmp_path / "mirror"),), mirror="t.tsv")
    assert with_mirror.is_available("x")
    with_mirror.fetch("x")
    without = make(mirror="t.tsv")
    assert not without.is_available("x")
    assert server.seen == []
    without.fetch("x")
    assert without.is_available("x")


def test_a_mirror_behind_http_is_asked_before_the_publisher(make: Make, server: Publisher) -> None:
    server.files["mirror/x/table.tsv"] = TABLE
    archives = make(mirrors=(f"{server.url}/other", f"{server.url}/mirror"), **pin(TABLE))
    assert archives.fetch("x").read_bytes() == TABLE
    assert [path for path, _ in server.seen] == ["other/x/table.tsv", "mirror/x/table.tsv"]


def test_what_only_a_mirror_has_says_so(make: Make) -> None:
    archives = make(address=None, mirror="t.tsv", override=False, **pin(TABLE))
    with pytest.raises(SourceError, match="no mirror has it, and it has no public address"):
        archives.fetch("x")


def test_a_package_comes_from_a_mirror_too(tmp_path: Path) -> None:
    wheel = zipped({"x/data.txt": b"hello"})
    entry = source_entry("x", wheel)
    held = tmp_path / "mirror" / "packages" / entry["filename"]
    held.parent.mkdir(parents=True)
    held.write_bytes(wheel)
    catalogue = Catalogue.model_validate({"sources": {"x": entry}, "collections": {}})
    locations = SourceLocations((str(tmp_path / "mirror"),))
    archives = Archives(catalogue, tmp_path / "state", locations=locations)
    assert archives.fetch("x") == held
    with archives.open_member("x", "data.txt") as stream:
        assert stream.read() == b"hello"


def test_every_kind_is_opened_through_one_door(make: Make, server: Publisher) -> None:
    with make().open("x") as stream:
        assert stream.read() == TABLE
    server.files["t.gz"] = gzip.compress(TABLE)
    packed = make(address="https://data.example.org/t.gz", media="gzip")
    with packed.open("x") as stream:
        assert stream.read() == TABLE
    with pytest.raises(SourceError, match="has no members"), packed.open_member("x", "a"):
        pass
    for name, data, media in (
        ("t.zip", zipped({"in/a.txt": b"1"}), "zip"),
        ("t.tar.gz", tarred({"in/a.txt": b"1"}), "tar"),
    ):
        server.files[name] = data
        several = make(address=f"https://data.example.org/{name}", media=media)
        with several.open_member("x", "a.txt") as stream:
            assert stream.read() == b"1"
        with pytest.raises(SourceError, match="several files"), several.open("x"):
            pass


@pytest.mark.parametrize(
    ("damaged", "complaint"),
    [
        (gzip.compress(TABLE)[:-100], "damaged or cut short"),
        (gzip.compress(TABLE)[:-8] + bytes(8), "damaged or cut short"),
        (gzip.compress(TABLE) + b"trailing", "damaged or cut short"),
        (gzip.compress(bytes(50_000_000)), "decompression bomb"),
    ],
)
def test_damaged_gzip_is_refused_when_it_is_read(
    make: Make, server: Publisher, damaged: bytes, complaint: str
) -> None:
    server.files["t.gz"] = damaged
    archives = make(address="https://data.example.org/t.gz", media="gzip")
    with archives.open("x") as stream, pytest.raises(SourceError, match=complaint):
        list(iter(lambda: stream.read(1 << 16), b""))


def test_a_file_of_a_pattern_is_named_after_a_colon(make: Make, server: Publisher) -> None:
    server.files["GSE2nnn/GSE2034.txt"] = b"!Series\n"
    archives = make(
        address="https://data.example.org/{stem}nnn/{series}.txt",
        pattern=r"(?P<series>(?P<stem>GSE\d*?)\d{1,3})",
    )
    archives.locations.addresses["x"] = server.url + "/GSE2nnn/{}.txt"
    assert archives.fetch("x:GSE2034").read_bytes() == b"!Series\n"
    assert archives.cache_metadata("x:GSE2034") is not None
    for wrong in ("x:GSE", "x:../../etc", "x:GSE2034/.."):
        with pytest.raises(SourceError, match="after the colon"):
            archives.fetch(wrong)
    with pytest.raises(SourceError, match="stands for many files"):
        archives.fetch("x")


def test_an_override_of_an_unknown_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"GENEPT_ADDRESSES .*\['y'\]"):
        Archives(
            Catalogue(sources={}, collections={}),
            tmp_path,
            locations=SourceLocations((), {"y": "http://h/"}),
        )
