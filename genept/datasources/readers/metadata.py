"""Tables beside a matrix, as text: of observations, of responses, of names.

Small against the matrix, so the columns that are asked for are held in memory.
CSV, TSV or a sheet of an Excel workbook; gzip, and members of archives.
"""

import csv
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeAlias

import polars as pl

from genept.common import SourceError, audience, listed
from genept.datasources.catalogue import Collection
from genept.datasources.download import Archives, open_text, refuse_large_zip, zip_names
from genept.datasources.formats import LookupTable, MetadataTable, TableFile
from genept.datasources.readers.attributes import field_of, with_attributes
from genept.datasources.readers.orientation import r_names
from genept.datasources.readers.parsed import Quarantined
from genept.datasources.readers.text_lines import Lines, read_header

Reason: TypeAlias = tuple[str, str] | None
"""Why an observation is kept out (reason, detail), if it is."""

READ_WHOLE: Final = 64 * 2**20
"""Bytes of a table all of whose fields are read: of a larger one, those that are named."""

_MAX_FIELD: Final = 1 << 20
_ENCODED: Final = {
    True: "--option 'metadata=[{encoding=\"latin-1\"}]'",
    False: "options.metadata = [{encoding = 'latin-1'}]",
}


def read_columns(
    archives: Archives, collection: Collection, table: TableFile, wanted: Iterable[str] | None
) -> pl.DataFrame:
    """Read columns of one of a collection's tables, as text.

    Parameters
    ----------
    archives
        Downloads the source where it is not cached.
    collection
        Entry of the catalogue whose sources the table names.
    table
        Position of the source, and how its text or workbook is read.
    wanted
        Their names; those that are not there are left out. None: all, and the
        first column always.

    Returns
    -------
    pl.DataFrame
        Text columns in the order of the file; empty fields are null.

    Raises
    ------
    SourceError
        It is no regular table, or no text.
    """
    path = archives.fetch(collection.sources[table.source])
    what = f"{path.name}, {table.member}" if table.member else path.name
    if table.member is None and path.is_file() and zipfile.is_zipfile(path):
        return _read_sheet(path, table, wanted)
    with open_text(path, table.member, what, encoding=table.encoding) as stream, _csv_limit():
        return _read_text(Lines(stream, what, table.encoding), table, wanted)


def _read_text(lines: Lines, table: TableFile, wanted: Iterable[str] | None) -> pl.DataFrame:
    first = read_header(lines, table.delimiter)
    header, delimiter = first.columns, first.delimiter
    _refuse_repeated(header, wanted, lines.what)
    chosen = [at for at, name in enumerate(header) if at == 0 or wanted is None or name in wanted]
    columns: list[list[str | None]] = [[] for _ in chosen]
    # One string object per distinct value: labels repeat a million times.
    known: dict[str, str | None] = dict.fromkeys(("", *table.missing))
    try:
        for row in csv.reader(_texts(lines), delimiter=delimiter.decode(), strict=True):
            if len(row) != len(header):
                raise SourceError(
                    f"{lines.what}: near line {lines.number} there are {len(row)} fields, expected "
                    f"{len(header)} as in the header: a ragged row, a wrong delimiter, or text "
                    f"that contains {delimiter.decode()!r} without quotes around it"
                )
            for column, at in zip(columns, chosen, strict=True):
                column.append(known.setdefault(row[at], row[at]))
    except csv.Error as error:
        raise SourceError(f"{lines.what}: near line {lines.number}: {error}") from error
    return pl.DataFrame(
        dict(zip((header[at] for at in chosen), columns, strict=True)),
        schema={header[at]: pl.String for at in chosen},
    )


def _texts(lines: Lines) -> Iterator[str]:
    """Lines with their ends, so that a quoted field may go over several; only UTF-8."""
    for line in lines:
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise SourceError(
                f"{lines.what}: line {lines.number} is not UTF-8: convert it, or declare its "
                f"encoding, such as {_ENCODED[audience() == 'command_line']}"
            ) from error
        if text:
            yield f"{text}\n"


def _refuse_repeated(header: Sequence[str], wanted: Iterable[str] | None, what: str) -> None:
    seen: set[str] = set()
    for name in header:
        if name in seen and (wanted is None or name in wanted):
            raise SourceError(f"{what}: two columns are called {name!r}; expected one")
        seen.add(name)


def _read_sheet(path: Path, table: TableFile, wanted: Iterable[str] | None) -> pl.DataFrame:
    if "[Content_Types].xml" not in zip_names(path, path.name):
        raise SourceError(
            f"{path.name}: is a zip but no Excel workbook: name the file in it as `member`"
        )
    refuse_large_zip(path, path.name)
    import fastexcel

    try:
        book = fastexcel.read_excel(path)
        sheet = book.load_sheet(table.sheet if table.sheet is not None else 0, dtypes="string")
        frame = sheet.to_polars()
    except fastexcel.FastExcelError as error:
        raise SourceError(
            f"{path.name}: sheet {table.sheet or 'the first'} cannot be read: "
            f"{str(error).splitlines()[0]}"
        ) from error
    chosen = [
        name for at, name in enumerate(frame.columns) if at == 0 or wanted is None or name in wanted
    ]
    return frame.select(pl.col(chosen).cast(pl.String).replace(dict.fromkeys(("", *table.missing))))


def read_names(archives: Archives, collection: Collection, table: LookupTable) -> dict[str, str]:
    """Published names and what they mean here; a name of several meanings is refused."""
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


def fields_by_id(
    archives: Archives,
    collection: Collection,
    tables: Sequence[MetadataTable],
    ids: Sequence[str],
    wanted: Sequence[str],
) -> tuple[pl.DataFrame, list[Reason], tuple[Quarantined, ...]]:
    """Join the fields of several tables to observations, by id.

    Parameters
    ----------
    archives
        Downloads sources that are not cached.
    collection
        Entry of the catalogue whose sources the tables name.
    tables
        Which sources are tables of observations, and which column has the ids.
    ids
        Ids of the observations that have expression.
    wanted
        Fields that are read of a file of more than `READ_WHOLE`, of others all are;
        `name.column` for those of a table with a name.

    Returns
    -------
    fields
        A row per id, in the order of `ids`.
    reasons
        Per id, that it is in none of one table's rows, if so.
    unmatched
        Observations that only a table knows.

    Raises
    ------
    SourceError
        A table has no ids, or two rows of one.
    """
    joined = pl.DataFrame({"": list(ids)}, schema={"": pl.String})
    reasons: list[Reason] = [None] * len(ids)
    unmatched: dict[str, Quarantined] = {}
    known = set(ids)
    for table in tables:
        prefix = f"{table.name}." if table.name else ""
        named = {name.removeprefix(prefix) for name in wanted if name.startswith(prefix)}
        columns = {*named, *map(field_of, named)} | ({table.id} if table.id else set())
        path = archives.fetch(collection.sources[table.source])
        is_small = path.is_file() and path.stat().st_size <= READ_WHOLE
        frame = read_columns(archives, collection, table, None if is_small else columns)
        what = path.name
        what = f"{what}, {table.member}" if table.member else what
        frame = _keyed(frame, table, what, prefix)
        rows = set(frame[""])
        for at, id_ in enumerate(ids):
            if id_ not in rows and reasons[at] is None:
                reasons[at] = ("no_metadata", f"has expression, but is not in {what}")
        for id_ in frame[""]:
            if id_ not in known:
                detail = f"is in {what}, but has no expression"
                unmatched[id_] = Quarantined("observation", id_, "no_expression", detail)
        new = [name for name in frame.columns if name == "" or name not in joined.columns]
        joined = joined.join(frame.select(new), on="", how="left", maintain_order="left")
    return with_attributes(joined.drop(""), wanted), reasons, tuple(unmatched.values())


def _keyed(frame: pl.DataFrame, table: MetadataTable, what: str, prefix: str) -> pl.DataFrame:
    """The table with its ids in the column ``""``."""
    key = table.id or frame.columns[0]
    if key not in frame.columns:
        raise SourceError(
            f"{what}: has no column {key!r} of observation ids to join by; found "
            f"{listed(frame.columns)}: name it in the table's `id`"
        )
    ids = frame[key]
    if ids.null_count():
        raise SourceError(
            f"{what}: {ids.null_count()} rows have no id in {key!r}: rows are joined by id, never "
            "by position; complete it, or name another column in the table's `id`"
        )
    if table.spelling == "r_names":
        ids = pl.Series(r_names(ids), dtype=pl.String)
    if ids.n_unique() != len(ids):
        twice = ids.filter(ids.is_duplicated())[0]
        n, where = int(ids.is_duplicated().sum()), repr(key) if key else "the first column"
        raise SourceError(
            f"{what}: {n} rows share their id in {where} with another, such as {twice!r}; expected "
            "one row per observation: take the others out, or name another column in the table's "
            "`id`"
        )
    renamed = frame.rename({name: f"{prefix}{name}" for name in frame.columns})
    return renamed.with_columns(ids.alias(""))


@contextmanager
def _csv_limit() -> Iterator[None]:
    before = csv.field_size_limit(_MAX_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(before)
