"""What starts runs: daily schedules, the sensor of new data, conditions with blocking checks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from assets.news import NIGHTLY
from genept.common.settings import Settings
from orchestration.automation import FOLLOWS_ITS_INPUTS
from orchestration.definitions import build_defs, defs
from orchestration.schedules import TRAINING_INPUTS

VERSION = "dagster/data_version"


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        yield instance


def materialise(instance: dg.DagsterInstance, name: str, version: str) -> None:
    instance.report_runless_asset_event(dg.AssetMaterialization(name, tags={VERSION: version}))


def requests_at(instance: dg.DagsterInstance, name: str, at: datetime) -> list[dg.RunRequest]:
    repository = defs.get_repository_def()
    context = dg.build_schedule_context(
        instance=instance, scheduled_execution_time=at, repository_def=repository
    )
    return list(repository.get_schedule_def(name).evaluate_tick(context).run_requests or [])


@pytest.mark.filterwarnings("ignore:Function `JobDefinition.run_request_for_partition`")
def test_a_nightly_run_is_for_the_day_that_ended(instance: dg.DagsterInstance) -> None:
    (request,) = requests_at(instance, "nightly", datetime(2026, 11, 22, 3, 15, tzinfo=UTC))
    assert request.partition_key == "2026-11-21"
    assert NIGHTLY.timezone == "UTC"


def test_a_setting_turns_the_schedules_on(tmp_path: Path) -> None:
    for unattended, expected in ((False, "STOPPED"), (True, "RUNNING")):
        settings = Settings(state_dir=tmp_path, unattended=unattended)
        schedules = build_defs(settings).get_repository_def().schedule_defs
        assert {
            schedule.name: schedule.default_status.value for schedule in schedules
        } == dict.fromkeys(("nightly", "retraining"), expected)


def test_models_are_retrained_once_for_every_new_data_version(
    instance: dg.DagsterInstance,
) -> None:
    sensor = defs.get_repository_def().get_sensor_def("new_training_data")

    def evaluate(cursor: str | None) -> dg.SensorExecutionData:
        with dg.build_sensor_context(instance=instance, cursor=cursor, definitions=defs) as context:
            return sensor.evaluate_tick(context)

    assert "was never materialised" in str(evaluate(None).skip_message)
    for name in TRAINING_INPUTS:
        materialise(instance, name, "one")
    noted = evaluate(None)
    assert not noted.run_requests
    assert "models have seen" in str(evaluate(noted.cursor).skip_message)
    materialise(instance, TRAINING_INPUTS[0], "two")
    changed = evaluate(noted.cursor)
    assert changed.run_requests is not None
    (request,) = changed.run_requests
    assert request.tags["genept/because"] == "new training data"
    assert not evaluate(changed.cursor).run_requests
    materialise(instance, TRAINING_INPUTS[0], "two")
    assert not evaluate(changed.cursor).run_requests, "the same content again is no change"


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_a_table_follows_its_input_only_once_its_blocking_check_passed(
    instance: dg.DagsterInstance,
) -> None:
    passes = False

    @dg.asset
    def parent() -> None: ...

    @dg.asset_check(asset=parent, blocking=True)
    def holds() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=passes)

    @dg.asset(deps=[parent], automation_condition=FOLLOWS_ITS_INPUTS)
    def child() -> None: ...

    graph = dg.Definitions(assets=[parent, child], asset_checks=[holds])
    job = graph.resolve_implicit_global_asset_job_def()

    def evaluate(
        cursor: dg.AutomationConditionSensorDefinition | None = None,
    ) -> tuple[int, object]:
        result = dg.evaluate_automation_conditions(defs=graph, instance=instance, cursor=cursor)
        return result.get_num_requested(dg.AssetKey("child")), result.cursor

    _, cursor = evaluate()
    arguments = {"instance": instance, "asset_selection": [parent.key], "raise_on_error": False}
    job.execute_in_process(**arguments)
    requested, cursor = evaluate(cursor)
    assert requested == 0, "its check failed"
    passes = True
    job.execute_in_process(**arguments)
    requested, cursor = evaluate(cursor)
    assert requested == 1
