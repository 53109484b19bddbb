"""Every attack by an archive, in a process that may not use more memory than an honest one."""

from __future__ import annotations

import gzip
import io
import re
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from sources_layouts import tarred, zipped

PROJECT = Path(__file__).parents[2]
MEMORY = 48 << 20
"""What may be used beyond an interpreter with the parsers' imports."""
BOMB = 128 << 20

READER = f"""
import resource, sys
from pathlib import Path
from genept.datasources.download import members, streams
from genept.common.errors import SourceError
used = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + {MEMORY}, used + {MEMORY}))
path, kind = Path(sys.argv[1]), sys.argv[2]
try:
    if kind == 'gzip':
        with path.open('rb') as file, streams.open_gzip_file(file, 'x') as stream:
            while stream.read(1 << 16): pass
    else:
        opener = members.open_zip_member if kind == 'zip' else members.open_tar_member
        with opener(path, 'data.txt', 'x') as stream:
            while stream.read(1 << 16): pass
except SourceError as error:
    print('refused:', error)
"""


def zeros(size: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = bytes(1 << 20)
    parts = [packer.compress(block) for _ in range(size >> 20)]
    return b"".join([*parts, packer.flush()])


def zip_bomb() -> bytes:
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("data.txt", "w", force_zip64=True) as member,
    ):
        for _ in range(BOMB >> 20):
            member.write(bytes(1 << 20))
    return packed.getvalue()


def lying_zip() -> bytes:
    """A bomb that declares to unpack to a hundred bytes, in both of its directories."""
    honest = zipped({"data.txt": bytes(BOMB)})
    return honest.replace(struct.pack("<I", BOMB), struct.pack("<I", 100))


def crowded_zip() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(25_000):
            archive.writestr(str(number), b"")
        archive.writestr("data.txt", b"x")
    return packed.getvalue()


def crowded_tar() -> bytes:
    header = tarfile.TarInfo("a").tobuf()
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return packer.compress(header * 25_000) + packer.flush()


def long_header(kind: bytes) -> bytes:
    """A tar whose next name is longer than all memory; tarfile would read all of it."""
    entry = tarfile.TarInfo("long")
    entry.type, entry.size = kind, BOMB
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [packer.compress(entry.tobuf())]
    parts += [packer.compress(b"a" * (1 << 20)) for _ in range(BOMB >> 20)]
    return b"".join([*parts, packer.flush()])


def tar_with(kind: bytes, name: str = "x/link") -> bytes:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, "/etc/passwd"
    return tarred({"data.txt": b"fine", name: entry})


def zip_link() -> bytes:
    packed = io.BytesIO()
    link = zipfile.ZipInfo("data.txt")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    return packed.getvalue()


ATTACKS: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "gzip bomb": ("gzip", lambda: zeros(BOMB), "decompression bomb"),
    "many gzip bombs in a row": ("gzip", lambda: zeros(BOMB // 3) * 3, "decompression bomb"),
    "zip bomb": ("zip", zip_bomb, "decompression bomb"),
    "zip bomb that lies": ("zip", lying_zip, "damaged|bomb|Overlapped"),
    "tar bomb": ("tar", lambda: tarred({"data.txt": bytes(BOMB)}), "decompression bomb"),
    "zip of 25,000 entries": ("zip", crowded_zip, "more than 20,000 entries"),
    "tar of 25,000 entries": ("tar", crowded_tar, "more than 20,000 entries|bomb"),
    "tar with an endless name": ("tar", lambda: long_header(tarfile.GNUTYPE_LONGNAME), "attack"),
    "tar with an endless link": ("tar", lambda: long_header(tarfile.GNUTYPE_LONGLINK), "attack"),
    "tar with endless attributes": ("tar", lambda: long_header(tarfile.XHDTYPE), "attack"),
    "tar with endless defaults": ("tar", lambda: long_header(tarfile.XGLTYPE), "attack"),
    "tar that leads out": ("tar", lambda: tarred({"../data.txt": b"x"}), "leads out"),
    "zip that leads out": ("zip", lambda: zipped({"../data.txt": b"x"}), "leads out"),
    "zip with an absolute path": ("zip", lambda: zipped({"/data.txt": b"x"}), "leads out"),
    "tar with a link": ("tar", lambda: tar_with(tarfile.SYMTYPE), "link or a device"),
    "tar with a hard link": ("tar", lambda: tar_with(tarfile.LNKTYPE), "link or a device"),
    "tar with a device": ("tar", lambda: tar_with(tarfile.BLKTYPE), "link or a device"),
    "zip with a link": ("zip", zip_link, "link or a device"),
}


def run(tmp_path: Path, data: bytes, kind: str) -> str:
    path = tmp_path / "archive"
    path.write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", READER, str(path), kind],
        cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-800:]
    return done.stdout


@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack_is_refused_under_a_memory_cap(tmp_path: Path, name: str) -> None:
    kind, attack, complaint = ATTACKS[name]
    output = run(tmp_path, attack(), kind)
    assert output.startswith("refused:")
    assert re.search(complaint, output), output


def test_an_honest_archive_is_read_under_the_same_cap(tmp_path: Path) -> None:
    rows = b"".join(f"{n * 2654435761 % 4294967291}\n".encode() for n in range(200_000))
    for kind, data in (
        ("gzip", gzip.compress(rows)),
        ("zip", zipped({"data.txt": rows})),
        ("tar", tarred({"data.txt": rows})),
    ):
        assert run(tmp_path, data, kind) == ""
