"""`genept run`, `genept ui` and `genept worker`: the commands that need the orchestrator.

Every `genept` command loads this module, so Dagster is imported only inside the
commands that need it.
"""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Annotated

import typer

from genept.common import PENDING_EXIT, Settings, StoreError, console, share_memory
from genept.release import COMMAND

if TYPE_CHECKING:
    import dagster as dg

    from genept.client import Platform

UI_PORT = 3000


def run() -> None:
    """Build what is new and publish it: public data to a release, through Dagster.

    Ends with code 75 if texts or chats are in batches that a service has up to a day to finish: run
    it again then, or leave that to the sensor `batches` of `genept ui`.
    """
    is_new = build_release()
    from genept.cli import print_report

    print_report(Settings(), is_new=is_new)


def build_release() -> bool:
    """Build what is new and publish it; return whether a release was made.

    Raises
    ------
    typer.Exit
        Batches of a hosted model are pending, so that nothing was published yet.
    """
    share_memory()
    with _no_garbage():
        import dagster as dg

        from genept.client import Platform
        from orchestration.instance import close_killed_runs, dagster_home, exclusive_run

    settings = Settings()
    platform = Platform(settings)
    try:
        platform.limits, platform.writers  # noqa: B018 - names what is unknown
    except ValueError as error:
        raise StoreError(str(error)) from None
    before = platform.releases.current_id()
    with exclusive_run(settings), _report_lost_database():
        dagster_home(settings)
        with dg.DagsterInstance.get() as instance:
            close_killed_runs(instance)
            platform.claim  # noqa: B018 - refuses declarations that break readers
            _register_partitions(instance, platform)
            pending = pending_of(instance, _materialise(instance))
    if pending:
        console.print(f"Nothing was published yet: {'; '.join(pending)}.", markup=False)
        console.print(
            "The next `genept run` goes on from there, and so does the sensor `batches` of "
            "`genept ui`.",
            markup=False,
        )
        raise typer.Exit(PENDING_EXIT)
    return before != platform.releases.current_id()


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Import what stays until the process ends; garbage is not looked for in it, now or later."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def ui(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; another if it is taken.")] = UI_PORT,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="For viewers: nothing can be launched or changed.")
    ] = False,
    open_browser: Annotated[
        bool, typer.Option("--open/--no-open", help="Open it in the browser of the desktop.")
    ] = True,
) -> None:
    """Open the Dagster UI over the same instance, on this machine only; with its daemon.

    The link that is printed holds a token; without it nobody is let in. The daemon is what runs
    schedules and sensors; a read-only UI comes without it.
    """
    import dagster as dg

    from genept.client import Platform
    from orchestration.instance import dagster_home
    from orchestration.services import code_server, daemon, watched
    from orchestration.webserver import UiAccess, serve

    os.umask(0o077)  # sockets and logs of all its processes are this user's
    settings = Settings()
    home = dagster_home(settings)
    with dg.DagsterInstance.get() as instance:
        _register_partitions(instance, Platform(settings))
    access = UiAccess.make(settings, read_only=read_only)
    with ExitStack() as stack:
        listener = stack.enter_context(_free_port(port))
        stack.enter_context(suppress(KeyboardInterrupt))
        workspace, code = stack.enter_context(code_server())
        needed = [] if read_only else [stack.enter_context(daemon(workspace))]
        stack.enter_context(watched([code], needed))
        port = int(listener.getsockname()[1])
        link = stack.enter_context(access.link(port, open_browser=open_browser))
        console.print(
            f"Dagster UI: {link} (instance {home}); Ctrl-C ends it", soft_wrap=True, markup=False
        )
        options = ["--host", "127.0.0.1", "--port", str(port), "--workspace", str(workspace)]
        serve([*options, *(["--read-only"] if read_only else [])], access.guarded, listener)


def worker(
    name: Annotated[str | None, typer.Option(help="Of the worker, in Prefect's UI.")] = None,
) -> None:
    """Run the flows that ask and pay hosted models, for the Prefect server of PREFECT_API_URL.

    Without a server of your own you need none: a run that has something to embed starts both.
    """
    if "PREFECT_API_URL" not in os.environ:
        raise StoreError("PREFECT_API_URL is not set: it names the Prefect server to work for")
    from orchestration.prefect_worker import work

    work(name)


def _register_partitions(instance: dg.DagsterInstance, platform: Platform) -> None:
    from orchestration.instance import register_partitions

    register_partitions(
        instance,
        collections=platform.catalogue.collections,
        spaces=[space.id for space in platform.known_spaces],
    )


@contextmanager
def _report_lost_database() -> Iterator[None]:
    """Raise `StoreError` without secrets if the database of the Dagster instance is lost."""
    from sqlalchemy.exc import OperationalError

    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, OperationalError):
            cause = cause.__cause__ or cause.__context__
        if cause is None:
            raise
        raise StoreError(
            f"the database of the Dagster instance does not answer: {str(cause).splitlines()[0]} "
            "Start it and run again: what is finished is kept, and nothing was published twice"
        ) from None


def _materialise(instance: dg.DagsterInstance) -> str:
    """Run the job `release`; the id of its run."""
    with _no_garbage():
        import dagster as dg

        from orchestration.definitions import release_job
        from orchestration.event_log import held_connections
        from orchestration.failures import direct_console
        from orchestration.instance import LAUNCHED_BY, place_in_timeline

    result: dg.ExecuteInProcessResult | dg.JobExecutionResult
    if Settings().executor == "in_process":
        with direct_console(), held_connections(instance):
            result = release_job().execute_in_process(
                instance=instance, tags=LAUNCHED_BY, raise_on_error=False
            )
    else:
        result = dg.execute_job(dg.reconstructable(release_job), instance, tags=LAUNCHED_BY)
    place_in_timeline(instance, result.run_id)
    require_published(instance, result.run_id)
    return result.run_id


def pending_of(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    """What a run left pending, in words; empty if it left nothing."""
    import dagster as dg

    from assets import PENDING

    observed = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_OBSERVATION)
    observations = [entry.asset_observation for entry in observed]
    return [
        observation.description or ""
        for observation in observations
        if observation and PENDING in observation.metadata
    ]


def require_published(instance: dg.DagsterInstance, run_id: str) -> None:
    """Raise `StoreError` unless a run ended well; what to do depends on whether it is held."""
    import dagster as dg

    from orchestration.failures import is_held

    run = instance.get_run_by_id(run_id)
    if run is not None and run.is_success:
        return
    failures = instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    if any(entry.dagster_event and is_held(entry.dagster_event) for entry in failures):
        raise StoreError(
            f"run {run_id} is held for approval; the message above says what for. Nothing was "
            f"published, what was finished is kept: `{COMMAND}`, then run again"
        )
    raise StoreError(
        f"run {run_id} did not finish; the message above says why. Nothing was published, what "
        "was finished is kept: fix the cause and run again"
    )


def _free_port(preferred: int) -> socket.socket:
    """A socket that is bound to the port, or to another if that is taken."""
    for port in (preferred, 0):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            listener.close()
            continue
        return listener
    raise StoreError("no free port on 127.0.0.1")
