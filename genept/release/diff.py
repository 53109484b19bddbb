"""Differences between two releases: the document, and its renderings as JSON and Markdown.

Values are compared in `genept.release.diff_values`. Whether a change is too large to publish is
decided in `genept.release.drift`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from genept.common import markdown_text
from genept.release.diff_values import (
    MappingChange,
    MetricChange,
    VectorDrift,
    mapping_changes,
    metric_changes,
    vector_drifts,
)
from genept.release.manifest import Manifest, ReleasedTable
from genept.release.released_files import ReleasedFiles
from genept.storage import Document

SHOWN = 20


class TableDifference(Document):
    """Differences of one table."""

    rows_before: int
    rows_after: int
    bytes_before: int
    bytes_after: int
    columns_added: tuple[str, ...]
    columns_removed: tuple[str, ...]
    columns_retyped: tuple[str, ...]
    partitions_added: tuple[str, ...]
    partitions_removed: tuple[str, ...]
    partitions_changed: tuple[str, ...]


class Differences(Document):
    """Everything that differs between the releases `before` and `after`."""

    before: str
    after: str
    schema_before: str | None
    schema_after: str | None
    tables: dict[str, TableDifference]
    unchanged: tuple[str, ...]
    vectors: tuple[VectorDrift, ...]
    mappings: tuple[MappingChange, ...]
    metrics: tuple[MetricChange, ...]

    def pages(self) -> dict[str, bytes]:
        """Return the document as JSON and Markdown, by path below a release's `audit/`."""
        return {"differences.json": self.body(), "differences.md": self.text().encode()}

    def text(self) -> str:
        """Return the document as Markdown."""
        return "\n".join(_lines(self)) + "\n"


def differences(files: ReleasedFiles, before: Manifest, after: Manifest) -> Differences:
    """Compare two releases; files of equal content are not opened.

    Parameters
    ----------
    files
        Access to the files of the releases.
    before, after
        Manifests of the releases, which need not be sealed.

    Returns
    -------
    Differences
        Tables, vectors, gene mappings and metrics that differ.

    Raises
    ------
    StoreError
        A file of either release cannot be read.
    """
    names = list(dict.fromkeys((*before.tables, *after.tables)))
    tables = {
        name: _table_difference(before.tables.get(name), after.tables.get(name)) for name in names
    }
    changed = {name: difference for name, difference in tables.items() if difference is not None}
    return Differences(
        before=before.release_id,
        after=after.release_id,
        schema_before=before.schema_version,
        schema_after=after.schema_version,
        tables=changed,
        unchanged=tuple(name for name in names if name not in changed),
        vectors=tuple(vector_drifts(files, before, after)),
        mappings=tuple(mapping_changes(files, before, after)),
        metrics=tuple(metric_changes(files, before, after)),
    )


def _table_difference(
    before: ReleasedTable | None, after: ReleasedTable | None
) -> TableDifference | None:
    old, new = _columns(before), _columns(after)
    old_parts, new_parts = _partitions(before), _partitions(after)
    if old == new and old_parts == new_parts:
        return None
    return TableDifference(
        rows_before=before.rows if before else 0,
        rows_after=after.rows if after else 0,
        bytes_before=before.bytes if before else 0,
        bytes_after=after.bytes if after else 0,
        columns_added=tuple(sorted(new.keys() - old.keys())),
        columns_removed=tuple(sorted(old.keys() - new.keys())),
        columns_retyped=_changed(old, new),
        partitions_added=tuple(sorted(new_parts.keys() - old_parts.keys())),
        partitions_removed=tuple(sorted(old_parts.keys() - new_parts.keys())),
        partitions_changed=_changed(old_parts, new_parts),
    )


def _changed(old: Mapping[str, object], new: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(sorted(name for name in old.keys() & new.keys() if old[name] != new[name]))


def _columns(table: ReleasedTable | None) -> dict[str, tuple[str, str | None]]:
    return {column.name: (column.type, column.unit) for column in table.columns} if table else {}


def _partitions(table: ReleasedTable | None) -> dict[str, list[str]]:
    """Hashes of the files of each partition."""
    partitions = table.by_partition.items() if table else ()
    return {partition: [file.sha256 for file in files] for partition, files in partitions}


def _lines(document: Differences) -> Iterator[str]:
    yield f"# Differences: {document.before} → {document.after}"
    if document.schema_before != document.schema_after:
        old, new = document.schema_before or "none", document.schema_after or "none"
        yield f"\nSchema version: {old} → {new}"
    yield "\n## Tables\n"
    for name, table in document.tables.items():
        yield from _table_lines(name, table)
    yield f"- unchanged: {', '.join(document.unchanged) or 'none'}"
    yield from _section(
        "Vectors that changed (cosine of the new with the old vector)",
        (line for drift in document.vectors for line in _vector_lines(drift)),
    )
    yield from _section(
        "Gene names that are mapped otherwise",
        (line for change in document.mappings for line in _mapping_lines(change)),
    )
    yield from _section(
        "Metrics that changed, largest change first", _metric_lines(document.metrics)
    )


def _section(title: str, lines: Iterator[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        if number == 0:
            yield f"\n## {title}\n"
        yield line


def _table_lines(name: str, table: TableDifference) -> Iterator[str]:
    change = table.rows_after - table.rows_before
    yield f"- {name}: {table.rows_before:,} → {table.rows_after:,} rows ({change:+,})"
    for what in ("columns", "partitions"):
        for how in ("added", "removed", "retyped", "changed"):
            if listed := getattr(table, f"{what}_{how}", ()):
                yield f"    - {what} {how}: {_some(listed)}"


def _vector_lines(drift: VectorDrift) -> Iterator[str]:
    counts = f"{drift.compared:,} compared, {drift.added:,} added, {drift.removed:,} removed"
    spread = ", ".join(f"{name} {value:.4f}" for name, value in (drift.quantiles or {}).items())
    yield (
        f"- {drift.table} {markdown_text(drift.partition)}: {counts}; "
        f"{spread or markdown_text(drift.incomparable)}"
    )
    for worst in drift.worst:
        yield f"    - {worst.cosine:.4f} {markdown_text(worst.label)} {markdown_text(worst.id)}"


def _mapping_lines(change: MappingChange) -> Iterator[str]:
    yield f"- {markdown_text(change.collection)}: {change.changed:,} of {change.compared:,}"
    for turn, n in change.turns.items():
        yield f"    - {markdown_text(turn)}: {n:,}, such as {_some(change.examples[turn])}"


def _metric_lines(metrics: tuple[MetricChange, ...]) -> Iterator[str]:
    for change in metrics[:SHOWN]:
        remark = "" if change.within_interval else "  **outside its former interval**"
        yield f"- {change.before:.4f} → {change.after:.4f}  {markdown_text(change.name)}{remark}"
    if len(metrics) > SHOWN:
        yield f"- and {len(metrics) - SHOWN} more, in differences.json"


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(map(markdown_text, names[:5])) + more
