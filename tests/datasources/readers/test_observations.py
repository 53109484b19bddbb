"""Fitted dose responses as GDSC publishes them, as CSV and as an Excel workbook."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
from response_layouts import GDSC, as_workbook
from sources_files import odd, parse_files

from genept.common.errors import SourceError
from genept.datasources.readers.parsed import ParsedCollection

EXPRESSION = "model,ZNF12,RPL3\nSIDM1,1,2\nSIDM2,3,4\nSIDM3,5,6\nSIDM4,5,7\n"
MODELS = "model,name\nSIDM1,NCI-H460\nSIDM2,TT\nSIDM3,T-T\nSIDM4,HT-29\n"
RESPONSES = {
    "source": 2,
    "line": "SANGER_MODEL_ID",
    "drug": "DRUG_NAME",
    "value": "LN_IC50",
    "measure": "ln_ic50",
    "unit": "ln(µM)",
    "only": {"DATASET": "GDSC2"},
}


def as_csv(rows: list[list[str]]) -> bytes:
    return "\r\n".join(
        ",".join(f'"{it}"' if "," in it else it for it in row) for row in rows
    ).encode()


def parse(tmp_path: Path, responses: bytes, **changes: Any) -> ParsedCollection:
    files = []
    for at, data in enumerate((EXPRESSION.encode(), MODELS.encode(), responses)):
        files.append(tmp_path / f"file-{at}")
        files[-1].write_bytes(data)
    return parse_files(
        tmp_path / "cache",
        "table",
        "counts",
        files,
        metadata=[{"id": "model"}],
        responses=RESPONSES | changes,
    )


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_gdsc_is_averaged_per_line_and_drug(tmp_path: Path, kind: str) -> None:
    data = as_csv(GDSC) if kind == "csv" else as_workbook(tmp_path / "x.xlsx", GDSC)
    parsed = parse(tmp_path, data)
    assert parsed.responses is not None
    assert parsed.responses.rows() == [
        ("SIDM1", "Camptothecin", -1.0, "ln_ic50", "ln(µM)", 2),
        ("SIDM2", "Camptothecin", 2.25, "ln_ic50", "ln(µM)", 1),
        ("SIDM4", "Camptothecin", 0.75, "ln_ic50", "ln(µM)", 1),
    ]
    assert odd(parsed) == {("DATASET", "not_selected", 1)}


def test_lines_may_be_joined_by_a_name_in_its_normal_form(tmp_path: Path) -> None:
    by_name = {"line": "CELL_LINE_NAME", "line_field": "name", "spelling": "normal_form"}
    parsed = parse(tmp_path, as_csv(GDSC), **by_name)
    assert parsed.responses is not None
    assert parsed.responses["observation_id"].to_list() == ["SIDM1", "SIDM4"]
    assert ("TT", "ambiguous_line", 1) in odd(parsed)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"value": "IC50"}, "has no column 'IC50'"),
        ({"value": "DRUG_NAME"}, "column 'DRUG_NAME' holds no finite number"),
        ({"sheet": "Sheet 2"}, "sheet Sheet 2 cannot be read"),
        ({"line_field": "alias"}, "there is no field 'alias'"),
    ],
)
def test_responses_that_are_not_there_are_refused(
    tmp_path: Path, changes: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(SourceError, match=complaint):
        parse(tmp_path, as_workbook(tmp_path / "x.xlsx", GDSC), **changes)


def test_a_zip_that_is_no_workbook_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a.csv", "x")
    with pytest.raises(SourceError, match="is a zip but no Excel workbook"):
        parse(tmp_path, (tmp_path / "x.zip").read_bytes())


def test_a_workbook_that_is_a_bomb_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "x")
        archive.writestr("xl/worksheets/sheet1.xml", bytes(1 << 23))
    with pytest.raises(SourceError, match="decompression bomb"):
        parse(tmp_path, (tmp_path / "x.zip").read_bytes())
