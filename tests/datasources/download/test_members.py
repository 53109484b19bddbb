from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from sources_layouts import tarred, zipped

from genept.common.errors import SourceError
from genept.datasources.download import members
from genept.datasources.download.archives import Archives

MakeArchives = Callable[..., Archives]
ZEROS = bytes(4 * members.MEBIBYTE)


def zip_with(entry: zipfile.ZipInfo, content: bytes = b"x") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(entry, content)
    return packed.getvalue()


def tar_entry(kind: bytes, name: str = "x/link") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, "/etc/passwd"
    return entry


def read(archives: Archives, name: str = "data.txt") -> bytes:
    with archives.open_member("x", name) as stream:
        return stream.read()


@pytest.mark.parametrize("name", ["x-1.0/data/a.txt", "data/a.txt", "a.txt"])
@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_a_member_is_found_by_the_end_of_its_path(
    make_archives: MakeArchives, kind: str, name: str
) -> None:
    content = {"x-1.0/data/a.txt": b"alpha", "x-1.0/data/ba.txt": b"beta"}
    data: Any = zipped(content) if kind == "wheel" else (tarred(content), ".tar.gz")
    assert read(make_archives(x=data), name) == b"alpha"


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_a_name_must_fit_exactly_one_member(make_archives: MakeArchives, kind: str) -> None:
    content = {"x/1/a.txt": b"1", "x/2/a.txt": b"2"}
    archives = make_archives(x=zipped(content) if kind == "wheel" else (tarred(content), ".tar.gz"))
    with pytest.raises(SourceError, match="several members"):
        read(archives, "a.txt")
    with pytest.raises(SourceError, match=r"no member 'b\.txt'"):
        read(archives, "b.txt")


@pytest.mark.parametrize("name", ["../data.txt", "/data.txt", "a/../../data.txt", "c:\\data.txt"])
@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_paths_that_lead_out_are_refused(make_archives: MakeArchives, kind: str, name: str) -> None:
    content = {name: b"x", "fine/data.txt": b"y"}
    archives = make_archives(x=zipped(content) if kind == "wheel" else (tarred(content), ".tar.gz"))
    with pytest.raises(SourceError, match="leads out"):
        read(archives, "fine/data.txt")


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_in_a_zip_are_refused(make_archives: MakeArchives, mode: int) -> None:
    entry = zipfile.ZipInfo("data.txt")
    entry.create_system, entry.external_attr = 3, (mode | 0o644) << 16
    with pytest.raises(SourceError, match="link or a device"):
        read(make_archives(x=zip_with(entry)))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_in_a_tar_are_refused(make_archives: MakeArchives, kind: bytes) -> None:
    data = tarred({"x/data.txt": b"fine", "x/link": tar_entry(kind)})
    with pytest.raises(SourceError, match="link or a device"):
        read(make_archives(x=(data, ".tar.gz")))


def test_a_folder_is_not_a_file(make_archives: MakeArchives) -> None:
    data = tarred({"x/data.txt": tar_entry(tarfile.DIRTYPE, "x/data.txt")})
    with pytest.raises(SourceError, match="folder"):
        read(make_archives(x=(data, ".tar.gz")))


def test_a_zip_bomb_is_refused_before_it_is_unpacked(make_archives: MakeArchives) -> None:
    with pytest.raises(SourceError, match=r"declares 4,194,304 bytes.*bomb"):
        read(make_archives(x=zipped({"data.txt": ZEROS})))


def test_a_tar_bomb_is_refused(make_archives: MakeArchives) -> None:
    with pytest.raises(SourceError, match="bomb"):
        read(make_archives(x=(tarred({"data.txt": ZEROS}), ".tar.gz")))


def test_a_gzip_bomb_inside_a_member_is_refused(make_archives: MakeArchives) -> None:
    archives = make_archives(x=zipped({"data.gz": gzip.compress(ZEROS, mtime=0)}))
    with (
        pytest.raises(SourceError, match="bomb"),
        archives.open_nested("x", "data.gz") as stream,
    ):
        stream.read()


def test_a_zip_bomb_inside_a_member_is_refused(make_archives: MakeArchives) -> None:
    archives = make_archives(x=zipped({"data.zip": zipped({"data": ZEROS})}))
    with (
        pytest.raises(SourceError, match="bomb"),
        archives.open_nested("x", "data.zip", "data"),
    ):
        pass


def test_a_stream_that_outgrows_what_was_declared_is_stopped() -> None:
    stream = members.capped(io.BytesIO(ZEROS), packed=10, what="lies")
    with pytest.raises(SourceError, match=r"lies: unpacks to more than 1,050,576 bytes"):
        stream.read()


def test_the_byte_cap_holds_whatever_the_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "MAX_BYTES", 100)
    stream = members.capped(io.BytesIO(bytes(101)), packed=101, what="big")
    with pytest.raises(SourceError, match="more than 100 bytes"):
        stream.read()
    assert len(members.capped(io.BytesIO(bytes(100)), packed=100, what="fits").read()) == 100


def test_a_wrong_crc_is_damage(make_archives: MakeArchives) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("data.txt", b"the right content")
    data = packed.getvalue().replace(b"the right content", b"the wrong content")
    with pytest.raises(SourceError, match=r"data\.txt: is damaged.*CRC"):
        read(make_archives(x=data))


@pytest.mark.parametrize("cut", [0, 1, 20, 60])
def test_a_truncated_zip_is_damage(make_archives: MakeArchives, cut: int) -> None:
    data = zipped({"data.txt": bytes(range(256)) * 4})
    with pytest.raises(SourceError, match=r"damaged|cut short"):
        read(make_archives(x=data[: cut or 1]))


def test_a_truncated_sdist_is_damage(make_archives: MakeArchives) -> None:
    data = tarred({"data.txt": bytes(range(256)) * 40})
    with pytest.raises(SourceError, match=r"damaged|cut short"):
        read(make_archives(x=(data[: len(data) // 2], ".tar.gz")))


def test_a_web_page_under_an_archives_name_is_refused(make_archives: MakeArchives) -> None:
    page = b"<!DOCTYPE html><html>Please log in</html>"
    with pytest.raises(SourceError, match="damaged"):
        read(make_archives(x=page))
    with pytest.raises(SourceError, match="damaged"):
        read(make_archives(x=(page, ".tar.gz")))


GOOD = gzip.compress(b"0123456789" * 50, mtime=0)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "is empty"),
        (b"<html>", "begins with b'<html>'"),
        (GOOD[:-12], "cut short"),
        (GOOD[:-8] + bytes(8), "CRC"),
        (GOOD + b"trailing", "damaged"),
    ],
)
def test_damaged_gzip_inside_a_member_is_refused(
    make_archives: MakeArchives, data: bytes, complaint: str
) -> None:
    archives = make_archives(x=zipped({"data.gz": data}))
    with (
        pytest.raises(SourceError, match=complaint),
        archives.open_nested("x", "data.gz") as stream,
    ):
        stream.read()


def test_what_is_packed_twice_is_read(make_archives: MakeArchives) -> None:
    archives = make_archives(
        x=zipped({"a/data.gz": GOOD, "a/data.zip": zipped({"inner": b"content"})})
    )
    with archives.open_nested("x", "data.gz") as stream:
        assert stream.read() == b"0123456789" * 50
    with archives.open_nested("x", "a/data.zip", "inner") as stream:
        assert stream.read() == b"content"
