"""`genept models …`: champions, candidates, the gate.

Predicting with a model is in `genept.cli.predict_commands`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.text import Text

from genept.client import Platform
from genept.common import Settings, StoreError, open_console, plain_table, visible

if TYPE_CHECKING:
    from genept.models import ModelRegistry

models = typer.Typer(no_args_is_help=True, help="Trained models: champions, candidates, the gate.")
answer = open_console(soft_wrap=True)
WIDTH: Final = 120
"""Characters in a line of the list, on any terminal: a name that is cut cannot be looked up."""
Model = Annotated[str, typer.Argument(help="Such as diagnosis-tcga-brca.")]
Version = Annotated[
    str, typer.Option("--version", help="Its first letters; by default the champion.")
]


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
