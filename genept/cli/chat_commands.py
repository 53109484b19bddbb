"""`genept chat …`: questions to language models, their answers, and what they cost.

What a model answers is kept in the store: a question that was asked before costs nothing.
"""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from genept.cli.writing_commands import probe_model
from genept.client import Platform
from genept.common import Settings, StoreError, console, duration, visible
from genept.language_models import (
    AnswerFormat,
    Chat,
    ChatError,
    ChatForecast,
    ChatOutcome,
    FormatError,
    LanguageModel,
    LanguageModels,
    Prompt,
    SamplingOptions,
    complete,
    forecast_chats,
    in_threads,
    load_prompts,
    read_form,
    read_prompt,
)

chat = typer.Typer(no_args_is_help=True, help="Questions to language models, local and hosted.")
chat.command("probe")(probe_model)


@chat.command("models")
def list_models() -> None:
    """List the language models: where they run, price, and whether they can be used."""
    models = LanguageModels(Settings())
    for id_, model in models.declared.items():
        price = (
            f"${model.dollars_per_million_tokens:g} in and "
            f"${model.dollars_per_million_output_tokens:g} out per million tokens"
        )
        runs = "on this machine" if model.weights else price
        usable = models.unavailable(id_) or "available"
        typer.echo(f"{id_:<20} {model.context_tokens:>9,} tokens  {runs:<44}  {usable}")


@chat.command("prompts")
def list_prompts() -> None:
    """List the prompts of the platform: id, version, and what each asks."""
    for prompt in load_prompts().values():
        typer.echo(f"{prompt.id}@{prompt.version}  {prompt.sha256[:12]}  {prompt.about}")


@chat.command("ask")
def ask(
    question: Annotated[
        str | None, typer.Argument(help="The question, if no prompt has it.")
    ] = None,
    model: Annotated[str, typer.Option(help="One of `genept chat models`.")] = "smollm2-135m",
    prompt: Annotated[str | None, typer.Option(help="One of `genept chat prompts`.")] = None,
    prompt_file: Annotated[
        Path | None, typer.Option(help="TOML file of a prompt.", exists=True, dir_okay=False)
    ] = None,
    value: Annotated[
        list[str] | None, typer.Option(help="NAME=TEXT for a place of the prompt; may repeat.")
    ] = None,
    rows: Annotated[
        Path | None,
        typer.Option(help="CSV or JSON lines: a question per row.", exists=True, dir_okay=False),
    ] = None,
    system: Annotated[str, typer.Option(help="What the model is, for a question.")] = "",
    schema: Annotated[
        Path | None,
        typer.Option(help="JSON schema (or .gbnf grammar) of the answer.", exists=True),
    ] = None,
    temperature: Annotated[float | None, typer.Option(min=0, max=2)] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Another one: another answer.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Of an answer.")] = None,
    dry_run: Annotated[bool, typer.Option(help="Forecast the cost; ask nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Pay without being asked.")] = False,
) -> None:
    """Ask a question, or one for each row of a table, and print the answers.

    What it may cost is printed before, and has to be agreed to. Answers of a table are JSON lines.
    Ends with code 1 if a question has no answer.
    """
    platform = Platform(Settings())
    models = platform.language_models
    try:
        values = _values(value or [])
        chosen = _prompt(question, prompt, prompt_file)
        with models.open(model) as service:
            sampling = _sampling(service.declared, temperature, seed, max_tokens)
            form = read_form(schema) if schema else None
            each: list[dict[str, Any]] = [*_rows(rows)] if rows else [{}]
            chats = [_chat(chosen, question, system, values | row, sampling, form) for row in each]
            for asked in chats:
                service.require_possible(asked)
            cache = models.cache(service, platform.store)
            cost = forecast_chats(service, cache, chats)
            _announce(cost, service.declared)
            if dry_run:
                return
            if cost.dollars > 0 and not yes:
                typer.confirm("Pay that?", abort=True, err=True)
            outcomes = complete(service, cache, chats, models.spending_limit, in_threads)
    except (ChatError, FormatError) as error:
        raise StoreError(str(error)) from None
    for row, outcome in zip(each, outcomes, strict=True):
        _print(outcome, row if rows else None)
    if any(outcome.text is None for outcome in outcomes):
        raise typer.Exit(1)


def _announce(cost: ChatForecast, model: LanguageModel) -> None:
    """Say on standard error what is going to be asked, and what that may cost."""
    text = f"{cost.model}: {cost.n_new:,} of {cost.n_chats:,} questions are new"
    if cost.n_new and model.weights is None:
        text += (
            f", {cost.tokens:,} tokens and at most {cost.most_output_tokens:,} of answers, "
            f"at most ${cost.dollars:.4f} ({cost.basis})"
        )
    elif cost.n_new and cost.seconds is not None:
        text += f", at most {duration(cost.seconds)} on this machine"
    console.print(text, markup=False, soft_wrap=True)


def _prompt(question: str | None, id_: str | None, file: Path | None) -> Prompt | None:
    if sum(given is not None for given in (question, id_, file)) != 1:
        raise StoreError("give a question, --prompt or --prompt-file: exactly one of them")
    if file is not None:
        return read_prompt(file.read_bytes(), file.name)
    if id_ is None:
        return None
    if id_ not in (prompts := load_prompts()):
        raise StoreError(f"there is no prompt {id_!r}: see `genept chat prompts`")
    return prompts[id_]


def _chat(
    prompt: Prompt | None,
    question: str | None,
    system: str,
    values: dict[str, Any],
    sampling: SamplingOptions,
    form: AnswerFormat | None,
) -> Chat:
    if prompt is None:
        return Chat(str(question), system, sampling, form or AnswerFormat())
    if system or form:
        raise StoreError("a prompt says itself what --system and --schema say: leave them out")
    return prompt.chat(values, sampling)


def _sampling(
    model: LanguageModel, temperature: float | None, seed: int | None, max_tokens: int | None
) -> SamplingOptions:
    chosen = {"temperature": temperature, "seed": seed, "max_output_tokens": max_tokens}
    stated = {name: number for name, number in chosen.items() if number is not None}
    return SamplingOptions(**(model.sampling.model_dump() | stated))


def _values(pairs: list[str]) -> dict[str, str]:
    values = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise StoreError(f"--value {pair!r}: expected NAME=TEXT")
        values[name] = text
    return values


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a table as values by column. Raises `StoreError` that names the line."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if path.suffix in (".jsonl", ".ndjson"):
                for number, line in enumerate(file, 1):
                    row = json.loads(line)
                    if not isinstance(row, dict):
                        raise StoreError(f"{path}, line {number}: expected a JSON object")
                    yield row
                return
            table = csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ",")
            for row in table:
                if None in row or None in row.values():
                    raise StoreError(
                        f"{path}, line {table.line_num}: expected {len(table.fieldnames or ())} "
                        "values, as the header has names"
                    )
                yield row
    except (ValueError, csv.Error) as error:
        raise StoreError(f"{path} cannot be read: {error}") from None


def _print(outcome: ChatOutcome, row: dict[str, Any] | None) -> None:
    if row is None:
        if outcome.text is None:
            console.print(f"no answer: {outcome.reason}", markup=False, soft_wrap=True)
        else:
            typer.echo(visible(outcome.text))
        return
    prompt = outcome.chat.prompt
    has_schema = outcome.chat.answer_format.schema is not None
    result = {
        "row": row,
        "answer": outcome.parsed if has_schema and outcome.text is not None else outcome.text,
        "reason": outcome.reason,
        "faults": outcome.faults,
        "prompt": f"{prompt.id}@{prompt.version}:{prompt.sha256}" if prompt else None,
        "model": outcome.reply.model,
        "input_tokens": outcome.reply.input_tokens,
        "output_tokens": outcome.reply.output_tokens,
    }
    typer.echo(json.dumps(result))
