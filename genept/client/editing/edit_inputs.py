"""What an editing of descriptions reads on this installation, and a forecast of what it will take.

Evidence, labels and screens become tasks here; the loop is `description_editing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Final

import polars as pl

from genept.benchmarks import TASKS
from genept.client.editing.edit_directions import PREFIX, direction_tasks, perturbed_genes
from genept.client.editing.edit_scores import EditTask, TaskScorer, labelled_tasks
from genept.client.platform import Platform
from genept.common import StoreError
from genept.datasources import MEMBERS as LABEL_ARCHIVES
from genept.language_models.descriptions import evidence_of
from genept.language_models.self_editing import EditOptions, Library, changed, every_edit
from genept.nomenclature import build_reference_table
from genept.perturbations import build_screens, how_to_get
from genept.storage import Part
from genept.text import VectorCache

REWARDED: Final = ("haploinsufficiency", "essential-genes", "dosage-sensitivity")
"""Tasks that decide by default, of those that have labels here."""

SAMPLE: Final = 32
"""Texts that are embedded, and not kept, to learn how long one takes."""


@dataclass(frozen=True)
class EditInputs:
    """What descriptions are edited by.

    Parameters
    ----------
    library
        Evidence of every gene of the tasks.
    scorer
        The tasks, and which of them decide.
    labels
        Every label of the tasks.
    is_restricted
        Whether labels decide that may not be redistributed.
    """

    library: Library
    scorer: TaskScorer
    labels: list[str]
    is_restricted: bool


@dataclass(frozen=True)
class EditForecast:
    """What an editing will take.

    Parameters
    ----------
    rewarded, others
        Tasks that decide, and that are only watched.
    n_genes, n_training
        Genes that are described, and those that decide.
    n_edits
        Edits that are scored, shuffled ones included.
    n_texts, n_new
        Texts to embed, as many for each edit as an edit changes on average, and those without a
        vector at the beginning.
    seconds
        To embed them on this machine; scoring is not included.
    """

    rewarded: tuple[str, ...]
    others: tuple[str, ...]
    n_genes: int
    n_training: int
    n_edits: int
    n_texts: int
    n_new: int
    seconds: float


def property_tasks() -> dict[str, str]:
    """Tasks on properties of genes.

    Returns
    -------
    dict of str to str
        Id to the label that counts as positive.
    """
    known = {id_: getattr(task, "positive", None) for id_, task in TASKS.items()}
    return {id_: label for id_, label in known.items() if label}


def edit_inputs(
    platform: Platform, rewarded: Sequence[str] = (), restated_by: str | None = None
) -> EditInputs:
    """Read evidence and labels.

    Parameters
    ----------
    platform
        The installation.
    rewarded
        Tasks that decide; none: `REWARDED`, as far as there are labels.
    restated_by
        The language model whose kept statements edits may put in place of lines; None: none.

    Returns
    -------
    EditInputs
        Of the genes of all tasks that have evidence.

    Raises
    ------
    StoreError
        A rewarded task is unknown, or has no labels here.
    """
    for source in LABEL_ARCHIVES:
        platform.archives.fetch(source)
    published = platform.reference.published
    part = build_reference_table(platform.lake, platform.archives, "genes").part()
    properties = platform.labels(part).properties
    known = property_tasks()
    of_screens = [id_ for id_ in rewarded if id_.startswith(PREFIX)]
    if unknown := sorted(set(rewarded) - set(known) - set(of_screens)):
        raise StoreError(
            f"{unknown} are no tasks on properties of genes; those are {sorted(known)}, and "
            f"{PREFIX}SCREEN for a screen of perturbations"
        )
    labelled = properties.filter(pl.col("task").is_in(list(known)))
    screens = _screens(platform, part, of_screens)
    wanted = {*labelled["ensembl_gene_id"].drop_nulls(), *perturbed_genes(screens)}
    evidence = {
        each.ensembl_gene_id: each for each in evidence_of(platform.knowledge, published, wanted)
    }
    tasks: dict[str, EditTask] = {**labelled_tasks(labelled, known, list(evidence))}
    tasks |= direction_tasks(screens, evidence)
    decide = tuple(rewarded) or tuple(id_ for id_ in REWARDED if id_ in tasks)
    if lacking := sorted(set(decide) - set(tasks)) or not decide:
        raise StoreError(
            f"no labels here of {lacking or list(REWARDED)}: `genept sources list` says how to get "
            f"them; there are labels of {sorted(tasks) or 'none'}"
        )
    library = Library(
        evidence, published, platform.embedders.minilm.count_tokens,
        restated_lines(platform, restated_by),
    )  # fmt: skip
    labels = properties.filter(pl.col("task").is_in(list(tasks)))["label"].unique().to_list()
    return EditInputs(library, TaskScorer(tasks, decide), labels, bool(of_screens))


def forecast_edit(
    platform: Platform, inputs: EditInputs, embedder: str, options: EditOptions
) -> EditForecast:
    """Forecast what an editing will take; a sample of texts is embedded, and nothing is kept.

    Parameters
    ----------
    platform
        The installation.
    inputs
        Evidence and tasks.
    embedder
        Id of an embedder of this machine.
    options
        How long, and how boldly.

    Returns
    -------
    EditForecast
        Edits of later rounds are taken to change as many texts as those of the first.
    """
    library, scorer = inputs.library, inputs.scorer
    model = platform.embedders.open(embedder)
    drafts = library.first_drafts
    training = {id_: drafts[id_] for id_ in sorted(scorer.training_genes & set(drafts))}
    counts = [len(changed(training, edit.apply(library, training))) for edit in every_edit(library)]
    counts = [n for n in counts if n >= options.fewest_genes]
    n_edits = options.rounds * (options.proposals + options.shuffled)
    texts = [library.text(id_, draft) for id_, draft in drafts.items()]
    cache = VectorCache(platform.store, platform.settings.product, model)
    n_new = len(cache.missing(texts))
    further = round(n_edits * sum(counts) / len(counts)) if counts else 0
    begun = perf_counter()
    model.embed(texts[:: max(1, len(texts) // SAMPLE)][:SAMPLE])
    each = (perf_counter() - begun) / min(SAMPLE, len(texts))
    return EditForecast(
        scorer.rewarded, scorer.others, len(drafts), len(training), n_edits, len(texts) + further,
        n_new, each * (n_new + further),
    )  # fmt: skip


def _screens(platform: Platform, genes: Part, tasks: Sequence[str]) -> dict[str, pl.DataFrame]:
    """Rows of table `perturbation_effects`, by the screens that tasks name."""
    named = {id_.removeprefix(PREFIX) for id_ in tasks}
    if not named:
        return {}
    archives = platform.collection_archives
    parts = build_screens(platform.lake, archives, genes, platform.names)
    effects = {part.partition[0]: part for part in parts if part.table == "perturbation_effects"}
    if lacking := sorted(named - set(effects)):
        raise StoreError(
            f"there are no screens {lacking} here, but {sorted(effects) or 'none'}; "
            f"{how_to_get(archives)}"
        )
    return {id_: platform.lake.read(effects[id_]) for id_ in sorted(named)}


def restated_lines(platform: Platform, model: str | None) -> dict[str, dict[str, str]]:
    """What a language model wrote in place of single lines, by gene and line.

    Parameters
    ----------
    platform
        The installation.
    model
        Its id; None: nothing.

    Returns
    -------
    dict
        Ensembl id to line to what stands for it.
    """
    if model is None:
        return {}
    kept = platform.statements.rows(model).filter(pl.col("evidence").list.len() == 1, fate="kept")
    restated: dict[str, dict[str, str]] = {}
    for row in kept.iter_rows(named=True):
        restated.setdefault(row["ensembl_gene_id"], {})[row["evidence"][0]] = row["statement"]
    return restated
