"""`genept profiles …`: profiles over genes that are generated for a text; never measurements.

How they are generated is `genept.client.searching.profile_generation`.
"""

from pathlib import Path
from typing import Annotated, Final

import polars as pl
import typer
from rich.markup import escape

from genept.cli.lookup_commands import HowMany, InSpace, OfRelease
from genept.cli.output_files import writable
from genept.client import (
    LATEST,
    PROFILE_FILES,
    Platform,
    SpaceSearch,
    TextProfile,
    generate_for_text,
)
from genept.common import Settings, console, open_console, plain_table
from genept.embeddings.text_readings import NORMAL_95

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
        Path | None,
        typer.Option(
            help="File for the whole profile: .parquet or .h5ad.", callback=writable(*PROFILE_FILES)
        ),
    ] = None,
    space: InSpace = None,
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
        n_known = profile.genes["deviation"].count()
        answer.print(
            f"{n_known:,} genes in {escape(str(out))}; {profile.genes.height - n_known:,} others "
            "of the collection are expressed too rarely"
        )


def _print(profile: TextProfile, n: int) -> None:
    about = profile.about
    answer.print(f"[bold yellow]GENERATED[/] {about['note']}")
    by = f"{len(about['types'])} labelled types and " if about["types"] else ""
    answer.print(
        f"[dim]by {by}the genes of the text, {about['collection']} in {about['space']}, "
        f"release {about['release']}[/]"
    )
    shown = profile.genes.head(n)
    genes = (
        (
            f"{row['deviation']:+.2f}",
            "" if row["error"] is None else f"{row['error']:.2f}",
            row["symbol"] or row["ensembl_gene_id"],
            _interval(row["expected"], row["ci_low"], row["ci_high"]),
            "" if row["nearest_type"] is None else f"{row['nearest_type']:.2f}",
        )
        for row in shown.iter_rows(named=True)
    )
    like = f"measured in {about['nearest_type']}" if about["types"] else ""
    unit = f"expected [95 %], {about['unit']}"
    answer.print(plain_table("deviation, SD", "error, SD", "gene", unit, like, rows=genes))
    if about["types"]:
        clear = shown.filter(pl.col("deviation").abs() > NORMAL_95 * pl.col("error")).height
        answer.print(
            f"[dim]{clear} of these {shown.height} differ from the mean of the types by more than "
            f"{NORMAL_95} errors; {escape(about['nearest_type'])} is the labelled type whose text "
            "is most like this one[/]"
        )
    if about["genes_not_measured"]:
        lacking = escape(", ".join(about["genes_not_measured"]))
        answer.print(f"[dim]near the text, and not measured often enough here: {lacking}[/]")
    nearest = (
        (f"{correlation:.3f}", id_, label)
        for id_, label, correlation in profile.nearest.iter_rows()
    )
    answer.print(plain_table("correlation", "nearest observation", "label", rows=nearest))


def _interval(expected: float | None, low: float | None, high: float | None) -> str:
    return "not known" if expected is None else f"{expected:.2f} [{low:.2f}, {high:.2f}]"
