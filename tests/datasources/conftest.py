"""Archives for tests: self-made ones in place of downloads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sources_layouts import source_entry

from genept.datasources.catalogue import Catalogue
from genept.datasources.download.archives import Archives


@pytest.fixture
def make_archives(tmp_path: Path) -> Callable[..., Archives]:
    """Make archives that are already in place: ``make_archives(x=wheel, y=(sdist, ".tar.gz"))``."""

    def make(*, collections: dict[str, Any] | None = None, **archives: Any) -> Archives:
        folder = tmp_path / "archives"
        folder.mkdir(exist_ok=True)
        sources = {}
        for id_, given in archives.items():
            data, suffix = given if isinstance(given, tuple) else (given, "")
            sources[id_] = source_entry(id_, data, suffix=suffix)
            (folder / sources[id_]["filename"]).write_bytes(data)
        entries = {"sources": sources, "collections": collections or {}}
        return Archives(Catalogue.model_validate(entries), folder)

    return make
