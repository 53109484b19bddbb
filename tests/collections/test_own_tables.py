"""Files of newcomers, from one command to tables: R's, pandas', scanpy's and Excel's habits.

Each is added without an option, or with the one that the refusal names; ingested; and read back
with polars: the right numbers under the right ids.
"""

from __future__ import annotations

import re
import secrets
import shlex
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from own_tables import Truth, annotated, excel, feature_counts, r_names, r_table, written
from typer.testing import CliRunner

import genept.cli.collections.collections_commands
import genept.client.installation
from genept.cli.collections.collections_commands import collections
from genept.client.platform import Platform
from genept.collections.dry_run import try_out
from genept.collections.ingestion import ingest
from genept.common.errors import SourceError
from genept.common.settings import Settings
from genept.nomenclature.reference import Reference

pytestmark = pytest.mark.index

Files = Callable[[Path, Truth], tuple[str, ...]]


@pytest.fixture(scope="module")
def genes(real_reference: pl.DataFrame) -> pl.DataFrame:
    """300 genes with ids of all kinds, some with hyphens in their symbols."""
    coding = real_reference.filter(
        pl.col("biotype") == "protein_coding",
        pl.col("ensembl_gene_id").is_not_null() & pl.col("entrez_id").is_not_null(),
    ).sort("hgnc_id")
    hyphens = coding.filter(pl.col("symbol").str.contains("^(HLA|KRTAP5|NKX2)-")).head(20)
    others = coding.filter(~pl.col("symbol").str.contains("[-.]")).sample(280, seed=5)
    return pl.concat([hyphens, others]).sort("ensembl_gene_id")


@pytest.fixture(scope="module")
def reference(real_reference: pl.DataFrame, genes: pl.DataFrame) -> Reference:
    """These genes, and all whose names are like wells of a plate."""
    well = "^[A-H](1[0-2]|[1-9])$"
    wells = real_reference.filter(
        pl.col("symbol").str.contains(well)
        | pl.col("aliases").list.eval(pl.element().str.contains(well)).list.any()
    )
    both = pl.concat([genes, wells]).unique("hgnc_id", maintain_order=True)
    made = Reference("hgnc-test", both)
    assert made.index.filter(pl.col("name").str.contains(well)).height > 20
    return made


@pytest.fixture(autouse=True)
def product(tmp_path, monkeypatch, object_store, reference) -> str:
    product = f"own-{secrets.token_hex(4)}"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("GENEPT_PRODUCT", product)
    for module in (genept.client.installation, genept.cli.collections.collections_commands):
        monkeypatch.setattr(module, "open_store", lambda *_, **__: object_store)
    monkeypatch.setattr(genept.client.installation, "starter_reference", lambda _: reference)

    def in_process(*files, **options):
        """The limits of the reading process are held by tests of their own; each costs seconds."""
        return try_out(*files, **options | {"limits": None})

    monkeypatch.setattr(genept.cli.collections.collections_commands, "try_out", in_process)
    return product


def add(*arguments: str) -> str:
    result = CliRunner().invoke(collections, ["add", *arguments, "--id", "mine", "--yes"])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def ingested() -> dict[str, pl.DataFrame]:
    """The tables of the collection that was added, as a run makes them."""
    platform = Platform(Settings())
    (added,) = platform.added
    parts = ingest(
        platform.lake,
        platform.collection_archives,
        added.collection,
        lambda: platform.reference,
        "reference-1",
    )
    return {part.table: platform.lake.read(part) for part in parts}


def numbers(tables: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """observation_id, ensembl_gene_id, value: what an analyst reads with polars."""
    axis = tables["gene_axis"].select("gene_index", "ensembl_gene_id")
    exploded = tables["expression"].explode("gene_index", "value")
    return exploded.join(axis, on="gene_index").select(
        "observation_id", "ensembl_gene_id", pl.col("value").cast(pl.Float64)
    )


def expected(truth: Truth, values: np.ndarray | None = None) -> pl.DataFrame:
    values = truth.counts if values is None else values
    n_genes, n_samples = values.shape
    return pl.DataFrame(
        {
            "observation_id": np.tile(np.array(truth.samples, object), n_genes).tolist(),
            "ensembl_gene_id": np.repeat(np.array(truth.ids, object), n_samples).tolist(),
            "value": values.ravel().astype(np.float64),
        }
    )


def assert_read_back(
    tables: dict[str, pl.DataFrame], truth: Truth, values: np.ndarray | None = None
) -> None:
    order = ["observation_id", "ensembl_gene_id"]
    stored, wanted = numbers(tables).sort(order), expected(truth, values).sort(order)
    assert stored.select(order).equals(wanted.select(order))
    np.testing.assert_allclose(stored["value"], wanted["value"], rtol=1e-6)


def assert_labelled(tables: dict[str, pl.DataFrame], truth: Truth) -> None:
    observations = tables["observations"].select("observation_id", "group_id", "cell_type")
    labels = truth.labels
    wanted = pl.DataFrame(
        {
            "observation_id": list(map(str, labels.index)),
            "group_id": labels["donor"].to_list(),
            "cell_type": labels["cell_type"].to_list(),
        }
    )
    assert observations.sort("observation_id").equals(wanted.sort("observation_id"))


def labels_of(path: Path, truth: Truth, text: str | None = None, encoding: str = "utf-8") -> str:
    return written(path, truth.labels.to_csv() if text is None else text, encoding)


# --- what is added without an option -------------------------------------------


def r_write_table(folder: Path, truth: Truth) -> tuple[str, ...]:
    labels = labels_of(folder / "labels.txt", truth, r_table(truth.labels))
    return written(folder / "counts.txt", r_table(truth.frame())), "--metadata", labels


def r_write_table_tab(folder: Path, truth: Truth) -> tuple[str, ...]:
    labels = labels_of(folder / "labels.tsv", truth, r_table(truth.labels, "\t", quote=False))
    counts = written(folder / "counts.tsv", r_table(truth.frame(), "\t", quote=False))
    return counts, "--metadata", labels


def r_col_names_na_gz(folder: Path, truth: Truth) -> tuple[str, ...]:
    labels = labels_of(folder / "labels.tsv.gz", truth, r_table(truth.labels, "\t", ""))
    return written(folder / "c.tsv.gz", r_table(truth.frame(), "\t", "")), "--metadata", labels


def r_write_csv(folder: Path, truth: Truth) -> tuple[str, ...]:
    labels = labels_of(folder / "labels.csv", truth, r_table(truth.labels, ",", ""))
    text = r_table(truth.frame("symbols").T, ",", "")
    return written(folder / "counts.csv", text), "--metadata", labels


def r_mangled_genes(folder: Path, truth: Truth) -> tuple[str, ...]:
    frame = truth.frame("symbols").T
    frame.columns = r_names(truth.symbols)
    labels = labels_of(folder / "labels.txt", truth, r_table(truth.labels, "\t"))
    return written(folder / "c.txt", r_table(frame, "\t")), "--metadata", labels


def fwrite(folder: Path, truth: Truth) -> tuple[str, ...]:
    labels = labels_of(folder / "labels.csv", truth, truth.labels.to_csv(index_label="rn"))
    frame = truth.frame().to_csv(index_label="rn")
    return written(folder / "counts.csv", frame), "--metadata", labels


def pandas_csv(folder: Path, truth: Truth) -> tuple[str, ...]:
    labels = labels_of(folder / "labels.csv", truth)
    return written(folder / "counts.csv", truth.frame().to_csv()), "--metadata", labels


def pandas_parquet_of_genes(folder: Path, truth: Truth) -> tuple[str, ...]:
    truth.frame().to_parquet(folder / "counts.parquet")
    return str(folder / "counts.parquet"), "--metadata", labels_of(folder / "labels.csv", truth)


def pandas_parquet_with_labels(folder: Path, truth: Truth) -> tuple[str, ...]:
    labels = truth.labels[["cell_type", "donor"]]
    truth.frame("symbols").T.join(labels).to_parquet(folder / "counts.parquet")
    return (str(folder / "counts.parquet"),)


def scanpy_h5ad(folder: Path, truth: Truth) -> tuple[str, ...]:
    data = annotated(truth)
    data.layers["raw_counts"] = data.X.copy()
    data.X = np.log1p(data.X / data.X.sum(axis=1, keepdims=True) * 1e4)
    data.write_h5ad(folder / "mine.h5ad")
    return (str(folder / "mine.h5ad"),)


def scanpy_to_df(folder: Path, truth: Truth) -> tuple[str, ...]:
    data = annotated(truth)
    data.obs.to_csv(folder / "obs.csv")
    return (
        written(folder / "counts.csv", data.to_df().to_csv()),
        "--metadata",
        str(folder / "obs.csv"),
    )


def excel_unicode_text(folder: Path, truth: Truth) -> tuple[str, ...]:
    def text(frame):
        return frame.to_csv(sep="\t", lineterminator="\r\n")

    labels = labels_of(folder / "labels.txt", truth, text(truth.labels), "utf-16")
    return written(folder / "c.txt", text(truth.frame("symbols")), "utf-16"), "--metadata", labels


def excel_semicolons(folder: Path, truth: Truth) -> tuple[str, ...]:
    labels = labels_of(folder / "labels.csv", truth, excel(truth.labels), "utf-8-sig")
    return written(folder / "counts.csv", excel(truth.frame()), "utf-8-sig"), "--metadata", labels


def of_feature_counts(folder: Path, truth: Truth) -> tuple[str, ...]:
    counts = written(folder / "counts.txt", feature_counts(truth))
    return counts, "--metadata", labels_of(folder / "labels.csv", truth)


@pytest.mark.parametrize(
    "files",
    [
        *(r_write_table, r_write_table_tab, r_col_names_na_gz, r_write_csv, r_mangled_genes),
        *(fwrite, pandas_csv, pandas_parquet_of_genes, pandas_parquet_with_labels, scanpy_h5ad),
        *(scanpy_to_df, excel_unicode_text, excel_semicolons, of_feature_counts),
    ],
    ids=lambda files: files.__name__,
)
def test_counts_of_wells_are_added_without_an_option(files: Files, tmp_path, genes) -> None:
    truth = Truth.of(genes, seed=len(files.__name__))
    output = add(*files(tmp_path, truth))
    assert f"{len(truth.samples)} observations in 6 groups, {genes.height} genes; 100.0%" in output
    tables = ingested()
    assert_read_back(tables, truth)
    assert_labelled(tables, truth)


@pytest.mark.parametrize(
    "names",
    [
        lambda genes: genes["symbol"].head(60).to_list(),
        lambda _: [f"ENSG9{number:010d}" for number in range(60)],
        lambda _: [str(number) for number in range(1, 61)],
        lambda _: [str(number) for number in range(1000, 7000, 100)],
        lambda _: [f"my sample, {number}" for number in range(60)],
    ],
    ids=["genes", "ensembl", "integers", "patients", "commas"],
)
@pytest.mark.parametrize("genes_in", ["rows", "columns"])
def test_samples_may_be_named_like_anything(names, genes_in, tmp_path, genes) -> None:
    truth = Truth.of(genes, seed=3).named(names(genes))
    frame = truth.frame("symbols") if genes_in == "rows" else truth.frame("symbols").T
    counts = written(tmp_path / "counts.csv", frame.to_csv())
    add(counts, "--metadata", labels_of(tmp_path / "labels.csv", truth))
    tables = ingested()
    assert_read_back(tables, truth)
    assert_labelled(tables, truth)


def test_labels_are_joined_to_names_that_r_changed(tmp_path, genes) -> None:
    truth = Truth.of(genes, seed=4).named([f"{number}-a" for number in range(60)])
    frame = truth.frame()
    frame.columns = r_names(truth.samples)
    counts = written(tmp_path / "counts.csv", r_table(frame, ",", ""))
    labels = labels_of(tmp_path / "l.csv", truth, r_table(truth.labels, ",", ""))
    assert "by its first column, as R's make.names spells them" in add(counts, "--metadata", labels)
    tables = ingested()
    assert_read_back(tables, truth.named(frame.columns))
    by_id = dict(tables["observations"].select("observation_id", "cell_type").iter_rows())
    assert by_id == {
        changed: truth.labels.loc[name, "cell_type"]
        for changed, name in zip(frame.columns, truth.samples, strict=True)
    }


def test_a_decimal_comma_is_detected(tmp_path, genes) -> None:
    truth = Truth.of(genes, seed=6)
    values = np.round(truth.counts / truth.counts.sum(axis=0) * 1e6, 3)
    frame = truth.frame()
    frame[:] = 0
    frame = frame.astype(float)
    frame.loc[:, :] = values
    assert "numbers have a decimal comma" in add(
        written(tmp_path / "tpm.csv", excel(frame), "utf-8-sig")
    )
    assert_read_back(ingested(), truth, values.astype(np.float32))


def test_what_was_repaired_is_said_in_words(tmp_path, genes) -> None:
    truth = Truth.of(genes, seed=6)
    output = add(written(tmp_path / "counts.txt", "\ufeff" + r_table(truth.frame())))
    assert "fixed: 1 × shifted_header (file counts.txt: the header has a name less than" in output
    assert "R writes no name over the row names" in output
    assert "fixed: 1 × byte_order_mark (file counts.txt: the byte-order mark" in output


def test_genes_that_became_dates_are_counted_and_the_others_are_right(tmp_path, genes) -> None:
    truth = Truth.of(genes, seed=7)
    frame = truth.frame("symbols")
    frame.index = ["1-Mar", "1-Mar", "44075", *truth.symbols[3:]]
    add(written(tmp_path / "counts.csv", excel(frame), "utf-8-sig"))
    tables = ingested()
    rest = Truth(genes[3:], truth.samples, truth.counts[3:])
    assert_read_back(tables, rest)
    lost = tables["gene_mapping"].filter(pl.col("ensembl_gene_id").is_null())
    assert dict(lost["outcome"].value_counts().iter_rows()) == {
        "spreadsheet_date": 2,
        "spreadsheet_number": 1,
    }


# --- what takes the option that the refusal names ------------------------------


def added_as_advised(*arguments: str) -> tuple[str, dict[str, pl.DataFrame]]:
    """The refusal, and the tables after its own option was given."""
    with pytest.raises(SourceError) as refused:
        add(*arguments)
    advice = re.search(r"--option ('[^']+'|[^\s:;,]+)", str(refused.value))
    assert advice, str(refused.value)
    add(*arguments, "--option", *shlex.split(advice[1]))
    return str(refused.value), ingested()


@pytest.mark.parametrize("value", ["x", "#N/A", "1.0.0", "1\r2", "\r1", "5\x1f", ""])
@pytest.mark.parametrize("genes_in", ["rows", "columns"])
def test_a_gene_with_a_value_that_is_no_number_is_never_passed_over(
    value, genes_in, tmp_path, genes
) -> None:
    truth = Truth.of(genes, seed=8)
    frame = truth.frame("symbols").astype(object)
    frame.iloc[17, 40] = "@@"
    text = (frame if genes_in == "rows" else frame.T).to_csv()
    counts = written(tmp_path / "counts.csv", text.replace("@@", value))
    gene, sample = truth.symbols[17], truth.samples[40]
    with pytest.raises(SourceError) as refused:
        add(counts)
    for part in ("counts.csv: row ", repr(gene), repr(sample), repr(value) if value else "missing"):
        assert part in str(refused.value)
    assert "mine" not in str(refused.value)
    add(counts, "--option", 'non_numeric="quarantine"')
    tables = ingested()
    kept = np.arange(genes.height) != 17
    assert_read_back(tables, Truth(genes.filter(kept), truth.samples, truth.counts[kept]))
    (row,) = tables["quarantine"].filter(reason="non_numeric").rows(named=True)
    assert (row["item"], row["input_id"], row["action"], row["n"]) == ("gene", gene, "kept_out", 1)
    assert repr(sample) in row["detail"]


def test_the_same_in_a_column_of_parquet(tmp_path, genes) -> None:
    truth = Truth.of(genes, seed=9)
    frame = truth.frame("symbols").T
    column = frame[truth.symbols[5]].astype(str)
    column.iloc[3] = "x"
    frame[truth.symbols[5]] = column
    frame.to_parquet(tmp_path / "counts.parquet")
    output, tables = added_as_advised(str(tmp_path / "counts.parquet"))
    assert f"row 'A4' (line 4), column {truth.symbols[5]!r} has 'x'" in output
    assert tables["gene_axis"].height == genes.height - 1
    assert tables["quarantine"].filter(reason="non_numeric")["input_id"].to_list() == [
        truth.symbols[5]
    ]


def test_samples_without_labels(tmp_path, genes) -> None:
    truth = Truth.of(genes, seed=10)
    counts = written(tmp_path / "my counts (1).csv", truth.frame().to_csv())
    labels = labels_of(tmp_path / "labels.csv", truth, truth.labels.iloc[5:].to_csv())
    output, tables = added_as_advised(counts, "--metadata", labels)
    assert "my counts (1).csv: 5 of its 72 observations have no row in the metadata ([" in output
    assert tables["observations"].height == 67
    assert tables["quarantine"].filter(reason="no_metadata").height == 5


def test_labels_without_samples_are_counted(tmp_path, genes) -> None:
    truth = Truth.of(genes, seed=11)
    counts = written(tmp_path / "counts.csv", truth.frame().iloc[:, :60].to_csv())
    output = add(counts, "--metadata", labels_of(tmp_path / "labels.csv", truth))
    assert "metadata: 12 of its rows have no expression, and are counted in quarantine: [" in output
    assert ingested()["quarantine"].filter(reason="no_expression").height == 12


def test_genes_on_both_axes_without_labels(tmp_path, genes) -> None:
    truth = Truth.of(genes, seed=12).named(genes["symbol"].tail(50).to_list())
    counts = written(tmp_path / "counts.txt", r_table(truth.frame()))
    output, tables = added_as_advised(counts)
    assert "cannot tell which axis is genes (100% of the names of its rows, 100%" in output
    assert_read_back(tables, truth)


def test_labels_in_latin_1(tmp_path, genes) -> None:
    truth = Truth.of(genes, seed=13)
    text = excel(truth.labels.assign(tissue="Köln"))
    counts = written(tmp_path / "counts.csv", truth.frame().to_csv())
    labels = labels_of(tmp_path / "labels.csv", truth, text, "latin-1")
    _, tables = added_as_advised(counts, "--metadata", labels)
    assert tables["observations"]["tissue"].unique().to_list() == ["Köln"]


# --- what is refused with what to do -------------------------------------------


def multi_index(folder: Path, truth: Truth) -> tuple[str, ...]:
    frame = truth.frame().T
    frame.index = [["b1"] * 36 + ["b2"] * 36, list(truth.samples)]
    return (written(folder / "counts.csv", frame.T.to_csv()),)


def without_index(folder: Path, truth: Truth) -> tuple[str, ...]:
    return (written(folder / "counts.csv", truth.frame("symbols").T.to_csv(index=False)),)


def genes_without_index(folder: Path, truth: Truth) -> tuple[str, ...]:
    return (written(folder / "counts.csv", truth.frame().to_csv(index=False)),)


def write_csvs(folder: Path, truth: Truth) -> tuple[str, ...]:
    annotated(truth).write_csvs(folder / "pieces", skip_data=False)
    return (str(folder / "pieces" / "X.csv"),)


def only_labels(folder: Path, truth: Truth) -> tuple[str, ...]:
    return (labels_of(folder / "labels.txt", truth, r_table(truth.labels)),)


def swapped(folder: Path, truth: Truth) -> tuple[str, ...]:
    counts, option, labels = r_write_table(folder, truth)
    return labels, option, counts


def labels_twice(folder: Path, truth: Truth) -> tuple[str, ...]:
    counts = written(folder / "counts.csv", truth.frame().to_csv())
    labels = truth.labels.iloc[[0, *range(72)]].to_csv()
    return counts, "--metadata", labels_of(folder / "labels.csv", truth, labels)


def samples_twice(folder: Path, truth: Truth) -> tuple[str, ...]:
    return (written(folder / "counts.csv", truth.frame().rename(columns={"A2": "A1"}).to_csv()),)


def labels_of_others(folder: Path, truth: Truth) -> tuple[str, ...]:
    counts = written(folder / "counts.csv", truth.frame().to_csv())
    labels = labels_of(folder / "labels.csv", truth, truth.labels.to_csv(index=False))
    return counts, "--metadata", labels


def spaces_without_quotes(folder: Path, truth: Truth) -> tuple[str, ...]:
    counts = written(folder / "counts.txt", r_table(truth.frame()))
    text = r_table(truth.labels, quote=False)
    return counts, "--metadata", labels_of(folder / "labels.txt", truth, text)


def workbook(folder: Path, truth: Truth) -> tuple[str, ...]:
    with zipfile.ZipFile(folder / "counts.xlsx", "w") as book:
        book.writestr("[Content_Types].xml", "<Types/>")
        book.writestr("xl/workbook.xml", "<workbook/>")
    return (str(folder / "counts.xlsx"),)


def macintosh(folder: Path, truth: Truth) -> tuple[str, ...]:
    return (written(folder / "counts.csv", truth.frame().to_csv(lineterminator="\r")),)


def with_a_title(folder: Path, truth: Truth) -> tuple[str, ...]:
    return (written(folder / "counts.csv", f"Supplementary Table 1,,\n{truth.frame().to_csv()}"),)


def without_header(folder: Path, truth: Truth) -> tuple[str, ...]:
    frame = truth.frame()[["A1"] * 3]
    return (written(folder / "counts.tab", frame.to_csv(sep="\t", header=False)),)


def thousands(folder: Path, truth: Truth) -> tuple[str, ...]:
    frame = (truth.frame() + 1000).map("{:,}".format)
    return (written(folder / "counts.csv", frame.to_csv()),)


def long_by_gene(folder: Path, truth: Truth) -> tuple[str, ...]:
    frame = truth.frame().stack().reset_index().set_axis(["gene", "sample", "n"], axis=1)
    return (written(folder / "long.csv", frame.to_csv(index=False)),)


def long_by_sample(folder: Path, truth: Truth) -> tuple[str, ...]:
    frame = truth.frame().melt(ignore_index=False, var_name="sample", value_name="n")
    return (written(folder / "long.csv", frame.to_csv(index_label="gene")),)


def empty_columns(folder: Path, truth: Truth) -> tuple[str, ...]:
    lines = [f"{line};;" for line in truth.frame().to_csv(sep=";").splitlines()]
    return (written(folder / "counts.csv", "\r\n".join(lines)),)


def empty_rows(folder: Path, truth: Truth) -> tuple[str, ...]:
    text = truth.frame().to_csv(sep=";") + ";" * len(truth.samples) + "\n"
    return (written(folder / "counts.csv", text),)


def paths_as_ids(folder: Path, truth: Truth) -> tuple[str, ...]:
    frame = truth.frame()
    frame.columns = [f"/data/{name}.sorted.bam" for name in frame.columns]
    labels = labels_of(folder / "labels.csv", truth, truth.labels.to_csv())
    return written(folder / "counts.csv", frame.to_csv()), "--metadata", labels


def tenx_folder(folder: Path, truth: Truth) -> tuple[str, ...]:
    (folder / "filtered").mkdir()
    return (str(folder / "filtered"),)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (with_a_title, r"counts\.csv: its first line, 'Supplementary Table 1', names no columns"),
        (without_header, r"counts\.tab: its first line is .* it has no header"),
        (thousands, r"counts\.csv: row .* \(line 2\), column 'A1' has '1,\d{3}', a number with"),
        (
            long_by_gene,
            r"long\.csv: looks like a long table.*pivot\(index='gene'",
        ),
        (
            long_by_sample,
            r"long\.csv: looks like a long table.*pivot\(index='gene'",
        ),
        (empty_columns, r"counts\.csv: 2 columns, the first of them column 74, have neither"),
        (empty_rows, r"counts\.csv: line 302 has neither a name nor a value: delete the empty"),
        (paths_as_ids, r"labels\.csv: none .*counts\.csv, such as '/data/A1.*same ids"),
        (tenx_folder, r"filtered: is a folder: pack the files of Cell Ranger"),
        (multi_index, r"counts\.csv: its header has 2 lines, as pandas writes .*df\.columns = "),
        (without_index, r"counts\.csv: its first column '.*' is named like a gene .*index=True"),
        (genes_without_index, r"counts\.csv: cannot tell .*first column 'A1' holds numbers: .*row"),
        (write_csvs, r"X\.csv: has numbers only, and no names .*adata\.to_df\(\)\.to_csv"),
        (only_labels, r"labels\.txt: .*give the matrix as FILE, and this one as --metadata"),
        (swapped, r"labels\.txt looks like the labels, and counts\.txt like the matrix: give them"),
        (
            labels_twice,
            r"labels\.csv: 2 rows share their id in the first column with another",
        ),
        (samples_twice, r"counts\.csv: 1 observation ids occur more than once, such as 'A1'"),
        (labels_of_others, r"labels\.csv: none of its columns .*counts\.csv, such as 'A1'"),
        (spaces_without_quotes, r"labels\.txt: its fields are separated by spaces.*must be quoted"),
        (workbook, r"counts\.xlsx: is an Excel workbook: save .* CSV UTF-8|'CSV UTF-8"),
        (macintosh, r"counts\.csv: its lines end in carriage returns alone"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_refusal_names_the_file_and_what_to_do(files: Files, says, tmp_path, genes) -> None:
    with pytest.raises(SourceError, match=says) as refused:
        add(*files(tmp_path, Truth.of(genes, seed=14)))
    assert "mine" not in str(refused.value)
    assert str(tmp_path) not in str(refused.value)
