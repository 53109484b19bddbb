"""A step that embeds texts with a hosted embedder, in a process of its own; and its settings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from installations import PROJECT, storage_settings

from genept.storage.object_store import ObjectStore

SUPPORT = PROJECT / "tests" / "support"


class HostedStep:
    """What the step needs on disk, to be started any number of times.

    Parameters
    ----------
    folder
        For its files and its state.
    url, key
        The service, and its key.
    store, product
        Where texts and vectors are.
    declared
        Declaration of the embedder ``loopback``, as TOML.
    texts
        Texts by gene.
    """

    def __init__(
        self,
        folder: Path,
        url: str,
        key: str,
        store: ObjectStore,
        product: str,
        declared: str,
        texts: Mapping[str, str],
    ) -> None:
        self.folder, self.store, self.product = folder, store, product
        (folder / "embedders.toml").write_text(declared)
        (folder / "embedders.json").write_text('["loopback"]')
        (folder / "texts.json").write_text(json.dumps(dict(texts)))
        self.settings = {
            "state_dir": str(folder / "state"),
            **storage_settings(store),
            "product": product,
            "openai_base_url": url,
            "openai_api_key": key,
            "embedders": str(folder / "embedders.toml"),
        }

    def environment(self) -> dict[str, str]:
        """The settings, for a worker."""
        return {f"GENEPT_{name.upper()}": str(value) for name, value in self.settings.items()}

    def start(self, server: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start the step; its flows run at the server that these variables name."""
        (self.folder / "settings.json").write_text(json.dumps(self.settings))
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")
        }
        environment |= {"PYTHONPATH": f"{PROJECT}:{SUPPORT}", "HOME": str(self.folder / "home")}
        return subprocess.Popen(
            [sys.executable, str(SUPPORT / "embedding_run.py"), str(self.folder)],
            env=environment | dict(server or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


def ended(run: subprocess.Popen[str], seconds: float = 600) -> tuple[dict, str]:
    """Result of a step that ends well, and everything that it printed."""
    output, _ = run.communicate(timeout=seconds)
    assert run.returncode == 0, output[-3000:]
    return json.loads(output.splitlines()[-1]), output
