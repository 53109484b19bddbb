"""Jobs over a planted collection that workers of a Dask cluster import by name."""

from __future__ import annotations

import json
import os
import time
from functools import cached_property
from pathlib import Path

import dagster as dg
from planted import a_collection

from assets.declarations import declared
from assets.embeddings import embedding_tables
from assets.lanes import POOLING_INPUTS, embedding_lanes
from assets.results import table_result
from genept.client.platform import Platform
from genept.common.settings import Settings
from genept.datasources.catalogue import Collection
from genept.storage.lake import Lake
from genept.storage.provenance import Part, StoredTable
from genept.text.embedders import Space
from orchestration.executors import executor_of, lanes_of
from orchestration.io_manager import LakeIOManager
from orchestration.resources import resources_of

TABLES_FILE = "GENEPT_TEST_TABLES"
"""Environment variable: a JSON file with the data versions of the planted tables."""

SPACES = {
    "whole": Space("minilm-l6-v2", "name-go"),
    "killed": Space("random-384", "name-go", is_control=True),
    "lost": Space("minilm-l6-v2", "name"),
    "failing": Space("minilm-l6-v2", "name-only"),
}


class SlowLake(Lake):
    """A lake that is slow enough for a worker to be killed in the middle."""

    def local(self, part: Part) -> Path:
        time.sleep(0.05)
        return super().local(part)


class PlantedPlatform(Platform):
    """An installation with one planted collection and one space."""

    def __init__(self, settings: Settings, space: Space) -> None:
        super().__init__(settings)
        self._space = space

    @property
    def collections(self) -> list[Collection]:
        return [a_collection("counts", kind="single_cell")]

    @property
    def spaces(self) -> tuple[Space, ...]:
        return (self._space,)

    @cached_property
    def lake(self) -> Lake:
        return SlowLake(self.store, self.settings.product, self.settings.state / "parts")


def _planted(name: str) -> dg.AssetsDefinition:
    @dg.asset(**declared(name))
    def planted(platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult[StoredTable]:
        versions = json.loads(Path(os.environ[TABLES_FILE]).read_text())
        return table_result(platform.lake.table(name, versions[name]))

    return planted


def _job(name: str) -> dg.JobDefinition:
    settings = Settings()
    platform = PlantedPlatform(settings, SPACES[name])
    lanes = embedding_lanes(lanes_of(settings))
    cells = [
        asset for asset in embedding_tables(lanes) if asset.key == dg.AssetKey("cell_embeddings")
    ]
    planted = [_planted(table) for table in (*POOLING_INPUTS, "observations")]
    return dg.Definitions(
        assets=[*planted, *lanes, *cells],
        jobs=[dg.define_asset_job(name, executor_def=executor_of(settings))],
        resources=resources_of(platform) | {"io_manager": LakeIOManager(platform)},
    ).resolve_job_def(name)


def whole() -> dg.JobDefinition:
    return _job("whole")


def killed() -> dg.JobDefinition:
    return _job("killed")


def lost() -> dg.JobDefinition:
    return _job("lost")


def failing() -> dg.JobDefinition:
    return _job("failing")
