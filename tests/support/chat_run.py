"""A program that completes chats with a hosted model; for tests that kill it.

Its arguments are a file with settings, how many chats, and ``step`` if it is to be a step of a
Dagster run, which launches a flow, or ``killed-when-created`` if it is to kill itself when the
service has a batch and nobody knows its id. Its last line is the result as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from genept.common import Settings
from genept.language_models import Chat, CompleteRemotely, LanguageModels, complete
from genept.storage import open_store
from genept.text.hosted.batch_api import BatchApi


def questions(number: int) -> list[Chat]:
    return [Chat(f"What does gene {i} do?") for i in range(number)]


def answers(settings: Settings, number: int, remote: CompleteRemotely | None) -> list[str | None]:
    models = LanguageModels(settings)
    with models.open("loopback") as service:
        cache = models.cache(service, open_store(settings, "writer"))
        asked = questions(number)
        outcomes = complete(service, cache, asked, models.batch_limit, remote=remote)
    return [outcome.text for outcome in outcomes]


def step(settings: Settings, number: int) -> dict[str, Any]:
    """Complete chats as a step of a run; what is in the event log of it."""
    import dagster as dg

    from orchestration.remote_embedding import PrefectFlows

    @dg.asset
    def answered():  # type: ignore[no-untyped-def]  # Dagster resolves names in annotations
        texts = answers(settings, number, PrefectFlows(settings).complete)
        return dg.MaterializeResult(metadata={"answers": texts})

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([answered], instance=instance)
    (event,) = result.asset_materializations_for_node("answered")
    metadata = {name: value.value for name, value in event.metadata.items()}
    return metadata | {"prefect": "prefect" in sys.modules}


def main() -> None:
    settings = Settings(**json.loads(Path(sys.argv[1]).read_text()))
    number = int(sys.argv[2])
    if sys.argv[3:] == ["killed-when-created"]:
        create = BatchApi.create

        def killed(*given: Any) -> str:
            create(*given)
            os.kill(os.getpid(), signal.SIGKILL)
            return ""

        BatchApi.create = killed  # type: ignore[method-assign]
    result = step(settings, number) if sys.argv[3:] == ["step"] else answers(settings, number, None)
    print(json.dumps(result))  # noqa: T201 - the parent reads it


if __name__ == "__main__":
    main()
