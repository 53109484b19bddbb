"""`genept genes write` and `genept chat probe`: statements about genes by language models."""

from dataclasses import replace
from typing import Annotated

import polars as pl
import typer

from genept.client import Platform, evidence_for, store_statements
from genept.common import (
    PENDING_EXIT,
    Settings,
    SourceError,
    StoreError,
    duration,
    open_console,
    plain_table,
)
from genept.language_models import (
    ChatError,
    ChatForecast,
    PendingChatsError,
    forecast_chats,
    in_threads,
    unfinished,
)
from genept.language_models.descriptions import (
    GeneEvidence,
    evidence_of,
    prompt_for,
    statement_chat,
    write_statements,
)
from genept.language_models.probes import probe, probe_prompts
from genept.nomenclature import Nomenclature, build_reference_table

answer = open_console(soft_wrap=True)


def write(
    model: Annotated[str, typer.Option(help="One of `genept chat models`.")] = "smollm2-135m",
    gene: Annotated[
        list[str] | None, typer.Option(help="A symbol, alias or id; repeat for more.")
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option(help="The genes that a task labels; repeat for more.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All protein-coding genes.")] = False,
    minutes: Annotated[
        float | None, typer.Option(min=0, help="Ask nothing more after so long.")
    ] = None,
    batch: Annotated[
        bool | None,
        typer.Option(help="Through the Batch API; unset: as GENEPT_EMBEDDING_BATCH_API says."),
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Forecast the cost; ask nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Pay without being asked.")] = False,
) -> None:
    """Have a language model write statements about genes, and check what each of them cites.

    What was written before is kept and costs nothing. Recipes whose `writer` is the model describe
    genes by the statements that are kept. Ends with code 75 while batches of the Batch API are
    under way: the same command goes on when they are there.
    """
    platform = Platform(Settings())
    genes = platform.reference.published
    wanted = _wanted(platform, genes, gene or [], task or [], every=every)
    evidence = evidence_for(platform, model, genes, wanted)
    if not evidence:
        raise SourceError("of none of these genes is anything known that could be cited")
    models = platform.language_models
    try:
        with models.open(model) as service:
            prompt = prompt_for(service.declared)
            cache = models.cache(service, platform.store)
            chats = [statement_chat(prompt, each, service.declared.sampling) for each in evidence]
            limit = models.batch_limit
            limit = limit if batch is None else replace(limit, batch_api=batch)
            cost = forecast_chats(service, cache, chats, limit)
            answer.print(
                f"{len(wanted):,} genes, {len(evidence):,} with evidence, {cost.n_new:,} to be "
                f"asked for, at most ${cost.dollars:.4f}{_time(cost)}"
            )
            if dry_run:
                return
            if cost.dollars > 0 and not yes:
                typer.confirm("Pay that?", abort=True, err=True)
            rows = write_statements(
                service, cache, prompt, evidence,
                seconds=None if minutes is None else 60 * minutes, spending_limit=limit,
                runner=in_threads,
            )  # fmt: skip
            left = len(unfinished(cache, chats))
    except PendingChatsError as error:
        answer.print(f"{error}; the same command goes on from there", markup=False)
        raise typer.Exit(PENDING_EXIT) from None
    except ChatError as error:
        raise StoreError(str(error)) from None
    if rows.is_empty():
        raise StoreError("nothing was written: give it more --minutes")
    store_statements(platform, model, rows)
    _report(rows, evidence, left)
    recipes = [id_ for id_, recipe in platform.recipes.items() if recipe.writer == model]
    answer.print(
        f"{rows['ensembl_gene_id'].n_unique():,} genes written by {model}; recipes that use them: "
        f"{', '.join(recipes) or 'none, declare one (docs/recipes.md)'}"
    )


def _time(cost: ChatForecast) -> str:
    return "" if cost.seconds is None else f" and {duration(cost.seconds)} on this machine"


def _wanted(
    platform: Platform, genes: pl.DataFrame, names: list[str], tasks: list[str], *, every: bool
) -> set[str]:
    if not (names or tasks or every):
        raise StoreError("which genes? give --gene, --task or --all")
    wanted = set(genes.filter(biotype="protein_coding")["ensembl_gene_id"]) if every else set()
    nomenclature = Nomenclature(platform.reference.index)
    for name in names:
        meaning = nomenclature.map_name(name)
        if meaning.ensembl_gene_id is None:
            raise SourceError(f"{name!r} is no gene: {meaning.outcome}, {meaning.evidence}")
        wanted.add(meaning.ensembl_gene_id)
    if tasks:
        part = build_reference_table(platform.lake, platform.archives, "genes").part()
        labelled = platform.labels(part).properties.filter(fate="scored")
        if unknown := sorted(set(tasks) - set(labelled["task"])):
            known = ", ".join(sorted(set(labelled["task"])))
            raise StoreError(f"no gene is labelled for {unknown}; there are labels for {known}")
        wanted |= set(labelled.filter(pl.col("task").is_in(tasks))["ensembl_gene_id"].drop_nulls())
    return wanted


def _report(rows: pl.DataFrame, evidence: list[GeneEvidence], left: int) -> None:
    counts = rows["fate"].value_counts(sort=True).iter_rows()
    answer.print(plain_table("fate", "statements", rows=((a, f"{n:,}") for a, n in counts)))
    written = rows.filter(fate="kept")["ensembl_gene_id"].n_unique()
    answer.print(f"{written:,} of {len(evidence):,} genes have a statement; {left:,} not asked yet")


def probe_model(
    model: Annotated[str, typer.Option(help="One of `genept chat models`.")] = "smollm2-135m",
    genes: Annotated[int, typer.Option(min=10, help="Questions about so many genes.")] = 60,
    yes: Annotated[bool, typer.Option("--yes", help="Pay without being asked.")] = False,
) -> None:
    """Test a language model: a model that fails a blocking probe writes nothing that is released.

    Ends with code 1 if it fails one.
    """
    platform = Platform(Settings())
    published = platform.reference.published
    coding = published.filter(biotype="protein_coding")["ensembl_gene_id"]
    drawn = coding.sample(min(4 * genes, len(coding)), seed=1).to_list()
    evidence = evidence_of(platform.knowledge, published, drawn)[:genes]
    written = platform.statements.missing(model) is None
    models = platform.language_models
    if not yes and models.declared.get(model) and not models.declared[model].weights:
        typer.confirm(
            f"Ask {model} about {4 * max(genes, 40)} short questions, and pay that?", abort=True
        )
    try:
        with models.open(model) as service:
            rows = probe(
                service, models.cache(service, platform.store), evidence,
                platform.statements.rows(model) if written else None,
                n_impossible=max(genes, 40), spending_limit=models.spending_limit,
                runner=in_threads,
            )  # fmt: skip
    except ChatError as error:
        raise StoreError(str(error)) from None
    prompts = tuple(f"{prompt.id}@{prompt.version}" for prompt in probe_prompts().values())
    platform.probes.put(model, prompts, dict(rows.select("probe", "n").iter_rows()), rows)
    shown = (
        (
            name,
            f"{value:.2f} [{low:.2f}, {high:.2f}]",
            f"{n:,}",
            "" if limit is None else f"at most {limit:g}",
            ("passes" if passes else "fails") + (", blocking" if blocking else ""),
            meaning,
        )
        for _, name, meaning, value, low, high, n, limit, passes, blocking in rows.iter_rows()
    )
    answer.print(plain_table("probe", "share", "of", "limit", "", "what it is", rows=shown))
    if why := platform.probes.blocked(model):
        answer.print(f"nothing that it writes is released: {why}", markup=False)
        raise typer.Exit(1)
