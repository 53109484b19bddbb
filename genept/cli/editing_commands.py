"""`genept genes edit`: descriptions that are edited, scored, and kept if hidden genes agree."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn

from genept import client  # resolved when used: what edits are scored by takes long to import
from genept.common import Settings, StoreError, console, duration, open_console, plain_table
from genept.language_models import Chat, ChatError, SamplingOptions, complete
from genept.language_models.self_editing import EditOptions, EditPolicy, LearnedPolicy, ModelPolicy

if TYPE_CHECKING:
    from genept.client import EditForecast, EditReport, Platform

answer = open_console(soft_wrap=True)


def edit(
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of edits.")] = 3,
    proposals: Annotated[int, typer.Option(min=1, help="Edits tried in each round.")] = 12,
    embedder: Annotated[str, typer.Option(help="Of this machine.")] = "minilm-l6-v2",
    task: Annotated[
        list[str] | None, typer.Option(help="A task that decides; repeat for more.")
    ] = None,
    policy: Annotated[
        str, typer.Option(help="`learned`, or a language model that proposes the edits.")
    ] = "learned",
    restated_by: Annotated[
        str | None, typer.Option(help="A model whose statements may replace lines.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of proposals and shuffles.")] = 0,
    dry_run: Annotated[bool, typer.Option(help="Forecast the work; edit nothing.")] = False,
    keep: Annotated[
        bool, typer.Option("--keep/--no-keep", help="Keep what was tried, and what passes.")
    ] = True,
) -> None:
    """Edit descriptions in rounds; keep edits that raise scores above shuffled edits.

    Three tenths of the genes are hidden and asked once, at the end. What passes the gate becomes a
    recipe of its own. Ends with code 1 if the gate refuses it.
    """
    platform = client.Platform(Settings())
    options = EditOptions(rounds=rounds, proposals=proposals, seed=seed)
    if restated_by and (why := platform.probes.blocked(restated_by)):
        raise StoreError(f"--restated-by: {why}")
    if dry_run:
        with console.status("reading evidence"):
            inputs = client.edit_inputs(platform, task or (), restated_by)
            forecast = client.forecast_edit(platform, inputs, embedder, options)
        _forecast(forecast, embedder)
        return
    name = client.next_name(platform)
    columns = (TextColumn("{task.description}"), BarColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        shown = progress.add_task("reading evidence", total=1.0)
        report = client.edit_on(
            platform, name, embedder, task or (), options, _policy(platform, policy, seed),
            restated_by,
            lambda what, share: progress.update(shown, description=what, completed=share),
        )  # fmt: skip
    _print(report)
    if not keep:
        answer.print("nothing of it is kept")
        return
    client.keep_edits(platform, report)
    if not report.passes:
        answer.print(f"{name} is not released; `description_edits` has what was tried")
        raise typer.Exit(1)
    n = client.register_edited(platform, report, restated_by)
    answer.print(f"recipe {name} describes {n:,} genes: GENEPT_SPACES='[\"{embedder}/{name}\"]'")


def _forecast(forecast: EditForecast, embedder: str) -> None:
    answer.print(
        f"{forecast.n_genes:,} genes with evidence, {forecast.n_training:,} of which decide; "
        f"{forecast.n_edits:,} edits at most, shuffled ones included"
    )
    answer.print(f"decide: {', '.join(forecast.rewarded)}", markup=False)
    answer.print(f"watched: {', '.join(forecast.others) or 'none'}", markup=False)
    answer.print(
        f"about {forecast.n_texts:,} texts ({forecast.n_new:,} of the first drafts are new): "
        f"{duration(forecast.seconds)} with {embedder} on this machine, and scoring",
        markup=False,
    )


def _policy(platform: Platform, name: str, seed: int) -> EditPolicy:
    learned = LearnedPolicy(seed)
    return learned if name == "learned" else ModelPolicy(partial(_ask, platform, name), learned)


def _ask(platform: Platform, model: str, question: str) -> str | None:
    models = platform.language_models
    chat = Chat(question, sampling=SamplingOptions(max_output_tokens=120))
    try:
        with models.open(model) as service:
            cache = models.cache(service, platform.store)
            (outcome,) = complete(service, cache, [chat], models.spending_limit)
    except ChatError as error:
        raise StoreError(str(error)) from None
    return outcome.text


def _print(report: EditReport) -> None:
    tried = (
        (
            str(each.round), each.edit.gene_class, each.edit.kind, f"{each.n_genes:,}",
            f"{each.reward:+.4f}", f"{each.noise:+.4f}", f"{each.permuted:+.4f}",
            "kept" if each.kept else "",
        )
        for each in report.edited.tried
    )  # fmt: skip
    head = ("round", "genes of kind", "edit", "genes", "reward", "noise", "permuted", "")
    answer.print(plain_table(*head, rows=tried))
    hidden = (
        (task, f"{value:.3f}", f"{change:+.4f} [{low:+.4f}, {high:+.4f}]")
        for task, (value, change, low, high) in report.hidden.items()
    )
    answer.print(plain_table("hidden genes of", "AUROC", "change", rows=hidden))
    for finding in report.gate:
        answer.print(
            f"{'holds' if finding.holds else 'FAILS'}: {finding.condition}: {finding.detail}",
            markup=False,
        )
