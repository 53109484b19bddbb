"""`genept predict …`: what the champions say of samples of your own.

Drug response is a command of the same group, in a module of its own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import polars as pl
import typer
from rich.markup import escape
from rich.table import Table

from genept.client import Platform, load_embeddings
from genept.collections import typed_options, validated_sidecar
from genept.common import Settings, StoreError, console, open_console, without_formulas
from genept.models import (
    LIMITS,
    Features,
    ModelRegistry,
    OtherUnitError,
    Served,
    UserSamples,
    diagnose,
    read_user_samples_limited,
)
from genept.models.drug_response import is_drug_model

app = typer.Typer(no_args_is_help=True)
answer = open_console(soft_wrap=True)
SHOWN: Final = 20

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
Out = Annotated[Path | None, typer.Option(help="Write every row here: .parquet or .csv.")]


@app.callback()
def _group() -> None:
    """Predictions for samples of your own. Research use."""


@app.command()
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
    """Read the diagnosis of each sample in FILE; abstain where the model cannot know."""
    platform = Platform(Settings())
    known = [name for name in platform.models.names() if not is_drug_model(name)]
    served = champions(platform.models, known, task or [], "this installation")
    own = read_file(platform, file, unit, option or ())
    tables = []
    for one in served:
        try:
            found = diagnose(one, own.samples, released_vectors)
        except OtherUnitError as error:
            answer.print(f"[bold]{one.manifest.model}[/] was not asked: {escape(str(error))}")
            continue
        version = one.manifest.version
        tables.append(found.select(
            pl.lit(one.manifest.model).alias("model"),
            pl.lit(version).alias("model_version"),
            pl.all(),
        ))  # fmt: skip
        print_diagnoses(one, found)
    if not tables:
        raise StoreError(f"no model could be asked about {file.name}")
    answer.print(f"[dim]{LIMITS[0]}[/]")
    if out is not None:
        write_table(pl.concat(tables), out)
        answer.print(f"written to {out}")


def champions(
    registry: ModelRegistry, names: list[str], wanted: list[str], whole: str
) -> list[Served]:
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
    found = [registry.champion(name) for name in wanted or names]
    served = [Served.of(registry, manifest) for manifest in found if manifest is not None]
    if not served:
        raise StoreError(
            f"no model of {', '.join(wanted or names) or whole} is champion yet: see "
            "`genept models list` and `genept models explain`, or train with `genept run`"
        )
    return served


def read_file(
    platform: Platform, file: Path, unit: str | None, options: Sequence[str]
) -> UserSamples:
    """Read a file of samples, and say what was seen."""
    values = {"id": "own-samples", "kind": "bulk", "options": typed_options(options)}
    sidecar = validated_sidecar(values | ({"unit": unit} if unit else {}), "the command line")
    with console.status(f"reading {file.name}"):
        limits = platform.file_allowance.limits(file)
        own = read_user_samples_limited(file, sidecar, platform.reference, limits)
    for line in own.seen:
        if not line.startswith(("group", "labels", "other fields")):
            answer.print(f"  {escape(line)}")
    for warning in own.warnings:
        answer.print(f"  warning: {escape(warning)}")
    n, genes = len(own.samples.ids), len(own.samples.genes)
    answer.print(f"{n:,} samples, {genes:,} genes; {own.coverage:.1%} of the expression is theirs")
    return own


def released_vectors(space: str) -> tuple[list[str], Features]:
    """Gene vectors of the current release."""
    ids, matrix = load_embeddings(space=space)
    return ids.tolist(), np.asarray(matrix)


def print_diagnoses(served: Served, found: pl.DataFrame) -> None:
    """The first rows as a table, and how many were answered."""
    manifest = served.manifest
    answer.print(
        f"\n[bold]{manifest.model}[/] {manifest.version[:12]} reads {manifest.label}: "
        f"{', '.join(manifest.classes)}; {found['genes_measured'][0]:.0%} of its genes are there"
    )
    reasons = found["reason"].unique().to_list()
    if len(reasons) == 1 and found["abstained"].all():
        answer.print(f"it abstains from all {found.height:,} samples: {reasons[0]}")
        return
    table = Table("sample", "prediction", "probability", "distance", "", box=None)
    table.columns[0].no_wrap = True
    for row in found.head(SHOWN).iter_rows(named=True):
        said = "–" if row["abstained"] else row["prediction"]
        why = f"abstains: {row['reason']}" if row["abstained"] else ""
        table.add_row(
            escape(row["observation_id"]), said, f"{row['probability']:.3f}",
            f"{row['distance']:.2f}", why,
        )  # fmt: skip
    answer.print(table)
    if found.height > SHOWN:
        answer.print(f"… and {found.height - SHOWN:,} more (--out writes them all)")
    answered = found.filter(~pl.col("abstained"))
    counts = answered["prediction"].value_counts(sort=True).iter_rows()
    listed = ", ".join(f"{label} {n:,}" for label, n in counts)
    answer.print(
        f"answered {answered.height:,} of {found.height:,}{': ' if listed else ''}{listed}"
    )


def write_table(rows: pl.DataFrame, path: Path) -> None:
    """Write a table as parquet or CSV, by the file's ending: whole, or not at all.

    In CSV, text that a spreadsheet would take for a formula is marked as text.

    Raises
    ------
    StoreError
        For another ending.
    """
    if path.suffix not in (".parquet", ".csv"):
        raise StoreError(f"--out {path}: its ending must be .parquet or .csv")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
        written = Path(file.name)
    try:
        rows.write_parquet(written) if path.suffix == ".parquet" else without_formulas(
            rows
        ).write_csv(written)
        written.chmod(0o644)
        written.replace(path)
    finally:
        written.unlink(missing_ok=True)
