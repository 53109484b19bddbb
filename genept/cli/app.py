"""The command line: the embedded store, releases, tables; and the commands that entry points add.

`genept run` and `genept ui` come from `orchestration` through entry points, so that
this file, and an analyst's installation, needs no orchestrator.
"""

from __future__ import annotations

import sys
import warnings
from importlib.metadata import EntryPoint, entry_points, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError

from genept.cli.output_files import TABLES, writable, write_table
from genept.common import (
    Settings,
    SourceError,
    StoreError,
    console,
    open_console,
    plain_table,
    rows_text,
)
from genept.storage import ROLES, StoreProperty, open_store, properties

if TYPE_CHECKING:
    from genept.storage import EmbeddedStore

COMMANDS: Final = {
    "genes": "reference", "sources": "reference", "search": "lookup", "neighbours": "lookup",
    "spaces": "vector", "embeddings": "vector", "embedders": "embedders", "bench": "bench",
    "models": "result", "collections": "collections.collections", "perturbations": "screen",
    "predict": "predict", "release": "releases.release", "chat": "chat",
    "export": "lookup", "games": "games", "profiles": "profile", "describe": "describe",
    "annotate": "describe",
}  # fmt: skip
"""Module of each command, or group of commands; it has the name of the command there."""

REMEDY: Final = "this needs more than reading does: pip install 'genept-platform[platform]'"

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Gene, cell and sample embeddings from what is known about each gene, as parquet in S3.",
)
store_app = typer.Typer(no_args_is_help=True, help="The object store.")
app.add_typer(store_app, name="store")
answer = open_console()


def _show_version(wanted: bool) -> None:
    if wanted:
        answer.print(version("genept-platform"), markup=False, highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


def _is_ours(missing: ModuleNotFoundError) -> bool:
    return (missing.name or "").split(".")[0] in {"genept", "validation", "assets", "orchestration"}


def _add_remedy(name: str) -> None:
    @app.command(name, context_settings={"ignore_unknown_options": True})
    def remedy(
        arguments: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,  # noqa: ARG001
    ) -> None:
        """Not installed: needs the extra `platform`."""
        raise StoreError(REMEDY)


def add_commands(wanted: str | None = None) -> None:
    """Import commands and add them to `app`.

    Parameters
    ----------
    wanted
        The first word of the command line: where it is one of ours, nothing else is imported.
        None: all of them, as for the help.
    """
    own = (
        EntryPoint(name, f"genept.cli.{module}_commands:{name}", "")
        for name, module in COMMANDS.items()
    )
    points = [*own, *entry_points(group="genept.commands")]
    is_known = wanted in {*(point.name for point in points), "store", "table", "sql", "--version"}
    for name, load in ((point.name, point.load) for point in points):
        if is_known and name != wanted:
            continue
        try:
            command = load()
            if isinstance(command, typer.Typer):
                app.add_typer(command, name=name)
            else:
                app.command(name)(command)
        except ModuleNotFoundError as error:
            if _is_ours(error):
                raise
            _add_remedy(name)


def _show_plainly() -> None:
    """Have warnings of ours printed as plain lines; those of others stay as they are."""
    elsewhere = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if category.__module__.partition(".")[0] == "genept":
            console.print(str(message), markup=False, soft_wrap=True)
        else:
            elsewhere(message, category, *where, **more)

    warnings.showwarning = show


def main() -> None:
    """Run the command line; an error that the user can fix is one message, not a traceback."""
    _show_plainly()
    try:
        add_commands(sys.argv[1] if len(sys.argv) > 1 else None)
        app()
    except (StoreError, SourceError, SettingsError, ValidationError) as error:
        console.print("Error:", style="red", end=" ")
        console.print(str(error), markup=False, soft_wrap=True)
        sys.exit(1)
    except ModuleNotFoundError as error:
        if _is_ours(error):
            raise
        console.print(
            f"Error: there is no {error.name} here; {REMEDY}", markup=False, soft_wrap=True
        )
        sys.exit(1)


def _embedded() -> EmbeddedStore:
    from genept.storage import EmbeddedStore

    settings = Settings()
    if settings.s3_endpoint is not None:
        raise StoreError(
            f"the settings point at {settings.s3_endpoint}: there is no embedded store to manage"
        )
    return EmbeddedStore(settings.state / "store", bucket=settings.bucket)


@store_app.command()
def start() -> None:
    """Start the store unless it runs."""
    endpoint = _embedded().ensure()
    answer.print(f"running at {endpoint.url}")


@store_app.command()
def stop() -> None:
    """Stop the store cleanly; its data stays."""
    answer.print("stopped" if _embedded().stop() else "was not running")


@store_app.command()
def status() -> None:
    """Print whether the store runs, its address, and how much it holds."""
    server = _embedded().status()
    if not server.running:
        answer.print(f"not running; its data is under {server.data}", soft_wrap=True)
        return
    size = sum(file.stat().st_size for file in server.data.rglob("*") if file.is_file())
    answer.print(
        f"running at {server.url} since {server.since:%Y-%m-%d %H:%M} UTC, pid {server.pid}"
    )
    answer.print(f"holds {size / 1e6:,.0f} MB under {server.data}", soft_wrap=True)


@store_app.command()
def check() -> None:
    """Test the store, embedded or not, for every property that publishing requires."""
    settings = Settings()
    open_store(settings, "reader")  # refuses where there is no store
    store = open_store(settings, "writer", tested=False)
    tested = properties(store, settings.product)
    if settings.s3_endpoint is None:
        opened = ", ".join(_embedded().open_ports())
        tested.append(StoreProperty("refuses every client without keys", not opened, opened))
    answer.print(f"{store.where}:", soft_wrap=True)
    for quality in tested:
        line = f"  {'yes' if quality.holds else 'NO '}  {quality.name}"
        seen = f": {quality.seen}" if quality.seen else ""
        answer.print(line + seen, soft_wrap=True, markup=False)
    if not all(quality.holds for quality in tested):
        raise typer.Exit(1)


@store_app.command()
def keys(
    role: Annotated[str, typer.Option(help=f"One of {', '.join(ROLES)}.")] = "reader",
    sql: Annotated[
        bool, typer.Option("--sql", help="Statements for DuckDB's shell, with a reader's keys.")
    ] = False,
) -> None:
    """Print the keys of a role, as shell assignments: for R and other readers.

    With --sql, all that DuckDB's shell needs: `genept store keys --sql > opening.sql`, then
    `duckdb -init opening.sql`. The file has the keys in it.
    """
    if sql:
        from genept.client import open_releases, opening_script

        typer.echo(opening_script(open_releases().files), nl=False)
        return
    if role not in ROLES:
        raise StoreError(f"there is no role {role!r}; there are {', '.join(ROLES)}")
    open_store(Settings(), "reader")  # refuses where there is no store
    pair = _embedded().ensure().keys(role)
    typer.echo(f"AWS_ACCESS_KEY_ID={pair.access_key}")
    typer.echo(f"AWS_SECRET_ACCESS_KEY={pair.secret_key}")


@app.command("table")
def show_table(
    name: Annotated[
        str | None, typer.Argument(help="A published table, such as genes; none: list them.")
    ] = None,
    rows: Annotated[int, typer.Option(help="How many rows to print.", min=1)] = 5,
    release: Annotated[str, typer.Option(help="Id of a release.")] = "latest",
) -> None:
    """Print what a table means, its columns, and its first rows; or list the tables."""
    from genept.client import load_table, open_releases

    known = open_releases()
    manifest = known.named(release)
    if name is None:
        listed = (
            (table, f"{of.rows:,}", of.meaning) for table, of in sorted(manifest.tables.items())
        )
        answer.print(plain_table("table", "rows", "meaning", rows=listed))
        return
    head = load_table(name, release=manifest.release_id).head(rows).collect()
    released = manifest.tables[name]
    answer.print(f"[bold]{name}[/]: {released.meaning}")
    answer.print(
        f"{released.rows:,} rows in {len(released.files)} files; key: {', '.join(released.key)}\n"
    )
    columns = (
        (
            column.name,
            column.type,
            column.unit or "",
            column.meaning + (f" One of: {', '.join(column.allowed)}." if column.allowed else ""),
        )
        for column in released.columns
    )
    answer.print(plain_table("column", "type", "unit", "meaning", rows=columns))
    typer.echo(f"\n{known.address(manifest.release_id, released.files[0].path)}")
    typer.echo(rows_text(head))


@app.command("sql")
def ask_in_sql(
    query: Annotated[str, typer.Argument(help="One query, such as 'FROM genes LIMIT 5'.")],
    release: Annotated[str, typer.Option(help="Id of a release.")] = "latest",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, one object per row.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write the rows to this file (.parquet or .csv).",
            callback=writable(*TABLES),
        ),
    ] = None,
) -> None:
    """Ask a release a question in SQL, and print the answer. `SHOW TABLES` lists what there is."""
    from genept.client import sql

    rows = sql(query, release=release)
    if out is not None:
        lists = [name for name, type_ in rows.schema.items() if type_.is_nested()]
        if out.suffix == ".csv" and lists:
            raise StoreError(f"{', '.join(lists)}: CSV holds no lists; write .parquet instead")
        write_table(rows, out)
        answer.print(f"{rows.height:,} rows are in {out}", markup=False)
    elif as_json:
        typer.echo(rows.write_json())
    else:
        typer.echo(rows_text(rows))
