"""Tables of drugs that a screen did not measure: scores and predictions, one step per screen.

What they hold is computed in the neighbours of this module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

import polars as pl

from genept.datasources import Collection
from genept.embeddings import CollectionParts, CollectionTables, read_spaces
from genept.models.drug_response import Screen, has_rdkit
from genept.models.stored_models import LIBRARIES
from genept.models.unscreened_drugs.drug_kernels import REPORTED, VARIANT
from genept.models.unscreened_drugs.known_drugs import Drugs
from genept.models.unscreened_drugs.left_out import N_FOLDS, LeftOut
from genept.models.unscreened_drugs.profile_ridge import LEAST_DRUGS
from genept.models.unscreened_drugs.unscreened_profiles import UnscreenedModel
from genept.models.unscreened_drugs.unscreened_scores import Gate, left_out_rows, score_rows
from genept.release import is_restricted
from genept.storage import Lake, NewPart, Origin, Part, StoredTable

SCORES: Final = ("unscreened_drug_scores", "left_out_drugs")
PREDICTED: Final = ("unscreened_drugs", "unscreened_drug_responses")
UNSCREENED: Final = (*SCORES, *PREDICTED)
"""The tables, in order."""

_CODE: Final = (
    "genept.models.unscreened_drugs",
    "genept.models.drug_response",
    "genept.models.splits",
    "genept.models.holdout",
    "genept.models.user_samples",
    "genept.benchmarks.scores",
    "genept.embeddings.known_vectors",
    "genept.embeddings.expression",
    "genept.embeddings.representations",
    "genept.nomenclature.target_groups",
    "genept.schema.tables",
)


def build_unscreened(
    of: CollectionTables, drugs: StoredTable, targets: StoredTable, vectors: Mapping[str, Part]
) -> tuple[list[Part], dict[str, str]]:
    """Build the tables of drugs that screens did not measure.

    Parameters
    ----------
    of
        The collections and their tables: those with rows in ``drug_responses`` are screens.
    drugs, targets
        Tables `drugs` and `drug_targets`.
    vectors
        Parts of table ``gene_embeddings``, by space: those of `REPORTED` that are available.

    Returns
    -------
    parts : list of Part
        Parts of the four tables of each screen.
    remarks : dict
        By screen, what the gate found, or why there is nothing.
    """
    parts: list[Part] = []
    remarks: dict[str, str] = {}
    for collection in of.ingested("bulk"):
        for responses in of.tables["drug_responses"].matching(collection.id):
            tables = CollectionParts(
                observations=of.tables["observations"].part(collection.id),
                axis=of.axis(collection),
                expression=tuple(of.expression(collection)),
                embeddings={},
            )
            screen = expression_screen(of.lake, collection, tables, responses)
            made, remarks[collection.id] = _of_screen(of.lake, screen, drugs, targets, vectors)
            parts += made
    return parts, remarks


def expression_screen(
    lake: Lake, collection: Collection, parts: CollectionParts, responses: Part
) -> Screen:
    """A screen of which nothing but expression is read of the lines.

    Parameters
    ----------
    lake
        Where the data are read from.
    collection, parts, responses
        The collection, its tables, and its part of table ``drug_responses``.

    Returns
    -------
    Screen
        The screen.
    """
    return Screen(lake, collection.id, collection.unit, parts, responses, space=None, smiles={})


def _of_screen(
    lake: Lake,
    screen: Screen,
    drugs: StoredTable,
    targets: StoredTable,
    vectors: Mapping[str, Part],
) -> tuple[list[Part], str]:
    known = {part.table + str(part.number): part.sha256 for part in (*drugs.parts, *targets.parts)}
    read = {f"space {name}": part.sha256 for name, part in vectors.items()}
    settings: dict[str, object] = {
        "screen": screen.collection,
        "variant": VARIANT.sha256,
        "rdkit": has_rdkit(),
    }
    if any(is_restricted(part) for part in (*drugs.parts, *targets.parts)):
        settings["redistributable"] = False
    origin = Origin(_CODE, {**screen.inputs, **known, **read}, settings, LIBRARIES)
    step = f"models/unscreened-drugs-{screen.collection}"
    parts = lake.build(step, origin, partial(_compute, lake, screen, drugs, targets, vectors))
    scores = [lake.read(part) for part in parts if part.table == SCORES[0]]
    if not scores:
        return parts, (
            f"fewer than {N_FOLDS} compounds of the screen have a stated target, or neither a "
            f"vector nor a structure is available for {LEAST_DRUGS} of its drugs"
        )
    return parts, "; ".join(Gate.of(pl.concat(scores)).findings)


def _compute(
    lake: Lake,
    screen: Screen,
    drugs: StoredTable,
    targets: StoredTable,
    vectors: Mapping[str, Part],
) -> list[NewPart]:
    tables = lake.read(drugs), lake.read(targets)
    measured = screen.rows.drugs.tolist()
    spaces = read_spaces(lake, vectors, REPORTED)
    left_out = LeftOut(screen.rows, Drugs.of(*tables, measured), spaces)
    known = Drugs.of(*tables, [*measured, *_not_measured(tables[0], measured)])
    model = UnscreenedModel(screen.rows, known, spaces)
    if left_out.n_compounds < N_FOLDS or not left_out.comparable or not model.comparable:
        return []
    scores = pl.DataFrame([*score_rows(screen.collection, left_out)], infer_schema_length=None)
    about, predicted = model.rows(screen.collection, Gate.of(scores))
    rows = (scores, left_out_rows(screen.collection, left_out), about, predicted)
    return [
        NewPart(name, table, (screen.collection,))
        for name, table in zip(UNSCREENED, rows, strict=True)
        if table.height
    ]


def _not_measured(drugs: pl.DataFrame, measured: Sequence[str]) -> list[str]:
    """Drugs of which a screen measured no name."""
    own = drugs.filter(pl.col("drug_id").is_in(measured))["compound"].drop_nulls().to_list()
    same = pl.col("compound").is_in(own).fill_null(value=False)
    return drugs.filter(~same & ~pl.col("drug_id").is_in(measured))["drug_id"].sort().to_list()
