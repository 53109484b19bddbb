"""Editing descriptions on this installation: evidence, tasks, embedder, and what is kept of it.

The loop is `genept.language_models.self_editing`; scores are the neighbours of this module.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import polars as pl

from genept.benchmarks import TASKS
from genept.client.editing.edit_directions import PREFIX, direction_tasks, perturbed_genes
from genept.client.editing.edit_records import EditReport, rows_of
from genept.client.editing.edit_scores import EditTask, TaskScorer, labelled_tasks
from genept.client.generated_texts import EDITED, edit_tables
from genept.client.platform import Platform
from genept.common import StoreError
from genept.datasources import MEMBERS as LABEL_ARCHIVES
from genept.language_models.descriptions import evidence_of
from genept.language_models.self_editing import (
    EditOptions,
    EditPolicy,
    LearnedPolicy,
    Library,
    edit_descriptions,
    findings,
)
from genept.nomenclature import build_reference_table
from genept.perturbations import build_screens, how_to_get
from genept.storage import Part
from genept.text import VectorCache, embed_through_cache

REWARDED: Final = ("haploinsufficiency", "essential-genes", "dosage-sensitivity")
"""Tasks that decide by default, of those that have labels here."""


def property_tasks() -> dict[str, str]:
    """Tasks on properties of genes.

    Returns
    -------
    dict of str to str
        Id to the label that counts as positive.
    """
    known = {id_: getattr(task, "positive", None) for id_, task in TASKS.items()}
    return {id_: label for id_, label in known.items() if label}


def edit_on(
    platform: Platform,
    writer: str,
    embedder: str,
    rewarded: Sequence[str],
    options: EditOptions,
    policy: EditPolicy | None = None,
    restated_by: str | None = None,
    advance: Callable[[str, float], None] | None = None,
) -> EditReport:
    """Edit descriptions of the genes of all tasks on properties, and put them to the gate.

    Directions of perturbations are read only where they are named: their labels may not be
    redistributed, and what they decide is not registered.

    Parameters
    ----------
    platform
        The installation.
    writer
        Name of the edited descriptions.
    embedder
        Id of an embedder of this machine.
    rewarded
        Tasks that decide, on properties or ``perturbation-direction/SCREEN``; none: `REWARDED`, as
        far as there are labels.
    options
        How long, and how boldly.
    policy
        Proposes edits; None: learnt as it goes.
    restated_by
        The language model whose kept statements edits may put in place of lines; None: none.
    advance
        Called with what is done, and the share that is finished.

    Returns
    -------
    EditReport
        Nothing is registered.

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
    model = platform.embedders.open(embedder)
    cache = VectorCache(platform.store, platform.settings.product, model)
    library = Library(
        evidence, published, platform.embedders.minilm.count_tokens,
        _restated(platform, restated_by),
    )  # fmt: skip
    scorer = TaskScorer(tasks, decide)
    edited = edit_descriptions(
        library, scorer,
        lambda texts: embed_through_cache(model, cache, texts, platform.runner),
        policy or LearnedPolicy(options.seed), options, advance,
    )  # fmt: skip
    hidden, gain = scorer.hidden(edited.before, edited.after)
    texts = {id_: library.text(id_, draft) for id_, draft in edited.drafts.items()}
    labels = properties.filter(pl.col("task").is_in(list(tasks)))["label"].unique().to_list()
    gate = findings(gain, edited.scores, texts, evidence, labels, library.restated)
    return EditReport(writer, edited, hidden, gain, gate, len(edited.drafts), bool(of_screens))


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


def register_edited(platform: Platform, report: EditReport, restated_by: str | None = None) -> int:
    """Apply the kept edits to every protein-coding gene, as a recipe that spaces can be made of.

    Parameters
    ----------
    platform
        The installation.
    report
        What came of the editing; passes the gate.
    restated_by
        As `edit_on` had it.

    Returns
    -------
    int
        Number of genes with an edited description.

    Raises
    ------
    StoreError
        The gate refuses it, or labels decided that may not be redistributed.
    """
    if report.is_restricted:
        raise StoreError(
            f"{report.writer} is not registered: labels of perturbations decided about it, and "
            "these may not be redistributed"
        )
    if not report.passes:
        raise StoreError(f"{report.writer} does not pass the gate and is not registered")
    published = platform.reference.published
    coding = published.filter(biotype="protein_coding")["ensembl_gene_id"].to_list()
    evidence = {
        each.ensembl_gene_id: each for each in evidence_of(platform.knowledge, published, coding)
    }
    count_tokens = platform.embedders.minilm.count_tokens
    library = Library(evidence, published, count_tokens, _restated(platform, restated_by))
    drafts = library.first_drafts
    for edit in report.edited.plan:
        drafts = edit.apply(library, drafts)
    rows = [
        {
            "writer": report.writer,
            "ensembl_gene_id": id_,
            "symbol": evidence[id_].symbol,
            "position": position,
            "statement": line,
            "evidence": [line],
            "support": 1.0,
            "fate": "kept",
            "prompt": "none",
        }
        for id_, draft in drafts.items()
        for position, line in enumerate(library.lines(id_, draft))
    ]
    counts = {"kept": len(rows), "edits": len(report.edited.plan)}
    platform.statements.put(report.writer, (), counts, rows_of("written_statements", rows))
    return len(drafts)


def next_name(platform: Platform) -> str:
    """Name of the next editing, such as ``self-edited-2``.

    Parameters
    ----------
    platform
        The installation.

    Returns
    -------
    str
        Not used before.
    """
    edits, _ = edit_tables(platform)
    return f"{EDITED}{len(edits.writers) + 1}"


def _restated(platform: Platform, model: str | None) -> dict[str, dict[str, str]]:
    """What a language model wrote in place of single lines, by gene and line."""
    if model is None:
        return {}
    kept = platform.statements.rows(model).filter(pl.col("evidence").list.len() == 1, fate="kept")
    restated: dict[str, dict[str, str]] = {}
    for row in kept.iter_rows(named=True):
        restated.setdefault(row["ensembl_gene_id"], {})[row["evidence"][0]] = row["statement"]
    return restated
