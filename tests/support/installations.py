"""A whole installation for a test: its own state folder, store and Dagster instance."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from genept.common.settings import Settings
from genept.storage.object_store import ObjectStore

PROJECT = Path(__file__).parents[2]
SMALL = {
    "GENEPT_COLLECTIONS": '["pbmc-hao", "prostate"]',
    "GENEPT_SPACES": '["lsa-384/name-go", "random-384/name-go"]',
    "GENEPT_MAX_GENES": "6000",
}
"""Limits under which the whole graph runs in seconds; its releases are marked partial."""


def storage_settings(store: ObjectStore) -> dict[str, str]:
    """Settings of an installation over a store that runs already."""
    access = store.access
    return {
        "s3_endpoint": str(access.endpoint_url),
        "s3_access_key": access.access_key,
        "s3_secret_key": access.secret_key,
        "s3_region": access.region,
        "bucket": access.bucket,
    }


def settings_over(store: ObjectStore, folder: Path, name: str) -> Settings:
    """An installation over a running store, whose product nobody else publishes."""
    product = f"{name}-{secrets.token_hex(4)}"
    return Settings(state_dir=folder, product=product, **storage_settings(store))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Installation:
    """A state folder, and the command line over it."""

    state: Path

    @property
    def settings(self) -> Settings:
        """Settings as the command line of this installation reads them."""
        return Settings(
            state_dir=self.state,
            collections=("pbmc-hao", "prostate"),
            spaces=("lsa-384/name-go", "random-384/name-go"),
            max_genes=6000,
        )

    def environment(self, **extra: str) -> dict[str, str]:
        """Environment of a command."""
        return {**os.environ, **SMALL, "GENEPT_STATE_DIR": str(self.state), **extra}

    def genept(
        self, *arguments: str, env: Mapping[str, str] | None = None, timeout: float = 240
    ) -> subprocess.CompletedProcess[str]:
        """Run `genept …` as a user would, to its end."""
        return subprocess.run(
            self.command(*arguments),
            cwd=PROJECT,
            env=self.environment(**(env or {})),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def command(self, *arguments: str) -> list[str]:
        """Arguments of the command, for tests that start it without waiting for its end."""
        return [sys.executable, "-m", "genept.cli", *arguments]
