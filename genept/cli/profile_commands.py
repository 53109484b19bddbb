"""`genept profiles …`: profiles over genes that are generated for a text; never measurements.

How they are generated is `genept.client.searching.profile_generation`.
"""

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.markup import escape

from genept.cli.lookup_commands import DEFAULT_SPACE, HowMany, InSpace, OfRelease
from genept.client import LATEST, Platform, SpaceSearch, TextProfile, generate_for_text
from genept.common import Settings, console, open_console, plain_table

DEFAULT_COLLECTION: Final = "pbmc-hao"

profiles = typer.Typer(no_args_is_help=True)
answer = open_console(soft_wrap=True)


@profiles.callback()
def about() -> None:
    """Profiles over genes that are generated for a text; never measurements."""


@profiles.command()
def generate(
    text: Annotated[str, typer.Argument(help="Such as 'plasma cell secreting IgA'.")],
    collection: Annotated[
        str, typer.Option(help="Whose genes and labelled types are used.")
    ] = DEFAULT_COLLECTION,
    out: Annotated[
        Path | None, typer.Option(help="File for the whole profile: .parquet or .h5ad.")
    ] = None,
    space: InSpace = DEFAULT_SPACE,
    n: HowMany = 10,
    release: OfRelease = LATEST,
) -> None:
    """Generate a profile over genes for a text, with intervals and the nearest observations."""
    with console.status("generating a profile"):
        search = SpaceSearch(Platform(Settings()), space, release=release)
        profile = generate_for_text(search, text, collection, n=n)
    if out is not None:
        profile.write(out)
    _print(profile, n)
    if out is not None:
        answer.print(f"{profile.genes.height:,} genes in {escape(str(out))}")


def _print(profile: TextProfile, n: int) -> None:
    about = profile.about
    answer.print(f"[bold yellow]GENERATED[/] {about['note']}")
    by = f"{len(about['types'])} labelled types and " if about["types"] else ""
    answer.print(
        f"[dim]by {by}the genes of the text, {about['collection']} in {about['space']}, "
        f"release {about['release']}[/]"
    )
    genes = (
        (f"{deviation:+.2f}", symbol or id_, _interval(expected, low, high))
        for id_, symbol, deviation, expected, low, high in profile.genes.head(n)
        .select("ensembl_gene_id", "symbol", "deviation", "expected", "ci_low", "ci_high")
        .iter_rows()
    )
    answer.print(plain_table("deviation", "gene", f"expected, {about['unit']}", rows=genes))
    nearest = (
        (f"{correlation:.3f}", id_, label)
        for id_, label, correlation in profile.nearest.iter_rows()
    )
    answer.print(plain_table("correlation", "nearest observation", "label", rows=nearest))


def _interval(expected: float | None, low: float | None, high: float | None) -> str:
    return "not known" if expected is None else f"{expected:.2f} [{low:.2f}, {high:.2f}]"
