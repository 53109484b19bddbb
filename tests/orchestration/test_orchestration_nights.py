"""Nights on a real instance over a real store: without news nothing, with news what it touches."""

from __future__ import annotations

import time
from collections.abc import Iterator

import dagster as dg
import pytest
from nights import GENES, Nights

from assets.operations import NEWS
from genept.store.s3 import ObjectStore

CHANGED = GENES[0]
"""Held by the first collection only."""


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory, object_store: ObjectStore) -> Iterator[Nights]:
    """An installation that has published once, and built one night since."""
    with dg.instance_for_test() as instance:
        nights = Nights(tmp_path_factory.mktemp("nights"), object_store, instance)
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
    changes = releases.differences(releases.manifest(release), manifest)
    assert CHANGED in changes.text()
    assert nights.night("2026-11-04").success
    assert releases.current_id() == manifest.release_id
