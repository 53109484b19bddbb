"""A program that completes chats with a hosted model; for tests that kill it.

Its arguments are a file with settings, and how many chats. Its last line is the answers as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from genept.common import Settings
from genept.language_models import Chat, LanguageModels, complete
from genept.storage import open_store


def questions(number: int) -> list[Chat]:
    return [Chat(f"What does gene {i} do?") for i in range(number)]


def main() -> None:
    settings = Settings(**json.loads(Path(sys.argv[1]).read_text()))
    models = LanguageModels(settings)
    with models.open("loopback") as service:
        cache = models.cache(service, open_store(settings, "writer"))
        outcomes = complete(service, cache, questions(int(sys.argv[2])), models.spending_limit)
    print(json.dumps([outcome.text for outcome in outcomes]))  # noqa: T201 - the parent reads it


if __name__ == "__main__":
    main()
