"""`genept predict perturbation`: what knocking down a gene that nobody perturbed would do.

The predictor is in `genept.perturbations`; what it is worth is in docs/perturbations.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import numpy as np
import polars as pl
import typer
from rich.markup import escape

from genept.cli.output_files import TABLES, writable, write_table
from genept.client import Platform
from genept.common import Settings, StoreError, console, open_console, plain_table
from genept.datasources import CELL_LINES, SCREENS_SOURCE, Question
from genept.nomenclature import Nomenclature, build_reference_table
from genept.perturbations import (
    LEAST_PERTURBATIONS,
    NAME,
    SPACES,
    TEXT,
    Model,
    how_to_get,
    read_models,
)
from genept.storage import Part, StoredTable

answer = open_console(soft_wrap=True)
SHOWN: Final = 160
"""Letters of a description that are printed."""


def perturbation(
    gene: Annotated[str, typer.Argument(help="Symbol, alias or Ensembl id of the gene.")],
    cell_line: Annotated[str, typer.Option(help="k562, rpe1, hepg2 or jurkat.")] = "k562",
    screen: Annotated[
        str | None, typer.Option(help="Another screen, of `genept perturbations list`.")
    ] = None,
    top: Annotated[int, typer.Option(help="Effects to show.", min=1)] = 10,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write all measured genes here: .parquet or .csv.", callback=writable(*TABLES)
        ),
    ] = None,
) -> None:
    """Predict what knocking GENE down does to other genes, with evidence; or say why not."""
    if screen is None and cell_line not in CELL_LINES:
        raise StoreError(f"--cell-line {cell_line}: there are {', '.join(CELL_LINES)}")
    platform = Platform(Settings())
    meaning = Nomenclature(platform.reference.index).map([gene]).rows.row(0, named=True)
    if (id_ := meaning["ensembl_gene_id"]) is None:
        raise StoreError(f"{gene!r} names no gene ({meaning['outcome']}): {meaning['evidence']}")
    with console.status("reading the screen and the vectors"):
        effects, descriptions = _tables(platform, screen or f"{SCREENS_SOURCE}-{cell_line}")
        rows = platform.lake.read(effects)
        measured = rows.filter(perturbed_gene=id_)
        if measured.height:
            _print_measured(gene, screen or CELL_LINES[cell_line], measured)
            return
        vectors = platform.available_vectors(SPACES, descriptions, console.print)
        try:
            models = read_models(platform.lake, effects, vectors)
        except ValueError as error:
            raise StoreError(str(error)) from None
    described = platform.described(descriptions)
    texts = (
        {}
        if described is None
        else dict(platform.lake.read(described, ["ensembl_gene_id", "text"]).iter_rows())
    )
    symbols = dict(platform.reference.published.select("ensembl_gene_id", "symbol").iter_rows())
    predicted = _predicted(models, id_, symbols)
    if predicted is not None:
        _print(predicted.head(top), models, id_, symbols, texts)
        if out is not None:
            write_table(predicted, out)
            answer.print(f"written to {out}")


def _tables(platform: Platform, screen: str) -> tuple[Part, StoredTable]:
    """The screen's effects, and the descriptions that its spaces are made of."""
    genes = build_reference_table(platform.lake, platform.archives, "genes").part()
    parts = platform.screen_parts(genes, console.print)
    wanted = ("perturbation_effects", (screen,))
    effects = [part for part in parts if (part.table, part.partition) == wanted]
    if not effects:
        known = sorted(part.partition[0] for part in parts if part.table == wanted[0])
        raise StoreError(
            f"no screen {screen} here; there are {', '.join(known) or 'none'}; "
            f"{how_to_get(platform.archives)}"
        )
    recipes = [platform.recipes[id_.partition("/")[2]] for id_ in (TEXT, NAME)]
    usable = [recipe for recipe in recipes if not platform.knowledge.unavailable(recipe)]
    return effects[0], platform.lake.assemble("gene_descriptions", platform.describe(genes, usable))


def _predicted(
    models: dict[Question, Model], gene: str, symbols: dict[str, str]
) -> pl.DataFrame | None:
    """Every measured gene with its probabilities, the most probable first; None: abstained."""
    if "de" not in models:
        raise StoreError(
            "the screen says of too few perturbations what they change (question de): at least "
            f"{LEAST_PERTURBATIONS} are needed to predict another one"
        )
    vote = models["de"].vote
    cosines = vote.cosines([gene])[0]
    nearest = int(np.argmax(cosines))
    if cosines[nearest] < vote.variant.near:
        answer.print(
            f"abstains: no perturbation of the screen is near. The nearest is "
            f"{escape(vote.effects.names[vote.training[nearest]])}, cosine "
            f"{cosines[nearest]:.2f}; at least {vote.variant.near} is needed"
        )
        return None
    up: dict[str, float] = {}
    if (model := models.get("dir")) is not None:
        up = dict(zip(model.vote.effects.genes, model.probabilities([gene])[0], strict=True))
    genes = vote.effects.genes
    return pl.DataFrame(
        {
            "measured_gene": genes,
            "symbol": [symbols.get(id_, id_) for id_ in genes],
            "probability": models["de"].probabilities([gene])[0],
            "base_rate": vote.mean,
            "probability_up": [up.get(id_) for id_ in genes],
        },
        schema_overrides={"probability_up": pl.Float64},
    ).sort("probability", "measured_gene", descending=[True, False])


def _print(
    rows: pl.DataFrame,
    models: dict[Question, Model],
    gene: str,
    symbols: dict[str, str],
    texts: dict[str, str],
) -> None:
    model = models["de"]
    cosines = model.vote.cosines([gene])[0]
    cited: dict[str, float] = {}
    shown = []
    for row in rows.iter_rows(named=True):
        evidence = model.evidence(cosines, row["measured_gene"])
        cited |= {each.gene: each.similarity for each in evidence}
        up = row["probability_up"]
        shown.append(
            (
                row["symbol"],
                f"{row['probability']:.2f}",
                f"{row['base_rate']:.2f}",
                "–" if up is None else f"{'up' if up >= 0.5 else 'down'} ({max(up, 1 - up):.2f})",
                ", ".join(f"{each.name}{'+' if each.label else '−'}" for each in evidence),
            )
        )
    answer.print(plain_table("gene", "changes", "usually", "direction", "evidence", rows=shown))
    answer.print(
        "[dim]usually: share of all perturbations that change the gene; + changed it, − did not. "
        "Probabilities are for genes sampled as the "
        "screen samples them; research use.[/]"
    )
    best = sorted(cited, key=lambda id_: -cited[id_])[:5]
    for id_ in best:
        text = texts.get(id_, "no description")
        answer.print(
            f"{escape(symbols.get(id_, id_))} ({cited[id_]:.2f}): {escape(text[:SHOWN])}"
            f"{'…' if len(text) > SHOWN else ''}"
        )


def _print_measured(gene: str, where: str, rows: pl.DataFrame) -> None:
    """The published effects of a gene that the screen perturbed: nothing is to be predicted."""
    changed = rows.filter(pl.col("differential"))
    answer.print(
        f"{escape(gene)} was perturbed in {escape(where)}: nothing is predicted. Of "
        f"{rows.height:,} genes in table perturbation_effects, {changed.height:,} changed"
    )
    for direction in ("up", "down"):
        names = changed.filter(direction=direction)["measured_input"].sort().to_list()
        answer.print(f"  {direction}: {escape(', '.join(names) or 'none')}")
