"""The job `donor_games`: its launchpad, what it leaves out visibly, and that no release has it."""

import dagster as dg
import pytest
from installations import storage_settings
from pydantic import ValidationError

from genept.common import Settings
from genept.language_models.games import CONTROLS, DONOR_TABLES, DonorGame
from orchestration.definitions import build_defs

SMALL = {"n_agents": 4, "n_generations": 2, "n_rounds": 3}


@pytest.fixture
def settings(tmp_path, object_store, store_prefix):
    product = store_prefix.replace("tests/", "").replace("_", "-")
    return Settings(state_dir=tmp_path / "state", product=product, **storage_settings(object_store))


def run(settings, instance, **options):
    job = build_defs(settings).resolve_job_def("donor_games")
    config = {"ops": {"play_donor_games": {"config": SMALL | options}}}
    return job.execute_in_process(run_config=config, instance=instance)


def metadata(result, table):
    (event,) = [
        event.materialization
        for event in result.get_asset_materialization_events()
        if event.materialization.asset_key == dg.AssetKey(table)
    ]
    return {name: value.value for name, value in event.metadata.items()}


def test_scripts_are_played_beside_controls_and_checked(settings):
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(settings, instance, players=["give-all"], minutes=1.0, noise=0.5)
        assert result.success
        rows = {name: metadata(result, name)["dagster/row_count"] for name in DONOR_TABLES}
        n_games = 1 + len(CONTROLS)
        assert rows == {
            "donor_games": n_games, "donor_moves": 24 * n_games, "donor_strategies": 8 * n_games,
        }  # fmt: skip
        checks = result.get_asset_check_evaluations()
        assert {check.asset_key.to_user_string() for check in checks} == set(DONOR_TABLES)
        assert all(check.passed for check in checks)
        pictures = metadata(result, "donor_games")["figures"]
        assert "](data:image/png" in pictures
        assert all(name in pictures for name in ("resources-", "shares-", "lineage-give-all-"))
        assert metadata(result, "donor_games")["not played to the end"] == "none"
        again = run(settings, instance, players=[], inheritance="lineage")
        assert metadata(again, "donor_games")["dagster/row_count"] == 2 * n_games - 1


@pytest.mark.slow
def test_a_model_that_is_not_available_is_named_and_the_controls_are_played(settings):
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(settings, instance, players=["gpt-4.1-mini"])
        assert result.success
        left_out = metadata(result, "donor_games")["not played to the end"]
        assert "gpt" in left_out
        assert "there is no key" in left_out
        assert metadata(result, "donor_games")["dagster/row_count"] == len(CONTROLS)


def test_rules_that_make_no_game_fail_before_anything_is_played(settings):
    with (
        dg.DagsterInstance.ephemeral() as instance,
        pytest.raises(ValidationError, match="greater than or equal to 2"),
    ):
        run(settings, instance, n_agents=1)


def test_the_launchpad_has_every_rule_and_its_meaning():
    job = build_defs().resolve_job_def("donor_games")
    schema = job.run_config_schema.config_type.fields["ops"].config_type.fields["play_donor_games"]
    fields = schema.config_type.fields["config"].config_type.fields
    assert set(fields) == {*DonorGame.model_fields, "players", "minutes"}
    assert all(field.description for field in fields.values())


def test_no_job_of_a_release_has_games():
    defs = build_defs()
    for name in ("release", "nightly", "retraining"):
        nodes = {node.name for node in defs.resolve_job_def(name).nodes}
        assert not [node for node in nodes if "donor" in node]
