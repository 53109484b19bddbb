"""Dagster's own webserver behind the guard: `python -m orchestration.webserver`.

Takes the options of `dagster-webserver` and is started in its place by everything in `infra/`;
`genept ui` serves by it too. What is refused is in `orchestration.guard`; which processes belong
to a UI on one machine is in `orchestration.services`.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Sequence
from typing import Final

import click
from pydantic import ValidationError
from pydantic_settings import SettingsError
from starlette.types import ASGIApp

from genept.settings import Settings
from genept.store.errors import StoreError
from orchestration.guard import Guard

LOOPBACK: Final = ("127.0.0.1", "localhost")
CLOSING_SECONDS: Final = 5
"""How long open requests may take when the server ends."""


def serve(
    arguments: Sequence[str],
    guarded: Callable[[ASGIApp, str, int], Guard],
    listener: socket.socket | None = None,
) -> None:
    """Serve Dagster's UI behind a guard until the process is told to end.

    Parameters
    ----------
    arguments
        Options of `dagster-webserver`.
    guarded
        Puts the guard before the application, given host and port.
    listener
        Socket that is bound already; without it, host and port of the arguments are.

    Raises
    ------
    StoreError
        If this release of Dagster serves in a way that the guard cannot be put before.
    """
    import dagster_webserver.cli
    import uvicorn

    def serve_guarded(app: ASGIApp, *, host: str, port: int, log_level: str) -> None:
        config = uvicorn.Config(
            guarded(app, host, port),
            host=host,
            port=port,
            log_level=log_level,
            access_log=False,  # an address may hold the token
            server_header=False,
            timeout_graceful_shutdown=CLOSING_SECONDS,
        )
        uvicorn.Server(config).run(sockets=None if listener is None else [listener])

    # Dagster has no option for middleware. Its command serves by `uvicorn.run`, so that is what
    # puts the guard in; if it ever serves otherwise, nothing is served.
    uvicorn.run = serve_guarded  # type: ignore[assignment]
    if getattr(dagster_webserver.cli, "uvicorn", None) is not uvicorn:
        raise StoreError(
            "this release of dagster-webserver does not serve by uvicorn: the guard cannot be put "
            "before it. Install the versions of requirements.lock"
        )
    try:
        dagster_webserver.cli.cli.main(
            list(arguments), auto_envvar_prefix="DAGSTER_WEBSERVER", standalone_mode=False
        )
    except click.Abort:  # what click makes of Ctrl-C
        raise KeyboardInterrupt from None


def own_hosts(settings: Settings, host: str, port: int) -> list[str]:
    """`Host` headers of a server: loopback, what it is bound to, and what the settings name."""
    names = [*LOOPBACK, *([host] if host not in (*LOOPBACK, "0.0.0.0", "::") else [])]  # noqa: S104
    with_port = [f"{name}:{port}" for name in names]
    return [*with_port, *(names if port == 80 else ()), *settings.ui_hosts]


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve with the token of the environment, which has to be set.

    Raises
    ------
    SystemExit
        With a message, if a setting is wrong or the token is missing.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        serve(arguments, _guarded(Settings(), read_only="--read-only" in arguments))
    except KeyboardInterrupt:
        return
    except click.ClickException as error:
        raise SystemExit(error.format_message()) from None
    except (StoreError, SettingsError, ValidationError) as error:
        raise SystemExit(str(error)) from None


def _guarded(settings: Settings, *, read_only: bool) -> Callable[[ASGIApp, str, int], Guard]:
    name = "GENEPT_VIEWER_TOKEN" if read_only else "GENEPT_UI_TOKEN"
    token = settings.viewer_token if read_only else settings.ui_token
    if token is None:
        raise StoreError(
            f"{name} is not set, and without a token whoever reaches the port would be let in. "
            "Make one with: openssl rand -hex 32"
        )
    secret = token.get_secret_value()
    how_to_enter = (
        f"Open this address with ?token=… and the value of {name} once; "
        "scripts send it as `Authorization: Bearer …`."
    )
    return lambda app, host, port: Guard(app, secret, own_hosts(settings, host, port), how_to_enter)


if __name__ == "__main__":
    main()
