"""Group `language_models`: games between agents; not released, but drawn on a page of a release."""

from collections.abc import Iterator

import dagster as dg  # reads annotations at run time: no `from __future__ import annotations`
from pydantic import Field

from assets.declarations import declared_outs
from assets.results import Context, PlatformResource, bullets, table_result
from genept.language_models.games import (
    DONOR_TABLES,
    DonorGame,
    draw_games,
    play_games,
    tables_of_games,
)
from genept.release import shown_pictures
from genept.storage import StoredTable


class DonorOptions(DonorGame, dg.Config):
    """Rules of the games that a run plays, and who plays them."""

    players: list[str] = Field(
        ["smollm2-135m"],
        description="Language models (`genept chat models`) and scripted strategies; each plays a "
        "game of its own, all agents alike, beside the controls. Empty: the controls alone.",
    )
    minutes: float = Field(
        20.0, ge=0, description="No question is asked after so many; the next run goes on there."
    )

    @property
    def rules(self) -> DonorGame:
        """The rules alone."""
        return DonorGame(**self.model_dump(include=set(DonorGame.model_fields)))


@dg.multi_asset(name="play_donor_games", outs=declared_outs(DONOR_TABLES))
def donor_games(
    context: Context, platform: PlatformResource, config: DonorOptions
) -> Iterator[dg.MaterializeResult[None]]:
    """Play, or go on playing, for some minutes; the tables hold all games that were ever played."""
    wanted = [(player,) for player in config.players]
    run = play_games(platform.games, config.rules, wanted, config.minutes, waiting=context.log.info)
    parts, unreadable = tables_of_games(platform.lake, platform.games, config.rules)
    left_out = run.left_out | unreadable
    for player, why in left_out.items():
        context.log.warning(f"{player}: {why}")
    tables = [platform.lake.assemble(name, parts) for name in DONOR_TABLES]
    remarks = {
        "not played to the end": bullets(f"{name}: {why}" for name, why in left_out.items()),
        "figures": dg.MetadataValue.md(_pictures(platform, tables)),
    }
    for stored in tables:
        result = table_result(stored, **remarks)
        yield dg.MaterializeResult(
            asset_key=result.asset_key, data_version=result.data_version, metadata=result.metadata
        )


def _pictures(platform: PlatformResource, tables: list[StoredTable]) -> str:
    figures = draw_games(*map(platform.lake.read, tables))
    where = "drawn by `genept games show ID --page FILE`, and in the audit of the next release"
    return shown_pictures({f"{it.title} ({it.name})": (where, it.png) for it in figures})
