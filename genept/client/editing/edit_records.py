"""What came of editing descriptions: tables of the edits that were tried and of forgetting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from genept.client.generated_texts import edit_tables
from genept.client.known_spaces import KnownSpaces
from genept.language_models.self_editing import Edited, GateFinding
from genept.schema.tables import STORED
from genept.storage import Part


@dataclass(frozen=True)
class EditReport:
    """What came of editing.

    Parameters
    ----------
    writer
        Name of the edited descriptions.
    edited
        Edits, scores and drafts.
    hidden
        By task: AUROC of hidden genes after, and its change with a 95 % interval.
    gain
        Mean change of the rewarded tasks on hidden genes, with its interval.
    gate
        Every condition of the gate.
    n_genes
        Genes whose descriptions were edited.
    is_restricted
        Whether labels decided that may not be redistributed.
    """

    writer: str
    edited: Edited
    hidden: Mapping[str, tuple[float, float, float, float]]
    gain: tuple[float, float, float]
    gate: Sequence[GateFinding]
    n_genes: int
    is_restricted: bool = False

    @property
    def passes(self) -> bool:
        """Whether every condition holds."""
        return all(each.holds for each in self.gate)


def keep_edits(platform: KnownSpaces, report: EditReport) -> None:
    """Store the tables of an editing; they are used from now on.

    Parameters
    ----------
    platform
        The installation.
    report
        What came of it, whether it passes the gate or not.
    """
    frames = (edit_rows(report), forgetting_rows(report))
    for table, rows in zip(edit_tables(platform), frames, strict=True):
        counts = {"rows": rows.height, "kept": len(report.edited.plan)}
        table.put(report.writer, (), counts, rows, redistributable=not report.is_restricted)


def edit_parts(platform: KnownSpaces) -> list[Part]:
    """Parts of tables `description_edits` and `edit_forgetting`.

    Parameters
    ----------
    platform
        The installation.

    Returns
    -------
    list of Part
        Of every kept editing.
    """
    return [
        table.release(platform.lake, writer)
        for table in edit_tables(platform)
        for writer in table.writers
    ]


def edit_rows(report: EditReport) -> pl.DataFrame:
    """Rows of table `description_edits`."""
    rows = [
        {
            "writer": report.writer,
            "round": each.round,
            "gene_class": each.edit.gene_class,
            "edit": each.edit.kind,
            "n_genes": each.n_genes,
            "ensembl_gene_id": each.example,
            "before": each.before,
            "after": each.after,
            "evidence": list(each.evidence),
            "reward": each.reward,
            "noise": each.noise,
            "permuted_reward": each.permuted,
            "kept": each.kept,
            "why": each.why,
        }
        for each in report.edited.tried
    ]
    return rows_of("description_edits", rows)


def forgetting_rows(report: EditReport) -> pl.DataFrame:
    """Rows of table `edit_forgetting`."""
    scores = report.edited.scores
    first = {score.task: score.value for score in scores if score.round == 0}
    rewarded = {score.task for score in scores if score.is_rewarded}
    last = max(score.round for score in scores)
    rows: list[dict[str, Any]] = [
        {
            "task": score.task,
            "split": "training",
            "round": score.round,
            "is_rewarded": score.is_rewarded,
            "value": score.value,
            "difference": score.value - first[score.task],
            "ci_low": None,
            "ci_high": None,
        }
        for score in scores
    ]
    rows += [
        {
            "task": task,
            "split": "hidden",
            "round": last,
            "is_rewarded": task in rewarded,
            "value": value,
            "difference": difference,
            "ci_low": low,
            "ci_high": high,
        }
        for task, (value, difference, low, high) in report.hidden.items()
    ]
    return rows_of("edit_forgetting", [{"writer": report.writer, **row} for row in rows])


def rows_of(table: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Rows of a declared table."""
    return pl.DataFrame(rows, pl.DataFrame(STORED[table].schema().empty_table()).schema)
