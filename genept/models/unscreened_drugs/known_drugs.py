"""What is known of drugs: names, targets, structures, pathways; and which are one compound.

How alike two drugs are is in `genept.models.unscreened_drugs.drug_kernels`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genept.models.evidence import Labels
from genept.models.splits import connected_groups
from genept.nomenclature import key_of

_NO_PATHWAY: Final = "Unclassified"


@dataclass(frozen=True)
class Drugs:
    """Drugs, and what is known of each.

    Parameters
    ----------
    names
        Their ids, unique.
    synonyms
        Further names.
    targets
        Ensembl ids of the genes that it acts on, and the names of the groups without genes.
    smiles, pathways
        Structure and label of the pathway; None where there is none.
    """

    names: tuple[str, ...]
    synonyms: tuple[tuple[str, ...], ...]
    targets: tuple[frozenset[str], ...]
    smiles: tuple[str | None, ...]
    pathways: tuple[str | None, ...]

    @classmethod
    def of(cls, drugs: pl.DataFrame, targets: pl.DataFrame, wanted: Sequence[str]) -> Drugs:
        """Take drugs from tables `drugs` and `drug_targets`, in the order of their ids in `wanted`.

        An id that the tables lack is a drug of which nothing is known.
        """
        named = pl.coalesce("ensembl_gene_id", "group")
        acts_on = targets.filter(named.is_not_null()).group_by("drug_id").agg(named.unique())
        sets = {name: frozenset(genes) for name, genes in acts_on.iter_rows()}
        rows = {row["drug_id"]: row for row in drugs.iter_rows(named=True)}
        known = [rows.get(name, {}) for name in wanted]
        return cls(
            tuple(wanted),
            tuple((*(row.get("synonyms") or ()), row.get("compound") or "") for row in known),
            tuple(sets.get(name, frozenset()) for name in wanted),
            tuple(row.get("smiles") for row in known),
            tuple(_label(row.get("pathway")) for row in known),
        )

    def take(self, rows: Iterable[int]) -> Drugs:
        """Some of the drugs, in that order."""
        at = list(rows)
        return Drugs(
            tuple(self.names[each] for each in at),
            tuple(self.synonyms[each] for each in at),
            tuple(self.targets[each] for each in at),
            tuple(self.smiles[each] for each in at),
            tuple(self.pathways[each] for each in at),
        )

    def with_drug(self, name: str, targets: frozenset[str], smiles: str | None) -> Drugs:
        """These drugs and one more, the last, of which its targets and structure are known."""
        return Drugs(
            (*self.names, name),
            (*self.synonyms, ()),
            (*self.targets, targets),
            (*self.smiles, smiles),
            (*self.pathways, None),
        )

    @cached_property
    def compounds(self) -> Labels:
        """Group of each drug; drugs of one name, synonym or structure are in one group."""
        keys: list[tuple[str, str]] = []
        for name, further, smiles in zip(self.names, self.synonyms, self.smiles, strict=True):
            spelled = {key_of(each) for each in (name, *further)}
            keys += [(name, f"drug {name}")]
            keys += [(name, f"name {each}") for each in sorted(spelled - {""})]
            keys += [(name, f"structure {smiles}")] if smiles else []
        drugs, shared = zip(*keys, strict=True)
        group_of = dict(zip(drugs, connected_groups(drugs, shared).tolist(), strict=True))
        return np.array([group_of[name] for name in self.names])

    def shares_target(self) -> NDArray[np.bool_]:
        """Whether two drugs share a target, shape (n, n); the diagonal is True."""
        shared = np.array([[bool(a & b) for b in self.targets] for a in self.targets], dtype=bool)
        np.fill_diagonal(shared, True)
        return shared


def _label(pathway: str | None) -> str | None:
    return None if pathway == _NO_PATHWAY else pathway
