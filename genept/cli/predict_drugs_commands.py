"""`genept predict drugs`: what the drug-response champions say of samples of your own."""

from __future__ import annotations

from typing import Annotated, Final

import polars as pl
import typer
from rich.markup import escape
from rich.table import Table

from genept.cli.predict_commands import (
    File,
    Options,
    Out,
    Unit,
    answer,
    app,
    champions,
    read_file,
    released_vectors,
    write_table,
)
from genept.client import Platform
from genept.common import Settings, StoreError
from genept.models import Served
from genept.models.drug_response import PREFIX, is_drug_model, predict_drugs

NOT_FOR_PEOPLE: Final = (
    "Research use: learnt on cell lines; not for choosing a treatment, nor for any decision about "
    "people."
)
SHOWN: Final = 5


@app.command()
def drugs(
    file: File,
    screen: Annotated[
        list[str] | None,
        typer.Option(help="A screen, such as gdsc; by default every one that has a champion."),
    ] = None,
    top: Annotated[int, typer.Option(help="Drugs to show of each sample.", min=1)] = 10,
    drug: Annotated[list[str] | None, typer.Option(help="Only these drugs.")] = None,
    unit: Unit = None,
    option: Options = None,
    out: Out = None,
) -> None:
    """Predict the response of each sample in FILE to each drug, with an interval; or abstain.

    Shown first are the drugs to which a sample is more sensitive than the drug's mean says.
    """
    platform = Platform(Settings())
    known = [name for name in platform.models.names() if is_drug_model(name)]
    wanted = [f"{PREFIX}{one.removeprefix(PREFIX)}" for one in screen or []]
    served = champions(platform.models, known, wanted, "a drug screen")
    own = read_file(platform, file, unit, option or ())
    tables = []
    for one in served:
        try:
            found = predict_drugs(one, own.samples, released_vectors)
        except ValueError as error:
            answer.print(f"[bold]{one.manifest.model}[/] was not asked: {escape(str(error))}")
            continue
        if drug:
            found = _only(found, drug)
        tables.append(
            found.select(
                pl.lit(one.manifest.model).alias("model"),
                pl.lit(one.manifest.version).alias("model_version"),
                pl.all(),
            )
        )
        _print(one, found, top)
    if not tables:
        raise StoreError(f"no drug-response model could be asked about {file.name}")
    answer.print(f"[dim]{NOT_FOR_PEOPLE}[/]")
    if out is not None:
        write_table(pl.concat(tables), out)
        answer.print(f"written to {out}")


def _only(found: pl.DataFrame, drugs: list[str]) -> pl.DataFrame:
    if unknown := sorted(set(drugs) - set(found["drug_id"])):
        listed = ", ".join(sorted(set(found["drug_id"]))[:SHOWN])
        raise StoreError(f"no response to {unknown[0]!r} was learnt; there are {listed}, …")
    return found.filter(pl.col("drug_id").is_in(drugs))


def _print(served: Served, found: pl.DataFrame, top: int) -> None:
    manifest = served.manifest
    measured, n_drugs = found["genes_measured"][0], found["drug_id"].n_unique()
    answer.print(
        f"\n[bold]{manifest.model}[/] {manifest.version[:12]}: {n_drugs} drugs, ln IC50 in "
        f"ln(µM), 90 % intervals; {measured:.0%} of its genes are there"
    )
    samples = found.partition_by("observation_id", maintain_order=True)
    for rows in samples[:SHOWN]:
        name, distance = rows["observation_id"][0], rows["distance"][0]
        answered = rows.filter(~pl.col("abstained"))
        if not len(answered):
            answer.print(f"{escape(name)} (distance {distance:.2f}) abstains: {rows['reason'][0]}")
            continue
        answer.print(f"{escape(name)} (distance {distance:.2f})")
        table = Table("drug", "prediction", "90 % interval", "less the drug's mean", box=None)
        for row in answered.head(top).iter_rows(named=True):
            table.add_row(
                escape(row["drug_id"]),
                f"{row['prediction']:.2f}",
                f"{row['low']:.2f} – {row['high']:.2f}",
                f"{row['difference']:+.2f}",
            )
        answer.print(table)
    if len(samples) > SHOWN:
        answer.print(f"… and {len(samples) - SHOWN:,} more samples (--out writes them all)")
    n = found.filter(~pl.col("abstained")).height
    answer.print(f"answered {n:,} of {found.height:,} pairs")
