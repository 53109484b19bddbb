"""Observations and drug responses out of a publisher's fields, and what of them is kept out.

Ids, groups and labels of observations; which line, which drug, which value in which unit. Where
the fields come from is the parser's business.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from genept.common import SourceError, listed, option
from genept.datasources.catalogue import Collection
from genept.datasources.download import Archives
from genept.datasources.formats import MatrixOptions, ResponseTable
from genept.datasources.readers.metadata import Reason, read_columns, read_names
from genept.datasources.readers.parsed import RESPONSE_SCHEMA, Mask, Quarantined, observation_frame


@dataclass(frozen=True, eq=False)
class ObservationTable:
    """The observations that are kept, whether each published row is, and the others."""

    observations: pl.DataFrame
    keep: Mask
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
    if missing := [name for name in wanted_fields(options) if name not in fields.columns]:
        raise SourceError(f"{what}: has no field {missing[0]!r}; found {listed(fields.columns)}")
    columns: dict[str, list[str | None]] = {
        name: fields[name].cast(pl.String).str.strip_chars().replace("", None).to_list()
        for name in wanted_fields(options)
    }
    groups, origin = _groups(ids, columns, options)

    def reason(row: int) -> Reason:
        for field, wanted in options.only.items():
            if (value := columns[field][row]) != wanted:
                return "not_selected", f"{field} is {value!r}; the catalogue takes {wanted!r}"
        if not groups[row]:
            return "no_group", f"{origin} gives no group, and no split may cut one"
        for label, field in options.labels.items():
            known, value = options.allowed.get(label), columns[field][row]
            if known and value is not None and value not in known:
                detail = f"{field} is {value!r}; the catalogue allows {sorted(known)}"
                return "unknown_label", detail
        return None

    out = [known or reason(row) for row, known in enumerate(reasons or [None] * len(ids))]
    kept = [row for row, problem in enumerate(out) if problem is None]
    kept_ids = [ids[row] for row in kept]
    if repeated := [id_ for id_, n in Counter(kept_ids).items() if n > 1]:
        raise SourceError(
            f"{what}: {len(repeated)} observation ids occur more than once, such as "
            f"{repeated[0]!r}: give each observation an id of its own, or name the right field "
            f"({option('observations', 'id')})"
        )
    labels: dict[str, Sequence[str | None] | str | None] = dict(options.constants.items())
    for label, field in options.labels.items():
        published = [columns[field][row] for row in kept]
        if known := options.allowed.get(label):
            published = [None if value is None else known[value] for value in published]
        labels[label] = published
    frame = observation_frame(kept_ids, [str(groups[row]) for row in kept], labels)
    keep = np.array([problem is None for problem in out], bool)
    counts: Counter[tuple[str, str]] = Counter()
    details: dict[tuple[str, str], str] = {}
    for id_, problem in zip(ids, out, strict=True):
        if problem is not None:
            counts[id_, problem[0]] += 1
            details.setdefault((id_, problem[0]), problem[1])
    quarantined = (
        Quarantined("observation", id_, why, details[id_, why], n)
        for (id_, why), n in counts.items()
    )
    return ObservationTable(frame, keep, tuple(quarantined))


def _groups(
    ids: Sequence[str], columns: dict[str, list[str | None]], options: MatrixOptions
) -> tuple[Sequence[str | None], str]:
    """Group of each observation, and where it comes from."""
    groups: Sequence[str | None] = columns[options.group] if options.group else ids
    origin = options.group or "the observation id"
    if options.group_pattern is None:
        return groups, origin
    pattern = re.compile(options.group_pattern)
    matches = [pattern.match(value) if value else None for value in groups]
    origin = f"{origin}, by options.group_pattern {options.group_pattern!r},"
    return [match[1] if match else None for match in matches], origin


def normal_form(name: str) -> str:
    """Cell-line name in upper case, letters and digits only: ``NCI-H460`` is ``NCIH460``.

    Parameters
    ----------
    name
        Name as published.

    Returns
    -------
    str
        Equal for spellings of one name; different names may become equal, too.
    """
    return re.sub(r"[^A-Z0-9]", "", name.upper())


_LARGEST_LOG: Final = {"ln(µM)": 30.0, "log10(µM)": 13.0, "log10(M)": 7.0}
"""Concentrations above these are no solution any more: the values are not logarithms."""

_DETAILS: Final = {
    "no_expression": "the line has responses, but no expression",
    "no_drug": "the drug is not named",
    "unknown_drug": "the drug is not in the dictionary",
    "not_finite": "the value is not a finite number",
}
_SHARED: Final = "several observations bear the line's name"


def read_responses(
    archives: Archives,
    collection: Collection,
    table: ResponseTable,
    lines: Sequence[tuple[str, str]],
) -> tuple[pl.DataFrame, tuple[Quarantined, ...]]:
    """Average the responses of each observation to each drug, as `averaged_responses` does.

    `lines` are what the table calls a line, and the id of its observation. A missing column is
    refused, and values that cannot be of the unit that is declared.
    """
    what = collection.sources[table.source]
    wanted = {table.line, table.drug, table.value, *table.only}
    frame = read_columns(archives, collection, table, wanted)
    if missing := [name for name in sorted(wanted) if name not in frame.columns]:
        raise SourceError(f"{what}: has no column {missing[0]!r}")
    not_selected = []
    for name, value in table.only.items():
        taken = frame.filter(pl.col(name) == value)
        if n := frame.height - taken.height:
            detail = f"the catalogue takes {value!r}"
            not_selected.append(Quarantined("response", name, "not_selected", detail, n))
        frame = taken
    values = frame[table.value].cast(pl.Float64, strict=False)
    _refuse_other_unit(values, table, what)
    ids, ambiguous = _ids_by_spelling(lines, table)
    synonyms = read_names(archives, collection, table.synonyms) if table.synonyms else {}
    drugs = read_names(archives, collection, table.drugs) if table.drugs else None
    keys = [_spelled(synonyms.get(it, it), table) if it else None for it in frame[table.line]]
    named = frame[table.drug].str.strip_chars().to_list()
    rows = pl.DataFrame(
        {
            "name": frame[table.line].fill_null(""),
            "drug": [it or "" for it in named],
            "observation_id": [ids.get(key) if key else None for key in keys],
            "drug_id": [
                (drugs.get(it) if drugs is not None else it) if it else None for it in named
            ],
            "ambiguous": [_SHARED if key in ambiguous else None for key in keys],
            "value": values,
        },
        schema_overrides=dict.fromkeys(("observation_id", "drug_id", "ambiguous"), pl.String),
    )
    averaged, kept_out = averaged_responses(rows, measure=table.measure, unit=table.unit)
    return averaged, (*not_selected, *kept_out)


def averaged_responses(
    rows: pl.DataFrame, *, measure: str, unit: str
) -> tuple[pl.DataFrame, tuple[Quarantined, ...]]:
    """Average measurements per observation and drug; keep out, with reasons, what has no place.

    Parameters
    ----------
    rows
        One per measurement: `name` of the line and `drug` as published, `observation_id` and
        `drug_id` (null: unknown), `ambiguous` (why the line is; null: it is not) and `value`.
    measure, unit
        What was measured, and in which unit.

    Returns
    -------
    frame, quarantined
        Of `RESPONSE_SCHEMA`; and what has no place, counted per line (or drug) and reason.
    """
    rows = rows.with_columns(
        reason=pl.when(pl.col("ambiguous").is_not_null())
        .then(pl.lit("ambiguous_line"))
        .when(pl.col("observation_id").is_null())
        .then(pl.lit("no_expression"))
        .when(pl.col("drug") == "")
        .then(pl.lit("no_drug"))
        .when(pl.col("drug_id").is_null())
        .then(pl.lit("unknown_drug"))
        .when(pl.col("value").is_null() | ~pl.col("value").is_finite())
        .then(pl.lit("not_finite"))
    )
    averaged = (
        rows.filter(pl.col("reason").is_null())
        .group_by("observation_id", "drug_id")
        .agg(value=pl.col("value").mean(), n_measured=pl.len().cast(pl.Int64))
        .with_columns(measure=pl.lit(measure), unit=pl.lit(unit))
        .sort("observation_id", "drug_id")
    )
    item = pl.when(pl.col("reason") == "unknown_drug").then("drug").otherwise("name").alias("item")
    odd = rows.filter(pl.col("reason").is_not_null()).group_by(item, "reason")
    return averaged.select(RESPONSE_SCHEMA.names()), tuple(
        Quarantined("response", item, reason, _DETAILS.get(reason, ambiguous), n)
        for item, reason, ambiguous, n in odd.agg(pl.first("ambiguous"), n=pl.len())
        .sort("item", "reason")
        .iter_rows()
    )


def _ids_by_spelling(
    lines: Sequence[tuple[str, str]], table: ResponseTable
) -> tuple[dict[str, str], set[str]]:
    """Observation ids by the spelling of their lines, and the spellings that several share."""
    bearers: defaultdict[str, set[str]] = defaultdict(set)
    for name, id_ in lines:
        bearers[_spelled(name, table)].add(id_)
    ambiguous = {key for key, ids in bearers.items() if len(ids) > 1}
    return {key: min(ids) for key, ids in bearers.items() if key not in ambiguous}, ambiguous


def _spelled(name: str, table: ResponseTable) -> str:
    return normal_form(name) if table.spelling == "normal_form" else name.strip()


def _refuse_other_unit(values: pl.Series, table: ResponseTable, what: str) -> None:
    finite = values.drop_nulls().filter(values.drop_nulls().is_finite())
    if finite.is_empty():
        raise SourceError(f"{what}: column {table.value!r} holds no finite number")
    low, high = float(finite.min()), float(finite.max())  # type: ignore[arg-type]
    if table.unit not in _LARGEST_LOG and low < 0:
        raise SourceError(
            f"{what}: {table.value!r} is declared as {table.unit}, but falls to {low:g}: is it a "
            "logarithm? State its unit in options.responses.unit"
        )
    if high > _LARGEST_LOG.get(table.unit, high):
        raise SourceError(
            f"{what}: {table.value!r} is declared as {table.unit}, but rises to {high:g}, which "
            "no concentration does: is it in µM or nM? State its unit in options.responses.unit"
        )
