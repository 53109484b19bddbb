"""State of the embedded store: credentials, the last server, volumes; and checks of its ports.

The process is in `genept.storage.embedded_server`, start and stop in
`genept.storage.embedded_store`.
"""

import hashlib
import json
import secrets
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final, TypeVar

import httpx

from genept.common import StoreError, sync, write_privately
from genept.storage.bucket import ROLES, Role
from genept.storage.certificates import Certificates
from genept.storage.embedded_server import GRPC_OFFSET, LOOPBACK, Keys, server_identities


def flush(data: Path) -> None:
    """Write everything that the server of the folder `data` acknowledged to disk (fsync).

    The bytes of objects are written first, then the index of names that refers to them.

    Parameters
    ----------
    data
        The server's data folder.

    Raises
    ------
    OSError
        The disk failed; acknowledged writes may be lost.
    """
    for path in _in_order(data):
        with suppress(FileNotFoundError):  # compacted in the meantime; the new file is durable
            sync(path)


def _in_order(data: Path) -> Iterator[Path]:
    yield from sorted(data.glob("*.dat"))
    yield from sorted(path for path in data.iterdir() if path.suffix in {".idx", ".vif"})
    yield data
    names = data / "filerldb2"
    for folder in sorted(path for path in names.glob("*") if path.is_dir()):
        yield from sorted(path for path in folder.iterdir() if path.is_file())
        yield folder
    if names.is_dir():
        yield names


Record = TypeVar("Record", "Credentials", "LastServer")


@dataclass(frozen=True)
class Credentials:
    """Keys of the operator and the roles, and the key that the servers sign tokens with.

    A store of a version without roles gets the keys of the roles at its next start.
    """

    access_key: str
    secret_key: str = field(repr=False)
    signing_key: str = field(repr=False)
    roles: Mapping[str, dict[str, str]] = field(default_factory=dict, repr=False)

    @property
    def operator(self) -> Keys:
        """Keys of the operator, which have all rights."""
        return Keys(self.access_key, self.secret_key)

    def of(self, role: str) -> Keys:
        """Return the keys of a role. Raises `StoreError` if the store has none yet."""
        if role not in self.roles:
            raise StoreError(
                "the object store was started by an older version, without roles: stop it with "
                "`genept store stop`; the next command starts it anew, with its data"
            )
        return Keys(**self.roles[role])


@dataclass(frozen=True)
class LastServer:
    """The last server of this folder; without a pid, it was stopped.

    `identities` is the hash of identities, policies and certificates.
    """

    pid: int | None
    ports: dict[str, int]
    identities: str = ""

    @property
    def url(self) -> str:
        """URL of the S3 endpoint."""
        return f"http://{LOOPBACK}:{self.ports['s3']}"


@dataclass(frozen=True)
class Endpoint:
    """URL and keys of the server; `access_key` and `secret_key` are the operator's."""

    url: str
    access_key: str
    secret_key: str = field(repr=False)
    credentials: Credentials = field(repr=False)

    def keys(self, role: Role) -> Keys:
        """Return the keys of a role."""
        return self.credentials.of(role)


def credentials(folder: Path) -> Credentials:
    """Return the keys of this store, created once. Raises `StoreError` if the file is damaged."""
    path = folder / "credentials.json"
    if not path.exists():
        fresh = Credentials(**asdict(_new_keys()), signing_key=secrets.token_urlsafe(30))
        _write(path, asdict(_with_roles(fresh)))
    remedy = "stop the store and delete the file: new keys are made, and the data stays"
    return _read(path, Credentials, remedy)


def certificates(folder: Path) -> Certificates:
    """Return the certificates of this store."""
    return Certificates(folder / "certificates")


def protection_version(folder: Path, bucket: str, product: str) -> str:
    """Return a hash of keys, policies and certificates.

    It is empty if roles have no keys, or certificates are missing or expire soon: then the server
    must be restarted.
    """
    known, fingerprint = credentials(folder), certificates(folder).fingerprint()
    if set(ROLES) - set(known.roles) or not fingerprint:
        return ""
    described = json.dumps(_identities(known, bucket, product)) + fingerprint
    return hashlib.sha256(described.encode()).hexdigest()


def write_identities(folder: Path, bucket: str, product: str) -> Path:
    """Write the file of identities and policies; creates missing keys of roles."""
    known, path = _with_roles(credentials(folder)), folder / "identities.json"
    _write(folder / "credentials.json", asdict(known))
    _write(path, _identities(known, bucket, product))
    return path


def _identities(known: Credentials, bucket: str, product: str) -> dict[str, object]:
    keys = {role: known.of(role) for role in ROLES}
    return server_identities(known.operator, keys, bucket, product)


def _with_roles(known: Credentials) -> Credentials:
    """Create keys for roles that have none, as in a store of an older version."""
    return replace(known, roles={it: known.roles.get(it) or asdict(_new_keys()) for it in ROLES})


def _new_keys() -> Keys:
    return Keys(secrets.token_hex(10), secrets.token_urlsafe(30))


def last_server(folder: Path) -> LastServer | None:
    """Return the server that was started last, if any; it may have ended.

    Raises `StoreError` if its file is damaged.
    """
    path = folder / "server.json"
    if not path.exists():
        return None
    return _read(path, LastServer, f"end any `weed` process of {folder} and delete the file")


def remember(folder: Path, started: LastServer) -> None:
    """Record the server that was started."""
    _write(folder / "server.json", asdict(started))


def _read(path: Path, kind: type[Record], remedy: str) -> Record:
    try:
        return kind(**json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise StoreError(f"{path} is damaged ({error}): {remedy}") from error


def _write(path: Path, content: dict[str, object]) -> None:
    write_privately(path, json.dumps(content, indent=1).encode())


SECONDS: Final = 5.0


def inner_ports(ports: Mapping[str, int]) -> dict[str, int]:
    """Return the internal ports of a server (all but S3), by display name."""
    http = {service: port for service, port in ports.items() if service != "s3"}
    grpc = {f"{service}'s gRPC": port + GRPC_OFFSET for service, port in ports.items()}
    return http | grpc


def open_ports(ports: Mapping[str, int], certificates: Certificates) -> list[str]:
    """Return the names of internal ports that accept clients without a valid certificate.

    Raises
    ------
    OSError
        A port does not accept connections.
    """
    known = certificates.client()
    stranger = certificates.client(with_certificate=False)
    return [
        name
        for name, port in inner_ports(ports).items()
        if not _shakes_hands(port, known) or _lets_in(port, stranger)
    ]


def _shakes_hands(port: int, context: ssl.SSLContext) -> bool:
    """Whether the port serves TLS with the certificate of this store."""
    with socket.create_connection((LOOPBACK, port), SECONDS) as connection:
        try:
            context.wrap_socket(connection, server_hostname=LOOPBACK).close()
        except ssl.SSLError:
            return False
    return True


def _lets_in(port: int, context: ssl.SSLContext) -> bool:
    """Whether the port answers after the handshake.

    In TLS 1.3 a client learns only from its first read that a certificate is required.
    """
    with socket.create_connection((LOOPBACK, port), SECONDS) as connection:
        try:
            with context.wrap_socket(connection, server_hostname=LOOPBACK) as channel:
                channel.sendall(b"GET / HTTP/1.0\r\n\r\n")
                channel.recv(1)
        except (ssl.SSLError, ConnectionError):
            return False
    return True


def unserved_volumes(data: Path, master_port: int, certificates: Certificates) -> set[int]:
    """Return the numbers of volumes below `data` that the master does not serve (yet).

    Raises
    ------
    httpx.HTTPError
        The master does not answer.
    """
    on_disk = {int(path.stem.rpartition("_")[2]) for path in data.glob("*.dat")}
    address, context = f"https://{LOOPBACK}:{master_port}/vol/status", certificates.client()
    answer = httpx.get(address, verify=context, timeout=SECONDS, trust_env=False)
    centers = answer.raise_for_status().json()["Volumes"]["DataCenters"] or {}
    served = {
        volume["Id"]
        for racks in centers.values()
        for servers in racks.values()
        for volumes in servers.values()
        for volume in volumes or ()
    }
    return on_disk - served
