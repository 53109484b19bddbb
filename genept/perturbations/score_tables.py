"""Tables `perturbation_scores` and `perturbation_predictions`, one step for each screen.

What they hold is computed in `genept.perturbations.arena` and `genept.perturbations.unseen`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import polars as pl

from genept.datasources import Question, read_gene_groups
from genept.datasources.download import AvailableFile
from genept.embeddings import read_spaces
from genept.nomenclature import Groups, family_groups
from genept.perturbations.arena import SPACES, VARIANTS, score_screen
from genept.perturbations.unseen import Model, fit_models, predict_unseen
from genept.storage import Lake, NewPart, Origin, Part, StoredTable

_CODE: Final = (
    *("genept.datasources.gene_groups", "genept.embeddings.known_vectors"),
    *("genept.nomenclature.families", "genept.perturbations", "genept.schema.tables"),
)
_LIBRARIES: Final = ("numpy", "scikit-learn")


def build_scores(
    lake: Lake,
    effects: StoredTable,
    vectors: Mapping[str, Part],
    texts: Part | None,
    groups: AvailableFile | None = None,
) -> list[Part]:
    """Build table `perturbation_scores`.

    Parameters
    ----------
    lake
        Where parts of tables are kept.
    effects
        Table `perturbation_effects`.
    vectors
        Parts of table `gene_embeddings`, by space: those of `SPACES` that are available.
    texts
        The descriptions of which the sparse control is made.
    groups
        HGNC's complete set, whose gene groups are families; None: stems of symbols alone.

    Returns
    -------
    list of Part
        One part for each screen that has test perturbations; none without effects or vectors.

    Raises
    ------
    LeakError
        A perturbation of a screen's test is in its training.
    """
    parts = []
    for own in effects.parts if vectors else ():
        others = [part for part in effects.parts if part is not own]
        inputs = {"texts": texts.sha256} if texts else {}
        inputs |= {groups.id: groups.sha256} if groups else {}
        inputs |= {f"effects {part.partition[0]}": part.sha256 for part in effects.parts}

        def compute(own: Part = own, others: list[Part] = others) -> list[NewPart]:
            described = lake.read(texts, ["ensembl_gene_id", "text"]).rows() if texts else []
            families = _families(groups)
            rows = score_screen(
                lake.read(own), [lake.read(part) for part in others],
                read_spaces(lake, vectors, SPACES), dict(described), families,
            )  # fmt: skip
            if rows.is_empty():
                return []
            of_groups = pl.when(split="families").then(pl.lit(groups.release if groups else None))
            rows = rows.with_columns(gene_groups=of_groups.cast(pl.String))
            return [NewPart("perturbation_scores", rows, own.partition)]

        step = f"perturbations/scores/{own.partition[0]}"
        parts += lake.build(step, _origin(vectors, inputs, own), compute)
    return parts


def build_predictions(
    lake: Lake, effects: StoredTable, vectors: Mapping[str, Part], described: Part | None
) -> list[Part]:
    """Build table `perturbation_predictions` for every described gene that was not perturbed.

    Parameters
    ----------
    lake
        Where parts of tables are kept.
    effects
        Table `perturbation_effects`.
    vectors
        Parts of table `gene_embeddings`, by space: those of `SPACES` that are available.
    described
        The descriptions that say which genes are asked about.

    Returns
    -------
    list of Part
        One part for each screen; none without effects, vectors or descriptions.
    """
    parts = []
    for own in effects.parts if vectors and described else ():
        inputs = {"described": described.sha256, "effects": own.sha256} if described else {}

        def compute(own: Part = own) -> list[NewPart]:
            models = read_models(lake, own, vectors)
            if described is None or "de" not in models:
                return []
            genes = lake.read(described, ["ensembl_gene_id"])["ensembl_gene_id"].to_list()
            rows = predict_unseen(models, genes)
            return [NewPart("perturbation_predictions", rows, own.partition)]

        step = f"perturbations/predictions/{own.partition[0]}"
        parts += lake.build(step, _origin(vectors, inputs, own), compute)
    return parts


def read_models(lake: Lake, effects: Part, vectors: Mapping[str, Part]) -> dict[Question, Model]:
    """Fit the models of one screen on what the lake holds.

    Parameters
    ----------
    lake
        Where parts of tables are kept.
    effects
        A screen's part of table `perturbation_effects`.
    vectors
        Parts of table `gene_embeddings`, by space.

    Returns
    -------
    dict of str to Model
        By question.
    """
    return fit_models(lake.read(effects), read_spaces(lake, vectors, SPACES))


def _origin(vectors: Mapping[str, Part], inputs: Mapping[str, str], screen: Part) -> Origin:
    """What the numbers of a screen depend on."""
    spaces = {f"space {name}": part.sha256 for name, part in vectors.items()}
    declared = {question: variant.sha256 for question, variant in VARIANTS.items()}
    settings = {"screen": screen.partition[0], "variants": declared}
    return Origin(_CODE, {**inputs, **spaces}, settings, _LIBRARIES)


def _families(groups: AvailableFile | None) -> Groups | None:
    """The gene groups that count as families, of a file that is available."""
    if groups is None:
        return None
    return family_groups(read_gene_groups(groups.opener, groups.path.name))
