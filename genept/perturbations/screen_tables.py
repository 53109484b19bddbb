"""Tables `perturbation_screens` and `perturbation_effects`, of the screens that are available.

Every published row is kept, with the genes of its names or the reason why there is none. How
effects are predicted is in the neighbours of this module.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import polars as pl

from genept.common import SourceError
from genept.datasources import (
    CELL_LINES,
    SCREENS_SOURCE,
    Question,
    Source,
    perturbation_files,
    read_perturbation_labels,
)
from genept.datasources.download import Archives, AvailableFile
from genept.nomenclature import Nomenclature
from genept.storage import Lake, NewPart, Origin, Part

_CODE: Final = (
    "genept.datasources.perturbation_labels",
    "genept.perturbations.screen_tables",
    "genept.nomenclature",
    "genept.schema.tables",
)
_PAIR: Final = ("perturbed_input", "measured_input")
_LABEL: Final[Mapping[Question, str]] = {"de": "differential", "dir": "direction"}

Files = Mapping[Question, AvailableFile]


def how_to_get(archives: Archives) -> str:
    """Say in one line how the screens that are not available can be had.

    Parameters
    ----------
    archives
        Finds the sources.

    Returns
    -------
    str
        The line; empty if every file is available.
    """
    available = perturbation_files(archives)
    lacking = [
        f"{SCREENS_SOURCE}:{line}-{question}"
        for line in CELL_LINES
        for question in _LABEL
        if (line, question) not in available
    ]
    if not lacking:
        return ""
    return (
        f"not available: {', '.join(lacking)}; `genept sources fetch ID` gets one, or name a "
        "folder that has it in GENEPT_MIRRORS"
    )


def build_screens(
    lake: Lake, archives: Archives, genes: Part, nomenclature: Callable[[], Nomenclature]
) -> list[Part]:
    """Build tables `perturbation_screens` and `perturbation_effects`.

    Parameters
    ----------
    lake
        Where parts of tables are kept.
    archives
        Finds and opens the sources.
    genes
        Table `genes`.
    nomenclature
        Opens what maps names; called only if there is something new to map.

    Returns
    -------
    list of Part
        Two parts for each screen; none where no source is available.

    Raises
    ------
    SourceError
        A file is not what its publisher promises; names the file and the line.
    """
    by_line: dict[str, dict[Question, AvailableFile]] = {}
    for (line, question), file in perturbation_files(archives).items():
        by_line.setdefault(line, {})[question] = file
    source = archives.catalogue.sources[SCREENS_SOURCE]
    parts = []
    for line, files in by_line.items():
        screen = f"{SCREENS_SOURCE}-{line}"
        read = {file.id: file.sha256 for file in files.values()}
        origin = Origin(
            _CODE,
            read | {"genes": genes.sha256},
            {
                "screen": screen,
                "licence": source.licence,
                "redistributable": source.redistributable,
            },
        )

        def compute(line: str = line, screen: str = screen, files: Files = files) -> list[NewPart]:
            effects = _effects(screen, files, nomenclature())
            counted = _screen(screen, line, files, source, effects)
            return [
                NewPart("perturbation_screens", counted, (screen,)),
                NewPart("perturbation_effects", effects, (screen,)),
            ]

        parts += lake.build(f"perturbations/{screen}", origin, compute)
    return parts


def _effects(screen: str, files: Files, nomenclature: Nomenclature) -> pl.DataFrame:
    """Rows of table `perturbation_effects`: a pair of genes each, with the labels that it has."""
    labels = {
        question: pl.DataFrame(
            list(read_perturbation_labels(file.opener, file.path.name)),
            schema=dict.fromkeys(_PAIR, pl.String) | {"label": pl.Boolean, "split": pl.String},
            orient="row",
        ).unique(_PAIR, maintain_order=True)
        for question, file in files.items()
    }
    rows = pl.concat(rows.select(*_PAIR, "split") for rows in labels.values()).unique()
    _refuse_two_splits(screen, rows)
    for question, name in _LABEL.items():
        known = labels.get(question)
        rows = (
            rows.with_columns(pl.lit(None, pl.Boolean).alias(name))
            if known is None
            else rows.join(known.select(*_PAIR, pl.col("label").alias(name)), _PAIR, "left")
        )
    names = pl.concat([rows[column] for column in _PAIR]).unique().to_list()
    meanings = nomenclature.map(names).rows.select("input_id", "ensembl_gene_id", "outcome")
    for side in ("perturbed", "measured"):
        own = meanings.rename(
            {"input_id": f"{side}_input", "ensembl_gene_id": f"{side}_gene"}
            | {"outcome": f"{side}_outcome"}
        )
        rows = rows.join(own, f"{side}_input", "left")
    direction = pl.col("direction")
    return rows.sort(_PAIR).select(
        pl.lit(screen).alias("screen"),
        *(f"perturbed_{of}" for of in ("input", "gene", "outcome")),
        *(f"measured_{of}" for of in ("input", "gene", "outcome")),
        "differential",
        direction=pl.when(direction).then(pl.lit("up")).when(~direction).then(pl.lit("down")),
        split="split",
    )


def _refuse_two_splits(screen: str, rows: pl.DataFrame) -> None:
    """The split is by perturbation, and the same for both questions."""
    splits = rows.group_by("perturbed_input").agg(pl.col("split").n_unique())
    if (both := splits.filter(pl.col("split") > 1)["perturbed_input"].sort()).len():
        raise SourceError(
            f"{screen}: the perturbation of {both[0]} is both in training and in the test "
            f"({both.len()} of that kind): a score would say what is known, not what is predicted"
        )


def _screen(
    screen: str, line: str, files: Files, source: Source, effects: pl.DataFrame
) -> pl.DataFrame:
    """The row of table `perturbation_screens`."""
    return screen_row(
        screen,
        CELL_LINES[line],
        [file.release for file in files.values()],
        source,
        effects,
        rule="labels as published",
    )


def screen_row(
    screen: str,
    cell_line: str,
    releases: Sequence[str],
    source: Source,
    effects: pl.DataFrame,
    *,
    rule: str,
    n_combinations: int = 0,
    n_few_cells: int = 0,
    unchanged_share: float | None = None,
) -> pl.DataFrame:
    """Make the row of table `perturbation_screens`, with what is counted in the effects.

    Parameters
    ----------
    screen, cell_line, releases, source
        The screen, and where it is from.
    effects
        Its rows of table `perturbation_effects`.
    rule, n_combinations, n_few_cells, unchanged_share
        As the columns of the table.

    Returns
    -------
    pl.DataFrame
        One row.
    """
    perturbed = effects.unique("perturbed_input")
    measured = effects.unique("measured_input")
    unresolved = {
        name
        for rows, side in ((perturbed, "perturbed"), (measured, "measured"))
        for name in rows.filter(pl.col(f"{side}_gene").is_null())[f"{side}_input"]
    }
    row = {
        "screen": screen,
        "cell_line": cell_line,
        "sources": list(releases),
        "licence": source.licence,
        "redistributable": source.redistributable,
        "citation": source.citation,
        "rule": rule,
        "n_perturbations": perturbed.height,
        "n_combinations": n_combinations,
        "n_few_cells": n_few_cells,
        "n_test": perturbed.filter(split="test").height,
        "n_genes": measured.height,
        "n_pairs": effects.height,
        "unchanged_share": unchanged_share,
        "n_directions": effects["direction"].count(),
        "n_unresolved": len(unresolved),
    }
    return pl.DataFrame([row], schema_overrides={"unchanged_share": pl.Float64})
