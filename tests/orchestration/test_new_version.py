"""A publisher's new version, from the nightly observation to the gate's verdict on new models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from installations import storage_settings
from publisher import Publisher, publisher
from small_installation import GENES, SmallInstallation

from assets.news import NEWS
from genept.client.api import load_table
from genept.release.diff import differences
from genept.storage.object_store import ObjectStore
from orchestration.schedules import new_data_sensor

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

FILE, MODEL = "gene_summary.gz", "diagnosis-patients"


class WatchedInstallation(SmallInstallation):
    """An installation whose summaries come from a publisher's server, over HTTP."""

    def __init__(
        self, server: Publisher, folder: Path, instance: dg.DagsterInstance, **storage: object
    ) -> None:
        self.server = server
        addresses = {"ncbi-gene-summary": f"{server.url}/{FILE}"}
        super().__init__(folder, instance, addresses=addresses, **storage)

    def _publish(self, body: bytes) -> None:
        self.server.files[FILE] = body


@pytest.fixture
def installation(tmp_path: Path, object_store: ObjectStore) -> Iterator[WatchedInstallation]:
    with publisher() as server, dg.instance_for_test() as instance:
        watched = WatchedInstallation(server, tmp_path, instance, **storage_settings(object_store))
        watched.open().archives.fetch("ncbi-gene-summary")  # as `genept sources fetch` does
        watched.add_patients("patients")
        first = watched.release()
        assert first.success, [event.message for event in first.get_step_failure_events()]
        assert watched.nightly_run("2026-11-01").success
        yield watched


def observed(instance: dg.DagsterInstance) -> dict[str, object]:
    """Metadata of the last thing that asset `news` wrote."""
    event = instance.get_latest_materialization_event(NEWS)
    assert event is not None
    assert event.asset_materialization is not None
    return {name: value.value for name, value in event.asset_materialization.metadata.items()}


def test_a_new_version_is_noticed_published_and_judged(installation: WatchedInstallation) -> None:
    instance, server = installation.instance, installation.server
    releases = installation.open().releases
    registry = installation.open().registry
    first, champion = releases.current_id(), registry.champion(MODEL)
    assert champion is not None
    sensor = new_data_sensor(installation.defs.resolve_job_def("retraining"))
    noted = sensor.evaluate_tick(dg.build_sensor_context(instance))

    # A nightly run without a new version asks once and changes nothing.
    asked = len(server.requests_of(FILE))
    assert installation.nightly_run("2026-11-02").success
    (conditional,) = server.requests_of(FILE)[asked:]
    assert "if-none-match" in conditional
    assert releases.current_id() == first

    # The publisher publishes a new version, in which the texts of forty genes are others.
    changed = {gene: f"{gene} was found to do something else altogether." for gene in GENES[:40]}
    installation.publish_summaries(**changed)
    embedded = len(installation.model.embedded_texts)
    result = installation.nightly_run("2026-11-03")
    assert result.success, [event.message for event in result.get_step_failure_events()]
    assert "ncbi-gene-summary changed" in str(observed(instance)["changes"])
    of_genes = [text for text in installation.model.embedded_texts[embedded:] if "GENE" in text]
    assert sorted(of_genes) == sorted(changed.values())  # beside them the labels of the patients
    announced = differences(releases.files, releases.manifest(first), releases.current()).text()
    assert all(gene in announced for gene in list(changed)[:3])

    # New vectors of the samples call for retraining, once; models are those of the first release.
    assert registry.champion(MODEL) == champion
    context = dg.build_sensor_context(instance, cursor=noted.cursor)
    tick = sensor.evaluate_tick(context)
    assert len(tick.run_requests or []) == 1
    second = releases.current_id()
    assert installation.retraining().success
    again = sensor.evaluate_tick(dg.build_sensor_context(instance, cursor=tick.cursor))
    assert not again.run_requests

    # The gate compared it with the champion, and the release says what it found.
    verdicts = load_table("gate_verdicts", settings=installation.settings).collect()
    verdicts = verdicts.filter(model=MODEL)
    assert verdicts["champion_version"].unique().to_list() == [champion.version]
    assert verdicts["model_version"].unique().to_list() != [champion.version]
    promoted = set(verdicts["outcome"]) == {"pass"}
    after = registry.champion(MODEL)
    assert after is not None
    assert (after.version != champion.version) == promoted
    assert releases.current_id() != second
