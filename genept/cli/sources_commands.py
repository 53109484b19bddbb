"""`genept sources …`: list public sources, fetch them, and check them for changes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from genept.client import Platform
from genept.common import Settings, SourceError, console, open_console
from genept.datasources import Source
from genept.datasources.download import Archives

app = typer.Typer(no_args_is_help=True, help="Public sources: list, fetch, check for changes.")
answer = open_console(soft_wrap=True)

SourceIds = Annotated[
    list[str], typer.Argument(help="Ids of sources; `entry:value` for one file of a pattern.")
]


def _archives() -> Archives:
    return Platform(Settings()).archives


@app.command("list")
def list_sources() -> None:
    """List every source, how it is pinned, and whether a copy is here; send no request."""
    archives = _archives()
    typer.echo(f"{'source':<30}{'pinned by':<20}{'refreshed':<11}{'MB':>11}  here       title")
    for source in archives.catalogue.sources.values():
        size = f"{'' if source.is_pinned else '≤ '}{source.bytes / 1e6:,.1f}"
        typer.echo(
            f"{source.id:<30}{_pin(source):<20}{source.refresh:<11}{size:>11}  "
            f"{_here(archives, source):<11}{source.title}"
        )


@app.command()
def show(source_id: Annotated[str, typer.Argument(help="Id of a source.")]) -> None:
    """Show the catalogue entry of a source, and its local copy."""
    archives = _archives()
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


@app.command()
def fetch(
    source_ids: SourceIds,
    refresh: Annotated[bool, typer.Option(help="Check for changes even if it is not due.")] = False,
) -> None:
    """Fetch sources, from mirrors first; what is here and unchanged is not fetched again."""
    archives = _archives()
    for source_id in source_ids:
        path = archives.fetch(source_id, refresh=refresh)
        answer.print(f"{source_id}  {path.stat().st_size:,} bytes  {escape(str(path))}")


@app.command()
def check(
    source_ids: Annotated[
        list[str] | None, typer.Argument(help="Ids of sources; none: all that are not pinned.")
    ] = None,
) -> None:
    """Check each source for changes, with one conditional request; download nothing."""
    archives = _archives()
    sources = archives.catalogue.sources.values()
    unpinned = [entry.id for entry in sources if not entry.is_pinned and entry.pattern is None]
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
    return "mirrored" if any(path.is_file() for path in folders) else "no"
