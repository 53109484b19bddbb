"""`genept collections search`: samples of a large public collection, and a collection of them."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Final

import polars as pl
import typer
from rich.markup import escape

from genept.client import Installation
from genept.collections import (
    bulk_samples,
    collection_of_projects,
    collection_of_samples,
    declare_collection,
    drawn_samples,
    expected_download,
    search_recount3,
    search_samples,
    texts_of_label,
)
from genept.common import Settings, SourceError, byte_size, console, open_console, plain_table
from genept.datasources import Collection
from genept.datasources.readers import SampleQuery

answer = open_console(soft_wrap=True)
MOST_SHOWN: Final = 15
_SEARCHES: Final[dict[str, tuple[Callable[..., pl.DataFrame], Callable[..., Collection]]]] = {
    "archs4": (search_samples, collection_of_samples),
    "recount3": (search_recount3, collection_of_projects),
}

Texts = Annotated[
    list[str] | None,
    typer.Option(
        help="A text, or the id of a term; a term stands for itself and all below it, by all their "
        "names. One of several."
    ),
]


def search(
    where: Annotated[str, typer.Argument(help="archs4 or recount3.")],
    tissue: Texts = None,
    disease: Texts = None,
    series: Annotated[
        list[str] | None,
        typer.Option(help="GSE30611; of recount3 SRP009615; one of several."),
    ] = None,
    text: Annotated[
        list[str] | None, typer.Option(help="In title, source or attributes; all of several.")
    ] = None,
    id_: Annotated[
        str | None, typer.Option("--id", help="Add the samples as a collection of this id.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Of the collection, in one line.")] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Samples at most, drawn from all: whole series first. Of archs4."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the draw.")] = 0,
    label: Annotated[
        list[str] | None, typer.Option("--label", help="LABEL=FIELD, such as batch=title.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print every sample as JSON.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")] = False,
) -> None:
    """Find samples by what their authors say of them; with --id, add them: `genept run` reads them.

    Of a file that is not here, only its metadata are fetched, and kept for the next search. A
    collection of recount3 has all samples of the projects; without --series these are listed.

    Example: genept collections search archs4 --tissue liver --limit 200 --id livers
    """
    if where not in _SEARCHES:
        raise SourceError(f"{where!r} cannot be searched: expected {' or '.join(_SEARCHES)}")
    if limit is not None and where != "archs4":
        raise SourceError(f"--limit: a collection of {where} has all samples of its projects")
    find, declared = _SEARCHES[where]
    pairs = dict(_assigned(each) for each in label or ())
    installation = Installation(Settings())
    if id_ is not None and id_ in installation.catalogue.collections:
        raise SourceError(f"there is a collection {id_!r} already: choose another id")
    asked = SampleQuery(
        tuple(series or ()), tuple(tissue or ()), tuple(disease or ()), tuple(text or ())
    )
    query = replace(
        asked,
        tissue=_meant(installation, "tissue", asked.tissue),
        disease=_meant(installation, "diagnosis", asked.disease),
    )
    with console.status(f"reading what {where} says of its samples"):
        found = find(installation.archives, query, allowance=installation.file_allowance)
    n_found, draw = bulk_samples(found).height, ""
    drawn = found if limit is None else drawn_samples(found, limit, seed)
    if limit is not None and drawn.height < n_found:
        draw = f"{drawn.height:,} of {n_found:,} samples, whole series first, seed {seed}"
    if as_json:
        typer.echo(drawn.write_json())
    else:
        for name, texts, more in (
            ("tissue", asked.tissue, query.tissue),
            ("disease", asked.disease, query.disease),
        ):
            if others := [each for each in more if each not in texts]:
                shown = ", ".join(others[:MOST_SHOWN]) + (" …" if len(others) > MOST_SHOWN else "")
                answer.print(f"{name}: also {len(others):,} names of terms: {escape(shown)}")
        _print_found(installation, found)
        if draw:
            answer.print(f"\ndrawn: {draw}")
    if id_ is None:
        return
    entry = declared(
        installation.archives, drawn, id_=id_, labels=pairs,
        title="; ".join(filter(None, (title or f"{where}: {_described(asked)}", draw))),
    )  # fmt: skip
    chosen = entry.options.get("samples", ())
    what = f"{len(chosen):,} samples" if chosen else f"{entry.options['n_projects']:,} projects"
    if chosen:
        fewest, most = expected_download(installation.archives, len(chosen))
        expected = (
            f"about {byte_size(fewest)}, if they are neighbours in the file, to {byte_size(most)}, "
            "if they are scattered (docs/sources.md#read-by-ranges)"
        )
        answer.print(f"\nto download: {expected if most else 'nothing, the file is here'}")
    if not yes and not typer.confirm(f"Add {what} as {id_!r}?", default=False):
        answer.print("nothing was stored")
        raise typer.Exit(1)
    declare_collection(installation.store, installation.settings.product, entry, ())
    answer.print(f"added {id_}: `genept run` fetches their counts, and publishes them")


def _meant(installation: Installation, of_field: str, texts: tuple[str, ...]) -> tuple[str, ...]:
    """Texts, and what else means the same by the ontologies."""
    mapper = installation.label_mapper if texts else None
    meant = [name for text in texts if mapper for name in texts_of_label(mapper, of_field, text)]
    return tuple(dict.fromkeys(meant))


def _assigned(text: str) -> tuple[str, str]:
    label, sign, field = text.partition("=")
    if not (label and sign and field):
        raise SourceError(f"--label {text!r}: expected LABEL=FIELD, such as batch=title")
    return label, field


def _described(query: SampleQuery) -> str:
    """What was sought, in one line."""
    parts = (("series", query.series), ("tissue", query.tissue), ("disease", query.disease))
    named = [f"{name} {' or '.join(values)}" for name, values in parts if values]
    return ", ".join([*named, *([f"text {' and '.join(query.text)}"] if query.text else [])])


def _print_found(installation: Installation, found: pl.DataFrame) -> None:
    single = found.height - bulk_samples(found).height
    series = Counter(
        name for text in found["series"] for name in dict.fromkeys(re.split(r"[\s,;|]+", text))
    )
    answer.print(
        f"{found.height:,} samples of {len(series):,} series; {single:,} are likely single cells, "
        "and left out"
    )
    if not found.height:
        return
    first = {
        name: row
        for row in reversed(found.select("series", "title").rows())
        for name in re.split(r"[\s,;|]+", row[0])
    }
    rows = [(name, f"{n:,}", escape(first[name][1])) for name, n in series.most_common(MOST_SHOWN)]
    answer.print(plain_table("series", "samples", "such as", rows=rows))
    for field, of_field in (("tissue", "tissue"), ("disease", "diagnosis")):
        counted = Counter(value for value in found[field] if value is not None)
        named = [value for value, _ in counted.most_common(MOST_SHOWN)]
        mapper = installation.label_mapper
        terms = [
            f"{it.term} {mapper.name_of(it.term)}" if it.term else it.outcome.replace("_", " ")
            for it in mapper.map_labels("", of_field, named)
        ]
        without = found.height - counted.total()
        answer.print(f"\n{field}: {len(counted):,} values; {without:,} samples name none")
        rows = [
            (escape(value), f"{counted[value]:,}", term)
            for value, term in zip(named, terms, strict=True)
        ]
        answer.print(plain_table(field, "samples", "term", rows=rows))
