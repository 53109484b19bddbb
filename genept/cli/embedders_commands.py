"""`genept embedders …`: the text embedders, what each needs, models of one's own, and their price.

Vectors themselves are `genept.cli.vector_commands`.
"""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from genept.client import Platform, load_table
from genept.common import Settings, SourceError, StoreError, open_console, plain_table
from genept.text import (
    Embedders,
    EmbeddingError,
    added_file,
    all_entries,
    describe_folder,
    embedder_files,
    write_entry,
)

embedders = typer.Typer(
    no_args_is_help=True, help="Text embedders: list, add a model of one's own, forecast a price."
)
answer = open_console(soft_wrap=True)

EXTRA, FILES, KEY, SERVER = "needs an extra", "needs files", "needs a key", "needs a server"
NEEDS = {
    EXTRA: "pip install 'genept-platform[llm]'",
    FILES: "genept embedders add FOLDER --id EMBEDDER, or models/EMBEDDER/ in a folder of "
    "GENEPT_MIRRORS",
    KEY: "GENEPT_OPENAI_API_KEY",
    SERVER: 'one that speaks OpenAI\'s protocol: base_url of [embedders."EMBEDDER"] in a file '
    "that GENEPT_EMBEDDERS names",
}
"""What an embedder that is not usable may need, and how it gets it."""

TRIED = (
    "tumor protein p53. apoptotic process; DNA damage response",
    "forkhead box P3. regulatory T cell differentiation",
    "hemoglobin subunit beta. oxygen transport",
)
"""Texts that a new model is tried on."""

Prefix = Annotated[str | None, typer.Option(help="What the model expects before such a text.")]


@embedders.command("list")
def list_embedders(
    containing: Annotated[str, typer.Argument(help="Only those whose id contains this.")] = "",
) -> None:
    """List the text embedders: where they run, size, price, and what one that is not usable needs.

    Every one of them makes a space of every recipe, ID/RECIPE, for GENEPT_SPACES.
    """
    rows = [row for row in _rows(Platform(Settings()).embedders) if containing in row[0]]
    if not rows:
        raise StoreError(f"no embedder has {containing!r} in its id: see `genept embedders list`")
    headers = ("embedder", "runs", "dimensions", "tokens", "price", "usable")
    answer.print(plain_table(*headers, rows=rows))
    needs = {need for need in NEEDS if any(need in row[-1] for row in rows)}
    for need in sorted(needs):
        answer.print(f"{need}: {NEEDS[need]}", markup=False)


def _rows(known: Embedders) -> Iterator[tuple[str, ...]]:
    for id_, local in known.local.items():
        usable = "available"
        if known.unavailable(id_):
            usable = f"{FILES} of {local.repository}" if local.folder is None else FILES
            usable = EXTRA if local.source else usable
        size, longest = str(local.dimensions or ""), str(local.max_tokens or "any")
        yield id_, f"here ({local.kind})", size, longest, "", usable
    for id_, plugin in known.added.items():
        usable = known.unavailable(id_) or "available"
        yield id_, plugin.distribution, "", "", "", usable
    for id_, hosted in known.hosted.declared.items():
        usable = "available"
        if known.unavailable(id_):
            usable = SERVER if hosted.own_server and not hosted.base_url else KEY
        price = f"${hosted.dollars_per_million_tokens:g} per million tokens"
        place = "own server" if hosted.own_server else "service"
        yield id_, place, str(hosted.dimensions), str(hosted.max_tokens), price, usable


@embedders.command("add")
def add_embedder(
    folder: Annotated[
        Path,
        typer.Argument(
            help="Of model.safetensors, tokenizer.json and config.json.",
            exists=True,
            file_okay=False,
        ),
    ],
    id_: Annotated[str, typer.Option("--id", help="Of its spaces: my-bge in my-bge/name-go.")],
    pooling: Annotated[str | None, typer.Option(help="mean, cls or last.")] = None,
    query_prefix: Prefix = None,
    passage_prefix: Prefix = None,
    max_tokens: Annotated[int | None, typer.Option(help="Longer texts are cut.", min=4)] = None,
    dimensions: Annotated[int | None, typer.Option(help="Keep the first so many.", min=1)] = None,
    normalised: Annotated[bool | None, typer.Option(help="Vectors of length 1.")] = None,
    static: Annotated[bool, typer.Option(help="A table of vectors of tokens.")] = False,
    licence: Annotated[str | None, typer.Option(help="As stated by whoever made it.")] = None,
    dry_run: Annotated[bool, typer.Option(help="Try the model only; declare nothing.")] = False,
) -> None:
    """Add the model in FOLDER as an embedder: what is not given is read from its own files."""
    settings = Settings()
    known = Platform(settings).embedders
    given: dict[str, Any] = {
        "pooling": pooling, "query_prefix": query_prefix, "passage_prefix": passage_prefix,
        "max_tokens": max_tokens, "dimensions": dimensions, "normalised": normalised,
        "licence": licence, "kind": "static" if static else None,
    }  # fmt: skip
    given = {name: value for name, value in given.items() if value is not None}
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", id_) or re.fullmatch(r"(lsa|random)-\d+", id_):
        raise SourceError(f"{id_!r}: an id has small letters, digits, dots and hyphens")
    shipped = all_entries().get(id_)
    if shipped is not None:
        has_files = "source" in shipped or known.unavailable(id_) is None
        if given or has_files:
            raise SourceError(
                f"{id_!r} is declared already: choose another --id"
                + ("" if has_files else ", or give its folder and nothing else")
            )
    if id_ in all_entries(*embedder_files(settings)) and shipped is None:
        raise SourceError(f"{id_!r} is declared already: choose another --id, or remove it first")
    entry = describe_folder(folder, id_, _of_shipped(shipped) if shipped else given)
    _try(settings, entry)
    if dry_run:
        answer.print("a dry run: nothing was declared")
        return
    if shipped:
        entry = {name: entry[name] for name in ("folder", "sha256", "weights") if name in entry}
    write_entry(added_file(settings), id_, entry)
    answer.print(
        f"declared {id_} in {added_file(settings)}. Embed with it:\n"
        f'  GENEPT_SPACES=\'["{id_}/name-go", "minilm-l6-v2/name-go"]\' genept run\n'
        f"or compare it on a task: genept bench run --task haploinsufficiency "
        f"--space {id_}/name-go --space minilm-l6-v2/name-go"
    )


@embedders.command("remove")
def remove_embedder(
    id_: Annotated[str, typer.Argument(metavar="ID", help="An added model.")],
) -> None:
    """Take an added model back; its cached vectors and releases with its spaces stay."""
    path = added_file(Settings())
    if not path.is_file() or f'[embedders."{id_}"]' not in path.read_text(encoding="utf-8"):
        raise SourceError(f"{id_!r} was not added by `genept embedders add`")
    write_entry(path, id_, None)
    answer.print(f"removed {id_}")


@embedders.command("forecast")
def forecast_cost(
    space: Annotated[str, typer.Argument(help="Such as text-embedding-3-small/name-go.")],
) -> None:
    """Forecast the cost of embedding a space, over the descriptions of the latest release."""
    platform = Platform(Settings())
    id_, _, recipe = space.partition("/")
    try:
        embedder = platform.hosted.open(id_) if id_ in platform.hosted.declared else None
    except EmbeddingError as error:
        raise StoreError(str(error)) from None
    if embedder is None:
        raise StoreError(f"{id_!r} is no hosted embedder; see `genept embedders list`")
    texts = load_table("gene_descriptions", recipe=recipe).collect()["text"].to_list()
    cost = platform.forecast(embedder, texts)
    typer.echo(
        f"{space}: {cost.n_new:,} of {cost.n_texts:,} texts are new, {cost.tokens:,} tokens, "
        f"${cost.dollars:.4f} ({cost.basis})"
    )


def _of_shipped(shipped: Any) -> dict[str, Any]:
    """What a shipped declaration says about a model, whose place the user gives."""
    if shipped["kind"] == "hosted":
        raise SourceError(
            f"{shipped['id']} is not run here: declare a server that runs it (docs/embedders.md)"
        )
    return {name: value for name, value in shipped.items() if name not in ("id", "folder")}


def _try(settings: Settings, entry: dict[str, Any]) -> None:
    """Embed some texts with a model that is not declared yet, and say what came of it."""
    embedder = Embedders(settings, archives=None).tried(entry)
    texts = [f"{text}; {number}" for number in range(10) for text in TRIED]
    began = time.perf_counter()
    vectors = embedder.embed(texts)
    seconds = (time.perf_counter() - began) / len(texts) * 1000
    first, second = vectors[:2] / np.linalg.norm(vectors[:2], axis=1, keepdims=True)
    stated = {
        name: value for name, value in entry.items() if name not in ("id", "folder", "sha256")
    }
    for name, value in stated.items():
        answer.print(f"  {name}: {value!r}" if isinstance(value, str) else f"  {name}: {value}")
    answer.print(
        f"{vectors.shape[1]} dimensions; about {seconds:.1f} s for 1,000 short texts; cosine of "
        f"TP53 and FOXP3 {first @ second:.2f}"
    )
