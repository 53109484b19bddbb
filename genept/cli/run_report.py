"""The report of `genept run`, and what the release commands print about holds and garbage.

Tables, main results beside their controls, code that reads the release.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from getpass import getuser
from importlib.metadata import entry_points

import polars as pl
from rich.table import Table

from genept.client import (
    Snippets,
    limits_in_words,
    load_table,
    open_releases,
    opening_statements,
    sql_questions,
)
from genept.common import Settings, StoreError, open_console, plain_table, program_path
from genept.release import (
    COMMAND,
    Change,
    Garbage,
    Hold,
    Listed,
    Manifest,
    Releases,
    RunState,
    approvals,
    current_hold,
    not_approved,
    public_product,
)
from genept.storage import StaleCopies, stale_copies

HEADLINES = {
    "accuracy": "cell type: 10-NN accuracy",
    "balanced_accuracy": "diagnosis: balanced accuracy",
    "normalised_pearson": "drug response: within-drug Pearson",
}


def print_report(settings: Settings, *, is_new: bool) -> None:
    """Print the tables, main results and reading code of the current release to standard output.

    Parameters
    ----------
    settings
        Of the installation that published it.
    is_new
        Whether the run that is reported made the release; otherwise it changed nothing.
    """
    out = open_console(soft_wrap=True)
    releases = open_releases(settings)
    manifest = releases.current()
    out.print("\n[bold]Tables[/]")
    for name, table in manifest.tables.items():
        if table.rows:
            address = releases.address(manifest.release_id, f"data/{name}/")
            out.print(f"  {name:<26}{table.rows:>9,} rows {table.bytes:>13,} bytes  {address}")
    if empty := [name for name, table in manifest.tables.items() if not table.rows]:
        out.print(f"  {len(empty)} without rows: {', '.join(empty)}")
    print_results(settings)
    limits = f"partial: {limits_in_words(manifest.limits)}"
    state = "complete" if manifest.complete else limits
    outcome = "published" if is_new else "nothing changed, so no new release was made"
    out.print(f"\nRelease [bold]{manifest.release_id}[/] ({state}): {outcome}.\n")
    out.print(snippets(releases), markup=False)


def print_results(settings: Settings) -> None:
    """Print the main results of the current release, beside their controls, to standard output.

    Parameters
    ----------
    settings
        Of the installation that published it.
    """
    out = open_console(soft_wrap=True)
    out.print("\n[bold]Results[/], with 95 % intervals, beside their controls")
    out.print(*_headlines(settings), sep="\n")


def headline_results(settings: Settings) -> pl.DataFrame:
    """The main score of every task, representation by representation.

    Returns
    -------
    pl.DataFrame
        `what`, `dataset`, `representation`, `value`, `ci_low`, `ci_high`, `n`, `is_control`;
        best first within a data set.
    """
    shown = ["dataset", "representation", "metric", "value", "ci_low", "ci_high", "n", "is_control"]
    from genept.benchmarks import annotated_cells, sample_tasks  # not installed with a client

    rows = annotated_cells(load_table("benchmark_results", settings=settings).collect(), "accuracy")
    plain = ~pl.col("representation").str.contains("@permuted", literal=True)
    samples = sample_tasks(load_table("model_evaluations", settings=settings).collect())
    return (
        pl.concat([rows.filter(plain).select(shown), samples.select(shown)])
        .with_columns(pl.col("metric").replace_strict(HEADLINES).alias("what"))
        .sort("what", "dataset", "value", descending=[False, False, True])
    )


def _headlines(settings: Settings) -> Iterator[str]:
    for task in headline_results(settings).partition_by("what", "dataset"):
        first = task.row(0, named=True)
        yield f"  [bold]{first['what']}[/], {first['dataset']} (n = {first['n']:,})"
        for row in task.iter_rows(named=True):
            interval = " " * 16
            if row["ci_low"] is not None:
                interval = f"\\[{row['ci_low']:>6.3f}, {row['ci_high']:>6.3f}]"
            line = f"    {row['value']:>6.3f}  {interval}  {row['representation']}"
            yield f"[dim]{line}  (control)[/]" if row["is_control"] else line


def snippets(releases: Releases) -> str:
    """Python that reads the current release, to be pasted."""
    code, genept = Snippets(releases.files, releases.current()), program_path("genept")
    return "\n\n".join(
        [
            f"Read it (paste into {program_path('python')}, in this folder):",
            *(f"# {what}\n{lines}" for what, lines in (code.readers() | code.questions()).items()),
            *(
                [f"Any DuckDB (keys: {genept} store keys):\n{opening_statements(code)}"]
                if code.manifest.catalog
                else []
            ),
            f"R, and more: {genept} release show. See how it was made: {genept} ui",
        ]
    )


def code_to_paste(code: Snippets) -> Iterator[str]:
    """Code that reads a release, each with what it does."""
    yield "Code to paste:"
    for what, lines in {**code.readers(), "R": code.r(), **code.questions()}.items():
        yield f"# {what}\n{lines}"
    if code.manifest.catalog:
        keys = "" if code.files.store.access.unsigned else "; keys: genept store keys"
        yield f"-- any DuckDB{keys}\n{opening_statements(code)}"
        yield from (f"-- {question}\n{query};" for question, query in sql_questions(code).items())


answer = open_console(soft_wrap=True)


def garbage_lines(listed: Listed) -> Iterator[str]:
    """One line for each group of garbage."""
    for group in listed.garbage:
        since = min(listed.since[key] for key in group.keys)
        yield (
            f"{group.what}: {len(group.keys):,} objects, {group.bytes:,} bytes; {group.why}; "
            f"listed since {since:%Y-%m-%d %H:%M} UTC"
        )


def print_hold() -> None:
    """Print that a run is held, if the keys may read it: those of a reader may not."""
    try:
        known = open_releases(role="publisher")
        hold = current_hold(known)
        waiting = waiting_changes(known, hold)
    except StoreError:
        return
    if hold is None:
        return
    if waiting:
        for line in (*held_lines(hold, waiting), f"approve it: {COMMAND}", ""):
            answer.print(line, markup=False)
    else:
        answer.print(f"what was held on {hold.at:%Y-%m-%d %H:%M} UTC is approved: run again\n")


def waiting_changes(known: Releases, hold: Hold | None) -> list[Change]:
    """The changes of a hold that no approval covers."""
    return not_approved(hold.changes, approvals(known)) if hold else []


def held_lines(hold: Hold, waiting: list[Change]) -> list[str]:
    """A hold, with the changes that still need an approval, as lines."""
    run = f" (run {hold.run})" if hold.run else ""
    shown = hold.model_copy(update={"changes": tuple(waiting)})
    return [
        f"held since {hold.at:%Y-%m-%d %H:%M} UTC{run}, against release {hold.against}:",
        *(f"  - {line}" for line in shown.lines()),
        *([f"since that release also: {'; '.join(hold.inputs)}"] if hold.inputs else []),
    ]


def states_of_runs(given_up: str | None) -> Callable[[str], RunState]:
    """State of runs by the orchestrator that is installed here."""
    points = list(entry_points(group="genept.run_states"))

    def state_of(run_id: str) -> RunState:
        if run_id == given_up:
            return "given up"
        state: RunState | None = points[0].load()(run_id) if points else None
        if state is None:
            raise StoreError(
                f"run {run_id} may publish, and this installation does not know whether it is "
                "still at work: collect garbage where it was launched, or, if it has ended, say "
                f"so with --given-up {run_id}"
            )
        return state

    return state_of


def copies_on_this_machine(known: Releases, age: timedelta) -> list[StaleCopies]:
    """Local copies that may be deleted; those of the current release are kept."""
    tables = known.current().tables.values() if known.current_id() else ()
    held = {file.sha256 for table in tables for file in table.files}
    return stale_copies(known.lake.cache.parent, held, now=datetime.now(UTC), age=age)


def public_lines(manifest: Manifest, known: Releases) -> Iterator[str]:
    """Where a public release is read, what it leaves out, and how it is read without keys."""
    product, access = public_product(known.product), known.store.access
    files = sum(len(table.files) for table in manifest.tables.values())
    place = known.store.uri(f"{product}/releases/{manifest.release_id}/")
    yield f"{manifest.release_id} is public: {files} files below {place}"
    if manifest.left_out:
        yield f"left out, as they may not be passed on: {', '.join(manifest.left_out)}"
    endpoint = f"GENEPT_S3_ENDPOINT={access.endpoint_url} " if access.endpoint_url else ""
    yield f"without keys: {endpoint}GENEPT_S3_UNSIGNED=true GENEPT_BUCKET={known.store.bucket} \\"
    yield f"  GENEPT_PRODUCT={product} genept sql 'SHOW TABLES'"


def this_user() -> str:
    """Name of the user of this process."""
    try:
        return getuser()
    except (KeyError, OSError):  # a container's user may have no name
        raise StoreError("this user has no name here: say who approves with --by") from None


def deleted_line(listed: Listed, deleted: list[Garbage], freed: int, grace_hours: float) -> str:
    """What a collection deleted, and what waits."""
    gone = {key for group in deleted for key in group.keys}
    waiting = sum(group.only(set(group.keys) - gone).bytes for group in listed.garbage)
    return (
        f"deleted {freed:,} bytes; {waiting:,} bytes wait until they have been listed for "
        f"{grace_hours:g} hours"
    )


def table_of_tables(manifest: Manifest) -> Table:
    """Size, files and warnings of each table of a release."""
    rows = (
        (
            name,
            f"{table.rows:,}",
            f"{table.bytes:,}",
            str(len(table.files)),
            str(len(manifest.evidence[name].warnings) or ""),
            ", ".join(table.partition),
        )
        for name, table in manifest.tables.items()
    )
    tables = plain_table("table", "rows", "bytes", "files", "warnings", "split by", rows=rows)
    tables.columns[0].no_wrap = True
    for column in tables.columns[1:5]:
        column.justify = "right"
    return tables
