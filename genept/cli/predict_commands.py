"""`genept predict …`: predictions of the champions for samples of your own.

How a model predicts is in `genept.models`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import polars as pl
import typer
from rich.markup import escape

from genept import models
from genept.cli.new_drugs import Asked
from genept.cli.output_files import TABLES, writable, write_table
from genept.cli.perturbation_commands import perturbation
from genept.client import Platform, load_embeddings
from genept.collections import typed_options, validated_sidecar
from genept.common import (
    Settings,
    StoreError,
    console,
    open_console,
    plain_table,
)
from genept.models import drug_response

predict = typer.Typer(no_args_is_help=True)
predict.command()(perturbation)
answer = open_console(soft_wrap=True)
SHOWN: Final = 20
"""Samples whose diagnosis is printed."""

SHOWN_DRUGS: Final = 5
"""Samples whose drug responses are printed."""

NOT_FOR_PEOPLE: Final = (
    "Research use: learnt on cell lines; not for choosing a treatment, nor for any decision about "
    "people."
)

File = Annotated[
    Path,
    typer.Argument(
        help="Expression: CSV, TSV, h5ad, GCT, GEO, parquet …", exists=True, dir_okay=False
    ),
]
Unit = Annotated[
    str | None, typer.Option(help="counts, tpm, log1p, log2 or zscore; by default as detected.")
]
Options = Annotated[
    list[str] | None, typer.Option("--option", help='Of the format: missing="impute_gene_mean".')
]
Out = Annotated[
    Path | None,
    typer.Option(help="Write every row here: .parquet or .csv.", callback=writable(*TABLES)),
]


@predict.callback()
def _group() -> None:
    """Predictions for samples of your own. Research use."""


@predict.command()
def diagnosis(
    file: File,
    task: Annotated[
        list[str] | None,
        typer.Option(help="A model, such as diagnosis-tcga-brca; by default every one."),
    ] = None,
    unit: Unit = None,
    option: Options = None,
    out: Out = None,
) -> None:
    """Predict the diagnosis of each sample in FILE, or abstain."""
    platform = Platform(Settings())
    known = [name for name in platform.registry.names() if not drug_response.is_drug_model(name)]
    served = champions(platform.registry, known, task or [], "this installation")
    own = read_file(platform, file, unit, option or ())

    def predict(model: models.Served) -> pl.DataFrame:
        rows = models.diagnose(model, own.samples, released_vectors)
        _print_diagnoses(model, rows)
        return rows

    _predict(served, predict, file, out, models.LIMITS[0])


@predict.command()
def drugs(
    file: File,
    screen: Annotated[
        list[str] | None,
        typer.Option(help="A screen, such as gdsc; by default every one that has a champion."),
    ] = None,
    top: Annotated[int, typer.Option(help="Drugs to show of each sample.", min=1)] = 10,
    drug: Annotated[list[str] | None, typer.Option(help="Only these drugs.")] = None,
    new_drug: Annotated[
        str | None, typer.Option(help="A drug that no screen measured, in place of the measured.")
    ] = None,
    targets: Annotated[
        str | None, typer.Option(help="What the new drug acts on: BRAF,RAF1. Default: as listed.")
    ] = None,
    smiles: Annotated[
        str | None, typer.Option(help="Structure of the new drug. Default: as listed.")
    ] = None,
    unit: Unit = None,
    option: Options = None,
    out: Out = None,
) -> None:
    """Predict the response of each sample in FILE to each drug, with an interval; or abstain.

    Shown first are the drugs to which a sample is more sensitive than the drug's mean says. With
    --new-drug: which samples a drug that no screen measured would act on more, or less.
    """
    if new_drug is None and (targets or smiles):
        raise StoreError("--targets and --smiles are of a new drug: name it with --new-drug")
    if new_drug is not None and drug:
        raise StoreError("--drug is of measured drugs, --new-drug of another: give one of them")
    platform = Platform(Settings())
    known = [name for name in platform.registry.names() if drug_response.is_drug_model(name)]
    wanted = [
        f"{drug_response.PREFIX}{name.removeprefix(drug_response.PREFIX)}" for name in screen or []
    ]
    served = champions(platform.registry, known, wanted, "a drug screen")
    asked = Asked(platform, new_drug, targets, smiles) if new_drug is not None else None
    own = read_file(platform, file, unit, option or ())

    def predict(model: models.Served) -> pl.DataFrame:
        if asked is not None:
            return asked.predict(model, own.samples, released_vectors, top)
        rows = drug_response.predict_drugs(model, own.samples, released_vectors)
        rows = _only(rows, drug) if drug else rows
        _print_responses(model, rows, top)
        return rows

    _predict(served, predict, file, out, NOT_FOR_PEOPLE)


def _predict(
    served: Sequence[models.Served],
    predict: Callable[[models.Served], pl.DataFrame],
    file: Path,
    out: Path | None,
    notice: str,
) -> None:
    """Predict and print with each model that can read the file; write all rows to `out`."""
    tables = []
    for model in served:
        manifest = model.manifest
        try:
            rows = predict(model)
        except ValueError as error:
            answer.print(f"[bold]{manifest.model}[/] cannot predict: {escape(str(error))}")
            continue
        named = (
            pl.lit(manifest.model).alias("model"),
            pl.lit(manifest.version).alias("model_version"),
        )
        tables.append(rows.select(*named, pl.all()))
    if not tables:
        raise StoreError(f"no model could predict {file.name}")
    answer.print(f"[dim]{notice}[/]")
    if out is not None:
        write_table(pl.concat(tables), out)
        answer.print(f"written to {out}")


def _only(rows: pl.DataFrame, drugs: list[str]) -> pl.DataFrame:
    learnt = set(rows["drug_id"])
    if unknown := sorted(set(drugs) - learnt):
        listed = ", ".join(sorted(learnt)[:SHOWN_DRUGS])
        raise StoreError(f"no response to {unknown[0]!r} was learnt; there are {listed}, …")
    return rows.filter(pl.col("drug_id").is_in(drugs))


def champions(
    registry: models.ModelRegistry, names: list[str], wanted: list[str], whole: str
) -> list[models.Served]:
    """The champions of the models that are wanted, or of all `names`.

    Parameters
    ----------
    whole
        What the error calls them all, where there are none.

    Raises
    ------
    StoreError
        If there is none of that name, or none at all.
    """
    if unknown := sorted(set(wanted) - set(names)):
        raise StoreError(
            f"there is no model {unknown[0]!r}; there are {', '.join(names) or 'none'}"
        )
    manifests = [registry.champion(name) for name in wanted or names]
    served = [
        models.Served.of(registry, manifest) for manifest in manifests if manifest is not None
    ]
    if not served:
        raise StoreError(
            f"no model of {', '.join(wanted or names) or whole} is champion yet: see "
            "`genept models list` and `genept models explain`, or train with `genept run`"
        )
    return served


def read_file(
    platform: Platform, file: Path, unit: str | None, options: Sequence[str]
) -> models.UserSamples:
    """Read a file of samples, and print what was detected."""
    values = {"id": "own-samples", "kind": "bulk", "options": typed_options(options)}
    sidecar = validated_sidecar(values | ({"unit": unit} if unit else {}), "the command line")
    with console.status(f"reading {file.name}"):
        limits = platform.file_allowance.limits(file)
        own = models.read_user_samples_limited(file, sidecar, platform.reference, limits)
    for line in own.seen:
        if not line.startswith(("group", "labels", "other fields")):
            answer.print(f"  {escape(line)}")
    for warning in own.warnings:
        answer.print(f"  warning: {escape(warning)}")
    n, genes = len(own.samples.ids), len(own.samples.genes)
    answer.print(f"{n:,} samples, {genes:,} genes; {own.coverage:.1%} of the expression is theirs")
    return own


def released_vectors(space: str) -> tuple[list[str], models.Features]:
    """Gene vectors of the current release."""
    ids, matrix = load_embeddings(space=space)
    return ids.tolist(), np.asarray(matrix)


def _print_diagnoses(served: models.Served, rows: pl.DataFrame) -> None:
    """The first rows as a table, and how many have a prediction."""
    manifest = served.manifest
    answer.print(
        f"\n[bold]{manifest.model}[/] {manifest.version[:12]} reads {manifest.label}: "
        f"{', '.join(manifest.classes)}; {rows['genes_measured'][0]:.0%} of its genes are there"
    )
    reasons = rows["reason"].unique().to_list()
    if len(reasons) == 1 and rows["abstained"].all():
        answer.print(f"it abstains from all {rows.height:,} samples: {reasons[0]}")
        return
    shown = (
        (
            row["observation_id"],
            "–" if row["abstained"] else row["prediction"],
            f"{row['probability']:.3f}",
            f"{row['distance']:.2f}",
            f"abstains: {row['reason']}" if row["abstained"] else "",
        )
        for row in rows.head(SHOWN).iter_rows(named=True)
    )
    table = plain_table("sample", "prediction", "probability", "distance", "", rows=shown)
    table.columns[0].no_wrap = True
    answer.print(table)
    if rows.height > SHOWN:
        answer.print(f"… and {rows.height - SHOWN:,} more (--out writes them all)")
    answered = rows.filter(~pl.col("abstained"))
    counts = answered["prediction"].value_counts(sort=True).iter_rows()
    listed = ", ".join(f"{label} {n:,}" for label, n in counts)
    answer.print(f"answered {answered.height:,} of {rows.height:,}{': ' if listed else ''}{listed}")


def _print_responses(served: models.Served, rows: pl.DataFrame, top: int) -> None:
    """The most sensitive drugs of the first samples, and how many pairs have a prediction."""
    manifest = served.manifest
    measured, n_drugs = rows["genes_measured"][0], rows["drug_id"].n_unique()
    answer.print(
        f"\n[bold]{manifest.model}[/] {manifest.version[:12]}: {n_drugs} drugs, ln IC50 in "
        f"ln(µM), 90 % intervals; {measured:.0%} of its genes are there"
    )
    samples = rows.partition_by("observation_id", maintain_order=True)
    for sample in samples[:SHOWN_DRUGS]:
        name = f"{escape(sample['observation_id'][0])} (distance {sample['distance'][0]:.2f})"
        answered = sample.filter(~pl.col("abstained")).head(top)
        if answered.is_empty():
            answer.print(f"{name} abstains: {sample['reason'][0]}")
            continue
        columns = ("drug_id", "prediction", "low", "high", "difference")
        shown = (
            (drug, f"{prediction:.2f}", f"{low:.2f} – {high:.2f}", f"{difference:+.2f}")
            for drug, prediction, low, high, difference in answered.select(columns).iter_rows()
        )
        headers = ("drug", "prediction", "90 % interval", "less the drug's mean")
        answer.print(name)
        answer.print(plain_table(*headers, rows=shown))
    if len(samples) > SHOWN_DRUGS:
        answer.print(f"… and {len(samples) - SHOWN_DRUGS:,} more samples (--out writes them all)")
    answer.print(f"answered {(~rows['abstained']).sum():,} of {rows.height:,} pairs")
