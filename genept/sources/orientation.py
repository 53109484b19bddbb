"""Which way up a matrix is: which of its axes is named by genes.

What a gene's name looks like may be asked of whoever knows the nomenclature;
without, a few families of names that nothing else bears have to do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, Literal

from genept.sources.errors import SourceError

Axis = Literal["rows", "columns"]
_SAMPLE: Final = 2000
_LEAST: Final = 0.04
"""Of the symbols of any human gene list, the families below make up a fifth or more."""
_TIMES: Final = 5
_SURE: Final = 0.9
"""Whoever knows the names of all genes knows nearly all of a gene list, …"""
_CHANCE: Final = 0.5
"""… and may take some short ids of samples for old names of genes."""
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
    """
    return _ENSEMBL_FORM.fullmatch(name.strip()) is not None


def gene_like(name: str) -> bool:
    """Whether a name is an Ensembl gene id or of a family that only genes belong to.

    ``ZNF12``, ``RPL13A``, ``SLC2A1`` and a few single genes; cautious, so that an id
    of a sample or a cell is not taken for one.
    """
    bare = name.partition(" (")[0]
    return has_ensembl_form(bare) or _FAMILIES.fullmatch(bare) is not None


def gene_axis(
    rows: Sequence[str],
    columns: Sequence[str],
    looks_like_gene: Callable[[str], bool],
    *,
    declared: Axis | None,
    what: str,
) -> Axis:
    """Return the axis that names genes: as detected, or as declared unless that is refuted.

    Raises
    ------
    SourceError
        The other axis than the declared one names genes; or nothing is declared, and
        neither axis does, or both.
    """
    shares = {"rows": _share(rows, looks_like_gene), "columns": _share(columns, looks_like_gene)}
    found: Axis | None = None
    sides: tuple[tuple[Axis, Axis], ...] = (("rows", "columns"), ("columns", "rows"))
    for axis, other in sides:
        much_more = shares[axis] >= max(_LEAST, _TIMES * shares[other])
        if much_more or (shares[axis] >= _SURE and shares[other] <= _CHANCE):
            found = axis
            break
    told = ", ".join(f"{share:.0%} of the names of its {axis}" for axis, share in shares.items())
    if declared is not None:
        if found is not None and found != declared:
            raise SourceError(
                f"{what}: is transposed: the catalogue says that genes are its {declared}, but "
                f"they are its {found} ({told} look like genes): "
                f"set options.genes_in = {found!r}, or transpose the file"
            )
        return declared
    if found is None:
        raise SourceError(
            f"{what}: cannot tell which axis is genes ({told} look like genes): name "
            "genes by symbol, Ensembl or Entrez id, or set options.genes_in to 'rows' or 'columns' "
            "(on the command line: --option 'genes_in=\"rows\"')"
        )
    return found


def _share(names: Sequence[str], looks_like_gene: Callable[[str], bool]) -> float:
    step = max(1, len(names) // _SAMPLE)
    some = names[::step]
    return sum(map(looks_like_gene, some)) / len(some) if some else 0.0
