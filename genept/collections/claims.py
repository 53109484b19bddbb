"""What a catalogue entry claims of a collection, held against the file before a long ingest.

Which axis holds the genes, and which unit the values are in. What single values must
be is checked while they are read, in `genept.sources.checked_values`.
"""

from __future__ import annotations

import polars as pl
import scipy.sparse as sp

from genept.collections.units import detect_unit
from genept.nomenclature.mapping import Nomenclature
from genept.nomenclature.reference import Reference
from genept.sources.catalogue import Collection
from genept.sources.parsed import ParsedCollection
from genept.store.errors import StoreError

MINIMUM_NAMED = 0.2
"""A file of whose gene names fewer than this are known is not read any further."""

SAMPLED_OBSERVATIONS = 512


class CollectionRefusedError(StoreError):
    """A collection is not what its catalogue entry says."""


def refuse_other_axis(
    collection: Collection, parsed: ParsedCollection, names: pl.DataFrame, reference: Reference
) -> None:
    """Refuse a matrix whose columns are not human genes, because it lies on its side perhaps."""
    known = _share_known(names)
    if known >= MINIMUM_NAMED:
        return
    ids = parsed.observations["observation_id"].head(SAMPLED_OBSERVATIONS).to_list()
    others = _share_known(Nomenclature(reference.index).map(ids).rows)
    remedy = (
        f"of its observation ids {others:.0%} are: it lies on its side, so turn it, or say so "
        "in its options"
        if others > max(known, MINIMUM_NAMED)
        else f"the first of them is {parsed.symbols[0]!r}; is it human, and are its columns genes?"
    )
    raise CollectionRefusedError(
        f"collection {collection.id!r}: only {known:.0%} of its {names.height} gene names are "
        f"known; {remedy}"
    )


def _share_known(names: pl.DataFrame) -> float:
    return float(names["ensembl_gene_id"].is_not_null().sum() / max(names.height, 1))


def refuse_other_unit(collection: Collection, parsed: ParsedCollection) -> None:
    """Refuse values that contradict the unit that the catalogue claims."""
    sample = list(parsed.expression.blocks(0, SAMPLED_OBSERVATIONS))
    if not sample:
        raise CollectionRefusedError(f"collection {collection.id!r} has no observations")
    found = detect_unit(sp.csr_matrix(sp.vstack(sample, format="csr")))
    if collection.unit not in found.possible:
        is_broken = collection.unit == "counts" and found.possible[:1] != ("counts",)
        round_first = "; estimated counts (salmon, RSEM) are to be rounded" if is_broken else ""
        raise CollectionRefusedError(
            f"collection {collection.id!r} is said to hold {collection.unit}, but its values "
            f"look like {' or '.join(found.possible) or 'nothing'}: {found.seen}. Correct the "
            f"unit, or name the matrix that holds what was claimed{round_first}"
        )
