"""What the embedded store writes down about itself: its keys, and the server started last.

Both files are for this user's eyes only. Starting and stopping belong to
`genept.store.embedded`.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeVar

from genept.store.errors import StoreError
from genept.store.server import LOOPBACK

Record = TypeVar("Record", "Credentials", "LastServer")


@dataclass(frozen=True)
class Credentials:
    """The keys of clients, and the key that the server's own parts sign with."""

    access_key: str
    secret_key: str = field(repr=False)
    signing_key: str = field(repr=False)


@dataclass(frozen=True)
class LastServer:
    """The last server of this folder; without a pid, one that was stopped."""

    pid: int | None
    ports: dict[str, int]

    @property
    def url(self) -> str:
        """Where S3 answers."""
        return f"http://{LOOPBACK}:{self.ports['s3']}"


def credentials(folder: Path) -> Credentials:
    """The keys of this store, made once. Raises `StoreError` when their file is damaged."""
    path = folder / "credentials.json"
    if not path.exists():
        made = Credentials(
            secrets.token_hex(10), secrets.token_urlsafe(30), secrets.token_urlsafe(30)
        )
        _write_privately(path, asdict(made))
    remedy = "stop the store and delete the file: new keys are made, and the data stays"
    return _read(path, Credentials, remedy)


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
    _write_privately(folder / "server.json", asdict(started))


def _read(path: Path, kind: type[Record], remedy: str) -> Record:
    try:
        return kind(**json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise StoreError(f"{path} is damaged ({error}): {remedy}") from error


def _write_privately(path: Path, content: dict[str, object]) -> None:
    """Write JSON that only this user may read, whole or not at all."""
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        json.dump(content, stream, indent=1)
    part.replace(path)
