"""Rows of a screen that is computed from expression: a file is read in a process with limits.

The child computes effects by the rules of `genept.perturbations.effect_rules`; names are looked up
here, the split is made here, and what the child says is checked here.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationError,
    field_validator,
)

from genept.common import SourceError
from genept.datasources import Style, read_screen
from genept.datasources.readers import Allowance, ChildResult, Parent, limited, refuse_repeats
from genept.nomenclature import Flags, Nomenclature
from genept.perturbations import effect_rules

TEST_SHARE: Final = 0.2
"""Share of the perturbed genes that is held out, by the hash of the gene."""

MOST_UNCHANGED: Final = 500_000
"""Pairs without an effect that are kept of a screen: a sample by hash of all of them."""

_PAIRS: Final = {
    "perturbed": pl.UInt32,
    "measured": pl.UInt32,
    "differential": pl.Boolean,
    "up": pl.Boolean,
}


class ScreenFile(NamedTuple):
    """A local file of a screen, and what is declared of it.

    Parameters
    ----------
    path, what
        The file, and its name for messages.
    cell_line
        Cell line of the screen; of a file of several lines, the one that is read.
    style, matrix
        As for `genept.datasources.read_screen`.
    """

    path: Path
    what: str
    cell_line: str
    style: Style | None = None
    matrix: str | None = None


@dataclass(frozen=True)
class MeasuredScreen:
    """The effects of one screen, computed from expression.

    Parameters
    ----------
    effects
        Rows of table `perturbation_effects`.
    rule
        The rule in words, with its parameters.
    n_combinations, n_few
        Number of labels of several genes, and of perturbations with too few cells: left out.
    unchanged_share
        Share of the pairs without an effect that are kept.
    """

    effects: pl.DataFrame
    rule: str
    n_combinations: int
    n_few: int
    unchanged_share: float


def measure_screen(
    screen: str, file: ScreenFile, nomenclature: Nomenclature, allowance: Allowance
) -> MeasuredScreen:
    """Compute the effects of a screen from its file.

    Parameters
    ----------
    screen
        Id of the screen.
    file
        The file; it is read in a child process, since a stranger may have made it.
    nomenclature
        Maps names to genes.
    allowance
        What reading may take.

    Returns
    -------
    MeasuredScreen
        Its rows, and what was left out. A perturbed gene is not among the genes that its
        perturbation was measured on.

    Raises
    ------
    SourceError
        The file is refused, or the process that read it died or went beyond a limit.
    """
    path = file.path.absolute()
    with limited(
        _in_child, path, file.style, file.matrix, file.cell_line,
        what=file.what, limits=allowance.limits(path),
    ) as answer:  # fmt: skip
        report = _checked(file.what, answer)
        pairs = answer.table("pairs", _PAIRS)
    if pairs.is_empty():
        raise SourceError(f"{file.what}: no gene could be tested; are there enough cells?")
    sizes = {"perturbed": len(report.perturbed), "measured": len(report.measured)}
    for column, n in sizes.items():
        if pairs[column].null_count() or int(np.asarray(pairs[column].max())) >= n:
            raise _nonsense(file.what)
    for side, names in (("perturbed", report.perturbed), ("measured", report.measured)):
        pairs = pairs.join(_meanings(side, names, nomenclature), side, "left")
    is_itself = pl.col("perturbed_gene").eq_missing(pl.col("measured_gene")) & (
        pl.col("perturbed_gene").is_not_null()
    )
    gene = pl.coalesce("perturbed_gene", "perturbed_input")
    split = {name: split_of(name) for name in pairs.select(gene.unique()).to_series()}
    effects = (
        pairs.filter(~is_itself)
        .sort("perturbed_input", "measured_input")
        .select(
            pl.lit(screen).alias("screen"),
            *(f"perturbed_{of}" for of in ("input", "gene", "outcome")),
            *(f"measured_{of}" for of in ("input", "gene", "outcome")),
            "differential",
            direction=pl.when(pl.col("differential")).then(
                pl.when("up").then(pl.lit("up")).otherwise(pl.lit("down"))
            ),
            split=gene.replace_strict(split, return_dtype=pl.String),
        )
    )
    return MeasuredScreen(effects, report.rule, report.n_combinations, report.n_few, report.share)


def split_of(gene: str) -> str:
    """Split perturbations by the hash of the gene, so that it is the same in every screen.

    Parameters
    ----------
    gene
        Ensembl id; of a gene without one, its name.

    Returns
    -------
    str
        ``test`` for a fifth of the genes (`TEST_SHARE`), otherwise ``train``.
    """
    number = int.from_bytes(hashlib.sha256(gene.encode()).digest()[:8], "big")
    return "test" if number < TEST_SHARE * 2**64 else "train"


def _meanings(
    side: str, names: Sequence[tuple[str, str]], nomenclature: Nomenclature
) -> pl.DataFrame:
    """Genes of names, by their number: what was published, and what is looked up."""
    looked_up = [name for _, name in names]
    meanings = nomenclature.map(looked_up).rows
    return pl.DataFrame(
        {
            side: pl.Series(range(len(names)), dtype=pl.UInt32),
            f"{side}_input": [shown for shown, _ in names],
            f"{side}_gene": meanings["ensembl_gene_id"],
            f"{side}_outcome": meanings["outcome"],
        }
    )


_Names = list[tuple[StrictStr, StrictStr]]


class _Report(BaseModel):
    """What the child says beside the pairs: names as published and as looked up, and counts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    perturbed: _Names
    measured: _Names
    rule: StrictStr
    n_combinations: StrictInt = Field(ge=0)
    n_few: StrictInt = Field(ge=0)
    share: StrictFloat = Field(ge=0, le=1)

    @field_validator("perturbed", "measured")
    @classmethod
    def _distinct(cls, names: _Names) -> _Names:
        refuse_repeats([shown for shown, _ in names], "names")
        return names


def _checked(what: str, answer: ChildResult) -> _Report:
    try:
        return _Report.model_validate(answer.values)
    except (ValidationError, SourceError) as error:
        raise _nonsense(what) from error


def _nonsense(what: str) -> SourceError:
    return SourceError(
        f"{what}: the process that read it handed over what cannot be: the file may be made to "
        "attack its readers"
    )


def _in_child(
    parent: Parent, path: Path, style: Style | None, matrix: str | None, cell_line: str
) -> dict[str, Any]:
    """In the child: compute the effects, leave the pairs, and say the rest."""
    screen = read_screen(
        path, style=style, matrix=matrix, cell_line=cell_line, folder=parent.folder
    )
    prepared = effect_rules.prepare(screen)
    symbols = Counter(it.symbol for it in screen.perturbed)
    shown = [
        it.symbol if symbols[it.symbol] == 1 else f"{it.symbol} ({it.name})"
        for it in screen.perturbed
    ]
    n_pairs = len(prepared.groups) * int(prepared.genes.sum())
    share = min(1.0, MOST_UNCHANGED / max(n_pairs, 1))

    def batches() -> Iterator[pl.DataFrame]:
        yield pl.DataFrame(schema=_PAIRS)
        for chunk in prepared.chunks():
            rows = [shown[group] for group in chunk.groups]
            kept = chunk.differential | (chunk.tested & sampled(rows, screen.measured, share))
            at, gene = np.nonzero(kept)
            yield pl.DataFrame(
                {
                    "perturbed": chunk.groups[at],
                    "measured": gene,
                    "differential": chunk.differential[at, gene],
                    "up": chunk.up[at, gene],
                },
                schema=_PAIRS,
            )

    parent.write_batches("pairs", batches())
    return {
        "perturbed": list(zip(shown, (it.name for it in screen.perturbed), strict=True)),
        "measured": list(zip(screen.measured, screen.names, strict=True)),
        "rule": prepared.rule,
        "n_combinations": screen.n_combinations,
        "n_few": prepared.n_few,
        "share": share,
    }


def sampled(rows: Sequence[str], columns: Sequence[str], share: float) -> Flags:
    """Choose a share of pairs by the hash of their two names.

    Parameters
    ----------
    rows, columns
        Names.
    share
        From 0 to 1.

    Returns
    -------
    NDArray of bool
        Shape (n_rows, n_columns); the same for a pair whatever the others are.
    """
    mixed = _hashes(rows)[:, None] ^ (_hashes(columns) * np.uint64(0x9E3779B97F4A7C15))
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return np.asarray((mixed >> np.uint64(11)) < np.uint64(share * 2**53))


def _hashes(names: Sequence[str]) -> NDArray[np.uint64]:
    digests = (hashlib.sha256(name.encode()).digest()[:8] for name in names)
    return np.array([int.from_bytes(digest, "big") for digest in digests], dtype=np.uint64)
