"""The inbox in a real Dagster instance: sensor, partition, run, check, and the next release."""

from __future__ import annotations

import secrets

import dagster as dg
import pytest
from own_files import REFERENCE, counts, write_counts, write_labels

import genept.client.installation
from genept.client.platform import Platform
from genept.common.settings import Settings
from genept.datasources.catalogue import load_catalogue
from orchestration.definitions import build_defs
from orchestration.schedules import inbox_sensor

INGESTED = dg.AssetKey("ingested_collection")
KEY = dg.AssetKey("inbox_collection")


@pytest.fixture
def settings(tmp_path, monkeypatch, object_store) -> Settings:
    monkeypatch.setattr(genept.client.installation, "open_store", lambda *_, **__: object_store)
    monkeypatch.setattr(genept.client.installation, "starter_reference", lambda _: REFERENCE)
    return Settings(state_dir=tmp_path / "state", product=f"inbox-{secrets.token_hex(4)}")


def drop(object_store, settings, tmp_path, name, unit):
    write_labels(tmp_path / "labels.csv", write_counts(tmp_path / name, counts()))
    sidecar = f'metadata = "labels.csv"\nunit = "{unit}"\n'.encode()
    inbox = f"{settings.product}/inbox"
    object_store.put_if_absent(f"{inbox}/{name}", tmp_path / name)
    object_store.put_if_absent(f"{inbox}/labels.csv", tmp_path / "labels.csv")
    object_store.put_if_absent(f"{inbox}/{name}.toml", sidecar)


def run_requested(defs, instance, settings):
    """Evaluate the sensor, and execute the run that it requests; otherwise, why it skips."""
    resources = {"platform": Platform(settings)}
    with dg.build_sensor_context(
        instance=instance, definitions=defs, resources=resources
    ) as context:
        result = inbox_sensor(context)
    for request in result.dynamic_partitions_requests:
        instance.add_dynamic_partitions(request.partitions_def_name, request.partition_keys)
    if result.skip_reason is not None:
        return result.skip_reason.skip_message
    job = defs.resolve_job_def("inbox")
    (run,) = result.run_requests
    return job.execute_in_process(
        instance=instance, partition_key=run.partition_key, raise_on_error=False
    )


def checks(result):
    return [evaluation.passed for evaluation in result.get_asset_check_evaluations()]


def test_a_drop_becomes_a_partition_and_a_collection_of_the_next_run(
    settings, object_store, tmp_path
):
    defs, shipped = build_defs(settings), load_catalogue().collections
    with dg.instance_for_test() as instance:
        assert "no complete drop" in run_requested(defs, instance, settings)
        assert set(instance.get_dynamic_partitions("collection")) == set(shipped)
        assert "minilm-l6-v2/name" in instance.get_dynamic_partitions("space")
        drop(object_store, settings, tmp_path, "My Cells.csv", "counts")
        result = run_requested(defs, instance, settings)
        assert result.success
        assert checks(result) == [True]
        assert set(instance.get_dynamic_partitions("collection")) == {*shipped, "my-cells"}
        assert instance.get_materialized_partitions(INGESTED) == {"my-cells"}
        assert instance.get_materialized_partitions(KEY) == {"my-cells"}
        assert "no complete drop" in run_requested(defs, instance, settings)
    platform = Platform(settings)
    assert "my-cells" in [collection.id for collection in platform.collections]
    assert "collections" not in platform.limits
    assert platform.needed_sources[-1] == "my-cells-file-2"


def test_a_bad_drop_fails_its_check_and_materialises_nothing(settings, object_store, tmp_path):
    defs = build_defs(settings)
    with dg.instance_for_test() as instance:
        drop(object_store, settings, tmp_path, "bad.csv", "log2")
        result = run_requested(defs, instance, settings)
        assert result.success
        (check,) = result.get_asset_check_evaluations()
        assert not check.passed
        assert "look like counts" in check.description
        assert "## What to do" in check.metadata["report"].value
        assert instance.get_materialized_partitions(KEY) == set()
        folder = check.metadata["quarantine"].value.partition(f"/{settings.product}/")[2]
        quarantined = {info.key for info in object_store.list(f"{settings.product}/{folder}")}
        assert f"{settings.product}/{folder}/report.md" in quarantined
        assert "no complete drop" in run_requested(defs, instance, settings)
