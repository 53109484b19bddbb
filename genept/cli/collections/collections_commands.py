"""`genept collections …`: add a file of one's own; list, show, validate and remove collections."""

import re
import sys
import textwrap
from pathlib import Path
from typing import Annotated, Final

import polars as pl
import typer
from rich.markup import escape
from rich.table import Table

from genept.cli.collections.census_commands import census
from genept.cli.collections.sample_search_commands import search
from genept.client import Installation, load_table
from genept.collections import (
    Detected,
    DryRun,
    Sidecar,
    Trial,
    added_collections,
    declare_collection,
    dry_run_ingest,
    store_files,
    try_out,
    typed_options,
    validated_sidecar,
)
from genept.common import Settings, SourceError, advising, console, open_console, plain_table
from genept.storage import open_store

collections = typer.Typer(no_args_is_help=True, help="Collections: the catalogue's, and your own.")
collections.command()(search)
collections.command()(census)
answer = open_console(soft_wrap=True)
SHOWN: Final = 8
MOST_LABELS: Final = 20
_READ: Final = "h5ad, 10x, CSV, TSV, GCT, GEO or parquet; no workbook: save it as CSV"

File = Annotated[Path, typer.Argument(help=_READ, exists=True)]
Metadata = Annotated[
    Path | None,
    typer.Option(
        help="CSV, TSV or Excel workbook (xlsx) of the observations.", exists=True, dir_okay=False
    ),
]
Unit = Annotated[str | None, typer.Option(help="counts, tpm, log1p, log2 or zscore.")]
Labels = Annotated[
    list[str] | None, typer.Option("--label", help="LABEL or LABEL=FIELD, such as cell_type=type.")
]
Group = Annotated[str | None, typer.Option(help="Field that no split may cut, such as donor.")]
Options = Annotated[
    list[str] | None, typer.Option("--option", help='Of the format: missing="impute_gene_mean".')
]


@collections.command()
def add(
    file: File,
    id_: Annotated[str, typer.Option("--id", help="Such as my-cohort.")],
    metadata: Metadata = None,
    unit: Unit = None,
    label: Labels = None,
    group: Group = None,
    option: Options = None,
    title: Annotated[str | None, typer.Option(help="What it is, in one line.")] = None,
    kind: Annotated[str | None, typer.Option(help="single_cell or bulk.")] = None,
    licence: Annotated[str, typer.Option(help="As stated by whoever made it.")] = "not stated",
    citation: Annotated[str, typer.Option(help="What to cite.")] = "not stated",
    redistributable: Annotated[bool, typer.Option(help="May be passed on.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")] = False,
) -> None:
    """Look at FILE, try its ingest out, and add it: the next `genept run` publishes it."""
    sidecar = _sidecar(
        id=id_, unit=unit, labels=label, group=group, options=option, title=title, kind=kind,
        licence=licence, citation=citation, redistributable=redistributable,
    )  # fmt: skip
    installation = Installation(Settings())
    if id_ in installation.shipped_catalogue.collections:
        raise SourceError(f"the catalogue has a collection {id_!r} already: choose another id")
    detected = _tried_out(installation, file, metadata, sidecar, may_ask=not yes)
    if not yes and not typer.confirm(f"Add it as {id_!r}?", default=False):
        answer.print("nothing was stored")
        raise typer.Exit(1)
    store, product = installation.store, installation.settings.product
    store_files(store, detected.sources, detected.files)
    declare_collection(store, product, detected.entry, detected.sources)
    answer.print(f"added {id_}: `genept run` publishes it with the next release")
    chosen = installation.settings.collections
    with_it = installation.shipped_catalogue.with_entries(detected.sources, [detected.entry])
    if id_ not in with_it.wanted(chosen):
        console.print(
            f"but the setting `collections` leaves it out: it names {', '.join(chosen)}; add {id_}",
            markup=False,
        )


@collections.command("list")
def list_collections() -> None:
    """List the collections of the catalogue, and those that were added."""
    installation = Installation(Settings())
    chosen = {collection.id for collection in installation.collections}
    own = {entry.id: f", added {entry.added:%Y-%m-%d}" for entry in installation.added}
    rows = [("collection", "kind", "unit", "ingested", "shared", "title")]
    for entry in installation.catalogue.collections.values():
        unchosen = "if named" if entry.optional else "no, by the settings"
        when = ("yes" if entry.id in chosen else unchosen) + own.get(entry.id, "")
        shared = "yes" if entry.redistributable else "no"
        rows.append((entry.id, entry.kind, entry.unit, when, shared, entry.title))
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    # Off a terminal (a pipe, a file) each collection is one whole line.
    is_wide = not answer.is_terminal or answer.width >= sum(widths) + 2 * len(widths)
    for *cells, title in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=False))
        below = textwrap.indent(textwrap.fill(title, answer.width - 4), "    ")
        answer.print(f"{line}  {title}" if is_wide else f"{line.rstrip()}\n{below}", markup=False)
    answer.print("shared: whether its licence lets it be passed on")


@collections.command()
def show(id_: Annotated[str, typer.Argument(metavar="ID", help="A collection.")]) -> None:
    """Show everything that is declared of a collection and its files."""
    installation = Installation(Settings())
    collection = installation.catalogue.collections.get(id_)
    if collection is None:
        known = ", ".join(sorted(installation.catalogue.collections))
        raise SourceError(f"there is no collection {id_!r}; known: {known}")
    for name, value in collection.model_dump(exclude_none=True).items():
        answer.print(f"[bold]{name}[/]: {escape(str(value))}")
    for source_id in collection.sources:
        source = installation.catalogue.source(source_id)
        answer.print(
            f"[bold]{source_id}[/]: {escape(source.title)}, {source.bytes:,} bytes, "
            f"{escape(source.address or source.label)}"
        )


@collections.command()
def labels(
    id_: Annotated[str, typer.Argument(metavar="ID", help="A collection of a release.")],
    every: Annotated[bool, typer.Option("--all", help="Every label, not the first ones.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print rows of `label_mapping`.")] = False,
) -> None:
    """Show which ontology terms the labels of a collection mean, and which labels have none."""
    released = load_table("label_mapping", settings=Settings(), collection_id=id_)
    rows = released.sort("field", "n_observations", descending=[False, True]).collect()
    if as_json:
        typer.echo(rows.write_json())
        return
    has_term = rows["term_id"].is_not_null()
    answer.print(f"{id_}: {int(has_term.sum()):,} of {rows.height:,} labels have an ontology term")
    for outcome, n in rows["outcome"].value_counts().sort("count", descending=True).iter_rows():
        answer.print(f"  {outcome}: {n:,}")
    for title, of_kind in (("mapped", has_term), ("without a term", ~has_term)):
        shown = rows.filter(of_kind)
        if shown.height:
            answer.print(f"\n[bold]{title}[/]")
            answer.print(_label_table(shown if every else shown.head(MOST_LABELS)))
            if not every and shown.height > MOST_LABELS:
                answer.print(f"and {shown.height - MOST_LABELS:,} more: --all shows them")


def _label_table(rows: pl.DataFrame) -> Table:
    cells = [
        (
            row["label_text"], row["field"], f"{row['n_observations']:,}", row["outcome"],
            f"{row['term_id']} {row['term_name']}" if row["term_id"] else
            " or ".join(row["candidates"][:3]) or row["evidence"],
        )
        for row in rows.iter_rows(named=True)
    ]  # fmt: skip
    return plain_table("label", "field", "observations", "outcome", "term", rows=cells)


@collections.command()
def validate(
    what: Annotated[
        str | None, typer.Argument(help=f"A file ({_READ}) or a collection; none: the catalogue.")
    ] = None,
    metadata: Metadata = None,
    unit: Unit = None,
    label: Labels = None,
    group: Group = None,
    option: Options = None,
) -> None:
    """Try an ingest out and store nothing; without an argument, check the catalogue."""
    installation = Installation(Settings())
    if what is None:
        answer.print(f"{len(installation.catalogue.collections)} collections: every entry is valid")
    elif Path(what).is_file() or Path(what).is_dir():
        sidecar = _sidecar(id=_id_of(what), unit=unit, labels=label, group=group, options=option)
        _tried_out(installation, Path(what), metadata, sidecar, may_ask=False)
    elif what not in installation.catalogue.collections:
        raise SourceError(f"{what}: there is no such file, nor such a collection in the catalogue")
    else:
        (collection,) = installation.catalogue.chosen([what])
        with console.status(f"reading {what}"):
            dry_run = dry_run_ingest(
                installation.collection_archives, collection, installation.reference
            )
        _print_dry_run(dry_run)


@collections.command()
def remove(id_: Annotated[str, typer.Argument(metavar="ID", help="An added one.")]) -> None:
    """Take an added collection back; releases that hold it keep it."""
    installation = Installation(Settings())
    store = open_store(installation.settings, "gc")
    added_collections(store, installation.settings.product).remove(id_)
    answer.print(f"removed {id_}: the next run is held once, since readers lose it")


def _id_of(file: str) -> str:
    """An id for a file that is only tried out, by which messages name it."""
    return (
        re.sub(r"[^a-z0-9]+", "-", Path(file).name.partition(".")[0].lower()).strip("-") or "file"
    )


def _sidecar(labels: list[str] | None, options: list[str] | None, **values: object) -> Sidecar:
    pairs = [label.partition("=") for label in labels or ()]
    given = {name: value for name, value in values.items() if value is not None}
    named = {label: field or label for label, _, field in pairs}
    return validated_sidecar(
        {**given, "labels": named, "options": typed_options(options or ())}, "the command line"
    )


def _tried_out(
    site: Installation, file: Path, metadata: Path | None, sidecar: Sidecar, *, may_ask: bool
) -> Detected:
    """Detect, ask for what is open, and try out the ingest; nothing is stored."""
    if file.is_dir():
        raise SourceError(
            f"{file.name}: is a folder: pack the files of Cell Ranger that lie in it (matrix.mtx, "
            "features.tsv, barcodes.tsv) into a zip or tar, and give that"
        )
    settings = site.settings
    limits = site.file_allowance.limits(*filter(None, (file, metadata)))

    def look(sidecar: Sidecar) -> Trial:
        status = f"looking at {file.name}, and trying it out: nothing is stored"
        with advising("command_line"), console.status(status):
            return try_out(
                file,
                metadata,
                sidecar,
                site.reference,
                bucket=settings.bucket,
                product=settings.product,
                limits=limits,
            )

    trial = look(sidecar)
    if questions := "; ".join(trial.detected.open_questions):
        if not (may_ask and sys.stdin.isatty()):
            raise SourceError(f"{file.name}: {questions}")
        unit = typer.prompt(questions, default=trial.detected.entry.unit)
        trial = look(validated_sidecar(sidecar.model_dump() | {"unit": unit}, "the answer"))
    for line in trial.detected.seen:
        answer.print(f"  {escape(line)}")
    if trial.dry_run is None:
        raise SourceError(f"{file.name}: {'; '.join(trial.detected.open_questions)}")
    _print_dry_run(trial.dry_run)
    return trial.detected


def _print_dry_run(dry_run: DryRun) -> None:
    answer.print(
        f"{dry_run.n_observations:,} observations in {dry_run.n_groups:,} groups, "
        f"{dry_run.n_genes:,} genes; {dry_run.coverage:.1%} of the expression reaches a gene"
    )
    rows = (
        (outcome, f"{n:,}", ", ".join(dry_run.mapping.filter(outcome=outcome)["input_id"].head(4)))
        for outcome, n in dry_run.mapping["outcome"].value_counts(sort=True).iter_rows()
    )
    answer.print(plain_table("gene names", "n", "such as", rows=rows))
    for label, counts in dry_run.labels.items():
        shown = ", ".join(f"{value} {n:,}" for value, n in list(counts.items())[:SHOWN])
        more = f" and {len(counts) - SHOWN} more" if len(counts) > SHOWN else ""
        answer.print(f"{label}: {escape(shown)}{more}")
    for noted in dry_run.noted:
        such_as = "such as " if noted.n > 1 else ""
        answer.print(
            f"{noted.action.replace('_', ' ')}: {noted.n:,} × {noted.reason} "
            f"({such_as}{escape(noted.example)})"
        )
    for warning in dry_run.warnings:
        answer.print(f"warning: {escape(warning)}")
