"""Nightly runs on a real instance and store: only tables affected by a changed source are built."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import dagster as dg
import pytest
from installations import storage_settings
from small_installation import GENES, SmallInstallation

from assets.news import NEWS
from genept.release.diff import differences
from genept.storage.object_store import ObjectStore

pytestmark = pytest.mark.timeout(900)  # the first release is a whole graph

CHANGED = GENES[0]
"""Held by the first collection only."""


@pytest.fixture(scope="module")
def installation(
    tmp_path_factory: pytest.TempPathFactory, object_store: ObjectStore
) -> Iterator[SmallInstallation]:
    """An installation that has published once."""
    storage = storage_settings(object_store)
    with dg.instance_for_test() as instance:
        installation = SmallInstallation(
            tmp_path_factory.mktemp("installation"), instance, **storage
        )
        first = installation.release()
        assert first.success, [event.message for event in first.get_step_failure_events()]
        yield installation


def materialised(result: dg.ExecuteInProcessResult) -> set[str]:
    events = result.get_asset_materialization_events()
    return {event.asset_key.to_user_string() for event in events}


@pytest.mark.slow
def test_a_nightly_run_without_changes_records_it_and_writes_nothing(
    installation: SmallInstallation,
) -> None:
    assert installation.nightly_run("2026-11-01").success
    before, n_embedded = installation.objects(), len(installation.model.embedded_texts)
    began = time.monotonic()
    result = installation.nightly_run("2026-11-02")
    seconds = time.monotonic() - began
    assert result.success
    assert installation.objects() == before
    assert len(installation.model.embedded_texts) == n_embedded
    assert materialised(result) == set()
    observed = installation.instance.fetch_observations(NEWS, limit=1).records[0].asset_observation
    assert "nothing is built" in observed.description
    assert observed.partition == "2026-11-02"
    skipped = {event.step_key for event in result.all_events if event.is_step_skipped}
    assert {"genes", "published_release", "run_metrics"} <= skipped
    assert seconds < 30


@pytest.mark.slow
def test_one_changed_summary_embeds_one_text_and_pools_collections_with_the_gene(
    installation: SmallInstallation,
) -> None:
    before, n_embedded = installation.objects(), len(installation.model.embedded_texts)
    release = installation.open().releases.current_id()
    installation.publish_summaries(
        **{CHANGED: f"{CHANGED} was found to do something else altogether."}
    )
    result = installation.nightly_run("2026-11-03")
    assert result.success, [event.message for event in result.get_step_failure_events()]
    assert installation.model.embedded_texts[n_embedded:] == [installation.summaries[CHANGED]]

    new = set(installation.objects()) - set(before)
    pooled = {key for key in new if key.startswith("lake/sample_embeddings/")}
    assert len(pooled) == 1
    assert all("/first/" in key for key in pooled)

    releases = installation.open().releases
    manifest = releases.current()
    assert manifest.previous == release
    changes = differences(releases.files, releases.manifest(release), manifest)
    assert CHANGED in changes.text()
    assert installation.nightly_run("2026-11-04").success
    assert releases.current_id() == manifest.release_id


@pytest.mark.slow
def test_a_failed_check_leaves_the_pointer_and_the_next_run_publishes(
    installation: SmallInstallation, monkeypatch: pytest.MonkeyPatch
) -> None:
    import validation.suites

    releases = installation.open().releases
    before = releases.current_id()
    installation.publish_summaries(**{GENES[1]: f"{GENES[1]} is in the news."})
    with monkeypatch.context() as patch:
        patch.setattr(validation.suites, "NORM_TOLERANCE", -1.0)
        refused = installation.nightly_run("2026-11-05")
    assert not refused.success
    failed = {event.step_key for event in refused.get_step_failure_events()}
    assert failed == {"gene_embeddings_keeps_its_declaration"}
    assert "sample_embeddings" not in materialised(refused)
    assert releases.current_id() == before
    n_embedded = len(installation.model.embedded_texts)
    again = installation.nightly_run("2026-11-06")
    assert again.success
    assert len(installation.model.embedded_texts) == n_embedded, "no text is embedded again"
    assert releases.current_id() != before
    event = installation.instance.get_latest_materialization_event(dg.AssetKey("news"))
    assert "the last nightly run failed" in event.asset_materialization.metadata["changes"].value


@pytest.mark.slow
def test_costs_of_runs_are_stored_and_drawn(installation: SmallInstallation) -> None:
    event = installation.instance.get_latest_materialization_event(dg.AssetKey("run_metrics"))
    metadata = event.asset_materialization.metadata
    assert "data:image/png;base64," in metadata["cost per run"].value
    stored = installation.open().lake.table("run_metrics", shown_version(event))
    rows = installation.open().lake.read(stored)
    by_step = rows.filter(job="release").rows_by_key("step", named=True, unique=True)
    embedding = by_step["gene_embeddings"]
    assert embedding["assets"] == ["space_vectors", "space_vectors", "gene_embeddings"]
    assert embedding["tokens"] > len(GENES)
    assert embedding["peak_memory"] > 50e6
    assert embedding["rows"] == 2 * len(GENES)
    unchanged = rows.filter(night="2026-11-02")
    assert unchanged.filter(ended="skipped").height > 20
    assert set(rows["outcome"]) >= {"success"}


def shown_version(event: dg.EventLogEntry) -> str:
    return str((event.asset_materialization.tags or {})["dagster/data_version"])


@pytest.mark.slow
def test_every_event_is_a_line_with_its_ids(installation: SmallInstallation) -> None:
    lines = [
        json.loads(line)
        for path in (installation.settings.state / "logs").glob("*.jsonl")
        for line in path.read_text().splitlines()
    ]
    made_genes = [
        line
        for line in lines
        if line.get("asset") == "genes" and line.get("event") == "ASSET_MATERIALIZATION"
    ]
    assert {line["job"] for line in made_genes} >= {"release", "nightly"}
    assert all(line["run_id"] and line["step"] == "genes" for line in made_genes)
    assert any(line.get("night") == "2026-11-03" for line in made_genes)
