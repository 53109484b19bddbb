from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sources_files import column, dense, numbers, parse_files

from genept.common.errors import SourceError
from genept.datasources.readers.parsed import ParsedCollection

VALUES = numbers((1300, 4))
VALUES[:, 0] += 1
GENES = ["TP53", "EGFR", "KRAS", "MYC"]
WIDE = pl.DataFrame(
    {"cell": [f"c{row}" for row in range(1300)], "type": ["T", "B"] * 650}
    | {gene: VALUES[:, at] for at, gene in enumerate(GENES)}
)


def parse(tmp_path: Path, frame: pl.DataFrame, **options: Any) -> ParsedCollection:
    file = tmp_path / "x.parquet"
    frame.write_parquet(file, row_group_size=300)
    return parse_files(tmp_path / "cache", "parquet", "counts", [file], **options)


def test_wide_rows_are_read_in_place(tmp_path: Path) -> None:
    parsed = parse(tmp_path, WIDE, labels={"cell_type": "type"})
    assert parsed.input_genes == tuple(GENES)
    assert column(parsed, "cell_type") == ["T", "B"] * 650
    assert not (tmp_path / "cache" / "spools").exists()
    for start, stop in ((0, None), (0, 1), (299, 301), (512, 1299), (1300, 1301)):
        np.testing.assert_array_equal(dense(parsed, start, stop), VALUES[start:stop])
    assert len(pickle.dumps(parsed.expression)) < 1000


def test_long_rows_are_sorted(tmp_path: Path) -> None:
    long = WIDE.unpivot(GENES, index=["cell", "type"], variable_name="gene")
    long = long.filter(pl.col("value") != 0).sample(fraction=1.0, shuffle=True, seed=1)
    parsed = parse(
        tmp_path,
        long,
        layout="long",
        observations="cell",
        genes="gene",
        labels={"cell_type": "type"},
    )
    rows = [int(id_[1:]) for id_ in column(parsed, "observation_id")]
    columns = [GENES.index(gene) for gene in parsed.input_genes]
    np.testing.assert_array_equal(dense(parsed), VALUES[rows][:, columns])
    assert column(parsed, "cell_type") == [["T", "B"][row % 2] for row in rows]


@pytest.mark.parametrize(
    ("change", "options", "complaint"),
    [
        (pl.col("EGFR").replace(0, None), {}, r"row 1?\d*, column 'EGFR': the value is missing"),
        (pl.lit("a").alias("note"), {}, "column 'type' is large_string, not numbers"),
        (pl.lit(1), {"observations": "id"}, "has no column 'id'"),
        (pl.lit(1), {"layout": "long"}, "needs options.observations = .* and options.genes"),
    ],
)
def test_what_is_no_expression_is_refused(
    tmp_path: Path, change: pl.Expr, options: dict[str, Any], complaint: str
) -> None:
    frame = WIDE.with_columns(change)
    ignore = {} if "note" in frame.columns else {"ignore": ["type"]}
    with pytest.raises(SourceError, match=complaint):
        parse(tmp_path, frame, **options, **ignore)


@pytest.mark.parametrize(
    ("ids", "kind"),
    [
        (pl.Series([["c"]] * 1300), "(large_)?list"),
        (pl.Series([b"\xff"] * 1300), "(large_)?binary"),
        (pl.Series([{"a": 1}] * 1300), "struct"),
        (pl.Series([None] * 1300, dtype=pl.Null), "null"),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_ids_that_are_no_text_are_refused(
    tmp_path: Path, ids: pl.Series, kind: str, turned: bool
) -> None:
    frame = WIDE.drop("type").with_columns(ids.alias("cell"))
    options = {"genes": "cell"} if turned else {}
    with pytest.raises(SourceError, match=rf"x\.parquet: column 'cell' is {kind}"):
        parse(tmp_path, frame, **options)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1PAR1"])
def test_an_empty_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.parquet").write_bytes(content)
    with pytest.raises(
        SourceError, match=r"x\.parquet: is (empty|no parquet|parquet that was cut)"
    ):
        parse_files(tmp_path / "cache", "parquet", "counts", [tmp_path / "x.parquet"])


def test_a_table_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"x\.parquet: has no rows"):
        parse(tmp_path, WIDE.drop("type").clear())


def test_a_float_as_id_is_kept_as_it_is_written(tmp_path: Path) -> None:
    ids = pl.Series("cell", [float(row) for row in range(1299)] + [1e300])
    parsed = parse(tmp_path, WIDE.drop("type").with_columns(ids))
    kept = column(parsed, "observation_id")
    assert kept[-1] in {"1e300", "1e+300"}
    assert len(set(kept)) == 1300


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([("a", "g", 1.0, "T"), ("a", "g", 2.0, "T")], "has two values of gene"),
        ([("a", "g", 1.0, "T"), ("a", "h", 2.0, "B")], "'type' has several values for 'a'"),
        ([("a", "g", None, "T")], "holds missing or infinite values"),
        ([("a", None, 1.0, "T")], "column 'gene' is empty"),
    ],
)
def test_long_tables_that_contradict_themselves_are_refused(
    tmp_path: Path, rows: list[Any], complaint: str
) -> None:
    schema = {"cell": pl.String, "gene": pl.String, "value": pl.Float64, "type": pl.String}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    options = {"layout": "long", "observations": "cell", "genes": "gene"}
    with pytest.raises(SourceError, match=complaint):
        parse(tmp_path, frame, **options, labels={"cell_type": "type"})
