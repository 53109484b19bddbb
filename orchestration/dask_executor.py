"""Dagster's executor on a Dask cluster, for runs whose steps are in pools.

Dask takes apart and rebuilds the containers that it sends, which fails for the record with which
a run counts its pools. Workers do not read that record: the cluster limits how much runs at once.
Everything else is `dagster_dask`'s own. Imported only if the settings name Dask.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import dagster as dg
from dagster_dask import dask_executor as plain_executor
from dagster_dask.executor import DaskExecutor


class PoollessDaskExecutor(DaskExecutor):
    """Dagster's Dask executor, which sends runs without the count of their pools."""

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[dg.DagsterEvent]:
        """Events of every step, as the workers report them."""
        data = plan_context.plan_data
        run = data.dagster_run._replace(run_op_concurrency=None)
        plan_context._plan_data = data._replace(dagster_run=run)
        yield from super().execute(plan_context, execution_plan)


@dg.executor(
    name="dask",
    requirements=dg.multiple_process_executor_requirements(),
    config_schema=cast(Any, plain_executor.config_schema),
)
def dask_executor(context: dg.InitExecutorContext) -> PoollessDaskExecutor:
    """As `dagster_dask.dask_executor`, whose configuration it takes."""
    ((kind, configuration),) = cast(Any, context.executor_config["cluster"]).items()
    return PoollessDaskExecutor(kind, configuration)  # type: ignore[no-untyped-call]
