"""Editing descriptions on this installation: the loop, the gate, and the recipe that comes of it.

The loop is `genept.language_models.self_editing`; evidence and tasks are `edit_inputs`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from genept.client.editing.edit_inputs import edit_inputs, restated_lines
from genept.client.editing.edit_records import EditReport, rows_of
from genept.client.generated_texts import EDITED, edit_tables
from genept.client.platform import Platform
from genept.common import StoreError
from genept.language_models.descriptions import evidence_of
from genept.language_models.self_editing import (
    EditOptions,
    EditPolicy,
    LearnedPolicy,
    Library,
    edit_descriptions,
    findings,
)
from genept.text import VectorCache, embed_through_cache


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
    inputs = edit_inputs(platform, rewarded, restated_by)
    model = platform.embedders.open(embedder)
    cache = VectorCache(platform.store, platform.settings.product, model)
    library, scorer = inputs.library, inputs.scorer
    edited = edit_descriptions(
        library, scorer,
        lambda texts: embed_through_cache(model, cache, texts, platform.runner),
        policy or LearnedPolicy(options.seed), options, advance,
    )  # fmt: skip
    hidden, gain = scorer.hidden(edited.before, edited.after)
    texts = {id_: library.text(id_, draft) for id_, draft in edited.drafts.items()}
    gate = findings(gain, edited.scores, texts, library.evidence, inputs.labels, library.restated)
    return EditReport(writer, edited, hidden, gain, gate, len(edited.drafts), inputs.is_restricted)


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
    library = Library(evidence, published, count_tokens, restated_lines(platform, restated_by))
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
