"""Which way up a matrix is: which of its axes is named by genes.

Also names as R spells them where it makes them valid: `make.names`, which `data.frame` applies.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from genept.common import SourceError, option

_RESERVED: Final = frozenset(
    {"if", "else", "repeat", "while", "function", "for", "next", "break", "in", "TRUE", "FALSE"}
    | {"NULL", "Inf", "NaN", "NA", "NA_integer_", "NA_real_", "NA_character_", "NA_complex_"}
)


def r_names(names: Iterable[str]) -> list[str]:
    """Return names as R's `make.names` writes them: ``X1`` for ``1``, ``s.1`` for ``s-1``.

    Parameters
    ----------
    names
        Names as published.

    Returns
    -------
    list of str
        In the order of `names`; different names may become the same.
    """
    return [_r_name(name) for name in names]


def _r_name(name: str) -> str:
    valid = re.sub(r"[^\w.]", ".", name)
    if not re.match(r"[^\W\d_]|\.(?!\d)", name):
        valid = f"X{valid}"
    return f"{valid}." if valid in _RESERVED else valid


Axis = Literal["rows", "columns"]

_SAMPLE: Final = 2000

_LEAST: Final = 0.04
"""Least share of symbols of the families below in a gene list; real ones have a fifth or more."""

_TIMES: Final = 5

_MAJORITY: Final = 0.5

_MARGIN: Final = 0.3
"""A full reference knows most names of a gene list, and takes some short sample ids for former
symbols."""

_SURE: Final = 0.9

_DIGITS: Final = 10

_UNIQUE: Final = 0.95

_CODE: Final = re.compile(r"[A-P]\d{1,2}|\d+")
"""Wells of a plate and bare numbers."""

_ENSEMBL_FORM: Final = re.compile(r"ENS[A-Z]{0,4}G\d{11}(\.\d+)?(_PAR_Y)?")

_FAMILIES: Final = re.compile(
    r"C(\d{1,2}|X|Y)orf\d+|MT-[A-Z]{2}[A-Z0-9]*"
    r"|HLA-[A-Z0-9]+|(ZNF|TMEM|KRT|KIF|CCDC|RBM|USP|DDX|ABC[A-G]|ACT[ABGN]|CYP|TRIM|LINC|COL|GPR"
    r"|IL|CCL|CXCL|CD|MYH|MAPK|MAP2K|MAP3K|CDK|CCN[A-T]|EIF|HOX[A-D]|IFI|IRF|PSM[A-D]|NDUF[A-V]"
    r"|COX|ATP|LRRC|RAB|ARHGAP|ARHGEF|FOX[A-Z]|SOX|PPP[1-6]|POL[A-Z]|MRP[LS]|RP[LS]|WDR|KLHL|FBXO)"
    r"\d+[A-Z]{0,3}\d{0,2}|SLC\d+A\d+|FAM\d+[A-Z]\d?|TP53|TP63|EGFR|KRAS|MYC|GAPDH|BRCA[12]|ALB"
    r"|INS|APOE|VEGFA|PTEN|ACTB|B2M|STAT\d[AB]?|TGFB\d|TNF|JUN|FOS"
)


def has_ensembl_form(name: str) -> bool:
    """Whether a name has the form of an Ensembl gene id, in the reference or not.

    ``ENSG`` (or the prefix of another species) and 11 digits, with or without a version. A
    retired or newer id has the form, too: nothing but a gene is named so.

    Parameters
    ----------
    name
        Name as published; spaces around it do not count.

    Returns
    -------
    bool
        True for retired and unknown ids, too.
    """
    return _ENSEMBL_FORM.fullmatch(name.strip()) is not None


def gene_like(name: str) -> bool:
    """Whether a name is an Ensembl gene id or of a family that only genes belong to.

    ``ZNF12``, ``RPL13A``, ``SLC2A1`` and a few single genes; cautious, so that an id
    of a sample or a cell is not taken for one.
    """
    bare = name.partition(" (")[0]
    return has_ensembl_form(bare) or _FAMILIES.fullmatch(bare) is not None


def is_code(name: str) -> bool:
    """Whether a name is a well of a plate or a bare number, which may be a gene's name, too.

    Parameters
    ----------
    name
        Name as published.

    Returns
    -------
    bool
        True for ``C3`` and ``3``.
    """
    return _CODE.fullmatch(name) is not None


def gene_axis(
    rows: Sequence[str],
    columns: Sequence[str],
    looks_like_gene: Callable[[str], bool],
    *,
    declared: Axis | None,
    what: str,
    hint: Axis | None = None,
) -> Axis:
    """Return the axis that names genes: as detected, or as declared unless that is refuted.

    Wells of a plate and bare numbers may be names of genes, too (C3, or NCBI's 3 for a pseudogene).
    They count only where the other names leave it open, and a run of numbers is never genes.

    Parameters
    ----------
    rows, columns
        Names of the rows and of the columns, or some of them.
    looks_like_gene
        Whether a name can be that of a gene.
    declared
        Axis that the options state; None: detected.
    what
        Name of the file for messages.
    hint
        What the first field of the header says; it decides where the names do not.

    Returns
    -------
    Axis
        ``rows`` or ``columns``.

    Raises
    ------
    SourceError
        The other axis than the declared one names genes, and the declared one does not; or
        nothing is declared, and neither axis does, or both.
    """
    shares = {
        "rows": _Shares.of(rows, looks_like_gene),
        "columns": _Shares.of(columns, looks_like_gene),
    }
    detected: Axis | None = _clearer(shares) or hint
    shown = ", ".join(f"{it.all:.0%} of the names of its {axis}" for axis, it in shares.items())
    if declared is not None:
        if detected is not None and detected != declared and shares[declared].all < _LEAST:
            raise SourceError(
                f"{what}: is transposed: its declaration says that genes are its {declared}, but "
                f"they are its {detected} ({shown} look like genes): "
                f"set {option('genes_in', detected)}, or transpose the file"
            )
        return declared
    if detected is None:
        raise SourceError(
            f"{what}: cannot tell which axis is genes ({shown} look like genes): name "
            f"genes by symbol, Ensembl or Entrez id, or set {option('genes_in', 'rows')} "
            "('rows' or 'columns')"
        )
    return detected


@dataclass(frozen=True)
class _Shares:
    """Shares of names that look like genes: of all on an axis, and of those that are no codes."""

    all: float
    clear: float

    @classmethod
    def of(cls, names: Sequence[str], looks_like_gene: Callable[[str], bool]) -> _Shares:
        some = names[:: max(1, len(names) // _SAMPLE)]
        if not some or _are_no_ids(names):
            return cls(0.0, 0.0)
        genes = [name for name in some if looks_like_gene(name)]
        clear = [name for name in genes if not is_code(name)]
        return cls(len(genes) / len(some), len(clear) / len(some))


def _clearer(shares: Mapping[str, _Shares]) -> Axis | None:
    sides: tuple[tuple[Axis, Axis], ...] = (("rows", "columns"), ("columns", "rows"))
    for axis, other in sides:
        other_is_no_gene_list = shares[other].all < _SURE or shares[axis].clear >= _SURE
        if other_is_no_gene_list and _is_clear(shares[axis].clear, shares[other].clear):
            return axis
    for axis, other in sides:
        if shares[axis].all > _MAJORITY and _is_clear(shares[axis].all, shares[other].all):
            return axis
    return None


def _is_clear(mine: float, its: float) -> bool:
    return mine >= max(_LEAST, _TIMES * its) or (mine > _MAJORITY and mine - its > _MARGIN)


def _are_no_ids(names: Sequence[str]) -> bool:
    """Whether names are whole numbers that repeat, as values do, or count the rows."""
    if not all(name.isascii() and name.isdigit() and len(name) < _DIGITS for name in names):
        return False
    numbers = set(map(int, names))
    is_count = len(numbers) == len(names) == max(numbers) - min(numbers) + 1
    return is_count or len(numbers) < _UNIQUE * len(names)
