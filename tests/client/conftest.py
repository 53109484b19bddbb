"""What tests of readers share."""

from importlib.resources import files
from pathlib import Path

import duckdb
import pytest


@pytest.fixture(scope="session")
def duckdb_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder with DuckDB's extensions, as after INSTALL: the tests have no network."""
    folder = tmp_path_factory.mktemp("home")
    (platform,) = duckdb.execute("PRAGMA platform").fetchone()
    place = folder / ".duckdb" / "extensions" / f"v{duckdb.__version__}" / platform
    place.mkdir(parents=True)
    for name in ("httpfs", "ducklake"):
        packaged = files(f"duckdb_extension_{name}") / "extensions" / f"v{duckdb.__version__}"
        (place / f"{name}.duckdb_extension").symlink_to(str(packaged / f"{name}.duckdb_extension"))
    return folder
