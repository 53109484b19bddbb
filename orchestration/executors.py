"""The executor of the steps: this process, or the workers of a cluster, as the settings say.

The graph and the library are the same in all of them. The configuration of a cluster is in a
YAML file (`infra/dask/`, `infra/kubernetes/`); `docs/scale.md` says how to use them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import dagster as dg
import yaml

from genept.common import Settings, StoreError


def executor_of(settings: Settings) -> dg.ExecutorDefinition:
    """The executor that the settings name, with its configuration.

    Raises
    ------
    StoreError
        Its package is not installed, or there is no file of its configuration.
    """
    if settings.executor == "in_process":
        return dg.in_process_executor
    try:
        if settings.executor == "dask":
            executor = _dask_executor()
        else:
            from dagster_k8s import k8s_job_executor as executor
    except ImportError as error:
        extra = {"dask": "dask", "kubernetes": "k8s"}[settings.executor]
        raise StoreError(
            f"executor {settings.executor!r} is not installed ({error}): install the project "
            f"with its extra [{extra}], or unset GENEPT_EXECUTOR"
        ) from None
    return executor.configured(_configuration(settings), name=settings.executor)


def lanes_of(settings: Settings) -> int:
    """Number of steps that share the shards; 0 on one machine, where a process pool is faster."""
    return 0 if settings.executor == "in_process" else settings.lanes


def _dask_executor() -> dg.ExecutorDefinition:
    """Dagster's executor on a Dask cluster, for runs whose steps are in pools.

    Dask takes apart and rebuilds the containers that it sends, which fails for the record with
    which a run counts its pools. Workers do not read that record: the cluster limits how much
    runs at once. Everything else is `dagster_dask`'s own.
    """
    from dagster_dask import dask_executor as plain_executor
    from dagster_dask.executor import DaskExecutor

    class PoollessDaskExecutor(DaskExecutor):
        def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[dg.DagsterEvent]:
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
        ((kind, configuration),) = cast(Any, context.executor_config["cluster"]).items()
        return PoollessDaskExecutor(kind, configuration)  # type: ignore[no-untyped-call]

    return dask_executor


def _configuration(settings: Settings) -> dict[str, Any]:
    path = settings.executor_config
    if path is None:
        raise StoreError(
            f"executor {settings.executor!r} needs GENEPT_EXECUTOR_CONFIG: a YAML file such as "
            "infra/dask/executor.yaml or infra/kubernetes/executor.yaml"
        )
    if not path.is_file():
        raise StoreError(f"GENEPT_EXECUTOR_CONFIG names {path}, and there is no such file")
    configuration = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(configuration, dict):
        raise StoreError(f"{path}: expected a mapping, the executor's configuration")
    return configuration
