"""Nights on a real instance over a real store: without news nothing, with news what it touches."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import dagster as dg
import pytest
from nights import GENES, Nights

from assets.operations import NEWS
from genept.release.diff import differences
from genept.storage.object_store import ObjectStore

pytestmark = pytest.mark.timeout(900)  # the first release is a whole graph

CHANGED = GENES[0]
"""Held by the first collection only."""


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory, object_store: ObjectStore) -> Iterator[Nights]:
    """An installation that has published once, and built one night since."""
    access = object_store.access
    where = {
        "s3_endpoint": access.endpoint_url,
        "s3_access_key": access.access_key,
        "s3_secret_key": access.secret_key,
        "s3_region": access.region,
        "bucket": access.bucket,
    }
    with dg.instance_for_test() as instance:
        nights = Nights(tmp_path_factory.mktemp("nights"), instance, **where)
        first = nights.release()
        assert first.success, [event.message for event in first.get_step_failure_events()]
        assert nights.night("2026-11-01").success
        yield nights


def made(result: dg.ExecuteInProcessResult) -> set[str]:
    events = result.get_asset_materialization_events()
    return {event.asset_key.to_user_string() for event in events}


def test_a_night_without_news_says_so_and_writes_nothing(nights: Nights) -> None:
    before, asked = nights.objects(), len(nights.model.asked)
    began = time.monotonic()
    result = nights.night("2026-11-02")
    seconds = time.monotonic() - began
    assert result.success
    assert nights.objects() == before
    assert len(nights.model.asked) == asked
    assert made(result) == set()
    observed = nights.instance.fetch_observations(NEWS, limit=1).records[0].asset_observation
    assert "no news" in observed.description
    assert observed.partition == "2026-11-02"
    skipped = {event.step_key for event in result.all_events if event.is_step_skipped}
    assert {"genes", "published_release", "run_metrics"} <= skipped
    assert seconds < 30


def test_one_changed_summary_embeds_one_text_and_pools_what_holds_the_gene(
    nights: Nights,
) -> None:
    before, asked = nights.objects(), len(nights.model.asked)
    release = nights.open().releases.current_id()
    nights.tell(**{CHANGED: f"{CHANGED} was found to do something else altogether."})
    result = nights.night("2026-11-03")
    assert result.success, [event.message for event in result.get_step_failure_events()]
    assert nights.model.asked[asked:] == [nights.summaries[CHANGED]]

    new = set(nights.objects()) - set(before)
    pooled = {key for key in new if key.startswith("lake/sample_embeddings/")}
    assert len(pooled) == 1
    assert all("/first/" in key for key in pooled)

    releases = nights.open().releases
    manifest = releases.current()
    assert manifest.previous == release
    changes = differences(releases.files, releases.manifest(release), manifest)
    assert CHANGED in changes.text()
    assert nights.night("2026-11-04").success
    assert releases.current_id() == manifest.release_id


def test_a_failing_check_keeps_the_pointer_where_it_was_and_the_next_night_catches_up(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    import validation.suites

    releases = nights.open().releases
    before = releases.current_id()
    nights.tell(**{GENES[1]: f"{GENES[1]} is in the news."})
    with monkeypatch.context() as strict:
        strict.setattr(validation.suites, "NORM_TOLERANCE", -1.0)
        refused = nights.night("2026-11-05")
    assert not refused.success
    failed = {event.step_key for event in refused.get_step_failure_events()}
    assert failed == {"gene_embeddings_keeps_its_declaration"}
    assert "sample_embeddings" not in made(refused)
    assert releases.current_id() == before
    asked = len(nights.model.asked)
    again = nights.night("2026-11-06")
    assert again.success
    assert len(nights.model.asked) == asked, "what was embedded is not embedded again"
    assert releases.current_id() != before
    event = nights.instance.get_latest_materialization_event(dg.AssetKey("news"))
    assert "did not end well" in event.asset_materialization.metadata["news"].value


def test_what_runs_cost_is_kept_and_drawn(nights: Nights) -> None:
    event = nights.instance.get_latest_materialization_event(dg.AssetKey("run_metrics"))
    shown = event.asset_materialization.metadata
    assert "data:image/png;base64," in shown["cost per night"].value
    kept = nights.open().lake.table("run_metrics", shown_version(event))
    rows = nights.open().lake.read(kept)
    by_step = rows.filter(job="release").rows_by_key("step", named=True, unique=True)
    embedding = by_step["gene_embeddings"]
    assert embedding["assets"] == ["space_vectors", "space_vectors", "gene_embeddings"]
    assert embedding["tokens"] > len(GENES)
    assert embedding["peak_memory"] > 50e6
    assert embedding["rows"] == 2 * len(GENES)
    quiet = rows.filter(night="2026-11-02")
    assert quiet.filter(ended="skipped").height > 20
    assert set(rows["outcome"]) >= {"success"}


def shown_version(event: dg.EventLogEntry) -> str:
    return str((event.asset_materialization.tags or {})["dagster/data_version"])


def test_every_event_is_a_line_with_its_ids(nights: Nights) -> None:
    lines = [
        json.loads(line)
        for path in (nights.settings.state / "logs").glob("*.jsonl")
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
