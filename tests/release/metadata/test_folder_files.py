"""The files that describe a release are listed and hashed by its manifest, and verified."""

from __future__ import annotations

import hashlib
import json

from genept.release.rollback import verify


def test_they_lie_beside_the_manifest_and_are_hashed(copied) -> None:
    assert set(copied.manifest.metadata) == {
        *("README.md", "croissant.json", "datapackage.json", "licences.json"),
        *("CITATION.txt", "CITATION.bib"),
    }
    for path, sha256 in copied.manifest.metadata.items():
        assert hashlib.sha256((copied.folder / path).read_bytes()).hexdigest() == sha256


def test_they_are_verified_with_the_release(copied) -> None:
    store, folder = copied.releases.store, copied.releases.folder(copied.manifest.release_id)
    assert verify(store, folder, copied.manifest) == []
    listed = {**copied.manifest.metadata, "README.md": "0" * 64}
    changed = copied.manifest.model_copy(update={"metadata": listed})
    (fault,) = verify(store, folder, changed)
    assert fault.startswith("README.md ")
    changed = copied.manifest.model_copy(update={"metadata": {}})
    assert len(verify(store, folder, changed)) == 6, "an unlisted file is a fault"


def test_licences_are_stated_for_every_file(copied) -> None:
    document = json.loads((copied.folder / "licences.json").read_text())
    assert document["terms"]["src"]["licence"] == "MIT (package); CC-BY-4.0 (data)"
    for name, table in copied.manifest.tables.items():
        entries = document["tables"][name]
        assert [entry["path"] for entry in entries] == [file.path for file in table.files]
        assert all(entry["terms"] == ["src"] for entry in entries)
        assert [tuple(entry["partition"].values()) for entry in entries] == [
            file.partition for file in table.files
        ]
