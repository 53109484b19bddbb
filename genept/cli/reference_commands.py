"""`genept genes …`: what names mean, by a reference; `genept sources …`: where references are from.

What is known of one gene, as text, is in `genept.cli.lookup_commands`.
"""

from collections import Counter, defaultdict
from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from rich.markup import escape

from genept.cli.editing_commands import edit
from genept.cli.lookup_commands import describe, recipes
from genept.cli.output_files import writable
from genept.cli.writing_commands import write
from genept.client import Installation, load_table, open_releases
from genept.common import (
    Settings,
    SourceError,
    console,
    open_console,
    plain_table,
    progress_bar,
    replacement,
    without_formulas,
)
from genept.datasources import Source
from genept.datasources.download import Archives
from genept.datasources.readers import Allowance, limited_gene_names
from genept.nomenclature import (
    MappingResult,
    Nomenclature,
    Reference,
    read_snapshot,
    reference_differences,
    touched_collections,
)
from genept.storage import EmbeddedStore

genes = typer.Typer(
    no_args_is_help=True, help="Genes: what a name means, and why; what is known of one, as text."
)
genes.command()(describe)
genes.command()(recipes)
genes.command()(write)
genes.command()(edit)
sources = typer.Typer(no_args_is_help=True, help="Public sources: list, fetch, check for changes.")
answer = open_console(soft_wrap=True)

ReferenceName = Annotated[
    str,
    typer.Option(
        help="`starter`, or files of HGNC, NCBI Gene and GENCODE, separated by commas; the first "
        "HGNC complete set is the reference."
    ),
]


@genes.command("map")
def map_file(
    file: Annotated[Path, typer.Argument(help="CSV, TSV or h5ad.", exists=True, dir_okay=False)],
    column: Annotated[str | None, typer.Option(help="Column (or h5ad var) with the names.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="Where to write; else beside FILE.", callback=writable())
    ] = None,
    reference: ReferenceName = "starter",
) -> None:
    """Map the gene names of FILE, write the mapping as CSV, and print a summary."""
    nomenclature = _nomenclature(reference)
    target = output or file.with_name(f"{file.name}.mapping.csv")
    tally = _Tally()
    settings = Settings()
    limits = Allowance(settings.file_memory, settings.file_seconds).limits(file)
    with (
        limited_gene_names(file, column, limits) as names,
        replacement(target, 0o666) as written,
        progress_bar(f"mapping {file.name}", names.total) as advance,
    ):
        for batch, amount in names.batches:
            result = nomenclature.map(batch)
            rows = result.rows.with_columns(pl.col("candidates").list.join(" "))
            without_formulas(rows).write_csv(written, include_header=not tally.n)
            tally.add(result)
            advance(amount)
    answer.print(f"{tally.n:,} names from {names.where}")
    tally.print()
    answer.print(f"written to {target}")


@genes.command()
def explain(
    names: Annotated[list[str], typer.Argument(help="Symbols or ids.")],
    reference: ReferenceName = "starter",
) -> None:
    """Print what each name means, and the source that says so."""
    nomenclature = _nomenclature(reference)
    for name in names:
        meaning = nomenclature.map_name(name)
        gene = meaning.ensembl_gene_id or "no gene"
        colour = "green" if meaning.ensembl_gene_id else "yellow"
        answer.print(f"[bold]{escape(name)}[/]  [{colour}]{meaning.outcome}[/]  {gene}")
        answer.print(f"    {escape(meaning.evidence)}")
        if meaning.candidates:
            answer.print(f"    it may mean: {', '.join(meaning.candidates)}")


@genes.command()
def diff(
    before: Annotated[str, typer.Argument(help="`starter`, or files separated by commas.")],
    after: Annotated[str, typer.Argument(help="`starter`, or files separated by commas.")],
    output: Annotated[
        Path | None, typer.Option(help="Write all changes here, as CSV.", callback=writable())
    ] = None,
) -> None:
    """Compare two references: which genes changed, and which collections they are in."""
    changes = reference_differences(_reference(before).genes, _reference(after).genes)
    counts = (
        (rows["change"][0], f"{rows.height:,}", "; ".join(map(_change, rows.head(3).to_dicts())))
        for rows in changes.partition_by("change")
    )
    answer.print(plain_table("change", "genes", "such as", rows=counts))
    if output is not None:
        with replacement(output, 0o666) as file:
            without_formulas(changes).write_csv(file)
        answer.print(f"\nwritten to {output}")
    if _released_here():
        _print_touched(changes)


def _released_here() -> bool:
    """Whether this installation has published anything; starts no empty store to find out."""
    settings = Settings()
    if settings.s3_endpoint is None and not EmbeddedStore(settings.state / "store").data.exists():
        return False
    return open_releases(settings).current_id() is not None


def _print_touched(changes: pl.DataFrame) -> None:
    touched = touched_collections(changes, load_table("gene_mapping").collect())
    columns = ("collection_id", "change", "n_inputs", "expression_share")
    rows = (
        (collection, change, f"{n:,}", f"{share:.3%}")
        for collection, change, n, share in touched.select(columns).iter_rows()
    )
    answer.print("\nCollections of the current release with such genes:")
    answer.print(plain_table("collection", "change", "inputs", "of its expression", rows=rows))


class _Tally:
    """Names by outcome, with examples, over all batches of a file."""

    def __init__(self) -> None:
        self.n = self.n_mapped = self.n_ambiguous = 0
        self._counts: Counter[str] = Counter()
        self._examples: defaultdict[str, list[str]] = defaultdict(list)

    def add(self, result: MappingResult) -> None:
        self.n += result.rows.height
        self.n_mapped += result.mapped.height
        self.n_ambiguous += result.ambiguous.height
        for outcome, n in result.summary().iter_rows():
            self._counts[outcome] += n
            if len(self._examples[outcome]) < 4:
                names = result.rows.filter(pl.col("outcome") == outcome)["input_id"].head(50)
                distinct = dict.fromkeys([*self._examples[outcome], *names])
                self._examples[outcome] = list(distinct)[:4]

    def print(self) -> None:
        rows = (
            (outcome, f"{n:,}", f"{n / self.n:.1%}", ", ".join(self._examples[outcome]))
            for outcome, n in self._counts.most_common()
        )
        answer.print(plain_table("outcome", "names", "", "such as", rows=rows))
        unmapped = self.n - self.n_mapped - self.n_ambiguous
        answer.print(
            f"{self.n_mapped:,} mapped, {self.n_ambiguous:,} ambiguous, {unmapped:,} without a gene"
        )


def _change(row: dict[str, str | None]) -> str:
    before, after = row["symbol_before"] or "", row["symbol_after"] or ""
    if before == after:
        before, after = f"{before} {row['ensembl_before'] or '–'}", row["ensembl_after"] or "–"
    return " → ".join(filter(None, (before, after)))


def _reference(name: str) -> Reference:
    if name == "starter":
        return Installation(Settings()).reference
    return read_snapshot([Path(part).expanduser() for part in name.split(",")])


def _nomenclature(reference: str) -> Nomenclature:
    """The reference's names; the starter's from the current release, where there is one."""
    if reference == "starter" and _released_here():
        return Nomenclature(load_table("gene_names").collect())
    return Nomenclature(_reference(reference).index)


SourceIds = Annotated[
    list[str], typer.Argument(help="Ids of sources; `entry:value` for one file of a pattern.")
]


@sources.command("list")
def list_sources() -> None:
    """List every source, how it is pinned, and whether a copy is here; send no request."""
    archives = Installation(Settings()).archives
    typer.echo(f"{'source':<30}{'pinned by':<20}{'refreshed':<11}{'MB':>11}  here       title")
    for source in archives.catalogue.sources.values():
        size = f"{'' if source.is_pinned else '≤ '}{source.bytes / 1e6:,.1f}"
        typer.echo(
            f"{source.id:<30}{_pin(source):<20}{source.refresh:<11}{size:>11}  "
            f"{_here(archives, source):<11}{source.title}"
        )


@sources.command()
def show(source_id: Annotated[str, typer.Argument(help="Id of a source.")]) -> None:
    """Show the catalogue entry of a source, and its local copy."""
    archives = Installation(Settings()).archives
    source = archives.catalogue.sources.get(source_id) or archives.catalogue.source(source_id)
    for name, value in source.model_dump(by_alias=True, exclude_unset=True).items():
        answer.print(f"[bold]{name}[/]  {escape(str(value))}")
    if source.pattern is not None:
        answer.print(f"One file of it is named {source.id}:… after the pattern.")
        return
    for location in archives.locations.of(source):
        address = str(location) if isinstance(location, Path) else location.name
        answer.print(f"[bold]asked[/]  {escape(address)}")
    answer.print(f"[bold]here[/]  {_here(archives, source)}")
    if (seen := archives.cache_metadata(source_id)) is not None:
        answer.print(f"[bold]copy[/]  {escape(seen.path)}, from {escape(seen.place)}")
        answer.print(f"[bold]sha256[/]  {seen.sha256}, checked {seen.checked_at}")


@sources.command()
def fetch(
    source_ids: SourceIds,
    refresh: Annotated[bool, typer.Option(help="Check for changes even if it is not due.")] = False,
) -> None:
    """Fetch sources, from mirrors first; what is here and unchanged is not fetched again."""
    archives = Installation(Settings()).archives
    for source_id in source_ids:
        path = archives.fetch(source_id, refresh=refresh)
        answer.print(f"{source_id}  {path.stat().st_size:,} bytes  {escape(str(path))}")


@sources.command()
def check(
    source_ids: Annotated[
        list[str] | None, typer.Argument(help="Ids of sources; none: all that are not pinned.")
    ] = None,
) -> None:
    """Check each source for changes, with one conditional request; download nothing."""
    archives = Installation(Settings()).archives
    entries = archives.catalogue.sources.values()
    unpinned = [entry.id for entry in entries if not entry.is_pinned and entry.pattern is None]
    failed = 0
    for source_id in source_ids or unpinned:
        try:
            observed = archives.probe(source_id)
        except SourceError as error:
            failed += 1
            console.print(f"{source_id}: {error}", markup=False, soft_wrap=True)
            continue
        answer.print(
            f"{source_id}  {observed.state}  {escape(observed.data_version)}  "
            f"{escape(observed.place)}"
        )
    if failed:
        raise typer.Exit(1)


def _pin(source: Source) -> str:
    if source.is_pinned:
        return "sha256"
    return "etag" if source.checksum == "etag" else "published checksum"


def _here(archives: Archives, source: Source) -> str:
    if source.pattern is not None:
        return "many"
    if archives.is_cached(source.id):
        return "fetched"
    folders = (place for place in archives.locations.of(source) if isinstance(place, Path))
    if any(path.is_file() for path in folders):
        return "mirrored"
    return "by ranges" if source.ranges else "no"
