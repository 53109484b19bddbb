"""Units for one machine under systemd: its own tools verify them and rate their exposure."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import prefect.settings
import pytest

from genept.common.settings import Settings

PROJECT = Path(__file__).parents[2]
SYSTEMD = PROJECT / "infra" / "systemd"
UNITS = sorted(path.name for path in SYSTEMD.glob("*.service"))
DELETES = "genept-gc.service"
"""Started by its timer, which is off unless somebody enables it."""

EXPOSED_AT_MOST = 20
"""Tenths; systemd calls anything up to 25 `OK` and an untouched service 96."""


def program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units, with the paths of this checkout in place of those of an installed one."""
    kinds = ("*.service", "*.target", "*.timer", "*.d/*")
    for path in (path for kind in kinds for path in SYSTEMD.glob(kind)):
        target = tmp_path / path.relative_to(SYSTEMD)
        target.parent.mkdir(exist_ok=True)
        text = path.read_text().replace("/opt/genept/.venv/bin", str(Path(sys.executable).parent))
        target.write_text(text.replace("/opt/genept", str(PROJECT)))
    return tmp_path


def test_systemd_finds_no_fault_in_the_units(installed: Path) -> None:
    units = [str(installed / name) for name in (*UNITS, "genept.target", "genept-gc.timer")]
    verified = subprocess.run(
        [program("systemd-analyze"), "verify", "--man=no", *units],
        env={"SYSTEMD_UNIT_PATH": f"{installed}:", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert verified.returncode == 0, verified.stderr
    assert not verified.stderr.strip()
    broken = installed / UNITS[0]
    broken.write_text(broken.read_text().replace("ExecStart=", "ExecStrat="))
    rejected = subprocess.run(
        [program("systemd-analyze"), "verify", "--man=no", str(broken)],
        env={"SYSTEMD_UNIT_PATH": f"{installed}:", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=False,
    )
    assert rejected.stderr, "a fault is reported"


@pytest.mark.parametrize("unit", UNITS)
def test_the_exposure_of_a_unit_is_low(installed: Path, unit: str) -> None:
    rated = subprocess.run(
        [
            *(program("systemd-analyze"), "security", "--offline=true", "--no-pager"),
            *(f"--threshold={EXPOSED_AT_MOST}", str(installed / unit)),
        ],
        env={"SYSTEMD_UNIT_PATH": f"{installed}:", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert rated.returncode == 0, rated.stdout[-400:] + rated.stderr


def test_systemd_creates_the_user_folders_and_configuration(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    source = tmp_path / "opt/genept/infra/postgres/dagster.yaml"
    source.parent.mkdir(parents=True)
    shutil.copy(PROJECT / "infra/postgres/dagster.yaml", source)
    commands = [
        [program("systemd-sysusers"), f"--root={tmp_path}", str(SYSTEMD / "sysusers.conf")],
        [
            *(program("systemd-tmpfiles"), f"--root={tmp_path}", "--create"),
            str(SYSTEMD / "tmpfiles.conf"),
        ],
    ]
    for command in commands:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if "Operation not permitted" in result.stderr:
            pytest.skip("only root may give folders to another user")
        assert result.returncode == 0, result.stderr
    passwd = (tmp_path / "etc/passwd").read_text()
    assert re.search(r"^genept:.*:/var/lib/genept:/usr/sbin/nologin$", passwd, re.MULTILINE)
    home = tmp_path / "var/lib/genept/dagster"
    assert home.stat().st_mode & 0o777 == 0o700
    assert (home / "dagster.yaml").read_bytes() == source.read_bytes()


def test_secrets_are_in_a_file_of_root_and_in_no_unit() -> None:
    common = (SYSTEMD / "genept-.service.d" / "common.conf").read_text()
    assert "EnvironmentFile=/etc/genept/secrets.env" in common
    assert "KillMode=control-group" in common
    every = "".join(path.read_text() for path in SYSTEMD.rglob("*") if path.is_file())
    assert not re.findall(r"(?:PASSWORD|SECRET\w*|\w*KEY)=(?!\s*$)", every, re.MULTILINE)


def test_schedules_run_and_the_example_has_known_settings_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    example = (SYSTEMD / "settings.env.example").read_text()
    values = dict(re.findall(r"^(GENEPT_\w+)=(.*)$", example, re.MULTILINE))
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    assert Settings().unattended
    of_the_database = {name for name in values if name.startswith("GENEPT_POSTGRES_")}
    known = {f"GENEPT_{name.upper()}" for name in Settings.model_fields}
    assert set(values) - of_the_database <= known


def test_every_service_belongs_to_the_target_and_binds_loopback() -> None:
    target = ConfigParser(strict=False, interpolation=None)
    target.read(SYSTEMD / "genept.target")
    assert sorted(target["Unit"]["Wants"].split()) == sorted(set(UNITS) - {DELETES})
    for name in UNITS:
        text = (SYSTEMD / name).read_text()
        assert ("PartOf=genept.target" in text) is (name != DELETES)
        assert not re.search(r"(?:-h|--host) (?!127\.0\.0\.1)", text), "it is reached from outside"
        if "webserver " in text:
            assert "-m orchestration.webserver -h 127.0.0.1" in text, "it is guarded"
        if "code-server " in text:
            assert "--socket /run/genept/" in text, "it has no port"
            assert "RuntimeDirectoryMode=0700" in text
    assert "--read-only" in (SYSTEMD / "genept-viewer.service").read_text()


def test_prefect_requires_a_key_and_its_variables_are_known() -> None:
    common = (SYSTEMD / "genept-.service.d" / "common.conf").read_text()
    secrets = (SYSTEMD / "secrets.env.example").read_text()
    assert "PREFECT_API_URL=http://127.0.0.1:4200/api" in common
    server = (SYSTEMD / "genept-prefect.service").read_text()
    assert "prefect server start --host 127.0.0.1 --port 4200" in server
    assert "bin/genept worker" in (SYSTEMD / "genept-worker.service").read_text()
    names = set(re.findall(r"\bPREFECT_\w+(?==)", common + secrets))
    assert {"PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_AUTH_STRING"} <= names
    assert not [name for name in names if not hasattr(prefect.settings, name)], "unknown"
