"""`genept bench …`: benchmarks on genes, the leaderboard; `genept models …`: champions, the gate.

Predicting with a model is in `genept.cli.predict_commands`.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import polars as pl
import typer
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from genept.benchmarks import (
    OF_SCORE,
    TASKS,
    SpaceVectors,
    beside_controls,
    companions,
    fates,
    in_words,
    report_figures,
    run_tasks,
    sample_tasks,
)
from genept.client import Platform, load_table, resolve
from genept.common import Settings, StoreError, console, open_console, plain_table, visible
from genept.datasources import MEMBERS as LABEL_ARCHIVES
from genept.models import ModelRegistry
from genept.nomenclature import build_reference_table
from genept.storage import Part
from genept.text import Space, load_recipes

bench = typer.Typer(
    no_args_is_help=True, help="Benchmarks on genes: compare recipes and embedders with controls."
)
models = typer.Typer(no_args_is_help=True, help="Trained models: champions, candidates, the gate.")
answer = open_console(soft_wrap=True)
WIDTH: Final = 120
"""Characters in a line of the list, on any terminal: a name that is cut cannot be looked up."""
Model = Annotated[str, typer.Argument(help="Such as diagnosis-tcga-brca.")]
Version = Annotated[
    str, typer.Option("--version", help="Its first letters; by default the champion.")
]


@bench.command()
def tasks() -> None:
    """List the tasks on genes, with their labels and the metric that ranks them."""
    rows = (
        (task.id, task.dataset, f"{task.metrics[0]}, {task.model}, {task.clean}", task.title)
        for task in TASKS.values()
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
    platform = Platform(Settings())
    if unknown := sorted(set(task or ()) - set(TASKS)):
        raise StoreError(f"unknown tasks {unknown}; known are {sorted(TASKS)}")
    chosen = {id_: entry for id_, entry in TASKS.items() if not task or id_ in task}
    try:
        spaces = [platform.space(id_) for id_ in space] if space else list(platform.spaces)
        spaces += (added := companions(spaces))
    except ValueError as error:
        raise StoreError(str(error)) from None
    for source in LABEL_ARCHIVES:
        platform.archives.fetch(source)
    genes = build_reference_table(platform.lake, platform.archives, "genes").part()
    labels = platform.labels(genes)
    counted = fates(labels.properties) | fates(labels.pairs)
    with Progress(BarColumn(), TextColumn("{task.description}"), console=console) as progress:
        bar = progress.add_task("embedding", total=1.0)

        def advance(what: str, share: float) -> None:
            progress.update(bar, description=what, completed=share)

        try:
            entrants, costs = _entrants(platform, genes, spaces, advance)
        except ValueError as error:  # such as LSA of fewer texts than it has dimensions
            raise StoreError(str(error)) from None
        parts, remarks = run_tasks(
            platform.lake, labels, entrants, tasks=chosen, together=together,
            slow_controls=bool(task), further=costs, advance=advance,
        )  # fmt: skip
        advance("done", 1.0)
    results = [part for part in parts if part.table == "benchmark_results"]
    for what, n in counted.items():
        if what.split("/")[0] in chosen and not what.endswith("/scored"):
            answer.print(f"{what.replace('/', ': ')}: {n:,} rows")
    for what, why in remarks.items():
        answer.print(f"{what}: not scored, {why}")
    for companion in added:
        answer.print(f"{companion.id}: added, as what other spaces are compared with")
    if not results:
        raise StoreError("nothing was scored: see above; `genept sources fetch` has the labels")
    _print(platform.lake.read(results))
    if words:
        compared = [part for part in parts if part.table == "benchmark_comparisons"]
        _say(in_words(platform.lake.read(compared)))


def _entrants(
    platform: Platform, genes: Part, spaces: Sequence[Space], advance: Callable[[str, float], None]
) -> tuple[list[SpaceVectors], list[Part]]:
    """The spaces with their vectors, and what those of texts cost."""
    entrants: list[SpaceVectors] = []
    costs: list[Part] = []
    for number, space in enumerate(spaces):
        advance(f"embedding {space.id}", number / len(spaces))
        parts = platform.describe(genes, platform.recipes_of(space))
        stored = platform.lake.assemble("gene_descriptions", parts)
        entrants.append(platform.entrant(space, platform.embed(space, stored), stored))
        costs += [platform.cost(space, stored, number)] if space.is_text else []
    return entrants, costs


@bench.command()
def show(
    release: Annotated[str, typer.Option(help="Id of a release.")] = "latest", words: Words = False
) -> None:
    """Show the leaderboard of a release: spaces by tasks, those below a control in red."""
    samples = sample_tasks(load_table("model_evaluations", release=release).collect())
    results = load_table("benchmark_results", release=release).collect()
    _print(pl.concat([results, samples], how="diagonal"))
    if words:
        _say(in_words(load_table("benchmark_comparisons", release=release).collect()))


@bench.command()
def pictures(
    folder: Annotated[Path, typer.Argument(help="Folder to write the pictures to.")],
    release: Annotated[str, typer.Option(help="Id of a release.")] = "latest",
) -> None:
    """Draw the leaderboard of a release: heat map, significant differences, gene programs, …"""
    resolved = resolve(release)

    def read(name: str) -> pl.DataFrame:
        if name not in resolved.manifest.tables:
            return pl.DataFrame()
        return load_table(name, release=resolved.manifest.release_id).collect()

    folder.mkdir(parents=True, exist_ok=True)
    for figure in report_figures(read, load_recipes(Settings().recipes)):
        path = folder / f"{figure.name}.png"
        path.write_bytes(figure.png)
        answer.print(f"{path}: {figure.title}. {figure.words}", markup=False)


def _say(sentences: Sequence[str]) -> None:
    for sentence in sentences:
        answer.print(sentence, markup=False)


def _print(results: pl.DataFrame) -> None:
    """One table per task: what decides first, best first; then the literature's procedures."""
    decided = beside_controls(results.filter(pl.col("ci_low").is_not_null()))
    for rows in decided.partition_by(OF_SCORE, maintain_order=True):
        ranked = rows.sort("value", descending=True).iter_rows(named=True)
        task = TASKS.get(rows["task"][0])
        theirs = task.published_scores.items() if task else ()
        published = ((name, f"{value:.3f}", "", "", "published") for name, value in theirs)
        shown = [*map(_cells, ranked), *published]
        table = plain_table("representation", "score", "95 %", "n", "", rows=shown)
        table.title = " · ".join(map(str, rows.select(OF_SCORE).row(0)))
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


@models.command("list")
def list_models() -> None:
    """List every model: its champion, its versions, and how good the champion is."""
    registry = open_registry()
    rows = []
    for model in registry.names():
        pointer, _ = registry.pointer(model)
        versions = str(len(registry.versions(model)))
        if pointer is None:
            rows.append((model, "none yet", "", versions, ""))
            continue
        evidence = registry.evidence(registry.manifest(model, pointer.champion.version))
        score = evidence.scores["balanced_accuracy"]
        accuracy = f"{score.value:.3f} (n = {score.n})"
        rows.append((model, pointer.champion.version[:12], pointer.swapped_at, versions, accuracy))
    if not rows:
        raise StoreError("no model was trained yet: `genept run` trains them")
    headers = ("model", "champion", "since", "versions", "balanced accuracy (holdout)")
    open_console(width=WIDTH).print(plain_table(*headers, rows=rows))


@models.command("show")
def show_card(model: Model, version: Version = "") -> None:
    """Print a version's model card, and which versions there are."""
    registry = open_registry()
    manifest = registry.manifest(model, _version(registry, model, version))
    typer.echo(visible(registry.card(manifest)))
    pointer, _ = registry.pointer(model)
    order = [champion.version for champion in pointer.models] if pointer else []
    for known in sorted(registry.versions(model), key=lambda v: (v not in order, v)):
        place = "never promoted"
        if known in order:
            back = order.index(known)
            place = f"champion before, {back} back" if back else "champion"
        answer.print(f"{known[:12]}  {place}")


@models.command()
def explain(model: Model, version: Version = "") -> None:
    """Print the verdict of each point of the gate on a version, with its evidence."""
    registry = open_registry()
    chosen = _version(registry, model, version)
    verdicts = registry.verdicts(model, chosen)
    if verdicts is None:
        raise StoreError(f"the gate has not judged {model} {chosen[:12]}: run `genept run`")
    colours = {"pass": "green", "refuse": "red", "wait": "yellow"}
    rows = (
        (str(point.point), point.name, Text(point.outcome, colours[point.outcome]), point.evidence)
        for point in verdicts.points
    )
    champion = (verdicts.champion_version or "none")[:12]
    answer.print(f"{model} {chosen[:12]}, compared with champion {champion}")
    answer.print(plain_table("", "point", "verdict", "evidence", rows=rows))


@models.command()
def promote(
    model: Model,
    version: Annotated[str, typer.Argument(help="The version's first letters.")],
    reason: Annotated[str, typer.Option(help="Why: it is kept with the pointer.")],
) -> None:
    """Make a version champion that waits for a person; what the gate refuses stays refused."""
    registry = open_registry()
    chosen = _version(registry, model, version)
    verdicts = registry.verdicts(model, chosen)
    if verdicts is None or verdicts.refused:
        points = [point.name for point in verdicts.refused] if verdicts else ["not judged yet"]
        raise StoreError(
            f"the gate refuses {model} {chosen[:12]}: {', '.join(points)}; see "
            f"`genept models explain {model} --version {chosen[:12]}`"
        )
    manifest = registry.manifest(model, chosen)
    registry.load(manifest)
    registry.promote(manifest, reason=reason, instead_of=verdicts.champion_version)
    answer.print(f"{model}: {chosen[:12]} is champion")


@models.command()
def rollback(
    model: Model, reason: Annotated[str, typer.Option(help="Why: it is kept with the pointer.")]
) -> None:
    """Make the champion before this one champion again."""
    pointer = open_registry().rollback(model, reason=reason)
    answer.print(f"{model}: {pointer.champion.version[:12]} is champion again")


def open_registry() -> ModelRegistry:
    """The trained models of the installation that the settings name."""
    return Platform(Settings()).registry


def _version(registry: ModelRegistry, model: str, start: str) -> str:
    """The version whose name starts so; without a start the champion, or the only version."""
    versions = registry.versions(model)
    if not versions:
        raise StoreError(f"there is no model {model!r}; there are {', '.join(registry.names())}")
    pointer, _ = registry.pointer(model)
    if not start and pointer is not None:
        return pointer.champion.version
    matches = [version for version in versions if version.startswith(start)]
    if len(matches) != 1:
        listed = ", ".join(version[:12] for version in versions)
        raise StoreError(f"{len(matches)} versions of {model} start with {start!r}: {listed}")
    return matches[0]
