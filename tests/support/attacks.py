"""Run `stranger.py`, a process without keys that attacks a running `weed`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil
from self_signed import self_signed

STRANGER = Path(__file__).with_name("stranger.py")


def listening(process: psutil.Process) -> tuple[list[tuple[str, int]], list[str]]:
    """Every address and every socket at which the process accepts connections."""
    ports = sorted(
        (connection.laddr.ip, connection.laddr.port)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    )
    folder = Path(process.cwd())
    paths = {connection.laddr for connection in process.net_connections("unix")}
    return ports, sorted(str(folder / path) for path in paths if path)


def stored_fid(data: Path) -> str:
    """The address of a piece of data as the volume server knows it: volume, key, cookie."""
    index = next(path for path in sorted(data.glob("*.idx")) if path.stat().st_size)
    key = index.read_bytes()[:8]
    offset = int.from_bytes(index.read_bytes()[8:12], "big") * 8
    cookie = index.with_suffix(".dat").read_bytes()[offset : offset + 4]
    volume = index.stem.rpartition("_")[2]
    return f"{volume},{key.hex().lstrip('0')}{cookie.hex()}"


def attack(
    process: psutil.Process,
    url: str,
    data: Path,
    key: str,
    user: int | None,
    files: Sequence[Path] = (),
) -> list[str]:
    """Requests of the stranger that were answered; the first entry is its user.

    `url` is where S3 answers, `data` the server's folder, `key` an object in the bucket `lake`;
    of `files` none may be readable.
    """
    ports, sockets = listening(process)
    certificate, private = self_signed("stranger")
    target = {
        "user": user,
        "s3": int(url.rpartition(":")[2]),
        "ports": ports,
        "sockets": sockets,
        "files": [str(path) for path in files],
        "bucket": "lake",
        "key": key,
        "fid": stored_fid(data),
        "certificate": certificate,
        "certificate_key": private,
    }
    finished = subprocess.run(
        [sys.executable, str(STRANGER)],
        input=json.dumps(target),
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert finished.returncode == 0, finished.stderr
    got = json.loads(finished.stdout)
    assert isinstance(got, list)
    return got
