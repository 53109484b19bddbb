"""Checks of written texts: a model that was not probed, or failed, is named."""

import polars as pl
from declared_rows import declared_rows

from genept.schema import CANARY
from genept.schema.tables import TABLES
from genept.storage import NewPart, Origin
from validation import unprobed_writers


def stored(lake, table, *frames):
    parts = [
        lake.build(
            f"{table}/{number}",
            Origin(code=("genept.schema.tables",), inputs={"number": str(number)}),
            lambda rows=rows, writer=writer: [NewPart(table, rows, (writer,))],
        )[0]
        for number, (writer, rows) in enumerate(frames)
    ]
    return lake.assemble(table, parts)


def made(table, writer, **columns):
    rows = pl.DataFrame(pl.from_arrow(declared_rows(TABLES[table], partition=(writer,))))
    return writer, rows.with_columns(writer=pl.lit(writer), **columns)


def probed(writer, passes):
    return made(
        "language_model_probes", writer,
        passes=pl.Series(passes), is_blocking=pl.Series([True, False, True]),
    )  # fmt: skip


def test_writers_that_passed_are_no_finding(lake):
    statements = stored(lake, "written_statements", made("written_statements", "a"))
    probes = stored(lake, "language_model_probes", probed("a", [True, False, True]))
    assert unprobed_writers(lake, statements, probes, ["a", "b"]) == []


def test_writers_that_failed_or_were_not_probed_are_named(lake):
    statements = stored(
        lake,
        "written_statements",
        *(made("written_statements", writer) for writer in ("a", "b", "self-edited-1")),
    )
    probes = stored(lake, "language_model_probes", probed("a", [True, True, False]))
    name = lake.read(probes).sort("probe")["probe"].to_list()
    findings = unprobed_writers(lake, statements, probes, ["a", "b"])
    assert findings[0].startswith("a wrote statements and fails ")
    assert findings[0].split("fails ")[1] in name
    assert findings[1:] == ["b wrote statements and was never probed"]
    none = lake.assemble("language_model_probes", [])
    assert len(unprobed_writers(lake, statements, none, ["a", "b"])) == 2


def test_a_canary_in_a_statement_is_found(lake):
    repeated = made("written_statements", "self-edited-1", statement=pl.lit(CANARY.upper()))
    statements = stored(lake, "written_statements", repeated)
    none = lake.assemble("language_model_probes", [])
    (finding,) = unprobed_writers(lake, statements, none, [])
    assert "3 statements have the canary" in finding
