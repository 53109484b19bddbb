"""GDSC's fitted dose responses, and the workbook that they are published as."""

from __future__ import annotations

import zipfile
from pathlib import Path
from xml.sax.saxutils import escape

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


def as_workbook(path: Path, rows: list[list[str]]) -> bytes:
    """A minimal Excel workbook: one sheet, numbers as numbers."""
    office = "http://schemas.openxmlformats.org"
    cells = "".join(
        "<row>" + "".join(
            f'<c t="inlineStr"><is><t>{escape(value)}</t></is></c>' if not _number(value)
            else f"<c><v>{value}</v></c>"
            for value in row
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
