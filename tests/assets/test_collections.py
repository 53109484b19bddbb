"""An added collection that is refused is left out, with a reason; the others are ingested."""

from __future__ import annotations

import secrets
from pathlib import Path

import dagster as dg
from installations import storage_settings
from own_files import REFERENCE, counts, write_counts

import genept.client.installation
from assets.collections import ingested_collections
from genept.client.platform import Platform
from genept.collections.dry_run import try_out
from genept.collections.sidecar import validated_sidecar
from genept.collections.user_collections import declare_collection, store_files
from genept.common.settings import Settings
from orchestration.io_manager import LakeIOManager
from orchestration.resources import resources_of


def test_a_refused_added_collection_does_not_affect_the_others(
    object_store, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(genept.client.installation, "starter_reference", lambda _: REFERENCE)
    settings = Settings(
        state_dir=tmp_path / "state",
        product=f"left-out-{secrets.token_hex(4)}",
        collections=("good", "bad"),
        **storage_settings(object_store),
    )
    for id_ in ("good", "bad"):
        path = tmp_path / f"{id_}.csv"
        write_counts(path, counts())
        detected = try_out(
            path, None, validated_sidecar({"id": id_}, "x"), REFERENCE,
            bucket=object_store.bucket, product=settings.product, limits=None,
        ).detected  # fmt: skip
        entry = detected.entry
        if id_ == "bad":  # its declaration does not fit the file
            entry = entry.model_copy(update={"unit": "log2", "duplicate_policy": "highest_mean"})
        store_files(object_store, detected.sources, detected.files)
        declare_collection(object_store, settings.product, entry, detected.sources)
    platform = Platform(settings)
    resources = resources_of(platform) | {"io_manager": LakeIOManager(platform)}
    with dg.instance_for_test() as instance:
        result = dg.materialize([ingested_collections], instance=instance, resources=resources)
    assert result.success
    remarks = {
        name: value.value
        for event in result.asset_materializations_for_node("ingested_collections")
        for name, value in event.metadata.items()
        if name.startswith("left out")
    }
    assert remarks.keys() == {"left out: bad"}
    assert "is declared as log2, but its values look like counts" in remarks["left out: bad"]
    keys = {info.key for info in object_store.list(f"{settings.product}/lake/observations/")}
    assert len(keys) == 1
    assert "/observations/good/" in keys.pop()
