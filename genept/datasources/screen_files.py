"""Screens of perturbations as expression, in h5ad: who was perturbed in which row, and the values.

Two styles: a row for each perturbation (pseudobulk, as Replogle et al. publish), and a row for each
cell (as scPerturb harmonises). What counts as an effect is `genept.perturbations.effect_rules`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genept.common import SourceError, breakage_refused, listed
from genept.datasources.download import Archives, AvailableFile, available_files
from genept.datasources.formats import H5adOptions
from genept.datasources.gene_groups import gene_group_file
from genept.datasources.perturbation_labels import perturbation_files
from genept.datasources.readers import ExpressionRows, has_ensembl_form
from genept.datasources.readers.hdf5 import read_h5ad, read_obs

Style = Literal["pseudobulk", "single_cell"]
STYLES: Final[tuple[Style, ...]] = get_args(Style)

PERTURBATION: Final = "perturbation"
"""Field of scPerturb's `obs` with the perturbed gene of a cell, or `control`."""

LABELS: Final = (PERTURBATION, "gene_transcript", "gene")
"""Fields that say what was perturbed, in order of preference; without one, the index does."""

CELL_LINE: Final = "cell_line"

_CONTROLS: Final = frozenset(
    {"control", "nontargeting", "safetargeting", "nt", "ntc", "negctrl", "unperturbed"}
)
"""Labels of controls, as their letters in lower case; ``CTRL`` is a gene, ``ctrl`` a control."""

_REPLOGLE: Final = re.compile(r"^\d+_(?P<symbol>.+)_[^_]+_(?P<id>[^_]+)$")
_SEPARATORS: Final = re.compile(r"[+_|;,&]")


@dataclass(frozen=True)
class PublishedScreen:
    """An h5ad of the catalogue, which is read where it is available.

    Parameters
    ----------
    id
        Of the screen.
    source
        Its source in the catalogue.
    cell_line, style
        What it is of, and how it is laid out.
    """

    id: str
    source: str
    cell_line: str
    style: Style


PUBLISHED_SCREENS: Final = (
    PublishedScreen("replogle-k562-gwps", "replogle-k562-gwps", "K562", "pseudobulk"),
    PublishedScreen("replogle-k562-essential", "replogle-k562-essential", "K562", "pseudobulk"),
    PublishedScreen("replogle-rpe1", "replogle-rpe1", "RPE1", "pseudobulk"),
    *(
        PublishedScreen(f"scperturb-{line.lower()}", f"scperturb:{dataset}", line, "single_cell")
        for line, dataset in (
            ("K562", "ReplogleWeissman2022_K562_essential"),
            ("RPE1", "ReplogleWeissman2022_rpe1"),
            ("HepG2", "NadigOConner2024_hepg2"),
            ("Jurkat", "NadigOConner2024_jurkat"),
        )
    ),
)
"""Screens of the catalogue that are computed from expression; all optional."""


class Perturbed(NamedTuple):
    """The gene that a label names.

    Parameters
    ----------
    symbol
        As the publisher wrote it.
    name
        What is looked up: the Ensembl id beside the symbol, otherwise the symbol.
    """

    symbol: str
    name: str


Target = Perturbed | Literal["control", "combination", "unlabelled"]


@dataclass(frozen=True)
class ScreenExpression:
    """One screen as published.

    Parameters
    ----------
    style
        How it is laid out.
    perturbed
        The perturbed genes, distinct by what is looked up, in the order of the file.
    group
        Number of the perturbed gene of each row; `CONTROL` or `LEFT_OUT`; shape (n_rows,).
    measured, names
        The expression columns, and what to look up for each.
    ids
        Of the rows.
    expression
        Rows × measured genes.
    n_combinations
        Number of labels that name several genes; their rows are left out.
    """

    style: Style
    perturbed: tuple[Perturbed, ...]
    group: NDArray[np.int64]
    measured: tuple[str, ...]
    names: tuple[str, ...]
    ids: tuple[str, ...]
    expression: ExpressionRows
    n_combinations: int


CONTROL: Final = -1
LEFT_OUT: Final = -2
"""Numbers of rows that are of no perturbed gene, in `ScreenExpression.group`."""

_NUMBERS: Final[Mapping[str, int]] = {
    "control": CONTROL,
    "combination": LEFT_OUT,
    "unlabelled": LEFT_OUT,
}


def screen_sources(archives: Archives) -> list[str]:
    """Find the sources of screens that are cached or in a mirror's folder; makes no request.

    Parameters
    ----------
    archives
        Finds the sources.

    Returns
    -------
    list of str
        Ids in the catalogue: label files, expression and, if there are any of these, the gene
        groups of a split.
    """
    sources = [file.id for file in perturbation_files(archives).values()]
    sources += [file.id for file in published_screens(archives).values()]
    groups = gene_group_file(archives) if sources else None
    return [*sources, groups.id] if groups else sources


def published_screens(archives: Archives) -> dict[PublishedScreen, AvailableFile]:
    """Find the expression of screens that is cached or in a mirror's folder; makes no request.

    Parameters
    ----------
    archives
        Finds the sources.

    Returns
    -------
    dict of PublishedScreen to AvailableFile
        Those of `PUBLISHED_SCREENS` that are available.
    """
    wanted = {
        screen.source: screen
        for screen in PUBLISHED_SCREENS
        if screen.source.partition(":")[0] in archives.catalogue.sources
    }
    return {wanted[id_]: file for id_, file in available_files(archives, wanted).items()}


def read_screen(
    path: Path,
    *,
    style: Style | None = None,
    matrix: str | None = None,
    cell_line: str | None = None,
    folder: Path | None = None,
) -> ScreenExpression:
    """Read who was perturbed in a local h5ad; its expression is streamed when it is read.

    Parameters
    ----------
    path
        The file.
    style
        How it is laid out; None: single cells if `obs` has a field `perturbation`, otherwise
        pseudobulk.
    matrix
        Which expression, such as ``layers/counts``; None: X.
    cell_line
        Of a file of several lines, rows of another one are left out.
    folder
        Where a matrix stored by genes is turned over; None: the system's folder.

    Returns
    -------
    ScreenExpression
        Labels, genes and expression.

    Raises
    ------
    SourceError
        The file is damaged, leads out of itself, is not of humans, has another layout, or neither
        a perturbation nor a control.
    """
    with breakage_refused(path.name):
        fields = read_obs(path, (*LABELS, CELL_LINE))
        if style is None:
            style = "single_cell" if PERTURBATION in fields.columns else "pseudobulk"
        if style == "single_cell" and PERTURBATION not in fields.columns:
            raise SourceError(
                f"{path.name}: obs has no field {PERTURBATION!r}, which says what was done to a "
                "cell; name it so, or say that the style is pseudobulk (a row a perturbation)"
            )
        unit = "counts" if style == "single_cell" else "zscore"
        parsed = read_h5ad(path, H5adOptions(matrix=matrix), unit=unit, folder=folder)
    ids = parsed.observations["observation_id"].to_list()
    known = [name for name in LABELS if name in fields.columns]
    labels = fields[known[0]].to_list() if known else ids
    targets = {label: target_of(label) for label in dict.fromkeys(labels)}
    perturbed = {it.name: it for it in targets.values() if isinstance(it, Perturbed)}
    number = {name: at for at, name in enumerate(perturbed)}
    numbers = {
        label: number[it.name] if isinstance(it, Perturbed) else _NUMBERS[it]
        for label, it in targets.items()
    }
    group = np.array([numbers[label] for label in labels], dtype=np.int64)
    if CELL_LINE in fields.columns and cell_line is not None:
        group[~_of_line(fields[CELL_LINE], cell_line, path.name)] = LEFT_OUT
    if not (group >= 0).any():
        seen = listed(sorted(map(str, targets)))
        raise SourceError(f"{path.name}: no row is of a perturbed gene; labels are {seen}")
    return ScreenExpression(
        style=style,
        perturbed=tuple(perturbed.values()),
        group=group,
        measured=parsed.input_genes,
        names=parsed.symbols,
        ids=tuple(ids),
        expression=parsed.expression,
        n_combinations=sum(it == "combination" for it in targets.values()),
    )


def target_of(label: str | None) -> Target:
    """Read a label, such as ``10005_ZBTB4_P1P2_ENSG00000174282``, ``ZBTB4`` or ``control``.

    Parameters
    ----------
    label
        As published; None: the row has none.

    Returns
    -------
    Perturbed or str
        The gene; ``control``; ``combination`` of several genes; or ``unlabelled``.
    """
    if label is None or label.strip().lower() in ("", "nan", "none"):
        return "unlabelled"
    if numbered := _REPLOGLE.match(label):
        symbol, id_ = numbered["symbol"], numbered["id"]
        if _is_control(symbol):
            return "control"
        return Perturbed(symbol, id_ if has_ensembl_form(id_) else symbol)
    parts = [part for it in _SEPARATORS.split(label) if (part := it.strip())]
    if not all(map(str.isdigit, parts)):  # the number of a guide is no gene
        parts = [part for part in parts if not part.isdigit()]
    genes = list(dict.fromkeys(part for part in parts if not _is_control(part)))
    if not genes:
        return "control"
    return Perturbed(genes[0], genes[0]) if len(genes) == 1 else "combination"


def _is_control(name: str) -> bool:
    return name == "ctrl" or re.sub("[^a-z]", "", name.lower()) in _CONTROLS


def _of_line(lines: pl.Series, wanted: str, what: str) -> NDArray[np.bool_]:
    """Which rows are of a cell line; of a file of a single line, all are."""
    known = lines.drop_nulls().unique().sort().to_list()
    plain = {line: re.sub(r"[^a-z0-9]", "", line.lower()) for line in known}
    chosen = [line for line in known if plain[line] == re.sub(r"[^a-z0-9]", "", wanted.lower())]
    if len(known) > 1 and not chosen:
        raise SourceError(f"{what}: has no cells of {wanted!r}; its cell lines are {listed(known)}")
    return lines.is_in(chosen or known).fill_null(value=False).to_numpy()
