"""`genept perturbations …`: add a screen of one's own, list the screens, take one back.

What a screen is computed by is in docs/perturbations.md.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from genept.client import Platform
from genept.collections import store_files, user_sources
from genept.common import Settings, SourceError, console, open_console, plain_table
from genept.datasources import (
    CELL_LINES,
    PUBLISHED_SCREENS,
    SCREENS_SOURCE,
    STYLES,
    perturbation_files,
    published_screens,
)
from genept.perturbations import (
    MeasuredScreen,
    ScreenFile,
    UserScreen,
    added_screens,
    measure_screen,
)
from genept.storage import open_store

perturbations = typer.Typer(no_args_is_help=True, help="Screens of perturbations, and your own.")
answer = open_console(soft_wrap=True)


@perturbations.command()
def add(
    file: Annotated[Path, typer.Argument(help="An h5ad.", exists=True, dir_okay=False)],
    id_: Annotated[str, typer.Option("--id", help="Such as my-screen.")],
    cell_line: Annotated[str, typer.Option(help="Such as K562.")],
    style: Annotated[
        str | None, typer.Option(help="pseudobulk or single_cell; by default as obs says.")
    ] = None,
    matrix: Annotated[str | None, typer.Option(help="Such as layers/counts; X.")] = None,
    licence: Annotated[str, typer.Option(help="As stated by whoever made it.")] = "not stated",
    citation: Annotated[str, typer.Option(help="What to cite.")] = "not stated",
    redistributable: Annotated[bool, typer.Option(help="May be passed on.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")] = False,
) -> None:
    """Compute the effects in FILE, and add it: the next `genept run` publishes and predicts."""
    if style not in (None, *STYLES):
        raise SourceError(f"--style {style}: there are {', '.join(STYLES)}")
    platform = Platform(Settings())
    if id_ in _taken(platform):
        raise SourceError(f"there is a screen or a collection {id_!r} already: choose another id")
    store, product = platform.store, platform.settings.product
    terms = {"licence": licence, "redistributable": redistributable, "citation": citation}
    (source,) = user_sources(
        [file], f"screen-{id_}", bucket=store.bucket, product=product, terms=terms
    )
    screen = UserScreen(
        id=id_, cell_line=cell_line, file=source, style=style,
        matrix=matrix, added=datetime.now(UTC),
    )  # fmt: skip
    with console.status(f"computing the effects in {file.name}"):
        described = ScreenFile(file, file.name, cell_line, screen.style, matrix)
        measured = measure_screen(id_, described, platform.names(), platform.file_allowance)
    _print(measured)
    if not yes and not typer.confirm(f"Add it as {id_!r}?", default=False):
        answer.print("nothing was stored")
        raise typer.Exit(1)
    store_files(store, [source], {source.id: file})
    added_screens(store, product).add(id_, screen)
    answer.print(f"added {id_}: `genept run` publishes it with the next release")


@perturbations.command("list")
def list_screens() -> None:
    """List the screens of the catalogue, which of them are available, and those that were added."""
    platform = Platform(Settings())
    rows = [(id_, line, "available" if here else "no", "") for id_, line, here in _known(platform)]
    rows += [
        (screen.id, screen.cell_line, "added", f"{screen.added:%Y-%m-%d} {screen.file.title}")
        for screen in platform.added_screens
    ]
    shown = [tuple(map(escape, row)) for row in rows]
    answer.print(plain_table("screen", "cell line", "here", "", rows=shown))


@perturbations.command()
def remove(id_: Annotated[str, typer.Argument(metavar="ID", help="An added one.")]) -> None:
    """Take an added screen back; releases that hold it keep it."""
    settings = Settings()
    added_screens(open_store(settings, "gc"), settings.product).remove(id_)
    answer.print(f"removed {id_}: the next run is held once, since readers lose it")


def _print(measured: MeasuredScreen) -> None:
    effects = measured.effects
    perturbed = effects.unique("perturbed_input")
    unresolved = perturbed["perturbed_gene"].null_count()
    changed = int(effects["differential"].sum())
    answer.print(f"rule: {measured.rule}", markup=False)
    answer.print(
        f"{perturbed.height:,} perturbed genes ({perturbed.filter(split='test').height:,} of the "
        f"test, {unresolved:,} without a gene), {effects['measured_input'].n_unique():,} measured "
        f"genes, {changed:,} effects, {measured.unchanged_share:.1%} of the pairs without one "
        f"kept\nleft out: {measured.n_combinations:,} combinations, {measured.n_few:,} "
        "perturbations with too few cells"
    )


def _known(platform: Platform) -> list[tuple[str, str, bool]]:
    """Screens of the catalogue: id, cell line, whether a file of it is available."""
    archives = platform.archives
    lines = {line for line, _ in perturbation_files(archives)}
    labels = [
        (f"{SCREENS_SOURCE}-{line}", name, line in lines) for line, name in CELL_LINES.items()
    ]
    here = published_screens(archives)
    return labels + [(it.id, it.cell_line, it in here) for it in PUBLISHED_SCREENS]


def _taken(platform: Platform) -> set[str]:
    """Ids of screens and of collections, which mark what may not be passed on."""
    added = {screen.id for screen in platform.added_screens}
    return added | {id_ for id_, *_ in _known(platform)} | set(platform.catalogue.collections)
