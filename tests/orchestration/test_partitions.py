"""One collection, space or model at a time: only its steps run, and a full run records them all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
from installations import storage_settings
from small_installation import GENES, HELD, SmallInstallation

from assets.partitions import key_of
from genept.storage.object_store import ObjectStore
from orchestration.failures import failure_text
from orchestration.instance import register_partitions

TABLES = {"collections", "gene_mapping", "gene_axis", "observations", "expression"}


pytestmark = pytest.mark.timeout(900)  # the first release is a whole graph


@contextmanager
def installed(folder: Path, object_store: ObjectStore) -> Iterator[SmallInstallation]:
    """An installation that has built nothing, and its instance."""
    storage = storage_settings(object_store)
    with dg.instance_for_test() as instance:
        installation = SmallInstallation(folder, instance, **storage)
        register(installation)
        yield installation


@pytest.fixture(scope="module")
def built(tmp_path_factory, object_store):
    """An installation whose collections and spaces a run has built, and nothing that needs both."""
    with installed(tmp_path_factory.mktemp("partitions"), object_store) as installation:
        wanted = dg.AssetSelection.assets(
            *("gene_names", "genes", "gene_descriptions", "gene_embeddings"),
            *("drugs", "expression"),
        ).required_multi_asset_neighbors()
        keys = wanted.resolve(installation.defs.resolve_asset_graph())
        assert installation.release(asset_selection=sorted(keys)).success
        yield installation


def register(installation: SmallInstallation) -> None:
    platform = installation.open()
    register_partitions(
        installation.instance,
        collections=platform.catalogue.collections,
        spaces=[space.id for space in platform.known_spaces],
    )


def materialise(installation: SmallInstallation, asset: str, partition: str):
    """Materialise one partition of one asset, in a run of its own, as the UI does."""
    job = installation.defs.resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        instance=installation.instance,
        asset_selection=[dg.AssetKey(asset)],
        partition_key=partition,
        raise_on_error=False,
    )


def materialised_partitions(installation: SmallInstallation, asset: str) -> set[str]:
    return set(installation.instance.get_materialized_partitions(dg.AssetKey(asset)))


@pytest.mark.soak  # a run of the whole graph, as of test_release_job, for what is recorded of it
def test_a_full_run_records_every_partition(tmp_path, object_store):
    with installed(tmp_path, object_store) as complete:
        assert complete.release().success
        records_every_partition(complete)


def records_every_partition(complete: SmallInstallation) -> None:
    spaces = {"minilm-l6-v2/ncbi", "random-384/ncbi"}
    assert materialised_partitions(complete, "ingested_collection") == set(HELD)
    assert materialised_partitions(complete, "space_vectors") == spaces
    assert materialised_partitions(complete, "observation_vectors") == {
        key_of(collection, space) for collection in HELD for space in spaces
    }


def test_one_collection_from_file_to_scores_runs_only_its_steps(built):
    built.add("third", GENES[10:70])
    register(built)
    for asset, partition in (
        ("ingested_collection", "third"),
        ("observation_vectors", key_of("third", "minilm-l6-v2/ncbi")),
        ("observation_vectors", key_of("third", "random-384/ncbi")),
        ("collection_scores", "third"),
    ):
        result = materialise(built, asset, partition)
        assert result.success
        steps = {event.step_key for event in result.get_step_success_events()}
        assert steps == {asset, f"{asset}_keeps_its_declaration"}
        (check,) = result.get_asset_check_evaluations()
        assert (check.passed, check.partition) == (True, partition)
        (event,) = result.get_asset_materialization_events()
        assert (event.asset_key.path, event.partition) == ([asset], partition)
    assert materialised_partitions(built, "ingested_collection") == {*HELD, "third"}


def test_a_partition_of_an_earlier_version_is_to_be_materialised_again(built):
    space, collection = "random-384/ncbi", "first"
    built.instance.report_runless_asset_event(
        dg.AssetMaterialization("space_vectors", partition=space, metadata={"bytes": 1})
    )
    result = materialise(built, "observation_vectors", key_of(collection, space))
    assert not result.success
    (failure,) = result.get_step_failure_events()
    message = failure_text(failure)
    assert f"space_vectors, partition {space}, was never materialised by this version" in message
    assert materialise(built, "space_vectors", space).success
    assert materialise(built, "observation_vectors", key_of(collection, space)).success


def test_a_collection_that_cannot_be_read_fails_its_own_partition_only(built):
    built.instance.add_dynamic_partitions("collection", ["gone"])
    result = materialise(built, "ingested_collection", "gone")
    assert not result.success
    (failure,) = result.get_step_failure_events()
    assert "unknown collections ['gone']" in failure_text(failure)
    assert materialise(built, "ingested_collection", "first").success
    assert "gone" not in materialised_partitions(built, "ingested_collection")
