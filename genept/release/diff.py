"""What changed between two releases: rows, columns, and the values that moved.

The document and its two renderings. How values are compared is in `genept.release.diff_values`;
whether a change is too large to publish is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator

from genept.common.display import markdown_text
from genept.release.diff_values import (
    MappingChange,
    MetricChange,
    VectorDrift,
    mapping_changes,
    metric_changes,
    vector_drifts,
)
from genept.release.manifest import Manifest, ReleasedFiles, ReleasedTable
from genept.storage.documents import Document

SHOWN = 20


class TableDifference(Document):
    """One table that is not the same in both releases."""

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
    """Everything that a reader of `before` finds otherwise in `after`."""

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
        """The document as JSON and as Markdown, by path under a release's `audit/`."""
        return {"differences.json": self.body(), "differences.md": self.text().encode()}

    def text(self) -> str:
        """The document as Markdown, which is readable as plain text, too."""
        return "\n".join(_lines(self)) + "\n"


def differences(files: ReleasedFiles, before: Manifest, after: Manifest) -> Differences:
    """Compare two releases; files of equal content are not opened.

    Raises
    ------
    StoreError
        If a file of either release cannot be read.
    """
    names = list(dict.fromkeys((*before.tables, *after.tables)))
    tables = {
        name: _table_difference(before.tables.get(name), after.tables.get(name)) for name in names
    }
    changed = {name: one for name, one in tables.items() if one is not None}
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
    both = old_parts.keys() & new_parts.keys()
    if old == new and old_parts == new_parts:
        return None
    return TableDifference(
        rows_before=before.rows if before else 0,
        rows_after=after.rows if after else 0,
        bytes_before=before.bytes if before else 0,
        bytes_after=after.bytes if after else 0,
        columns_added=tuple(sorted(new.keys() - old.keys())),
        columns_removed=tuple(sorted(old.keys() - new.keys())),
        columns_retyped=tuple(
            sorted(name for name in old.keys() & new.keys() if old[name] != new[name])
        ),
        partitions_added=tuple(sorted(new_parts.keys() - old_parts.keys())),
        partitions_removed=tuple(sorted(old_parts.keys() - new_parts.keys())),
        partitions_changed=tuple(sorted(one for one in both if old_parts[one] != new_parts[one])),
    )


def _columns(table: ReleasedTable | None) -> dict[str, tuple[str, str | None]]:
    return {one.name: (one.type, one.unit) for one in table.columns} if table else {}


def _partitions(table: ReleasedTable | None) -> dict[str, list[str]]:
    """Hashes of the files of each partition."""
    found: dict[str, list[str]] = {}
    for file in table.files if table else ():
        found.setdefault("/".join(file.partition) or "(whole)", []).append(file.sha256)
    return found


def _lines(found: Differences) -> Iterator[str]:
    yield f"# Differences: {found.before} → {found.after}"
    if found.schema_before != found.schema_after:
        yield f"\nSchema version: {found.schema_before or 'none'} → {found.schema_after or 'none'}"
    yield "\n## Tables\n"
    for name, table in found.tables.items():
        yield from _table_lines(name, table)
    yield f"- unchanged: {', '.join(found.unchanged) or 'none'}"
    yield from _section(
        "Vectors that moved (cosine of a vector with its former self)",
        (line for one in found.vectors for line in _vector_lines(one)),
    )
    yield from _section(
        "Gene names that mean something else",
        (line for one in found.mappings for line in _mapping_lines(one)),
    )
    yield from _section("Metrics that moved, furthest first", _metric_lines(found.metrics))


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


def _vector_lines(one: VectorDrift) -> Iterator[str]:
    counts = f"{one.compared:,} compared, {one.added:,} added, {one.removed:,} removed"
    spread = ", ".join(f"{name} {value:.4f}" for name, value in (one.quantiles or {}).items())
    yield (
        f"- {one.table} {markdown_text(one.partition)}: {counts}; "
        f"{spread or markdown_text(one.incomparable)}"
    )
    for worst in one.worst:
        yield f"    - {worst.cosine:.4f} {markdown_text(worst.label)} {markdown_text(worst.id)}"


def _mapping_lines(one: MappingChange) -> Iterator[str]:
    yield f"- {markdown_text(one.collection)}: {one.changed:,} of {one.compared:,}"
    for turn, n in one.turns.items():
        yield f"    - {markdown_text(turn)}: {n:,}, such as {_some(one.examples[turn])}"


def _metric_lines(metrics: tuple[MetricChange, ...]) -> Iterator[str]:
    for one in metrics[:SHOWN]:
        remark = "" if one.within_interval else "  **outside its former interval**"
        yield f"- {one.before:.4f} → {one.after:.4f}  {markdown_text(one.name)}{remark}"
    if len(metrics) > SHOWN:
        yield f"- and {len(metrics) - SHOWN} more, in differences.json"


def _some(names: tuple[str, ...], shown: int = 5) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(map(markdown_text, names[:shown])) + more
