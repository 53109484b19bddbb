"""The worker that runs the Prefect flows, and what a Prefect server is set up with for it.

`genept worker` runs the flows of `orchestration.prefect_flows`. It needs the platform's settings
and `PREFECT_API_URL`, with `PREFECT_API_AUTH_STRING` for a server that requires a key.
"""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from typing import Final, cast

from prefect import get_client

from genept.common import Settings
from orchestration.prefect_flows import FLOWS, NAME

CRASH: Final = "genept: crash silent flow runs"

HEARTBEAT_SECONDS: Final = 30
"""How often a flow run says that it is alive; Prefect allows no less."""

SILENT_FOR: Final = timedelta(seconds=90)
"""A flow run that says nothing for so long has lost its process, and counts as crashed."""


def register() -> None:
    """Tell the server of the work pool, the deployments, and when a flow run counts as crashed."""
    from prefect.automations import Automation
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.client.schemas.objects import StateType
    from prefect.deployments.runner import RunnerDeployment
    from prefect.events.actions import ChangeFlowRunState
    from prefect.events.schemas.automations import EventTrigger, Posture
    from prefect.events.schemas.events import ResourceSpecification
    from prefect.types.entrypoint import EntrypointType
    from prefect.workers.process import ProcessWorker

    with get_client(sync_client=True) as client:
        template = ProcessWorker.get_default_base_job_template()
        client.create_work_pool(
            WorkPoolCreate(name=NAME, type="process", base_job_template=template), overwrite=True
        )
        known = client.read_automations_by_name(CRASH)
    for declared in FLOWS:
        deployment = declared.to_deployment(
            NAME, work_pool_name=NAME, entrypoint_type=EntrypointType.MODULE_PATH
        )
        cast(RunnerDeployment, deployment).apply()  # no coroutine: nothing is awaited here
    if not known:
        ended = ("Completed", "Failed", "Cancelled", "Crashed")
        heartbeat = "prefect.flow-run.heartbeat"
        Automation(
            name=CRASH,
            trigger=EventTrigger(
                after={heartbeat},
                expect={heartbeat, *(f"prefect.flow-run.{state}" for state in ended)},
                match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
                for_each={"prefect.resource.id"},
                posture=Posture.Proactive,
                threshold=1,
                within=SILENT_FOR,
            ),
            actions=[ChangeFlowRunState(state=StateType.CRASHED, message="its process was lost")],
        ).create()


def work(name: str | None = None) -> None:
    """Register the flows, then run what is launched, until this process is interrupted.

    Parameters
    ----------
    name
        Of the worker; None: one that Prefect makes.
    """
    from prefect.workers.process import ProcessWorker

    os.environ |= Settings().environment()  # a flow run starts in a folder of its own
    os.environ["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] = str(HEARTBEAT_SECONDS)
    register()
    probed = "PREFECT_WORKER_WEBSERVER_PORT" in os.environ  # by Compose or Kubernetes
    asyncio.run(ProcessWorker(work_pool_name=NAME, name=name).start(with_healthcheck=probed))
