"""`genept release …`, which calls what is in `genept.release`, and prints it."""

from typing import Annotated

import typer

from genept.cli.releases.garbage_commands import gc
from genept.cli.releases.page_commands import pages
from genept.cli.releases.release_lines import (
    after_public_takedown,
    listed_releases,
    still_public,
    taken_back,
    withdraw_public,
)
from genept.cli.run_report import (
    answer,
    code_to_paste,
    held_lines,
    print_hold,
    public_lines,
    table_of_tables,
    this_user,
    waiting_changes,
)
from genept.client import ALIASES, Snippets, limits_in_words, open_releases
from genept.common import Settings, StoreError, visible
from genept.release import (
    Releases,
    cited_address,
    current_hold,
    differences,
    let_anybody_read,
    mark_stable,
    refresh_catalog,
    retract_public,
)
from genept.release import allow as allow_release
from genept.release import approve as approve_hold
from genept.release import retract as retract_release
from genept.release import roll_back as roll_back_to
from genept.release import verify as find_faults
from genept.release.metadata import DescribedRelease, bibtex, citation_text
from genept.storage import open_as_operator

release = typer.Typer(no_args_is_help=True, help="Published releases.")

ReleaseId = Annotated[str, typer.Argument(help="Id of a release, `latest` or `stable`.")]


@release.command("list")
def list_releases() -> None:
    """List every release, newest last."""
    known = open_releases()
    pointer = known.pointer()
    if pointer is None:
        answer.print("nothing has been released yet: run `genept run`")
        return
    print_hold()
    for line in listed_releases(known, pointer):
        typer.echo(line)


@release.command()
def show(release: ReleaseId = "latest") -> None:
    """Print the tables of a release, its version and addresses, and code that reads it."""
    known = open_releases()
    manifest = known.named(release)
    for line in taken_back(known, manifest):
        typer.echo(visible(line))
    if manifest.release_id == known.current_id():
        print_hold()
    answer.print(f"[bold]{manifest.release_id}[/], published {manifest.created_at}")
    facts = {
        "data version": manifest.data_version[:16],
        "schema version": manifest.schema_version or "none",
        "platform": manifest.platform_version,
        "previous": manifest.previous or "none",
        "partial": "" if manifest.complete else limits_in_words(manifest.limits),
        "left out": manifest.left_out and f"{', '.join(manifest.left_out)} (licence)",
    }
    for name, fact in facts.items():
        if fact:
            answer.print(f"{name:<14} {fact}", markup=False)
    answer.print(table_of_tables(manifest))
    if manifest.audit:
        answer.print(
            f"{len(manifest.audit)} pages, below audit/: `genept release pages "
            f"{manifest.release_id}` copies them for a browser",
            markup=False,
        )
    answer.print(known.address(manifest.release_id, "manifest.json"))
    for code in code_to_paste(Snippets(known.files, manifest)):
        typer.echo(f"\n{code}")


@release.command()
def cite(
    release: ReleaseId = "latest",
    as_bibtex: Annotated[bool, typer.Option("--bibtex", help="As BibTeX.")] = False,
) -> None:
    """Print how to cite a release, the method and every source that it was made of."""
    known = open_releases()
    manifest = known.named(release)
    for line in taken_back(known, manifest):
        typer.echo(visible(line))
    address = cited_address(known.store, known.product, manifest.release_id)
    described = DescribedRelease(manifest, address, Settings().doi)
    typer.echo(visible(bibtex(described) if as_bibtex else citation_text(described)), nl=False)


@release.command()
def diff(
    before: ReleaseId,
    after: ReleaseId = "latest",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Compare two releases: rows, columns, and the values that changed."""
    known = open_releases()
    changes = differences(known.files, known.named(before), known.named(after))
    typer.echo(changes.body().decode() if as_json else visible(changes.text()))


@release.command()
def verify(release: ReleaseId = "latest") -> None:
    """Read every file of a release through S3 and compare its size and SHA-256."""
    known = open_releases()
    manifest = known.named(release)
    faults = find_faults(known.store, known.folder(manifest.release_id), manifest)
    for fault in faults:
        typer.echo(visible(fault))
    if faults:
        raise StoreError(
            f"{manifest.release_id} is not as it was sealed ({len(faults)} faults): restore the "
            "objects from a backup, or go back with `genept release rollback`"
        )
    files = sum(len(table.files) for table in manifest.tables.values())
    pages = len(manifest.audit) + len(manifest.metadata)
    answer.print(f"{manifest.release_id}: {files} files and {pages} pages are intact")


@release.command()
def publish(
    release: ReleaseId = "latest",
    public: Annotated[
        bool, typer.Option("--public", help="Needed to publish: anybody reads it.")
    ] = False,
    policy: Annotated[bool, typer.Option(help="Change the bucket's policy, too.")] = True,
    withdraw: Annotated[
        bool, typer.Option(help="Instead: let nobody read without keys again.")
    ] = False,
) -> None:
    """Let anybody read a release without restricted data: a copy, in a product of its own."""
    from genept.client import publish_for_anybody  # needs more than reading does

    settings = Settings()
    if withdraw:
        answer.print(withdraw_public(open_as_operator(settings), settings.product))
        return
    if not public:
        raise StoreError("say --public: anybody will read the release")
    known = open_releases(role="publisher")
    manifest = known.named(release)
    published = publish_for_anybody(known, manifest, doi=settings.doi)
    if policy:
        let_anybody_read(open_as_operator(settings), settings.product)
    for line in public_lines(published.manifest, known):
        answer.print(line, markup=False)


@release.command("rollback")
def roll_back(
    reason: Annotated[str, typer.Option(help="Why; others will read it.", prompt=True)],
    release: Annotated[
        str | None, typer.Argument(help="An earlier release; by default the one before.")
    ] = None,
) -> None:
    """Make an earlier release current again; the bad content is not published anew."""
    known = open_releases(role="publisher")
    pointer = roll_back_to(known, release, reason=reason)
    refresh_catalog(known)
    answer.print(f"{pointer.release_id} is current, number {pointer.seq} of all swaps")
    for denied in pointer.denied:
        if denied.lifted_at is None:
            answer.print(f"denied: {denied.release_id}, {denied.reason}", markup=False)
    for line in still_public(known, pointer):
        answer.print(line, style="yellow", markup=False, soft_wrap=True)


@release.command()
def allow(release: Annotated[str, typer.Argument(help="A denied release.")]) -> None:
    """Take a release off the deny list; the next run that makes its content publishes it."""
    known = open_releases(role="publisher")
    allow_release(known, release)
    refresh_catalog(known)
    answer.print(f"{release} is not denied any more; it does not become current by itself")
    answer.print("to have its content current again: `genept run`; it gets a new id")


@release.command()
def stable(release: ReleaseId) -> None:
    """Let the alias `stable` name a release, which is kept from then on."""
    known = open_releases(role="publisher")
    release_id = _id_of(known, release)
    mark_stable(known, release_id)
    answer.print(f'{release_id} is stable: `--release stable`, release="stable"')


@release.command()
def retract(
    release: ReleaseId,
    reason: Annotated[str, typer.Option(help="Why; readers see it.", prompt=True)],
) -> None:
    """Take a release and its public copy back; its content is not published again."""
    known, settings = open_releases(role="publisher"), Settings()
    release_id, pointer = _id_of(known, release), known.pointer()
    already = pointer.retracted(release_id) if pointer else None
    if already is None:
        pointer = retract_release(known, release_id, reason=reason)
        refresh_catalog(known)
        answer.print(f"{release_id} is taken back; {pointer.release_id} is current")
    copy = retract_public(
        known, release_id, reason=reason, open_operator=lambda: open_as_operator(settings)
    )
    if copy == "taken back":
        answer.print(after_public_takedown(known))
    elif copy == "closed already":
        answer.print("its public copy was taken back already: nobody reads it without keys")
    elif already is not None:
        raise StoreError(f"{release_id} was taken back already: {already}")


def _id_of(known: Releases, release: str) -> str:
    """The id that an alias stands for; any other name as it is."""
    return known.named(release).release_id if release in ALIASES else release


@release.command()
def approve(
    tables: Annotated[
        list[str] | None, typer.Argument(help="Only these of the tables that are held; none: all.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why; others will read it.")] = None,
    by: Annotated[str | None, typer.Option(help="Who approves; by default, this user.")] = None,
) -> None:
    """Print the changes that the last run was held for, and approve them for the next run."""
    known = open_releases(role="publisher")
    hold = current_hold(known)
    waiting = waiting_changes(known, hold)
    if hold is not None and waiting:
        for line in held_lines(hold, waiting):
            answer.print(line, markup=False)
        reason = reason or typer.prompt("Why is it intended? Others will read it")
    given = approve_hold(known, tables or (), by=by or this_user(), reason=reason or "-", seen=hold)
    for approval in given:
        line = f"{approval.table}: approved against {approval.against} by {approval.by}"
        answer.print(line, markup=False)
    answer.print("the next `genept run` publishes it, if nothing more differs")


release.command()(gc)
release.command()(pages)
