"""Rows 19–52 of the table of bad inputs that parsing decides: what each gets, and what it says."""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError
from sources_files import column, dense, odd, parse_files
from sources_layouts import tarred, zipped

from genept.common.errors import SourceError
from genept.datasources.readers.values import checked_blocks

TABLE = "id,ZNF12,RPL3,KRAS\nA,1,0,2\nB,0,3,0\n"
TURNED = "gene,A,B\nZNF12,1,0\nRPL3,0,3\nKRAS,2,0\n"
META = "id,type,donor\nB,T,d2\nA,B,d1\n"
JOINED = {"metadata": [{"id": "id"}], "labels": {"cell_type": "type"}, "group": "donor"}
RESPONSES = "line,drug,value\nA,Trametinib,1.5\nB,Erlotinib,-2\n"
RESPONSE = {
    "line": "line",
    "drug": "drug",
    "value": "value",
    "measure": "ln_ic50",
    "unit": "ln(µM)",
}


def packed(text: str = TABLE) -> bytes:
    return gzip.compress(text.encode())


def parquet(**columns: Any) -> bytes:
    data = io.BytesIO()
    pl.DataFrame(columns).write_parquet(data)
    return data.getvalue()


def array(values: Any) -> bytes:
    data = io.BytesIO()
    np.save(data, values, allow_pickle=True)
    return data.getvalue()


def link(name: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return entry


@dataclass(frozen=True)
class Bad:
    """A row of the table, the file that shows it, and what the message must say."""

    row: int
    what: str
    says: str
    data: str | bytes = TABLE
    more: tuple[str | bytes, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    name: str = "table.csv"
    format: str = "table"
    unit: str = "counts"

    def parse(self, folder: Path) -> Any:
        files = []
        for at, data in enumerate((self.data, *self.more)):
            file = folder / (self.name if at == 0 else f"more-{at}.csv")
            file.write_bytes(data.encode() if isinstance(data, str) else data)
            files.append(file)
        return parse_files(folder / "cache", self.format, self.unit, files, **self.options)


REFUSED = [
    Bad(19, "log1p as counts", "no whole numbers", TABLE.replace("2", "2.5")),
    Bad(21, "negative counts", "negative counts", TABLE.replace("2", "-2")),
    Bad(22, "NaN", r"table\.csv: row 'B' .*'RPL3': the value is missing.*impute_gene_mean",
        TABLE.replace("3,0", "NaN,0")),
    Bad(22, "infinite", r"row 'B'.*column 'RPL3': 'inf' is infinite",
        TABLE.replace("3,0", "inf,0"), unit="log2"),
    Bad(22, "infinite after an overflow", r"row 'B'.*column 'RPL3'.*infinite",
        TABLE.replace("3,0", "1e999,0"), unit="log2"),
    Bad(22, "empty, genes in rows", r"row 'RPL3' \(line 3\), column 'A': the value is missing",
        TURNED.replace("RPL3,0", "RPL3,")),
    Bad(22, "nothing to impute", "1 genes have no value in any observation, such as 'RPL3'",
        "id,ZNF12,RPL3\nA,1,NA\nB,2,NA\n", unit="log2", options={"missing": "impute_gene_mean"}),
    Bad(24, "above 2^24", r"row 'B', column 'RPL3' holds 16,777,217, beyond ±16,777,216",
        TABLE.replace("3,0", "16777217,0")),
    Bad(24, "above 2^24 in parquet", r"x\.parquet: row 2, column 'RPL3' holds 16,777,217, "
        "beyond ±16,777,216", parquet(id=["A", "B"], ZNF12=[1, 1], RPL3=[1, 16_777_217]),
        format="parquet", name="x.parquet"),
    Bad(24, "above 2^24 in long parquet", "'value' holds 16,777,217, beyond ±16,777,216",
        parquet(id=["A", "A"], gene=["ZNF12", "RPL3"], value=[1, 16_777_217]), format="parquet",
        name="x.parquet",
        options={"layout": "long", "observations": "id", "genes": "gene", "value": "value"}),
    Bad(25, "quoted thousands", r"line 3 \('B'\), column 'RPL3': the number '1,234' is quoted text",
        TABLE.replace("3,0", '"1,234",0')),
    Bad(25, "quoted number", "'3' is quoted text, .*: export plain numbers",
        TABLE.replace("3,0", '"3",0')),
    Bad(25, "thousands in a tsv", r"row 'B'.*column 'RPL3': '1,234' is a number with thousands",
        TABLE.replace(",", "\t").replace("3\t0", "1,234\t0")),
    Bad(25, "text in parquet", "column 'RPL3' is large_string, not numbers",
        parquet(id=["A"], ZNF12=[1], RPL3=["1,234"]), format="parquet", name="x.parquet"),
    Bad(26, "transposed", r"is transposed: .* genes are its columns, but they are its rows",
        TURNED, options={"genes_in": "columns"}),
    Bad(26, "the other way", r"genes are its rows, but they are its columns \(.*: set "
        r"options\.genes_in = 'columns'", options={"genes_in": "rows"}),
    Bad(26, "neither axis", "cannot tell which axis is genes", "id,x,y\nA,1,2\n"),
    Bad(27, "metadata too short", r"1 of its 2 observations have no row .*\['B'\].* 0 rows of the",
        more=("id,type,donor\nA,B,d1\n",), options=JOINED),
    Bad(27, "metadata too long", "0 of its 2 observations have no .* 1 rows of the metadata .*'C'",
        more=(META + "C,T,d3\n",), options=JOINED),
    Bad(27, "metadata without ids", "rows are joined by id, never by position",
        more=("id,type,donor\n,T,d2\n,B,d1\n",), options=JOINED),
    Bad(27, "no such id column", "has no column 'id' of observation ids to join by",
        more=("type,donor\nT,d2\nB,d1\n",), options=JOINED),
    Bad(27, "metadata twice", "2 rows share their id in 'id' with another, such as 'A'",
        more=(META + "A,T,d1\n",), options=JOINED),
    Bad(28, "repeated rows", "1 observation ids occur more than once, such as 'A'",
        TABLE.replace("B,", "A,")),
    Bad(28, "repeated columns", "observation ids occur more than once, such as 'A'",
        TURNED.replace("A,B", "A,A")),
    Bad(34, "cut gzip", "damaged or cut short", packed(TABLE * 9)[:-12], name="t.csv.gz"),
    Bad(34, "wrong CRC", "damaged or cut short.*CRC", packed()[:-8] + bytes(8), name="t.csv.gz"),
    Bad(34, "trailing bytes", "damaged or cut short", packed() + b"more", name="t.csv.gz"),
    Bad(35, "web page", "is a web page or XML, not data", "<!DOCTYPE html><html>no</html>"),
    Bad(35, "packed web page", "is a web page", packed("\n <html>no</html>"), name="t.csv.gz"),
    Bad(36, "zero bytes", r"t\.csv\.gz: is empty \(zero bytes\)", b"", name="t.csv.gz"),
    Bad(36, "nothing in gzip", "unpacks to nothing", gzip.compress(b""), name="t.csv.gz"),
    Bad(38, "gzip bomb", "decompression bomb", gzip.compress(b"0" * (1 << 23)), name="t.csv.gz"),
    Bad(38, "zip bomb", "decompression bomb", zipped({"t.csv": bytes(1 << 23)}),
        options={"member": "t.csv"}),
    Bad(38, "bomb in a tar", "decompression bomb",
        tarred({"t.csv.gz": gzip.compress(b"0" * (1 << 23))}), options={"member": "t.csv.gz"}),
    Bad(39, "path out of a zip", "leads out of it: refused", zipped({"../t.csv": TABLE, "t": "x"}),
        options={"member": "t.csv"}),
    Bad(39, "link in a tar", "is a link or a device: refused",
        tarred({"t.csv": TABLE.encode(), "x": link("x")}), options={"member": "t.csv"}),
    Bad(40, "UTF-16", r"is UTF-16, not UTF-8: .* options\.encoding = 'utf-16'",
        TABLE.encode("utf-16")),
    Bad(40, "Latin-1", r"line 3 is not UTF-8 .* options\.encoding = 'latin-1'",
        TABLE.replace("B", "Bé").encode("latin-1")),
    Bad(40, "Latin-1 metadata", "line 2 is not UTF-8",
        more=(META.replace("T", "é").encode("latin-1"),), options=JOINED),
    Bad(41, "declared delimiter is wrong", r"the header has no ';', which the option delimiter",
        options={"delimiter": ";"}),
    Bad(41, "no delimiter", "has no tab, comma, semicolon, bar or space", "id:ZNF12\nA:1\n"),
    Bad(41, "decimal comma", r"row 'A'.*column 'RPL3': '0,5' has a decimal comma: set "
        r"options\.decimal = ','", "id;ZNF12;RPL3\nA;1;0,5\n", unit="log2"),
    Bad(41, "short row", r"line 3 \('B'\) has 3 fields, expected 4 as in the header",
        TABLE.replace("B,0,3,0", "B,0,3")),
    Bad(41, "long row", r"line 3 \('B'\) has 5 fields, expected 4", TABLE.replace("3,0", "3,0,9")),
    Bad(41, "empty line", "line 3 is empty", TABLE.replace("\nB", "\n\nB")),
    Bad(41, "ragged metadata", "there are 2 fields, expected 3",
        more=(META.replace(",d1", ""),), options=JOINED),
    Bad(41, "text in a number's place", r"row 'A'.*'type': 'T' is not a number: .* as label or",
        "id,type,ZNF12,RPL3\nA,T,1,0\n"),
    Bad(45, "pickle", "is a Python pickle, which can run code", pickle.dumps({"A": 1})),
    Bad(45, "RDS", r"is an R object \(RDS\)", gzip.compress(b"X\n\0\0\0\3\0\4"), name="x.rds"),
    Bad(45, "npy of objects", "is a NumPy array without names", array(np.array([{}], object))),
    Bad(45, "workbook as a matrix", "is a zip or an Excel workbook", zipped({"a": "b"})),
    Bad(45, "HDF5 as a table", "its format must be one of HDF5", b"\x89HDF\r\n\x1a\n"),
    Bad(46, "parquet cut short", r"x\.parquet: is parquet that was cut short",
        parquet(id=["A"], ZNF12=[1])[:-20], format="parquet", name="x.parquet"),
    Bad(46, "no parquet", "is no parquet file", format="parquet"),
    Bad(50, "logarithms as µM", "declared as µM, but falls to -2: is it a logarithm",
        more=(RESPONSES,), options={"responses": RESPONSE | {"unit": "µM"}}),
    Bad(50, "nM as logarithms", r"declared as ln\(µM\), but rises to 1500",
        more=(RESPONSES.replace("1.5", "1500"),), options={"responses": RESPONSE}),
]  # fmt: skip


def read_through(bad: Bad, folder: Path) -> None:
    """What ingest does: parse, then look at every value."""
    parsed = bad.parse(folder)
    ids = parsed.observations["observation_id"].to_list()
    list(checked_blocks(parsed.expression, ids, bad.unit, inputs=parsed.input_genes))


@pytest.mark.parametrize("bad", REFUSED, ids=lambda bad: f"{bad.row}-{bad.what}")
def test_refused(bad: Bad, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=bad.says) as refused:
        read_through(bad, tmp_path)
    assert "collection c" in str(refused.value) or "in observation" in str(refused.value)
    kept = tmp_path / "cache" / "spools"
    assert not kept.exists() or not list(kept.rglob(".spool-*"))


def test_50_a_response_without_a_unit_is_no_entry(tmp_path: Path) -> None:
    without = {key: value for key, value in RESPONSE.items() if key != "unit"}
    bad = Bad(50, "", "", more=(RESPONSES,), options={"responses": without})
    with pytest.raises(ValidationError, match=r"responses\.unit\n.*Field required"):
        bad.parse(tmp_path)


def test_22_missing_values_are_imputed_where_the_catalogue_says_so(tmp_path: Path) -> None:
    data = "id,ZNF12,RPL3\nA,-9,1\nB,NA,2\nC,4,\n"
    for name, table, way in (("up.csv", data, "columns"), ("over.csv", turned(data), "rows")):
        options = {"missing": "impute_gene_mean", "floor": -2.0, "genes_in": way}
        parsed = Bad(22, "", "", table, name=name, unit="log2", options=options).parse(tmp_path)
        np.testing.assert_array_equal(dense(parsed), [[-2, 1], [1, 2], [4, 1.5]])
        assert [(it.action, it.reason, it.n) for it in parsed.remarks] == [
            ("fixed", "floored", 1),
            ("fixed", "imputed", 2),
        ]
        assert "of 6 values are missing, in 2 genes" in parsed.remarks[1].detail


def turned(table: str) -> str:
    rows = zip(*(line.split(",") for line in table.splitlines()), strict=True)
    return "".join(",".join(row) + "\n" for row in rows)


def test_23_an_observation_of_zeros_is_quarantined(tmp_path: Path) -> None:
    parsed = Bad(23, "", "", TABLE + "C,0,0,0\n").parse(tmp_path)
    assert odd(parsed) == {("C", "empty", 1)}
    assert column(parsed, "observation_id") == ["A", "B"]
    np.testing.assert_array_equal(dense(parsed), [[1, 0, 2], [0, 3, 0]])


@pytest.mark.parametrize("table", [TABLE, TURNED], ids=["columns", "rows"])
def test_26_which_axis_is_genes_is_detected(tmp_path: Path, table: str) -> None:
    parsed = Bad(26, "", "", table).parse(tmp_path)
    assert parsed.input_genes == ("ZNF12", "RPL3", "KRAS")
    np.testing.assert_array_equal(dense(parsed), [[1, 0, 2], [0, 3, 0]])


def test_27_metadata_in_another_order_is_joined_by_id(tmp_path: Path) -> None:
    parsed = Bad(27, "", "", more=(META,), options=JOINED).parse(tmp_path)
    assert column(parsed, "cell_type") == ["B", "T"]
    assert column(parsed, "group_id") == ["d1", "d2"]


def test_27_what_only_one_side_has_is_counted_where_that_is_allowed(tmp_path: Path) -> None:
    options = JOINED | {"unmatched": "quarantine"}
    more = ("id,type,donor\nA,B,d1\nC,T,d3\n",)
    parsed = Bad(27, "", "", more=more, options=options).parse(tmp_path)
    assert column(parsed, "observation_id") == ["A"]
    assert odd(parsed) == {("B", "no_metadata", 1), ("C", "no_expression", 1)}


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_40_a_declared_encoding_is_read(tmp_path: Path, encoding: str) -> None:
    data = TABLE.replace("B", "Bé").encode(encoding)
    parsed = Bad(40, "", "", data, options={"encoding": encoding}).parse(tmp_path)
    assert column(parsed, "observation_id") == ["A", "Bé"]


def test_40_a_byte_order_mark_is_taken_off_and_said(tmp_path: Path) -> None:
    parsed = Bad(40, "", "", b"\xef\xbb\xbf" + TABLE.encode()).parse(tmp_path)
    assert [it.reason for it in parsed.remarks] == ["byte_order_mark"]


def test_41_a_declared_decimal_comma_is_read(tmp_path: Path) -> None:
    data = "id;ZNF12;RPL3\r\nA;1;0,5\r\nB;-2,25;1e1\r\n"
    parsed = Bad(41, "", "", data, unit="log2", options={"decimal": ","}).parse(tmp_path)
    np.testing.assert_array_equal(dense(parsed), [[1, 0.5], [-2.25, 10]])


@pytest.mark.parametrize("delimiter", ["\t", ",", ";", "|"])
def test_41_the_delimiter_is_detected(tmp_path: Path, delimiter: str) -> None:
    parsed = Bad(41, "", "", TABLE.replace(",", delimiter)).parse(tmp_path)
    np.testing.assert_array_equal(dense(parsed), [[1, 0, 2], [0, 3, 0]])


@pytest.mark.parametrize("quote", ["", '"'])
def test_42_a_header_shifted_by_one_is_repaired_and_reported(tmp_path: Path, quote: str) -> None:
    q = quote
    data = f"{q}A{q}\t{q}B{q}\n{q}ZNF12{q}\t1\t0\n{q}RPL3{q}\t0\t3\n"
    parsed = Bad(42, "", "", data, name="r.txt").parse(tmp_path)
    assert column(parsed, "observation_id") == ["A", "B"]
    np.testing.assert_array_equal(dense(parsed), [[1, 0], [0, 3]])
    (remark,) = parsed.remarks
    assert (remark.action, remark.reason) == ("fixed", "shifted_header")


def test_49_an_unknown_label_is_quarantined(tmp_path: Path) -> None:
    options = JOINED | {"allowed": {"cell_type": {"T": "T cell", "B": "B cell"}}}
    data, meta = TABLE + "C,1,1,1\nD,2,2,2\n", META + "C,Tcel,d3\nD,,d4\n"
    parsed = Bad(49, "", "", data, more=(meta,), options=options).parse(tmp_path)
    assert column(parsed, "cell_type") == ["B cell", "T cell", None]
    (item,) = parsed.quarantined
    assert (item.input_id, item.reason) == ("C", "unknown_label")
    assert item.detail == "type is 'Tcel'; the catalogue allows ['B', 'T']"


def test_51_unknown_drugs_are_counted_and_synonyms_resolved(tmp_path: Path) -> None:
    responses = RESPONSES + "b-old,Erlotinib,0\nA,Mystery,1\nB,Mystery,2\nZ,Erlotinib,1\nA,,1\n"
    options = {
        "responses": RESPONSE
        | {
            "drugs": {"source": 2, "published": "name", "ours": "id"},
            "synonyms": {"source": 3, "published": "alias", "ours": "line"},
        }
    }
    more = (responses, "name,id\nTrametinib,D1\nErlotinib,D2\n", "alias,line\nb-old,B\n")
    parsed = Bad(51, "", "", more=more, options=options).parse(tmp_path)
    assert parsed.responses is not None
    assert parsed.responses.rows() == [
        ("A", "D1", 1.5, "ln_ic50", "ln(µM)", 1),
        ("B", "D2", -1.0, "ln_ic50", "ln(µM)", 2),
    ]
    assert odd(parsed) == {
        ("Mystery", "unknown_drug", 2),
        ("Z", "no_expression", 1),
        ("A", "no_drug", 1),
    }
