"""Sources in the graph: archives are materialised, addresses are observed, each with its terms."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from assets.sources import archives, observed_sources, source_key
from genept.client.platform import Platform
from genept.common.settings import Settings
from genept.datasources.catalogue import load_catalogue
from orchestration.resources import resources_of

GRAPH = dg.Definitions(
    assets=[*archives, *observed_sources], resources=resources_of(Platform(Settings()))
).resolve_asset_graph()


def test_every_source_is_materialised_or_observed_and_states_its_terms() -> None:
    for source in load_catalogue().sources.values():
        if source.pattern is not None:
            continue
        node = GRAPH.get(source_key(source.id))
        assert node.is_materializable == source.is_package
        assert node.is_observable != source.is_package
        assert node.metadata["licence"] == source.licence
        assert node.metadata["publisher"] == source.publisher
        assert node.tags["genept/refreshed"] == source.refresh


def test_a_pinned_source_has_no_automation_condition() -> None:
    for source in load_catalogue().sources.values():
        if source.pattern is None and source.is_pinned:
            assert GRAPH.get(source_key(source.id)).automation_condition is None
    assert GRAPH.get(source_key("ncbi-gene-info")).automation_condition is not None


def observe(name: str, mirror: Path, state: Path, instance: dg.DagsterInstance) -> str:
    platform = Platform(Settings(state_dir=state, mirrors=(str(mirror),)))
    (asset,) = (source for source in observed_sources if source.key == source_key(name))
    job = dg.Definitions(
        assets=[asset],
        jobs=[dg.define_asset_job("observe", selection=[asset.key])],
        resources=resources_of(platform),
    ).resolve_job_def("observe")
    assert job.execute_in_process(instance=instance).success
    (event,) = instance.fetch_observations(asset.key, limit=1).records
    observation = event.asset_observation
    assert observation is not None
    assert observation.metadata["requests"].value == 0
    return str((observation.tags or {})["dagster/data_version"])


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_an_observation_gives_the_data_version_of_a_mirrors_file(tmp_path: Path) -> None:
    mirror, state = tmp_path / "mirror", tmp_path / "state"
    (mirror / "go").mkdir(parents=True)
    terms = mirror / "go" / "go-basic.obo"
    with dg.instance_for_test() as instance:
        terms.write_text("format-version: 1.2\n")
        first = observe("go-basic", mirror, state, instance)
        assert observe("go-basic", mirror, state, instance) == first
        terms.write_text("format-version: 1.2\n[Term]\nid: GO:0000001\n")
        assert observe("go-basic", mirror, state, instance) != first
