"""`genept describe cells|samples`, `genept annotate`: what observations are, in words.

How descriptions are made is in docs/text_and_expression.md.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from rich.markup import escape

from genept.cli.output_files import TABLES, writable, write_table
from genept.client import (
    LATEST,
    Platform,
    ReleasedDescriptions,
    SpaceSearch,
    TextAnnotation,
    annotate_by_text,
)
from genept.common import Settings, StoreError, console, open_console, plain_table, visible

describe = typer.Typer(
    no_args_is_help=True, help="Cells and samples in words: what they are by their expression."
)
answer = open_console(soft_wrap=True)
KINDS = {"gene": "gene", "go_term": "GO term", "program": "program", "label": "label"}

OfCollection = Annotated[str, typer.Argument(help="Id of a collection of the release.")]
By = Annotated[
    str | None,
    typer.Option(help="Label whose values are described, such as cell_type; by default all."),
]
OneGroup = Annotated[str | None, typer.Option(help="Only this value of the label.")]
OneId = Annotated[str | None, typer.Option(help="Describe this one instead of groups, by its id.")]
InSpace = Annotated[
    str | None,
    typer.Option(help="Space of gene programs and of texts; by default that of the release."),
]
OfRelease = Annotated[str, typer.Option(help="Id of a release.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print rows as JSON, one per line.")]
ToFile = Annotated[
    Path | None,
    typer.Option(
        help="Write rows to this file: .parquet, or .csv without lists.",
        callback=writable(*TABLES),
    ),
]


@describe.command()
def cells(
    collection: OfCollection,
    by: By = None,
    group: OneGroup = None,
    observation: OneId = None,
    space: InSpace = None,
    release: OfRelease = LATEST,
    as_json: AsJson = False,
    out: ToFile = None,
) -> None:
    """Describe the cell types of a collection, or one cell with the cells nearest to it."""
    _describe("cells", collection, by, group, observation, space, release, as_json, out)


@describe.command()
def samples(
    collection: OfCollection,
    by: By = None,
    group: OneGroup = None,
    observation: OneId = None,
    space: InSpace = None,
    release: OfRelease = LATEST,
    as_json: AsJson = False,
    out: ToFile = None,
) -> None:
    """Describe the tissues or diagnoses of bulk samples, or one sample."""
    _describe("samples", collection, by, group, observation, space, release, as_json, out)


def _describe(
    among: str,
    collection: str,
    by: str | None,
    group: str | None,
    observation: str | None,
    space: str | None,
    release: str,
    as_json: bool,
    out: Path | None,
) -> None:
    if observation is not None and (by or group):
        raise StoreError("--observation describes one by itself: leave --by and --group out")
    with console.status(f"describing {collection}"):
        released = ReleasedDescriptions(collection, among=among, release=release)
        if observation is None:
            rows = released.groups(by, group, space=space)
        else:
            rows = released.observation(observation, space=space)
    if out is not None:
        write_table(rows if out.suffix == ".parquet" else _without_lists(rows), out)
        console.print(f"{rows.height:,} rows are in {out}", markup=False)
    elif as_json:
        for row in rows.iter_rows(named=True):
            typer.echo(json.dumps(row))
    else:
        _print(rows)


def _without_lists(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(
        pl.col("genes").list.join("; "), pl.col("weights").cast(pl.List(pl.String)).list.join("; ")
    )


def _print(rows: pl.DataFrame) -> None:
    paragraphs = rows.filter(kind="paragraph")
    if paragraphs.is_empty():
        answer.print("no label of this collection makes groups: describe one --observation")
    for text in paragraphs["text"]:
        answer.print(visible(text), markup=False)
        answer.print()
    if paragraphs.height == 1:
        answer.print(_evidence(rows.filter(pl.col("kind") != "paragraph")), soft_wrap=False)


def _evidence(rows: pl.DataFrame) -> object:
    """Every statement of one group, with its genes."""
    shown = (
        (
            KINDS[row["kind"]],
            escape(visible(row["name"])),
            escape(visible(row["id"] or "")),
            f"{row['effect']:+.2f}",
            "" if row["q"] is None else f"{row['q']:.1g}",
            escape(visible(", ".join(row["genes"]))),
        )
        for kind in KINDS
        for row in rows.filter(kind=kind).sort("rank").iter_rows(named=True)
    )
    return plain_table("kind", "name", "id", "effect (SD)", "q", "genes", rows=shown)


def annotate(
    collection: OfCollection,
    label: Annotated[
        list[str] | None,
        typer.Argument(
            help="What observations may be: names, ids of ontology terms, or texts such as "
            "'CD14-positive monocyte'."
        ),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="File of labels, one per line.", exists=True, dir_okay=False)
    ] = None,
    space: Annotated[str | None, typer.Option(help="A space of texts of the release.")] = None,
    release: OfRelease = LATEST,
    as_json: AsJson = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write a row per observation to this file (.parquet or .csv): its label, and the "
            "probability of each.",
            callback=writable(*TABLES),
        ),
    ] = None,
) -> None:
    """Annotate cells or samples with labels that you name, by their texts: no example is needed.

    An observation that is like none of them gets no label. Labels are compared with each other, so
    name all that may occur.
    """
    named = [*(label or []), *(_lines(labels) if labels else [])]
    with console.status(f"annotating {collection}"):
        search = SpaceSearch(Platform(Settings()), space, release=release)
        annotation = annotate_by_text(search, collection, named)
    if out is not None:
        names = annotation.evidence["label"]
        likely = annotation.probabilities.rename({name: f"p({name})" for name in names})
        write_table(annotation.rows.join(likely, on="observation_id", validate="1:1"), out)
    if as_json:
        for row in annotation.rows.iter_rows(named=True):
            typer.echo(json.dumps(row))
        return
    _print_annotation(annotation)
    if out is not None:
        console.print(f"{annotation.rows.height:,} rows are in {out}", markup=False)


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise StoreError(f"{path}: not UTF-8 text; save it as UTF-8, one label per line") from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def _print_annotation(annotation: TextAnnotation) -> None:
    nearest = dict(annotation.rows["nearest"].value_counts().iter_rows())
    rows = (
        (
            escape(visible(row["label"])),
            escape(visible(_meaning(row))),
            f"{row['observations']:,}",
            f"{nearest.get(row['label'], 0):,}",
            escape(visible(", ".join(_read_by(row)))),
            f"{escape(visible(row['published']))} {row['published_share']:.0%}"
            if row["published"] else "",
        )
        for row in annotation.evidence.iter_rows(named=True)
    )  # fmt: skip
    columns = ("label", "means", "sure", "nearest", "read by", "published label of most")
    answer.print(plain_table(*columns, rows=rows), soft_wrap=False)
    none = annotation.rows["label"].null_count()
    answer.print(f"none of these, or not sure: {none:,} of {annotation.rows.height:,}")
    about = annotation.about
    answer.print(
        f"[dim]By the texts of the labels alone, {escape(about['collection'])} in "
        f"{escape(about['space'])}, release {about['release']}: a first annotation, to be checked "
        "by the genes. + and - are markers that the texts name.[/]"
    )
    if about["kind"] == "bulk":
        answer.print(
            "[yellow]Of bulk samples such answers are often wrong, and the probabilities too high "
            "(docs/text_and_expression.md).[/]"
        )


def _meaning(row: dict[str, Any]) -> str:
    """Name of the term that a label means, with its id; nothing for words alone."""
    return f"{row['meaning']} ({', '.join(row['terms'])})" if row["terms"] else ""


def _read_by(row: dict[str, list[str]]) -> list[str]:
    signs = (("+", row["expressed"]), ("-", row["not_expressed"]))
    return [*(sign + gene for sign, genes in signs for gene in genes), *row["genes"]]
