"""Drug responses from a table: which line, which drug, which value in which unit."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import polars as pl

from genept.common import SourceError, listed
from genept.datasources.catalog import Collection, LookupTable, ResponseTable
from genept.datasources.download import Archives
from genept.datasources.readers.metadata import read_columns
from genept.datasources.readers.parsed import RESPONSE_SCHEMA, Quarantined


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
    "ambiguous_line": "several observations bear the line's name",
    "no_expression": "the line has responses, but no expression",
    "no_drug": "the drug is not named",
    "unknown_drug": "the drug is not in the dictionary",
    "not_finite": "the value is not a finite number",
}


def read_responses(
    archives: Archives,
    collection: Collection,
    table: ResponseTable,
    lines: Sequence[tuple[str, str]],
) -> tuple[pl.DataFrame, tuple[Quarantined, ...]]:
    """Average the responses of each observation to each drug.

    Parameters
    ----------
    lines
        What the table calls a line, and the id of its observation.

    Returns
    -------
    frame, quarantined
        Of `RESPONSE_SCHEMA`; and what has no place, counted per line (or drug) and reason.

    Raises
    ------
    SourceError
        A column is missing, or the values cannot be of the unit that is declared.
    """
    what = collection.sources[table.source]
    wanted = {table.line, table.drug, table.value, *table.only}
    frame = read_columns(archives, collection, table, wanted)
    missing = [name for name in sorted(wanted) if name not in frame.columns]
    if missing:
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
    ids, ambiguous = _ids(lines, table)
    synonyms = _names(archives, collection, table.synonyms)
    drugs = _names(archives, collection, table.drugs) if table.drugs else None
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
            "is_ambiguous": [key in ambiguous for key in keys],
            "value": values,
        },
        schema_overrides={"observation_id": pl.String, "drug_id": pl.String},
    ).with_columns(
        reason=pl.when("is_ambiguous")
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
        .with_columns(measure=pl.lit(table.measure), unit=pl.lit(table.unit))
        .sort("observation_id", "drug_id")
    )
    return averaged.select(RESPONSE_SCHEMA.names()), (*not_selected, *_kept_out(rows))


def _kept_out(rows: pl.DataFrame) -> tuple[Quarantined, ...]:
    odd = (
        rows.filter(pl.col("reason").is_not_null())
        .with_columns(
            item=pl.when(pl.col("reason") == "unknown_drug").then("drug").otherwise("name")
        )
        .group_by("item", "reason")
        .len()
        .sort("item", "reason")
    )
    return tuple(
        Quarantined("response", item, reason, _DETAILS[reason], n)
        for item, reason, n in odd.iter_rows()
    )


def _ids(lines: Sequence[tuple[str, str]], table: ResponseTable) -> tuple[dict[str, str], set[str]]:
    """Observation ids by the spelling of their lines, and the spellings that several share."""
    bearers: defaultdict[str, set[str]] = defaultdict(set)
    for name, id_ in lines:
        bearers[_spelled(name, table)].add(id_)
    ambiguous = {key for key, ids in bearers.items() if len(ids) > 1}
    return {key: min(ids) for key, ids in bearers.items() if key not in ambiguous}, ambiguous


def _spelled(name: str, table: ResponseTable) -> str:
    return normal_form(name) if table.spelling == "normal_form" else name.strip()


def _names(archives: Archives, collection: Collection, table: LookupTable | None) -> dict[str, str]:
    if table is None:
        return {}
    what = collection.sources[table.source]
    frame = read_columns(archives, collection, table, {table.published, table.ours})
    for column in (table.published, table.ours):
        if column not in frame.columns:
            raise SourceError(f"{what}: has no column {column!r}; found {listed(frame.columns)}")
    pairs = frame.select(pl.col(table.published), pl.col(table.ours).alias("ours")).drop_nulls()
    several = pairs.unique().filter(pl.col(table.published).is_duplicated())
    if several.height:
        raise SourceError(f"{what}: gives {several[0, 0]!r} several meanings; expected one")
    return dict(pairs.iter_rows())


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
