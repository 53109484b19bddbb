"""`genept models …`: list, show, promote, roll back, and explain what the gate decided."""

from __future__ import annotations

from typing import Annotated, Final

import typer
from rich.markup import escape
from rich.table import Table

from genept.client import Platform
from genept.common import Settings, StoreError, open_console, visible
from genept.models import ModelRegistry

app = typer.Typer(no_args_is_help=True, help="Trained models: champions, candidates, the gate.")
answer = open_console(soft_wrap=True)
WIDTH: Final = 120
"""Characters in a line of the list, on any terminal: a name that is cut cannot be looked up."""
Model = Annotated[str, typer.Argument(help="Such as diagnosis-tcga-brca.")]
Version = Annotated[
    str, typer.Option("--version", help="Its first letters; by default the champion.")
]


@app.command("list")
def list_models() -> None:
    """List every model: its champion, its versions, and how good the champion is."""
    registry = _registry()
    table = Table("model", "champion", "since", "versions", "balanced accuracy (holdout)", box=None)
    for model in registry.names():
        pointer, _ = registry.pointer(model)
        versions = len(registry.versions(model))
        if pointer is None:
            table.add_row(model, "none yet", "", str(versions), "")
            continue
        evidence = registry.evidence(registry.manifest(model, pointer.champion.version))
        score = evidence.scores["balanced_accuracy"]
        table.add_row(
            model,
            pointer.champion.version[:12],
            pointer.swapped_at,
            str(versions),
            f"{score.value:.3f} (n = {score.n})",
        )
    if not table.row_count:
        raise StoreError("no model was trained yet: `genept run` trains them")
    open_console(width=WIDTH).print(table)


@app.command()
def show(model: Model, version: Version = "") -> None:
    """Print a version's model card, and which versions there are."""
    registry = _registry()
    manifest = registry.manifest(model, _version(registry, model, version))
    typer.echo(visible(registry.card(manifest)))
    pointer, _ = registry.pointer(model)
    order = [one.version for one in pointer.models] if pointer else []
    for one in sorted(registry.versions(model), key=lambda v: (v not in order, v)):
        place = "never promoted"
        if one in order:
            place = "champion" if one == order[0] else f"champion before, {order.index(one)} back"
        answer.print(f"{one[:12]}  {place}")


@app.command()
def explain(model: Model, version: Version = "") -> None:
    """Print what each point of the gate found about a version, and on what evidence."""
    registry = _registry()
    chosen = _version(registry, model, version)
    verdicts = registry.verdicts(model, chosen)
    if verdicts is None:
        raise StoreError(f"the gate was not asked about {model} {chosen[:12]}: run `genept run`")
    table = Table("", "point", "verdict", "evidence", box=None)
    colours = {"pass": "green", "refuse": "red", "wait": "yellow"}
    for one in verdicts.points:
        verdict = f"[{colours[one.outcome]}]{one.outcome}[/]"
        table.add_row(str(one.point), one.name, verdict, escape(one.evidence))
    answer.print(f"{model} {chosen[:12]}, beside {(verdicts.champion_version or 'nobody')[:12]}")
    answer.print(table)


@app.command()
def promote(
    model: Model,
    version: Annotated[str, typer.Argument(help="The version's first letters.")],
    reason: Annotated[str, typer.Option(help="Why: it is kept with the pointer.")],
) -> None:
    """Make a version champion that waits for a person; what the gate refuses stays refused."""
    registry = _registry()
    chosen = _version(registry, model, version)
    verdicts = registry.verdicts(model, chosen)
    if verdicts is None or verdicts.refused:
        names = ", ".join(one.name for one in verdicts.refused) if verdicts else "not asked yet"
        raise StoreError(
            f"the gate refuses {model} {chosen[:12]}: {names}; see `genept models explain {model} "
            f"--version {chosen[:12]}`"
        )
    manifest = registry.manifest(model, chosen)
    registry.load(manifest)
    registry.promote(manifest, reason=reason, instead_of=verdicts.champion_version)
    answer.print(f"{model}: {chosen[:12]} is champion")


@app.command()
def rollback(
    model: Model, reason: Annotated[str, typer.Option(help="Why: it is kept with the pointer.")]
) -> None:
    """Make the champion before this one champion again."""
    pointer = _registry().rollback(model, reason=reason)
    answer.print(f"{model}: {pointer.champion.version[:12]} is champion again")


def _registry() -> ModelRegistry:
    return Platform(Settings()).models


def _version(registry: ModelRegistry, model: str, start: str) -> str:
    """The version whose name starts so; without a start the champion, or the only version."""
    versions = registry.versions(model)
    if not versions:
        raise StoreError(f"there is no model {model!r}; there are {', '.join(registry.names())}")
    pointer, _ = registry.pointer(model)
    if not start and pointer is not None:
        return pointer.champion.version
    found = [one for one in versions if one.startswith(start)]
    if len(found) != 1:
        listed = ", ".join(one[:12] for one in versions)
        raise StoreError(f"{len(found)} versions of {model} start with {start!r}: {listed}")
    return found[0]
