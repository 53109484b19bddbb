"""Nobody without keys gets anything out of the embedded store or into it, on any port or socket."""

from __future__ import annotations

import json
import os
import pwd
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from attacks import attack

from genept.common.errors import StoreError
from genept.storage import certificates
from genept.storage import embedded_server as server
from genept.storage import embedded_state as state
from genept.storage.certificates import Certificates
from genept.storage.embedded_server import ANY_PRODUCT
from genept.storage.embedded_state import open_ports
from genept.storage.embedded_store import REGION, EmbeddedStore
from genept.storage.object_store import ObjectStore

KEY = "genept/current.json"
CONTENT = {
    KEY: b'{"release_id": "one", "seq": 3}',
    "genept/releases/one/manifest.json": b"{}",
    "genept/releases/one/data/genes/part-00000.parquet": os.urandom(70_000),
}


@pytest.fixture(scope="module")
def filled() -> Iterator[EmbeddedStore]:
    """A store in a folder that everybody may enter, started by a process without a umask."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        store = EmbeddedStore(Path(folder) / "state" / "store")
        before = os.umask(0)
        try:
            store.start()
            with objects(store) as bucket:
                for key, content in CONTENT.items():
                    bucket.put_if_absent(key, content)
            yield store
        finally:
            os.umask(before)
            store.stop()


def objects(store: EmbeddedStore) -> ObjectStore:
    endpoint = store.ensure()
    return ObjectStore(endpoint.url, endpoint.access_key, endpoint.secret_key, REGION, "lake")


@pytest.mark.parametrize("user", ["nobody", "the same user without keys"])
def test_a_process_without_keys_reads_lists_writes_and_deletes_nothing(
    filled: EmbeddedStore, user: str
) -> None:
    is_other = user == "nobody"
    if is_other and os.getuid() != 0:
        pytest.skip("only root can attack as another user")
    uid = pwd.getpwnam("nobody").pw_uid if is_other else None
    status = filled.status()
    files = [path for path in filled.folder.rglob("*") if path.is_file()]
    tried_as, *got = attack(
        psutil.Process(status.pid),
        str(status.url),
        filled.data,
        KEY,
        uid,
        files if is_other else [],
    )
    assert tried_as == f"uid {uid if is_other else os.getuid()}"
    assert got == []
    with objects(filled) as bucket:
        assert {info.key: bucket.get(info.key) for info in bucket.list("")} == CONTENT


@pytest.mark.slow
def test_a_store_of_an_older_version_is_closed_in_place_and_keeps_its_objects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Still running, with the ports, keys and files of a version that knew no certificates."""
    store = EmbeddedStore(tmp_path / "store")
    store.folder.mkdir()
    store.data.mkdir(mode=0o755)
    keys = state.credentials(store.folder)
    identities = state.write_identities(store.folder, "lake", ANY_PRODUCT)
    ports = server.choose_ports({})
    with (tmp_path / "old.log").open("w") as log:
        old = subprocess.Popen(
            [
                *(str(server.program()), "-logtostderr=true", "mini", f"-dir={store.data}"),
                *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-admin.ui=false", "-webdav=false"),
                *(f"-{name}.port={port}" for name, port in ports.items()),
                *(f"-s3.config={identities}", "-s3.autoCreateBucket=false"),
                *("-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"),
            ],
            env={
                "PATH": os.defpath,
                "HOME": str(store.folder),
                **dict.fromkeys(("WEED_JWT_SIGNING_KEY", "WEED_JWT_FILER_SIGNING_KEY"), "x" * 40),
            },
            stderr=log,
        )
    record = {"pid": old.pid, "ports": ports, "identities": "0" * 64}
    (store.folder / "server.json").write_text(json.dumps(record))
    url = f"http://127.0.0.1:{ports['s3']}"
    with ObjectStore(url, keys.access_key, keys.secret_key, REGION, "lake") as bucket:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                bucket.ensure_bucket()
                break
            except StoreError:
                time.sleep(0.1)
        for key, content in CONTENT.items():
            bucket.put_if_absent(key, content)
    try:
        endpoint = store.ensure()
        assert old.poll() is not None, "the server that everybody could use has ended"
        assert (endpoint.url, endpoint.secret_key) == (url, keys.secret_key)
        last = state.last_server(store.folder)
        assert last
        assert open_ports(last.ports, state.certificates(store.folder)) == []
        assert stat.S_IMODE(store.data.stat().st_mode) == 0o700
        with objects(store) as bucket:
            assert {info.key: bucket.get(info.key) for info in bucket.list("")} == CONTENT
    finally:
        store.stop()
        old.kill()
        old.wait()


def test_a_server_whose_ports_are_open_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`weed` itself goes on in plain text when its certificates are of no use to it."""
    store = EmbeddedStore(tmp_path / "store")
    all_of_it = Certificates.environment
    without = {"WEED_HTTPS_ADMIN_CA": ""}
    monkeypatch.setattr(Certificates, "environment", lambda self: all_of_it(self) | without)
    with pytest.raises(StoreError, match=r"any process of this machine.*\(admin\)"):
        store.start()
    assert not store.stop(), "it was stopped at once"


def test_certificates_are_made_once_private_and_renewed_before_they_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.umask(0)
    try:
        made = certificates.ensured(tmp_path / "certificates", ("store", "10.0.0.7"))
    finally:
        os.umask(before)
    assert stat.S_IMODE(made.folder.stat().st_mode) == 0o700
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in made.folder.iterdir()} == {
        "authority.pem": 0o600,
        "store.pem": 0o600,
        "store.key": 0o600,
    }
    assert certificates.ensured(made.folder).fingerprint() == made.fingerprint() != ""
    first = made.fingerprint()
    monkeypatch.setattr(certificates, "RENEWED_BEFORE", certificates.VALID)
    assert made.fingerprint() == ""
    monkeypatch.setattr(certificates, "VALID", certificates.VALID * 3)
    second = certificates.ensured(made.folder).fingerprint()
    assert second not in {"", first}
    made.key.write_text("damaged")
    assert certificates.ensured(made.folder).fingerprint() not in {"", first, second}
