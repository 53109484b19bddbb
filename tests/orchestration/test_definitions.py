from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

from genept.common.errors import StoreError
from genept.common.settings import Settings
from genept.language_models.games import DONOR_TABLES
from genept.schema.tables import TABLES
from orchestration.definitions import build_defs, defs
from orchestration.instance import _CONFIGURATION, dagster_home

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def graph() -> AssetGraph:
    return defs.resolve_asset_graph()


def test_the_code_location_loads_as_the_ui_loads_it() -> None:
    dg.Definitions.validate_loadable(build_defs())
    defs.get_repository_def().load_all_definitions()


def test_every_table_is_an_asset_with_its_columns_and_a_blocking_check(
    graph: AssetGraph,
) -> None:
    checks = {
        key.asset_key: graph.get(key)
        for key in graph.asset_check_keys
        if key.name == "keeps_its_declaration"
    }
    for name, table in TABLES.items():
        node = graph.get(dg.AssetKey(name))
        assert node.description == table.meaning
        assert node.group_name == table.group
        columns = node.metadata["dagster/column_schema"].columns
        assert [column.name for column in columns] == [column.name for column in table.columns]
        assert checks[dg.AssetKey(name)].blocking


def test_named_genes_are_checked_against_the_reference(graph: AssetGraph) -> None:
    checked = {
        key.asset_key.to_user_string()
        for key in graph.asset_check_keys
        if key.name == "names_only_known_genes" and graph.get(key).blocking
    }
    assert checked == {"gene_names", "gene_mapping", "gene_axis", "drug_targets"}


def test_drugs_are_checked_against_the_table_that_lists_them(graph: AssetGraph) -> None:
    checked = {
        (key.asset_key.to_user_string(), key.name)
        for key in graph.asset_check_keys
        if "drug" in key.name and graph.get(key).blocking
    }
    assert checked == {
        ("drugs", "lists_every_measured_drug"),
        ("drug_targets", "names_only_listed_drugs"),
    }


def test_every_asset_has_owner_kind_description_and_group(graph: AssetGraph) -> None:
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.owners, key
        assert node.kinds, key
        assert node.description, key
        assert node.group_name != "default", key


BY_PARTITION = (
    *("ingested_collection", "space_vectors", "observation_vectors"),
    *("collection_descriptions", "collection_scores", "trained_model"),
)
"""Steps of one collection, space or model."""


def test_the_release_job_selects_every_materialisable_asset_and_every_check(
    graph: AssetGraph,
) -> None:
    job = defs.resolve_job_def("release")
    others = (*BY_PARTITION, *DONOR_TABLES, "inbox_collection", "news")
    every = set(graph.materializable_asset_keys) - {dg.AssetKey(name) for name in others}
    assert set(job.asset_layer.selected_asset_keys) == every
    checked = {
        key.asset_key.to_user_string() for key in job.asset_layer.asset_graph.asset_check_keys
    }
    assert checked == set(TABLES)


def test_the_release_waits_for_every_table(graph: AssetGraph) -> None:
    parents = graph.get(dg.AssetKey("published_release")).parent_keys
    assert {key.to_user_string() for key in parents} == set(TABLES)


def test_the_instance_sends_no_telemetry_and_ends_stuck_runs() -> None:
    instance = yaml.safe_load(_CONFIGURATION.read_text())
    assert instance["telemetry"]["enabled"] is False
    assert instance["nux"]["enabled"] is False
    assert instance["run_monitoring"]["max_runtime_seconds"] > 0
    assert instance["run_retries"]["retry_on_asset_or_op_failure"] is False


def test_the_instance_in_postgres_differs_in_its_storage_alone() -> None:
    path = PROJECT / "infra" / "postgres" / "dagster.yaml"
    instance = yaml.safe_load(path.read_text())
    (database,) = instance.pop("storage")["postgres"].values()
    assert instance == yaml.safe_load(_CONFIGURATION.read_text())
    scheme = database.pop("scheme")
    assert scheme == "postgresql+psycopg2"
    assert all(set(value) == {"env"} for value in database.values()), (
        "every value comes from the environment"
    )


def test_a_configured_file_replaces_the_configuration_of_the_instance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    configuration = tmp_path / "mine.yaml"
    configuration.write_text("telemetry: {enabled: false}\n")
    home = dagster_home(Settings(state_dir=tmp_path / "state", instance_config=configuration))
    assert (home / "dagster.yaml").read_bytes() == configuration.read_bytes()
    (home / "dagster.yaml").chmod(0o400)
    assert (
        dagster_home(Settings(state_dir=tmp_path / "state", instance_config=configuration)) == home
    )
    with pytest.raises(StoreError, match=r"GENEPT_INSTANCE_CONFIG names it"):
        dagster_home(Settings(state_dir=tmp_path, instance_config=tmp_path / "none.yaml"))
