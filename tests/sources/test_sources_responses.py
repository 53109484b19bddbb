"""Fitted dose responses as GDSC publishes them, as CSV and as an Excel workbook."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest
from sources_files import odd, parse_files

from genept.sources.errors import SourceError
from genept.sources.parsed import ParsedCollection

EXPRESSION = "model,ZNF12,RPL3\nSIDM1,1,2\nSIDM2,3,4\nSIDM3,5,6\nSIDM4,5,7\n"
MODELS = "model,name\nSIDM1,NCI-H460\nSIDM2,TT\nSIDM3,T-T\nSIDM4,HT-29\n"
GDSC = [
    ["DATASET", "COSMIC_ID", "CELL_LINE_NAME", "SANGER_MODEL_ID", "DRUG_ID", "DRUG_NAME",
     "PUTATIVE_TARGET", "LN_IC50", "AUC", "RMSE", "Z_SCORE"],
    ["GDSC2", "905943", "NCI-H460", "SIDM1", "1003", "Camptothecin", "TOP1, TOP2", "-1.5", "0.93",
     "0.08", "0.4"],
    ["GDSC2", "905943", "NCI-H460", "SIDM1", "1003", "Camptothecin", "TOP1, TOP2", "-0.5", "0.9",
     "0.08", "0.4"],
    ["GDSC2", "930299", "TT", "SIDM2", "1003", "Camptothecin", "TOP1, TOP2", "2.25", "0.9", "0.1",
     "1"],
    ["GDSC1", "930299", "HT-29", "SIDM4", "1003", "Camptothecin", "TOP1, TOP2", "9", "0.9", "0.1",
     "1"],
    ["GDSC2", "930299", "HT29", "SIDM4", "1003", "Camptothecin", "", "0.75", "", "0.1", "1"],
]  # fmt: skip
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


def as_workbook(path: Path, rows: list[list[str]]) -> bytes:
    """The smallest workbook that Excel opens: one sheet, numbers as numbers."""
    office = "http://schemas.openxmlformats.org"
    cells = "".join(
        "<row>" + "".join(
            f'<c t="inlineStr"><is><t>{escape(it)}</t></is></c>' if not _number(it)
            else f"<c><v>{it}</v></c>"
            for it in row
        ) + "</row>"
        for row in rows
    )  # fmt: skip
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{office}/package/2006/content-types">'
        '<Default Extension="xml" ContentType="application/xml"/><Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{office}/package/2006/relationships">'
        f'<Relationship Id="r1" Type="{office}/officeDocument/2006/relationships/officeDocument" '
        'Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{office}/spreadsheetml/2006/main" '
        f'xmlns:r="{office}/officeDocument/2006/relationships"><sheets><sheet '
        'name="Sheet 1" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{office}/package/2006/relationships">'
        f'<Relationship Id="r1" Type="{office}/officeDocument/2006/relationships/worksheet" '
        'Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{office}/spreadsheetml/2006/main">'
        f"<sheetData>{cells}</sheetData></worksheet>",
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
        for name, part in parts.items():
            book.writestr(name, f'<?xml version="1.0" encoding="UTF-8"?>{part}')
    return path.read_bytes()


def _number(text: str) -> bool:
    return text.lstrip("-").replace(".", "").isdigit()


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
