"""Observations out of a publisher's fields: ids, groups and labels, and who is kept out.

One function for every format that has a matrix and fields of its observations.
Where the fields come from is the parser's business.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genept.common import SourceError, listed, option
from genept.datasources.catalog import Label, MatrixOptions
from genept.datasources.readers.parsed import Quarantined, observation_frame

Reason: TypeAlias = tuple[str, str] | None
"""Why an observation is kept out (reason, detail), if it is."""


@dataclass(frozen=True, eq=False)
class ObservationTable:
    """The observations that are kept, which rows those are, and the others.

    Parameters
    ----------
    observations
        Of `OBSERVATION_SCHEMA`, one row per observation that is kept.
    keep
        Per published row, whether it is kept.
    """

    observations: pl.DataFrame
    keep: NDArray[np.bool_]
    quarantined: tuple[Quarantined, ...]


def wanted_fields(options: MatrixOptions) -> list[str]:
    """Return the publisher's fields that a catalogue entry names, each once."""
    group = [options.group] if options.group else []
    return list(dict.fromkeys([*group, *options.labels.values(), *options.only]))


def observation_table(
    ids: Sequence[str],
    fields: pl.DataFrame,
    options: MatrixOptions,
    what: str,
    *,
    reasons: Sequence[Reason] | None = None,
) -> ObservationTable:
    """Name, group and label observations; quarantine those that cannot be.

    Parameters
    ----------
    ids
        One per row of the matrix.
    fields
        The publisher's fields, a row per id in the same order.
    reasons
        Per row, why (reason, detail) it is kept out already, or none.

    Raises
    ------
    SourceError
        A field that the catalogue names is not there, or two observations that are
        kept have one id.
    """
    missing = [name for name in wanted_fields(options) if name not in fields.columns]
    if missing:
        raise SourceError(f"{what}: has no field {missing[0]!r}; found {listed(fields.columns)}")
    columns = {name: _texts(fields[name]) for name in wanted_fields(options)}
    out: list[Reason] = list(reasons) if reasons is not None else [None] * len(ids)
    _apply(out, [_not_selected(row, columns, options) for row in range(len(ids))])
    groups, odd = _groups(ids, columns, options)
    _apply(out, odd)
    labels: dict[str, Sequence[str | None] | str | None] = dict(options.constants.items())
    published: dict[str, list[str | None]] = {}
    for label, field in options.labels.items():
        published[label], odd = _allowed(columns[field], label, field, options)
        _apply(out, odd)
    keep = np.array([reason is None for reason in out], bool)
    kept = [row for row, reason in enumerate(out) if reason is None]
    _refuse_repeated_ids([ids[row] for row in kept], what)
    labels |= {label: [values[row] for row in kept] for label, values in published.items()}
    frame = observation_frame(
        [ids[row] for row in kept],
        [str(groups[row]) for row in kept],
        labels,
    )
    return ObservationTable(frame, keep, quarantined_rows(ids, out))


def quarantined_rows(ids: Sequence[str], reasons: Sequence[Reason]) -> tuple[Quarantined, ...]:
    """Return one item per observation id and reason."""
    counts: Counter[tuple[str, str]] = Counter()
    details: dict[tuple[str, str], str] = {}
    for id_, reason in zip(ids, reasons, strict=True):
        if reason is not None:
            counts[id_, reason[0]] += 1
            details.setdefault((id_, reason[0]), reason[1])
    return tuple(
        Quarantined("observation", id_, why, details[id_, why], n)
        for (id_, why), n in counts.items()
    )


def _texts(column: pl.Series) -> list[str | None]:
    texts = column.cast(pl.String).str.strip_chars()
    return [text or None for text in texts]


def _apply(out: list[Reason], reasons: Sequence[Reason]) -> None:
    """The first reason to keep a row out is the one that is given."""
    for row, reason in enumerate(reasons):
        if out[row] is None:
            out[row] = reason


def _not_selected(row: int, columns: dict[str, list[str | None]], options: MatrixOptions) -> Reason:
    for field, wanted in options.only.items():
        if columns[field][row] != wanted:
            return (
                "not_selected",
                f"{field} is {columns[field][row]!r}; the catalogue takes {wanted!r}",
            )
    return None


def _groups(
    ids: Sequence[str], columns: dict[str, list[str | None]], options: MatrixOptions
) -> tuple[list[str | None], list[Reason]]:
    groups: list[str | None] = list(columns[options.group] if options.group else ids)
    where = options.group or "the observation id"
    if options.group_pattern is not None:
        pattern = re.compile(options.group_pattern)
        matches = [pattern.match(value) if value else None for value in groups]
        groups = [match[1] if match else None for match in matches]
        where = f"{where}, by options.group_pattern {options.group_pattern!r},"
    odd = [
        None if group else ("no_group", f"{where} gives no group, and no split may cut one")
        for group in groups
    ]
    return groups, odd


def _allowed(
    published: list[str | None], label: Label, field: str, options: MatrixOptions
) -> tuple[list[str | None], list[Reason]]:
    known = options.allowed.get(label)
    if not known:
        return published, [None] * len(published)
    odd = [
        ("unknown_label", f"{field} is {value!r}; the catalogue allows {sorted(known)}")
        if value is not None and value not in known
        else None
        for value in published
    ]
    return [known.get(value) if value is not None else None for value in published], odd


def _refuse_repeated_ids(ids: Sequence[str], what: str) -> None:
    repeated = [id_ for id_, n in Counter(ids).items() if n > 1]
    if repeated:
        raise SourceError(
            f"{what}: {len(repeated)} observation ids occur more than once, such as "
            f"{repeated[0]!r}: give each observation an id of its own, or name the right field "
            f"({option('observations', 'id')})"
        )
