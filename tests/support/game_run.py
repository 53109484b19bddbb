"""A program that plays a Donor Game with a hosted model; for tests that kill it.

Its argument is a file with settings. Its last line is the SHA-256 of the game's rows as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from genept.common import Settings
from genept.language_models import LanguageModels
from genept.language_models.games import DeclaredGame, DonorGame, PlayedGames
from genept.language_models.games.donor_tables import donor_rows
from genept.storage import open_store, sha256_of

RULES = DonorGame(n_agents=4, n_generations=3, n_rounds=6, noise=0.1, punishment=2)
PLAYERS = ("loopback", "tit-for-tat")


def main() -> None:
    settings = Settings(**json.loads(Path(sys.argv[1]).read_text()))
    models = LanguageModels(settings)
    games = PlayedGames(open_store(settings, "writer"), settings.product, models)
    game = DeclaredGame.of(RULES, PLAYERS, models)
    played = games.play(game)
    rows = sha256_of(donor_rows(played))
    print(json.dumps({"rows": rows, "n_new": played.n_new}))  # noqa: T201 - the parent reads it


if __name__ == "__main__":
    main()
