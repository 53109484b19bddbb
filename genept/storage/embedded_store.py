"""The embedded object store: start, stop and status of the SeaweedFS server of one folder.

It is started when first needed, shared by all processes that use the folder, and runs until it is
stopped. Objects belong to `genept.storage.object_store`, the process to
`genept.storage.embedded_server`.
"""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx
import psutil
from filelock import FileLock

from genept.common import StoreError, console, private_folder
from genept.storage import certificates
from genept.storage import embedded_server as server
from genept.storage import embedded_state as state
from genept.storage.embedded_server import ANY_PRODUCT
from genept.storage.embedded_state import Endpoint, LastServer
from genept.storage.object_store import ObjectStore

SECONDS_TO_START: Final = 60.0
SECONDS_TO_ANSWER: Final = 5.0
SECONDS_TO_STOP: Final = 30.0
NEEDED_BYTES: Final = 512 << 20
"""Free disk space below which SeaweedFS is not started."""

REGION: Final = "us-east-1"

SIGNED_PARTS: Final = ("SIGNING", "SIGNING_READ", "FILER_SIGNING", "FILER_SIGNING_READ")


@dataclass(frozen=True)
class Status:
    """Status of the server without a request to it; `since` is its start."""

    running: bool
    url: str | None
    pid: int | None
    since: datetime | None
    data: Path
    log: Path


class EmbeddedStore:
    """The SeaweedFS server of one folder.

    Parameters
    ----------
    folder
        Contains the data, the log, the credentials (mode 600) and `server.json`.
    bucket
        Name of the bucket that `start` and `ensure` create.
    product
        First segment of the keys that the roles may use; all products by default.
    """

    def __init__(self, folder: Path, bucket: str = "lake", product: str = ANY_PRODUCT) -> None:
        self.folder, self.bucket = folder.expanduser().resolve(), bucket
        self.product = product
        self.data, self.log = self.folder / "data", self.folder / "weed.log"

    def ensure(self) -> Endpoint:
        """Return the endpoint of the running server; starts it if necessary, see `start`."""
        last = state.last_server(self.folder)
        return (self._await(last) if last and self._is_up_to_date(last) else None) or self.start()

    def start(self) -> Endpoint:
        """Start the server unless it runs, and wait until it answers signed requests.

        Returns
        -------
        Endpoint
            URL and keys.

        Raises
        ------
        StoreError
            The server is not installed, has no disk space, cannot write its folder, ended, or
            does not answer within a minute; with the end of its log.
        """
        with self._locked():
            last = state.last_server(self.folder)
            if last and self._is_up_to_date(last):
                if endpoint := self._await(last):
                    return endpoint
            elif last and (outdated := server.find(last.pid, self.data)):
                server.end(outdated, SECONDS_TO_STOP)
            if last:
                server.remove_sockets(last.ports)
            console.print(
                f"starting the object store of {self.folder} (`genept store stop` ends it)",
                markup=False,
                soft_wrap=True,
            )
            # The first attempt may lose a port, or meet a server that is still ending.
            for remembered in (last.ports if last else {}, {}):
                if endpoint := self._launch(server.choose_ports(remembered)):
                    return endpoint
            raise StoreError(
                f"the embedded store ended while it started. Its log {self.log} ends:\n"
                f"{self._log_tail()}\nIf another server uses {self.data}, stop that one; if the "
                "disk is full, free some space."
            )

    def stop(self) -> bool:
        """Stop the server of this folder; return whether it was running."""
        if not self.folder.is_dir():
            return False
        with self._locked():
            last, process = self._last_server()
            if last is None or process is None:
                return False
            server.end(process, SECONDS_TO_STOP)
            server.remove_sockets(last.ports)
            state.remember(self.folder, LastServer(None, last.ports, last.identities))
            return True

    def status(self) -> Status:
        """Return whether the server runs, and its URL; starts nothing."""
        last, process = self._last_server()
        if last is None or process is None:
            return Status(False, None, None, None, self.data, self.log)
        since = datetime.fromtimestamp(process.create_time(), UTC)
        return Status(True, last.url, process.pid, since, self.data, self.log)

    def _last_server(self) -> tuple[LastServer | None, psutil.Process | None]:
        """The server that was started last, and its process if it runs."""
        last = state.last_server(self.folder)
        return last, server.find(last.pid, self.data) if last else None

    def flush(self) -> None:
        """Write everything that the server acknowledged to disk.

        Raises
        ------
        StoreError
            The disk failed.
        """
        try:
            state.flush(self.data)
        except OSError as error:
            raise StoreError(
                f"what the embedded store wrote below {self.data} may not be on disk: "
                f"{error.strerror}; look at the disk, then run the command again"
            ) from error

    def _is_up_to_date(self, last: LastServer) -> bool:
        """Whether a server was started with the present keys, policies and certificates."""
        version = state.protection_version(self.folder, self.bucket, self.product)
        return bool(version) and last.identities == version

    def _launch(self, ports: dict[str, int]) -> Endpoint | None:
        weed = server.program()
        identities = state.write_identities(self.folder, self.bucket, self.product)
        self._prepare_folder()
        credentials = state.credentials(self.folder)
        environment = {
            "PATH": os.defpath,
            "HOME": str(self.folder),
            # Internal ports require the certificate …
            **certificates.ensured(state.certificates(self.folder).folder).environment(),
            # … and a token.
            **{f"WEED_JWT_{part}_KEY": credentials.signing_key for part in SIGNED_PARTS},
        }
        command = server.command(weed, self.data, identities, ports)
        pid = server.spawn(command, environment, self.log, self.folder)
        version = state.protection_version(self.folder, self.bucket, self.product)
        launched = LastServer(pid, ports, version)
        state.remember(self.folder, launched)
        if endpoint := self._await(launched):
            self._check_closed(launched)
            with self._client(endpoint) as store:
                store.abort_orphaned_uploads()
        return endpoint

    def open_ports(self) -> list[str]:
        """Return the names of internal ports that accept clients without a certificate."""
        last = state.last_server(self.folder)
        return state.open_ports(last.ports, state.certificates(self.folder)) if last else []

    def _check_closed(self, launched: LastServer) -> None:
        """Stop the server, and raise, unless its internal ports are known to be closed."""
        try:
            open_ports = self.open_ports()
        except OSError as error:
            open_ports = [f"not checked: {error}"]
        if not open_ports:
            return
        if process := server.find(launched.pid, self.data):
            server.end(process, SECONDS_TO_STOP)
        raise StoreError(
            f"the embedded store was stopped: any process of this machine could use its ports "
            f"({', '.join(open_ports)}). Delete {state.certificates(self.folder).folder}, and any "
            f"security.toml of SeaweedFS on this machine; then start it again. Its log ends:\n"
            f"{self._log_tail()}"
        )

    def _await(self, launched: LastServer) -> Endpoint | None:
        """Wait until the server is ready; None if it ended."""
        credentials = state.credentials(self.folder)
        endpoint = Endpoint(
            launched.url, credentials.access_key, credentials.secret_key, credentials
        )
        deadline = time.monotonic() + SECONDS_TO_START
        trouble = "connections are not accepted"
        # S3 answers before the other servers, and all of them are checked.
        ports = {launched.ports["s3"], *state.inner_ports(launched.ports).values()}
        while time.monotonic() < deadline:
            if (process := server.find(launched.pid, self.data)) is None:
                return None
            if server.listens(process, ports):
                try:
                    self._check_ready(endpoint, launched)
                    return endpoint
                except (StoreError, OSError, httpx.HTTPError) as error:
                    trouble = str(error)
            time.sleep(0.05)
        raise StoreError(
            f"the embedded store (process {launched.pid}) is not ready at {launched.url} after "
            f"{SECONDS_TO_START:.0f} s: {trouble}; stop it with `genept store stop`, then start "
            f"it again. Its log ends:\n{self._log_tail()}"
        )

    def _check_ready(self, endpoint: Endpoint, launched: LastServer) -> None:
        """Raise unless the keys are accepted, the bucket exists and all volumes are served."""
        with self._client(endpoint) as store:
            store.ensure_bucket()
        known = state.certificates(self.folder)
        if missing := state.unserved_volumes(self.data, launched.ports["master"], known):
            raise StoreError(f"the volumes {sorted(missing)} below {self.data} are not served yet")

    def _client(self, endpoint: Endpoint) -> ObjectStore:
        return ObjectStore(
            endpoint.url,
            endpoint.access_key,
            endpoint.secret_key,
            REGION,
            self.bucket,
            read_timeout=SECONDS_TO_ANSWER,
        )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Let one process at a time start or stop the server."""
        try:
            private_folder(self.folder)
            with FileLock(self.folder / "lock"):
                yield
        except OSError as error:
            raise StoreError(
                f"the embedded store cannot use its folder {self.folder}: {error.strerror}; "
                "make it writable and free some space, or set GENEPT_STATE_DIR"
            ) from error

    def _prepare_folder(self) -> None:
        """Create the data folder, rotate the log, and check the free disk space."""
        private_folder(self.data)
        if self.log.exists():
            self.log.replace(self.folder / "weed.log.1")
        if (free := shutil.disk_usage(self.data).free) < NEEDED_BYTES:
            raise StoreError(
                f"the disk of {self.data} has {free >> 20} MiB left and the embedded store needs "
                f"{NEEDED_BYTES >> 20}: free some space, or set GENEPT_STATE_DIR to another disk"
            )

    def _log_tail(self) -> str:
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-12:])
        except FileNotFoundError:
            return "(no log)"
