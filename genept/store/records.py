"""What the embedded store writes down about itself: its keys, and the server started last.

Both files are for this user's eyes only. Starting and stopping belong to
`genept.store.embedded`.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from genept.private_files import write_privately
from genept.store.certificates import Certificates
from genept.store.errors import StoreError
from genept.store.roles import ROLES, Keys, server_identities
from genept.store.server import LOOPBACK

Record = TypeVar("Record", "Credentials", "LastServer")


@dataclass(frozen=True)
class Credentials:
    """The operator's keys, the key that the server's own parts sign with, and the roles' keys.

    A store that is older than the roles has none of those until its next start.
    """

    access_key: str
    secret_key: str = field(repr=False)
    signing_key: str = field(repr=False)
    roles: Mapping[str, dict[str, str]] = field(default_factory=dict, repr=False)

    @property
    def operator(self) -> Keys:
        """Who may do everything: creates the bucket, ends what killed writers left."""
        return Keys(self.access_key, self.secret_key)

    def of(self, role: str) -> Keys:
        """The keys of a role. Raises `StoreError` where the store has not got any yet."""
        if role not in self.roles:
            raise StoreError(
                "the object store was started by an older version, without roles: stop it with "
                "`genept store stop`; the next command starts it anew, with its data"
            )
        return Keys(**self.roles[role])


@dataclass(frozen=True)
class LastServer:
    """The last server of this folder; without a pid, one that was stopped.

    `identities` is the hash of what says who may do what, and of the certificates.
    """

    pid: int | None
    ports: dict[str, int]
    identities: str = ""

    @property
    def url(self) -> str:
        """Where S3 answers."""
        return f"http://{LOOPBACK}:{self.ports['s3']}"


def credentials(folder: Path) -> Credentials:
    """The keys of this store, made once. Raises `StoreError` when their file is damaged."""
    path = folder / "credentials.json"
    if not path.exists():
        made = Credentials(**asdict(_new_keys()), signing_key=secrets.token_urlsafe(30))
        _write(path, asdict(_with_roles(made)))
    remedy = "stop the store and delete the file: new keys are made, and the data stays"
    return _read(path, Credentials, remedy)


def certificates(folder: Path) -> Certificates:
    """Where this store keeps its certificates."""
    return Certificates(folder / "certificates")


def protection_version(folder: Path, bucket: str, product: str) -> str:
    """Changes with the keys, with what the policies allow, and with the certificates.

    Empty for keys without roles, and where there are no certificates or they end soon: a server
    that was started so is to be started anew.
    """
    known, fingerprint = credentials(folder), certificates(folder).fingerprint()
    if set(ROLES) - set(known.roles) or not fingerprint:
        return ""
    described = json.dumps(_identities(known, bucket, product)) + fingerprint
    return hashlib.sha256(described.encode()).hexdigest()


def write_identities(folder: Path, bucket: str, product: str) -> Path:
    """Write down, for the server, who may do what; roles that have no keys get them first."""
    known, path = _with_roles(credentials(folder)), folder / "identities.json"
    _write(folder / "credentials.json", asdict(known))
    _write(path, _identities(known, bucket, product))
    return path


def _identities(known: Credentials, bucket: str, product: str) -> dict[str, object]:
    keys = {role: known.of(role) for role in ROLES}
    return server_identities(known.operator, keys, bucket, product)


def _with_roles(known: Credentials) -> Credentials:
    """Keys for the roles that have none, as in a store from before there were roles."""
    roles: dict[str, dict[str, str]] = {
        role: known.roles.get(role) or asdict(_new_keys()) for role in ROLES
    }
    return replace(known, roles=roles)


def _new_keys() -> Keys:
    return Keys(secrets.token_hex(10), secrets.token_urlsafe(30))


def last_server(folder: Path) -> LastServer | None:
    """The server that was started last, if any; it may be gone.

    Raises `StoreError` when its file is damaged.
    """
    path = folder / "server.json"
    if not path.exists():
        return None
    return _read(path, LastServer, f"end any `weed` process of {folder} and delete the file")


def remember(folder: Path, started: LastServer) -> None:
    """Write down the server that was started."""
    _write(folder / "server.json", asdict(started))


def _read(path: Path, kind: type[Record], remedy: str) -> Record:
    try:
        return kind(**json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise StoreError(f"{path} is damaged ({error}): {remedy}") from error


def _write(path: Path, content: dict[str, object]) -> None:
    write_privately(path, json.dumps(content, indent=1).encode())
