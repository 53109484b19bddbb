"""The IO manager: it passes on an asset's own table, and records the cost of its step."""

import time

import dagster as dg
import numpy as np
import psutil
import pytest
from declared_rows import store_table

from genept.client.platform import Platform
from genept.common.memory import give_memory_back
from genept.common.settings import Settings
from genept.release.publish import Releases
from orchestration import run_metrics
from orchestration.io_manager import LakeIOManager
from orchestration.run_metrics import EVERY


@pytest.fixture
def platform(lake, store_prefix):
    platform = Platform(Settings())
    platform.lake = lake  # cached properties, set before they are first read
    platform.releases = Releases(lake, store_prefix)
    return platform


def run_of(assets, platform):
    return dg.materialize(assets, resources={"io_manager": LakeIOManager(platform)})


def test_a_run_of_single_assets_records_its_peak_memory(platform, lake):
    """Such a run, started from the UI, has no logger that notes when a step begins."""

    @dg.asset
    def collections():
        array = np.ones(300_000_000, dtype=np.uint8)
        time.sleep(3 * EVERY)  # memory is sampled
        assert array[-1]
        return store_table(lake, "collections")

    give_memory_back()  # as the run does
    before = psutil.Process().memory_info().rss
    (event,) = run_of([collections], platform).get_asset_materialization_events()
    assert event.materialization.metadata["peak_memory"].value - before > 250e6


def test_an_output_other_than_the_assets_own_table_is_refused(platform, lake):
    @dg.asset
    def genes():
        return store_table(lake, "collections")

    with pytest.raises(TypeError, match="asset 'genes' returned .*return its table"):
        run_of([genes], platform)


def test_a_step_is_measured_without_what_earlier_ones_freed(monkeypatch):
    called = []
    monkeypatch.setattr(run_metrics, "share_memory", lambda: called.append("share"))
    monkeypatch.setattr(run_metrics, "give_memory_back", lambda: called.append("give back"))
    meter = run_metrics.Meter()
    for _ in range(2):
        meter.begin()
    assert called == ["give back", "share", "give back"]
