"""`genept bench …`: tasks on genes, every space and model compared, the leaderboard of a release.

Running tasks is `genept.client.benchmark_runs`; the tasks are in `genept.benchmarks`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from genept import benchmarks, client
from genept.cli.output_files import writable
from genept.common import Settings, StoreError, console, open_console, plain_table
from genept.text import load_recipes

bench = typer.Typer(
    no_args_is_help=True, help="Benchmarks on genes: compare recipes and embedders with controls."
)
answer = open_console(soft_wrap=True)
NOTHING = "nothing was scored: see above; `genept sources fetch` has the labels of the tasks"


@bench.command()
def tasks() -> None:
    """List the tasks on genes, with their labels and the metric that ranks them."""
    rows = (
        (task.id, task.dataset, f"{task.metrics[0]}, {task.model}, {task.clean}", task.title)
        for task in benchmarks.all_tasks().values()
    )
    answer.print(plain_table("task", "labels", "ranked by", "question", rows=rows), soft_wrap=False)


Words = Annotated[bool, typer.Option(help="Also print which differences are significant.")]


@bench.command()
def run(
    task: Annotated[
        list[str] | None, typer.Option(help="A task, with its slow controls; repeat for more.")
    ] = None,
    space: Annotated[list[str] | None, typer.Option(help="A space; repeat for more.")] = None,
    together: Annotated[
        bool, typer.Option(help="Also score an ensemble of all spaces, across recipes.")
    ] = False,
    words: Words = False,
) -> None:
    """Run tasks on spaces; results of earlier runs on the same inputs are reused."""
    platform = client.Platform(Settings())
    chosen = _chosen_tasks(task)
    with _refusals():
        spaces = [platform.space(id_) for id_ in space] if space else list(platform.spaces)
        with _progress() as advance:
            scored = client.score_spaces(
                platform, spaces, chosen, together=together, slow_controls=bool(task),
                advance=advance,
            )  # fmt: skip
    for what, n in scored.labels.items():
        if what.split("/")[0] in chosen and not what.endswith("/scored"):
            answer.print(f"{what.replace('/', ': ')}: {n:,} rows")
    for space_id, counted in scored.partly_embedded.items():
        answer.print(f"{space_id}: {counted}")
    for what, why in scored.remarks.items():
        answer.print(f"{what}: not scored, {why}")
    for companion in scored.added:
        answer.print(f"{companion.id}: added, as what other spaces are compared with")
    read = client.results_of(platform, scored)
    results = read("benchmark_results")
    if not results.height:
        raise StoreError(NOTHING)
    _print(results)
    if words:
        _say(benchmarks.in_words(read("benchmark_comparisons")))


@bench.command("models")
def compare_models(
    recipe: Annotated[
        list[str] | None,
        typer.Option(help="A recipe; repeat for more. [default: the name, the richest available]"),
    ] = None,
    task: Annotated[list[str] | None, typer.Option(help="A task; repeat for more.")] = None,
    length: Annotated[
        list[int] | None,
        typer.Option(min=8, help="Also cut the last recipe to so many tokens; repeat for more."),
    ] = None,
    forecast: Annotated[
        bool, typer.Option("--forecast", help="Only say what it will cost.")
    ] = False,
    pay: Annotated[
        bool, typer.Option("--pay", help="Also services, within GENEPT_EMBEDDING_BUDGET.")
    ] = False,
    output: Annotated[Path, typer.Option(help="The page to write.", callback=writable())] = Path(
        "models.html"
    ),
) -> None:
    """Compare every available text model and space on every task, on one page."""
    platform = client.Platform(Settings())
    chosen = _chosen_tasks(task)
    with _refusals():
        spaces = client.spaces_to_compare(platform, recipe or (), length or (), pay=pay)
        with _progress() as advance:
            forecasts = client.forecast_spaces(platform, spaces, advance)
        _print_forecast(forecasts)
        if forecast:
            return
        with _progress() as advance:
            scored = client.score_spaces(
                platform, spaces, chosen, slow_controls=True, other_heads=False, advance=advance
            )
    further = {space.embedder: platform.unavailable(space) for space in platform.further_spaces}
    lacking = {embedder: why for embedder, why in further.items() if why is not None}
    cut = {space.recipe: platform.recipe_of(space) for space in spaces if "~" in space.recipe}
    page = client.render_comparison(
        client.results_of(platform, scored), platform.recipes | cut, scored.dimensions,
        platform.unavailable_spaces | lacking, "Text models and spaces of genes compared",
    )  # fmt: skip
    if page is None:
        raise StoreError(NOTHING)
    output.write_bytes(page)
    for space_id, counted in scored.partly_embedded.items():
        answer.print(f"{space_id}: {counted}")
    for what, why in scored.remarks.items():
        answer.print(f"{what}: not scored, {why}")
    answer.print(f"written: {output}", markup=False)


def _chosen_tasks(names: Sequence[str] | None) -> dict[str, benchmarks.Task]:
    """The named tasks, or all; unknown ones are refused."""
    if unknown := sorted(set(names or ()) - set(benchmarks.all_tasks())):
        raise StoreError(f"unknown tasks {unknown}; known are {sorted(benchmarks.all_tasks())}")
    return {
        id_: entry for id_, entry in benchmarks.all_tasks().items() if not names or id_ in names
    }


@contextmanager
def _refusals() -> Iterator[None]:
    """Show what the library refuses (unknown space, LSA of too few texts) as an error."""
    try:
        yield
    except ValueError as error:
        raise StoreError(str(error)) from None


@contextmanager
def _progress() -> Iterator[client.Advance]:
    """A bar on the terminal, and the function that moves it."""
    with Progress(BarColumn(), TextColumn("{task.description}"), console=console) as progress:
        bar = progress.add_task("", total=1.0)

        def advance(what: str, share: float) -> None:
            progress.update(bar, description=what, completed=share)

        yield advance
        advance("done", 1.0)


def _print_forecast(forecasts: Sequence[client.SpaceForecast]) -> None:
    rows = (
        (
            each.space,
            "" if each.n_new is None else f"{each.n_new:,}",
            "" if each.seconds is None else f"{each.seconds:,.0f}",
            f"{each.dollars:,.2f}" if each.dollars else "",
        )
        for each in forecasts
    )
    answer.print(
        plain_table("space", "new texts", "processor s", "US$", rows=rows), soft_wrap=False
    )
    seconds = sum(each.seconds or 0.0 for each in forecasts)
    dollars = sum(each.dollars for each in forecasts)
    answer.print(f"embedding: {seconds:,.0f} s of a processor, US$ {dollars:,.2f}; then the tasks")


@bench.command()
def show(
    release: Annotated[str, typer.Option(help="Id of a release.")] = "latest", words: Words = False
) -> None:
    """Show the leaderboard of a release: spaces by tasks, those below a control in red."""
    samples = benchmarks.sample_tasks(
        client.load_table("model_evaluations", release=release).collect()
    )
    results = client.load_table("benchmark_results", release=release).collect()
    _print(pl.concat([results, samples], how="diagonal"))
    if words:
        _say(
            benchmarks.in_words(
                client.load_table("benchmark_comparisons", release=release).collect()
            )
        )


@bench.command()
def pictures(
    folder: Annotated[Path, typer.Argument(help="Folder to write the pictures to.")],
    release: Annotated[str, typer.Option(help="Id of a release.")] = "latest",
) -> None:
    """Draw the leaderboard of a release: heat map, significant differences, gene programs, …"""
    resolved = client.resolve(release)

    def read(name: str) -> pl.DataFrame:
        if name not in resolved.manifest.tables:
            return pl.DataFrame()
        return client.load_table(name, release=resolved.manifest.release_id).collect()

    folder.mkdir(parents=True, exist_ok=True)
    for figure in benchmarks.report_figures(read, load_recipes(Settings().recipes)):
        path = folder / f"{figure.name}.png"
        path.write_bytes(figure.png)
        answer.print(f"{path}: {figure.title}. {figure.words}", markup=False)


def _say(sentences: Sequence[str]) -> None:
    for sentence in sentences:
        answer.print(sentence, markup=False)


def _print(results: pl.DataFrame) -> None:
    """One table per task: what decides first, best first; then the literature's procedures."""
    decided = benchmarks.beside_controls(results.filter(pl.col("ci_low").is_not_null()))
    for rows in decided.partition_by(benchmarks.OF_SCORE, maintain_order=True):
        ranked = rows.sort("value", descending=True).iter_rows(named=True)
        task = benchmarks.all_tasks().get(rows["task"][0])
        theirs = task.published_scores.items() if task else ()
        published = ((name, f"{value:.3f}", "", "", "published") for name, value in theirs)
        shown = [*map(_cells, ranked), *published]
        table = plain_table("representation", "score", "95 %", "n", "", rows=shown)
        table.title = " · ".join(map(str, rows.select(benchmarks.OF_SCORE).row(0)))
        table.title_justify = "left"
        answer.print(table, soft_wrap=False)
        answer.print()


def _cells(row: dict[str, Any]) -> tuple[str | Text, ...]:
    style, remark = "green", ""
    if row["is_control"]:
        style, remark = "dim", "control"
    elif row["is_below"]:
        style, remark = "red", f"below {row['best_control']}"
    interval = f"{row['ci_low']:.3f} to {row['ci_high']:.3f}"
    name = Text(row["representation"], style=style)
    return name, f"{row['value']:.3f}", interval, f"{row['n']:,}", remark
