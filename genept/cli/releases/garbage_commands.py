"""`genept release gc`: what is not needed any more, in the store and on this machine."""

from datetime import timedelta
from typing import Annotated

import typer

from genept.cli.run_report import (
    answer,
    copies_on_this_machine,
    deleted_line,
    garbage_lines,
    states_of_runs,
)
from genept.client import open_releases
from genept.release import (
    GRACE,
    PART_AGE,
    UPLOAD_AGE,
    Garbage,
    broken_chain,
    delete_garbage,
    list_garbage,
    refresh_catalog,
)


def gc(
    yes: Annotated[
        bool,
        typer.Option(
            "--yes", help="Delete what has been listed for long enough; without it, only list."
        ),
    ] = False,
    days: Annotated[
        int,
        typer.Option(
            help="Minimum age in days of unused objects in the lake and of local copies.", min=1
        ),
    ] = PART_AGE.days,
    grace_hours: Annotated[
        float, typer.Option(help="How long garbage must have been listed to be deleted.", min=0)
    ] = GRACE / timedelta(hours=1),
    accept_missing: Annotated[
        list[str] | None,
        typer.Option(help="A release whose manifest is lost for good; may be repeated."),
    ] = None,
    given_up: Annotated[str | None, typer.Option(help="A run that is known to have ended.")] = None,
) -> None:
    """List objects that are not needed any more; with --yes, delete those listed a day ago.

    A first call lists old releases, stages and parts, and writes the list to the store. What a
    run uses in the meantime is taken off it. A later call with --yes deletes the rest.
    """
    known, store = open_releases(role="publisher"), open_releases(role="gc").store
    age, grace, accepted = timedelta(days=days), timedelta(hours=grace_hours), accept_missing or ()
    copies, uploads = copies_on_this_machine(known, age), store.orphaned_uploads(UPLOAD_AGE)
    here = [f"{len(copy.files):,} files, {copy.bytes:,} bytes; {copy.why}" for copy in copies]
    freed = sum(copy.bytes for copy in copies)
    deleted: list[Garbage] = []
    if yes:
        # First what needs no space in the store, which may be full.
        for copy in copies:
            copy.delete()
        store.abort_orphaned_uploads(UPLOAD_AGE)
        listed, deleted = delete_garbage(
            known, store, states_of_runs(given_up), grace=grace, part_age=age, accepted=accepted
        )
        refresh_catalog(known)
    else:
        listed = list_garbage(known, part_age=age, accepted=accepted)
    if gap := broken_chain(known, accepted):
        answer.print(gap, style="yellow", markup=False)
    for line in garbage_lines(listed):
        answer.print(line)
    for line in here:
        answer.print(f"on this machine: {line}")
    if uploads:
        answer.print(f"{len(uploads)} uploads in parts that were never finished")
    if not listed.garbage and not uploads and not copies and not deleted:
        answer.print("there is nothing to collect")
    elif yes:
        freed += sum(group.bytes for group in deleted)
        answer.print(deleted_line(listed, deleted, freed, grace_hours))
    else:
        answer.print(
            "nothing was deleted; `genept release gc --yes` deletes what has been listed for "
            f"{grace_hours:g} hours by then, and the copies on this machine"
        )
