"""The report of a collection's names: figures, order, and a picture that can be read."""

import base64
import re
from xml.etree import ElementTree as ET

import polars as pl
import pytest

from genept.nomenclature.mapping import _FATE, mapping_report
from genept.schema.tables import OUTCOMES

ROWS = [
    ("TP53", "exact", "ENSG00000000001", "approved", 0.5),
    ("p.1", "version_stripped", "ENSG00000000002", "version", 0.25),
    ("MDC", "ambiguous", None, "two", 0.0625),
    ("ERCC-00002", "control_feature", None, "a spike-in", 0.125),
    ("<b>|`x`*\n", "unknown", None, "no [source] | knows <it>", 0.0625),
]


def mapping(rows=ROWS):
    columns = ["input_id", "outcome", "ensembl_gene_id", "evidence", "expression_share"]
    return pl.DataFrame(rows, schema=columns, orient="row").with_columns(collection_id=pl.lit("c"))


def test_the_figures():
    report = mapping_report(mapping())
    assert report.collection == "c"
    assert report.coverage == (0.4, 0.75)
    assert report.outcomes["share_of_names"].sum() == pytest.approx(1)
    assert report.outcomes["share_of_expression"].sum() == pytest.approx(1)
    assert report.outcomes["outcome"].to_list() == [
        "exact", "version_stripped", "control_feature", "ambiguous", "unknown",
    ]  # fmt: skip


def test_nothing_mapped_is_no_coverage():
    assert mapping_report(mapping([("x", "unknown", None, "", 1.0)])).coverage == (0.0, 0.0)


def test_the_worst_losses_come_first_and_do_not_depend_on_the_order():
    lost = mapping_report(mapping()).lost["input_id"].to_list()
    assert lost == ["ERCC-00002", "<b>|`x`*\n", "MDC"]
    assert mapping_report(mapping(ROWS[::-1]), worst=2).lost["input_id"].to_list() == lost[:2]


def test_every_outcome_has_a_colour():
    assert set(_FATE) == set(OUTCOMES)


def test_the_picture_is_xml_with_widths_in_proportion():
    root = ET.fromstring(mapping_report(mapping()).picture())  # noqa: S314 - our own
    space = {"s": "http://www.w3.org/2000/svg"}
    bars = [box for box in root.findall("s:rect", space) if box.get("height") == "18"]
    widths = [float(box.get("width")) for box in bars]
    names, expression = widths[:5], widths[5:]
    assert names == [128.0] * 5
    assert expression == [320.0, 160.0, 40.0, 80.0, 40.0]
    starts = [float(box.get("x")) for box in bars[5:]]
    assert starts == [90.0, 410.0, 570.0, 610.0, 690.0]
    assert [box.find("s:title", space).text for box in bars[:1]] == ["mapped as it stands: 20.00%"]


def test_markdown_holds_the_picture_and_lets_no_name_break_it():
    report = mapping_report(mapping())
    text = report.markdown()
    assert text.startswith("**c**: 40.0% of names, 75.00% of expression\n")
    (encoded,) = re.findall(r"base64,([^)]+)\)", text)
    assert base64.b64decode(encoded).decode() == report.picture()
    (line,) = (line for line in text.splitlines() if "knows" in line)
    assert line.count("|") == 4
    assert not set("<>`*[]") & set(line)
    assert "&#60;b&#62;&#124;&#96;x&#96;&#42; |" in line
