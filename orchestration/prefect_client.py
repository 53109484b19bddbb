"""What Dagster says to a Prefect server; imported only when a flow is to be launched."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final

import dagster as dg
import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import TERMINAL_STATES, FlowRun, StateType, WorkerStatus
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import Cancelled
from pydantic import Field

from orchestration.prefect_flows import NAME

with warnings.catch_warnings():  # a preview in all of Dagster 1.13, to which we are pinned
    warnings.simplefilter("ignore", dg.PreviewWarning)
    from dagster_prefect import PrefectResource

AUTH_STRING: Final = "PREFECT_API_AUTH_STRING"
POLL_SECONDS: Final = 2.0
ENDING_SECONDS: Final = 60.0

PAGE: Final = 200
"""Most that a server lists at once."""


class PrefectServer(PrefectResource):
    """A Prefect server, which may require a key; its own class knows only keys of Prefect Cloud.

    Parameters
    ----------
    auth_string
        User and password, as `PREFECT_API_AUTH_STRING` has them.
    """

    auth_string: str | None = Field(None, repr=False)

    @contextmanager
    def get_client(self) -> Iterator[SyncPrefectClient]:
        """A client that is closed when it is left."""
        with SyncPrefectClient(
            self.api_url, api_key=self.api_key, auth_string=self.auth_string
        ) as client:
            yield client

    @classmethod
    def at(cls, environment: Mapping[str, str]) -> PrefectServer:
        """The server that Prefect's own variables name.

        Links lead to the second version of its UI where it requires a user and a password: the
        first one shows no form for them, and then no page.
        """
        api_url, auth_string = environment["PREFECT_API_URL"], environment.get(AUTH_STRING)
        asks = f"{api_url.removesuffix('/').removesuffix('/api')}/v2" if auth_string else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dg.PreviewWarning)
            return cls(
                api_url=api_url,
                api_key=environment.get("PREFECT_API_KEY"),
                ui_url=environment.get("PREFECT_UI_URL", asks),
                auth_string=auth_string,
            )

    def run(
        self, context: dg.AssetExecutionContext, flow: str, parameters: Mapping[str, Any]
    ) -> str:
        """Run a flow by a worker and wait for it; the step's asset links to it.

        No Pipes session is opened: it would require an output of every step, and an asset that
        waits for a batch has none.

        Parameters
        ----------
        context
            Of the step. If its run is terminated, the flow run is cancelled.
        flow
            Its name.
        parameters
            Its arguments.

        Returns
        -------
        str
            Id of the flow run.

        Raises
        ------
        dg.Failure
            The flow run did not complete; the message says why.
        """
        if not self.has_worker():
            context.log.warning(
                "no Prefect worker is online, and %s waits for one: start `genept worker`", flow
            )
        tags = [f"dagster-run-{context.run.run_id}"]
        run_id = self.launch_deployment_run(f"{flow}/{NAME}", parameters=parameters, tags=tags).id
        link = dg.MetadataValue.url(self.flow_run_url(run_id))
        context.log.info("launched Prefect flow run %s of %s: %s", run_id, flow, link.url)
        try:
            while (state := self.get_flow_run(run_id).state) is None or not state.is_final():
                time.sleep(POLL_SECONDS)
        except BaseException as error:
            if not isinstance(error, Exception):  # Ctrl-C, or the run is terminated
                self.cancel_flow_run(run_id)
            raise
        if not state.is_completed():
            raise dg.Failure(
                f"Prefect flow run {run_id} of {flow} ended as {state.name}: {state.message}",
                metadata={flow: link},
                allow_retries=False,
            )
        context.add_asset_metadata({f"flow {flow}": link})
        return str(run_id)

    def has_worker(self, name: str | None = None) -> bool:
        """Whether a worker, or the one of that name, is online."""
        with self.get_client() as client:
            try:
                workers = client.read_workers_for_work_pool(NAME, offset=0, limit=PAGE)
            except httpx.HTTPStatusError as error:
                if error.response.status_code != httpx.codes.NOT_FOUND:
                    raise
                return False  # no worker has registered the pool yet
        online = [worker.name for worker in workers if worker.status == WorkerStatus.ONLINE]
        return name in online if name else bool(online)

    def is_healthy(self) -> bool:
        """Whether it answers."""
        with self.get_client() as client:
            return client.api_healthcheck() is None

    def open_runs(self) -> list[FlowRun]:
        """The flow runs that have not ended."""
        open_states = [state for state in StateType if state not in TERMINAL_STATES]
        of_state = FlowRunFilterState(type=FlowRunFilterStateType(any_=open_states))
        with self.get_client() as client:
            return client.read_flow_runs(
                flow_run_filter=FlowRunFilter(state=of_state),
                sort=FlowRunSort.START_TIME_DESC,
                limit=PAGE,
            )

    def cancel_all(self) -> None:
        """Cancel every flow run that has not ended."""
        for run in self.open_runs():
            with self.get_client() as client:
                client.set_flow_run_state(run.id, Cancelled(), force=True)

    def wait_until_idle(self) -> None:
        """Wait until no flow run is open, for a minute at most: one may be ending."""
        until = time.monotonic() + ENDING_SECONDS
        with suppress(httpx.HTTPError):
            while self.open_runs() and time.monotonic() < until:
                time.sleep(POLL_SECONDS / 2)
