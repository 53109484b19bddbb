"""`genept games …`: the Donor Game, played by scripted agents and language models.

Playing is `genept.language_models.games`. What was played is kept: the same command goes on there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from rich.text import Text

from genept.client import Platform, render_games
from genept.common import Settings, StoreError, console, open_console, plain_table, visible
from genept.language_models import ChatError, LanguageModels
from genept.language_models.games import (
    DeclaredGame,
    DonorGame,
    GameError,
    GameRun,
    Move,
    PlayedGame,
    beside_controls,
    forecast_game,
    play_games,
)

games = typer.Typer(no_args_is_help=True, help="Games between agents: language models, scripts.")
answer = open_console(soft_wrap=True)
DEFAULTS = DonorGame()


def _about(name: str) -> str:
    return str(DonorGame.model_fields[name].description)


@games.command()
def donor(
    strategy: Annotated[
        list[str] | None, typer.Option(help="A scripted strategy; repeat for more.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(help="A language model, or the start of its id; repeat for more."),
    ] = None,
    together: Annotated[
        bool, typer.Option(help="All in one game, the agents in turn; else each in a game.")
    ] = False,
    agents: Annotated[int, typer.Option(help=_about("n_agents"))] = DEFAULTS.n_agents,
    generations: Annotated[
        int, typer.Option(help=_about("n_generations"))
    ] = DEFAULTS.n_generations,
    rounds: Annotated[int, typer.Option(help=_about("n_rounds"))] = DEFAULTS.n_rounds,
    start: Annotated[float, typer.Option(help=_about("endowment"))] = DEFAULTS.endowment,
    multiplier: Annotated[float, typer.Option(help=_about("multiplier"))] = DEFAULTS.multiplier,
    trace: Annotated[int, typer.Option(help=_about("trace_length"))] = DEFAULTS.trace_length,
    survivors: Annotated[
        float, typer.Option(help=_about("surviving_share"))
    ] = DEFAULTS.surviving_share,
    noise: Annotated[float, typer.Option(help=_about("noise"))] = DEFAULTS.noise,
    punishment: Annotated[float, typer.Option(help=_about("punishment"))] = DEFAULTS.punishment,
    inheritance: Annotated[str, typer.Option(help=_about("inheritance"))] = DEFAULTS.inheritance,
    seed: Annotated[int, typer.Option(help=_about("seed"))] = DEFAULTS.seed,
    minutes: Annotated[
        float | None,
        typer.Option(min=0, help="Ask nothing after so many; the same command goes on there."),
    ] = None,
    page: Annotated[Path | None, typer.Option(help="Also write a page with figures here.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Pay without being asked.")] = False,
) -> None:
    """Play the Donor Game, or go on with it, and print what happened beside the controls.

    Without a strategy and a model, the controls alone are played. Moves that were made are not
    asked for again.
    """
    rules = DonorGame.model_validate(
        {
            "n_agents": agents, "n_generations": generations, "n_rounds": rounds,
            "endowment": start, "multiplier": multiplier, "trace_length": trace,
            "surviving_share": survivors, "noise": noise, "punishment": punishment,
            "inheritance": inheritance, "seed": seed,
        }
    )  # fmt: skip
    platform = Platform(Settings())
    chosen = [*(_model(platform.language_models, name) for name in model or ()), *(strategy or ())]
    wanted = [chosen] if together else [[player] for player in chosen]
    try:
        _announce(platform, rules, wanted, yes)
        run = play_games(platform.games, rules, wanted, minutes, _Progress(rules), _say)
        if not run.games:
            run = GameRun(_controls(platform, rules), run.left_out)
        rows = beside_controls(platform.games, run)
    except (ChatError, GameError) as error:
        raise StoreError(str(error)) from None
    _print(rows)
    for game in run.games:
        _print_pace(game)
    for name, why in run.left_out.items():
        answer.print(f"left out: {name}: {why}", markup=False)
    if page is not None:
        page.write_bytes(render_games(rows))
        answer.print(f"written: {page}", markup=False)
    if run.left_out and minutes is None:
        raise typer.Exit(1)


@games.command("list")
def list_games() -> None:
    """List the games that were played here: id, agents × generations × rounds, moves made."""
    platform = Platform(Settings())
    rows = [
        (game.id, _rules_in_words(game.rules), _moves_of(platform, game))
        for game in platform.games.declared.all()
    ]
    answer.print(plain_table("game", "rules", "moves", rows=rows), soft_wrap=False)


@games.command()
def show(
    game: Annotated[str, typer.Argument(help="Its id, or how that begins.")],
    page: Annotated[Path | None, typer.Option(help="Also write a page with figures here.")] = None,
) -> None:
    """Show a game beside its controls, and the strategies of its last generation."""
    platform = Platform(Settings())
    ids = [id_ for id_ in platform.games.declared.ids if id_.startswith(game)]
    if len(ids) != 1:
        raise StoreError(
            f"{game!r} is the start of {len(ids)} ids ({', '.join(ids[:8]) or 'none'}): "
            "see `genept games list`"
        )
    declared = platform.games.declared.find(ids[0])
    assert declared is not None  # noqa: S101 - it was just listed
    try:
        run = GameRun([platform.games.read(declared)], {})
    except GameError as error:
        raise StoreError(f"{declared.id} cannot be read by this version: {error}") from None
    rows = beside_controls(platform.games, run)
    _print(rows)
    strategies = rows["donor_strategies"].filter(game_id=declared.id)
    last = strategies.filter(pl.col("generation") == pl.max("generation"))
    for row in last.sort("wealth", descending=True).iter_rows(named=True):
        head = f"{row['wealth']:>10,.1f}  {row['origin']:<9} {row['n_children']} children  "
        typer.echo(head + visible(row["strategy"]))
    if page is not None:
        page.write_bytes(render_games(rows))
        answer.print(f"written: {page}", markup=False)


def _rules_in_words(rules: DonorGame) -> str:
    """Agents, generations and rounds, and what else is not as usual."""
    size = f"{rules.n_agents} × {rules.n_generations} × {rules.n_rounds}"
    changed = rules.model_dump(
        exclude_defaults=True, exclude={"n_agents", "n_generations", "n_rounds"}
    )
    return ", ".join([size, *(f"{name} {value}" for name, value in changed.items())])


def _moves_of(platform: Platform, game: DeclaredGame) -> str:
    try:
        n = len(platform.games.read(game).result.moves)
    except GameError:
        return "cannot be read by this version"
    return f"{n:,} of {game.rules.n_moves:,}"


def _model(models: LanguageModels, name: str) -> str:
    """Id of a model; the start of one is enough if no other starts so."""
    if name in models.declared:
        return name
    ids = [id_ for id_ in models.declared if id_.startswith(name)]
    if len(ids) != 1:
        raise StoreError(f"--model {name}: there are {', '.join(ids or models.declared)}")
    return ids[0]


def _announce(platform: Platform, rules: DonorGame, wanted: list[list[str]], yes: bool) -> None:
    """Say what hosted models may cost; that has to be agreed to."""
    declared = [DeclaredGame.of(rules, players, platform.language_models) for players in wanted]
    dollars = sum(
        forecast_game(platform.games, game)
        for game in declared
        if not any(map(platform.language_models.unavailable, game.models))
    )
    if dollars > 0:
        _say(f"at most ${dollars:.2f}, and no more than the limit GENEPT_EMBEDDING_BUDGET")
        if not yes:
            typer.confirm("Pay that?", abort=True, err=True)


def _controls(platform: Platform, rules: DonorGame) -> list[PlayedGame]:
    control = DeclaredGame.of(rules, ("never-give",), platform.language_models)
    return [platform.games.read(control)]


def _say(text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)


class _Progress:
    """Says after each round how far the game is."""

    def __init__(self, rules: DonorGame) -> None:
        self.rules, self.round = rules, (-1, -1)

    def __call__(self, move: Move) -> None:
        if (move.generation, move.round) != self.round:
            self.round = (move.generation, move.round)
            n = (move.generation * self.rules.n_rounds + move.round) * self.rules.n_agents
            where = f"generation {move.generation}, round {move.round}"
            _say(f"{where}: {n:,} of {self.rules.n_moves:,} moves")


def _print(rows: dict[str, pl.DataFrame]) -> None:
    shown = []
    for row in rows["donor_games"].iter_rows(named=True):
        name = " + ".join(row["players"]) + (" (control)" if row["is_control"] else "")
        style = "dim" if row["is_control"] else "green"
        shown.append(
            (
                Text(name, style=style),
                f"{row['n_moves']:,}" + ("" if row["is_complete"] else ", not over"),
                _range(row["first_wealth"], row["last_wealth"], ",.1f"),
                _range(row["first_share"], row["last_share"], ".0%"),
                f"{row['punished']:,.1f}",
                "; ".join(row["faults"]) or "0",
                f"{row['n_rejected']}",
            )
        )
    heads = ("players", "moves", "mean units", "given", "punished", "faults", "rejected")
    answer.print(plain_table(*heads, rows=shown), soft_wrap=False)
    answer.print(
        "[dim]mean units at the end, and share of its wealth that a donor gave: first to last "
        "generation; rejected: answers out of form, asked for again[/]"
    )


def _range(first: float | None, last: float | None, form: str) -> str:
    return "–" if first is None or last is None else f"{first:{form}} to {last:{form}}"


def _print_pace(game: PlayedGame) -> None:
    if game.n_new:
        pace = f"{game.seconds / game.n_new:.1f} s a move"
        answer.print(f"{game.declared.id}: {game.n_new:,} new moves, {pace}", markup=False)
