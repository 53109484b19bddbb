"""The specifications of every asset, job and schedule, compared with a committed text.

After an intended change, renew the text:
`GENEPT_RENEW_SPECS=1 .venv/bin/pytest -n0 tests/orchestration/test_specs.py`, and
read its difference before it is committed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from orchestration.automation import POLICIES
from orchestration.definitions import defs

SNAPSHOT = Path(__file__).with_name("specs.txt")


def asset_lines() -> Iterator[str]:
    graph = defs.resolve_asset_graph()
    for key in sorted(graph.get_all_asset_keys()):
        node = graph.get(key)
        schema = node.metadata["dagster/column_schema"]
        condition = node.automation_condition
        automation = condition.get_label() or condition.name if condition else "never unasked"
        fresh = node.freshness_policy
        yield f"## {key.to_user_string()}"
        yield f"group {node.group_name}; kinds {', '.join(sorted(node.kinds))}"
        yield f"owners {', '.join(node.owners)}; made: {automation}"
        days = fresh.fail_window.to_timedelta().days if fresh else None
        yield f"stale after {days} days" if days else "never stale"
        if node.partitions_def:
            yield f"partitions {getattr(node.partitions_def, 'name', node.partitions_def)}"
        yield f"columns {', '.join(f'{column.name} {column.type}' for column in schema.columns)}"
        yield f"from {', '.join(sorted(key_.to_user_string() for key_ in node.parent_keys)) or '-'}"
        yield ""


def other_lines() -> Iterator[str]:
    repository = defs.get_repository_def()
    for name in ("release", "nightly", "retraining", "inbox", "donor_games"):
        job = defs.resolve_job_def(name)
        pools = sorted({pool for op in job.all_node_defs for pool in op.pools})
        yield f"## job {name}"
        yield f"assets {len(job.asset_layer.selected_asset_keys)}; pools {', '.join(pools) or '-'}"
        yield ""
    for schedule in repository.schedule_defs:
        yield f"## schedule {schedule.name}"
        yield f"{schedule.cron_schedule} {schedule.execution_timezone}; starts {schedule.job_name}"
        yield f"default {schedule.default_status.value}"
        yield ""
    for sensor in sorted(repository.sensor_defs, key=lambda sensor: sensor.name):
        yield f"## sensor {sensor.name}"
        yield f"default {sensor.default_status.value}; every {sensor.minimum_interval_seconds} s"
        yield ""


def test_all_specs_are_as_committed() -> None:
    text = "\n".join([*asset_lines(), *other_lines()]).rstrip() + "\n"
    if os.environ.get("GENEPT_RENEW_SPECS"):
        SNAPSHOT.write_text(text)
    assert text == SNAPSHOT.read_text(), "see the top of this file for how to renew specs.txt"


def test_every_asset_has_owner_kind_description_group_and_columns() -> None:
    graph = defs.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.owners, key
        assert node.kinds, key
        assert node.description, key
        assert node.group_name != "default", key
        assert node.metadata["dagster/column_schema"].columns, key


def test_every_table_has_the_policy_of_its_group_with_a_reason() -> None:
    graph = defs.resolve_asset_graph()
    for key in graph.materializable_asset_keys:
        node = graph.get(key)
        policy = POLICIES.get(node.group_name)
        if policy is None or node.partitions_def is not None:
            assert node.freshness_policy is None or node.group_name == "sources"
            continue
        assert node.metadata["policy"].startswith(f"{policy.name}: {policy.reason[:20]}"), key
        assert node.freshness_policy is not None, key
        assert (node.automation_condition is None) == (policy.condition is None), key


def test_dagster_retries_no_step() -> None:
    """The transport retries requests, and Prefect those of hosted embedders; not the steps."""
    for name in ("release", "nightly", "retraining", "inbox", "donor_games"):
        for op in defs.resolve_job_def(name).all_node_defs:
            assert op.retry_policy is None, op.name


def test_column_lineage_names_columns_of_upstream_tables() -> None:
    from genept.schema.tables import TABLES, column_origins

    graph = defs.resolve_asset_graph()
    drawn = 0
    for name in TABLES:
        above = graph.get_ancestor_asset_keys(dg.AssetKey(name))
        for column, origins in column_origins(name).items():
            assert column in {column.name for column in TABLES[name].columns}
            for table, source in origins:
                assert dg.AssetKey(table) in above, (name, column)
                assert source in {column.name for column in TABLES[table].columns}
                drawn += 1
    assert drawn > 20
