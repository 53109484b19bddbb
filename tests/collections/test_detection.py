"""What is detected in a file, and what has to be named instead of guessed."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import anndata
import h5py
import mutations
import numpy as np
import polars as pl
import pytest
from own_files import GENES, REFERENCE, counts, write_counts, write_labels
from scipy.io import mmwrite
from scipy.sparse import csr_matrix

from genept.collections.detection import Detected, detect
from genept.collections.dry_run import dry_run_ingest
from genept.collections.sidecar import Sidecar, validated_sidecar
from genept.collections.user_collections import local_archives
from genept.common.errors import SourceError, advising
from genept.datasources.readers.orientation import gene_axis
from genept.nomenclature.mapping import Nomenclature

NOMENCLATURE = Nomenclature(REFERENCE.index)
MIRROR = Path(__file__).parents[3] / "shared" / "mirror"


def look(file: Path, metadata: Path | None = None, **given: object) -> Detected:
    sidecar = validated_sidecar({"id": "mine", **given}, "the test")
    return detect(file, metadata, sidecar, NOMENCLATURE, bucket="lake", product="p")


@pytest.mark.parametrize("genes_in", ["rows", "columns"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_table_lies_either_way_up(tmp_path, genes_in, packed):
    file = tmp_path / "mine.csv"
    write_counts(file, counts(), genes_in=genes_in)
    if packed:
        (tmp_path / "mine.csv.gz").write_bytes(gzip.compress(file.read_bytes()))
        file = tmp_path / "mine.csv.gz"
    detected = look(file)
    assert detected.entry.format == "table"
    assert detected.entry.options["genes_in"] == genes_in
    assert (detected.entry.unit, detected.entry.duplicate_policy) == ("counts", "sum")
    assert detected.open_questions == ()


def test_columns_of_text_are_labels_groups_or_passed_over(tmp_path):
    values = counts(6)
    frame = pl.DataFrame(
        {
            "id": list("abcdef"),
            "Cell.Type": ["T", "B"] * 3,
            "note": ["x"] * 6,
            "Donor ID": ["1"] * 6,
        }
        | {name: values[:, at] for at, name in enumerate(GENES)}
    )
    frame = frame.with_columns(pl.lit("p1").alias("Donor ID"))
    for name, write in (("t.tsv", lambda p: frame.write_csv(p, separator="\t")),
                        ("t.parquet", frame.write_parquet)):  # fmt: skip
        write(tmp_path / name)
        entry = look(tmp_path / name).entry
        assert entry.options["labels"] == {"cell_type": "Cell.Type"}
        assert entry.options["group"] == entry.group_axis == "Donor ID"
        assert entry.options["ignore"] == ["note"]
        assert (entry.kind, entry.unit) == ("single_cell", "counts")


def test_of_the_columns_of_a_wide_table_its_genes_are_no_other_fields(tmp_path):
    values = counts(6)
    frame = pl.DataFrame(
        {"id": list("abcdef"), "age": range(6)}
        | {name: values[:, at] for at, name in enumerate(GENES)}
    )
    frame.write_csv(tmp_path / "wide.csv")
    assert "other fields: age" in look(tmp_path / "wide.csv").seen


def test_one_negative_among_counts_asks_for_no_unit_and_is_named(tmp_path):
    values = counts(12).astype(int)
    values[3, 4] = -1
    write_counts(tmp_path / "mine.csv", values)
    detected = look(tmp_path / "mine.csv")
    assert (detected.entry.unit, detected.open_questions) == ("counts", ())
    archives = local_archives(detected.files, detected.sources, tmp_path / "links")
    with pytest.raises(SourceError, match=f"(?s)negative.*{GENES[4]}|{GENES[4]}.*negative"):
        dry_run_ingest(archives, detected.entry, REFERENCE)


def test_clean_counts_are_looked_for_beside_those_with_a_mistake(tmp_path):
    values = counts(30).astype(np.float32)
    adata = anndata.AnnData(values.copy())
    adata.var_names, adata.layers["counts"] = GENES, csr_matrix(values)
    adata.X[3, 4] = -1
    adata.write_h5ad(tmp_path / "x.h5ad")
    detected = look(tmp_path / "x.h5ad")
    assert (detected.entry.options["matrix"], detected.entry.unit) == ("layers/counts", "counts")
    adata.X, adata.layers["counts"] = np.log1p(values), csr_matrix(adata.X)
    adata.write_h5ad(tmp_path / "y.h5ad")
    assert "matrix" not in look(tmp_path / "y.h5ad").entry.options


def test_counts_are_found_beside_normalised_values(tmp_path):
    values = counts(30).astype(np.float32)
    adata = anndata.AnnData(np.log1p(values / values.sum(axis=1, keepdims=True) * 1e4))
    adata.var_names, adata.layers["counts"] = GENES, csr_matrix(values)
    adata.obs["disease"], adata.obs["donor_id"] = "none", [f"d{row % 3}" for row in range(30)]
    adata.write_h5ad(tmp_path / "x.h5ad")
    detected = look(tmp_path / "x.h5ad")
    assert detected.entry.options["matrix"] == "layers/counts"
    assert detected.entry.unit == "counts"
    assert detected.entry.options["labels"] == {"diagnosis": "disease"}
    assert detected.entry.options["group"] == "donor_id"
    assert any("counts are in layers/counts" in line for line in detected.seen)
    as_log = look(tmp_path / "x.h5ad", unit="log1p", options={"matrix": "X"})
    assert (as_log.entry.unit, as_log.entry.options["matrix"]) == ("log1p", "X")


def test_a_zip_of_10x_files(tmp_path):
    matrix = io.BytesIO()
    mmwrite(matrix, csr_matrix(counts(5).T), field="integer")
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as packed:
        packed.writestr("f/matrix.mtx", matrix.getvalue())
        rows = (f"ENSG{n:011d}\t{g}\tGene Expression\n" for n, g in enumerate(GENES, 1))
        packed.writestr("f/features.tsv", "".join(rows))
        packed.writestr("f/barcodes.tsv", "".join(f"AAAC-{n}\n" for n in range(5)))
    entry = look(tmp_path / "x.zip").entry
    assert (entry.format, entry.unit, entry.kind) == ("tenx_mtx", "counts", "single_cell")


def test_gct_and_geo_are_known_by_their_first_line(tmp_path):
    rows = "".join(f"{g}\t{g}\t{n}.5\t1e3\n" for n, g in enumerate(GENES))
    (tmp_path / "x.gct").write_text(f"#1.2\n60\t2\nName\tDescription\tA\tB\n{rows}")
    assert look(tmp_path / "x.gct").entry.format == "gct"
    rows = "".join(f'"{g}"\t{n}.5\t-1.25\n' for n, g in enumerate(GENES))
    (tmp_path / "x.txt").write_text(
        '!Series_title\t"x"\n!Sample_geo_accession\t"GSM1"\t"GSM2"\n'
        '!Sample_characteristics_ch1\t"disease: tumor"\t"disease: none"\n'
        '!Sample_characteristics_ch1\t"patient: 1"\t"patient: 2"\n'
        f'!series_matrix_table_begin\n"ID_REF"\t"GSM1"\t"GSM2"\n{rows}!series_matrix_table_end\n'
    )
    geo = look(tmp_path / "x.txt", unit="log2").entry
    assert geo.format == "geo_series"
    assert geo.options["labels"] == {"diagnosis": "characteristics: disease"}
    assert geo.options["group"] == "characteristics: patient"


def test_what_the_values_do_not_tell_is_asked_for(tmp_path):
    write_counts(tmp_path / "x.csv", counts() / 8)
    (question,) = look(tmp_path / "x.csv").open_questions
    assert question.startswith("unit: the values could be log2 or log1p or tpm")
    assert look(tmp_path / "x.csv", unit="tpm").open_questions == ()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("id,x,y\na,1,2\nb,3,4\n", "cannot tell which axis is genes"),
        ("<html></html>", "is a web page"),
        ("", r"is empty \(zero bytes\)"),
    ],
)
def test_what_is_no_expression_is_refused(tmp_path, content, says):
    (tmp_path / "x.csv").write_text(content)
    with pytest.raises(SourceError, match=says):
        look(tmp_path / "x.csv")


def test_metadata_of_other_observations_is_refused(tmp_path):
    write_counts(tmp_path / "x.csv", counts())
    write_labels(tmp_path / "labels.csv", ["other-1", "other-2"])
    with pytest.raises(SourceError, match=r"none of its columns \['note', 'barcode'.*'cell-0'"):
        look(tmp_path / "x.csv", tmp_path / "labels.csv")


def test_an_option_that_the_format_does_not_have_is_named(tmp_path):
    write_counts(tmp_path / "x.csv", counts())
    with pytest.raises(SourceError, match=r"^x\.csv: option colour: "):
        look(tmp_path / "x.csv", options={"colour": 1})


def test_a_sidecar_says_what_cannot_be():
    with pytest.raises(SourceError, match=r"x\.toml: id: .*pattern .*; unit: Input should be"):
        validated_sidecar({"id": "No Id", "unit": "rpm"}, "x.toml")
    assert Sidecar(id="x").redistributable is False


@pytest.mark.skipif(not MIRROR.exists(), reason="the mirror of public files is not here")
def test_pbmc3k_is_detected():
    detected = look(MIRROR / "single_cell" / "pbmc3k.h5ad")
    assert (detected.entry.format, detected.entry.unit, detected.entry.kind) == (
        "h5ad", "counts", "single_cell",
    )  # fmt: skip
    assert detected.entry.options["labels"]["cell_type"] == "cell_type"


@pytest.mark.parametrize("axis", ["rows", "columns"])
def test_short_ids_of_samples_that_are_old_names_of_genes_do_not_hide_the_genes(axis):
    genes = [f"ZNF{number}" for number in range(40)]
    samples = [f"S{number:02}" for number in range(20)]  # S10 is L1CAM, S15 RPS15

    def known(name):
        return name in genes or name >= "S12"

    names = (genes, samples) if axis == "rows" else (samples, genes)
    assert gene_axis(*names, known, declared=None, what="x") == axis
    with pytest.raises(SourceError, match=r"options\.genes_in = 'rows'"):
        gene_axis(genes, genes, known, declared=None, what="x")


def test_ids_that_the_reference_lacks_are_genes_and_wells_are_not(tmp_path):
    file = tmp_path / "plate.csv"
    ids = [f"ENSG{number:011d}" for number in range(700_001, 700_041)]
    wells = [f"{row}{column}" for row in "ABCDEFGH" for column in range(1, 13)]
    rows = (",".join([id_, *("1" for _ in wells)]) for id_ in ids)
    file.write_text("\n".join([",".join(["gene", *wells]), *rows]) + "\n")
    assert look(file, unit="counts").entry.options["genes_in"] == "rows"


@pytest.mark.parametrize(
    ("clean", "odd"),
    [
        (b"\ncell-3,", b"\n\rcell-3,"),
        (b"\ncell-3,", b'\n"\rcell-3",'),
        (b"cell-3,B", b"cell-3,\rB"),
        (b",GEN5,", b",\rGEN5,"),
    ],
)
def test_a_carriage_return_at_the_start_of_a_field_loses_no_row(tmp_path, clean, odd):
    data = mutations.csv()
    assert data.count(clean) == 1
    (tmp_path / "mine.csv").write_bytes(data.replace(clean, odd))
    assert mutations.looked_at(tmp_path / "mine.csv") == 40


def test_a_carriage_return_before_a_value_is_refused_with_its_place(tmp_path):
    data = mutations.csv().replace(b"cell-3,B cell,", b"cell-3,B cell,\r")
    (tmp_path / "mine.csv").write_bytes(data)
    with pytest.raises(SourceError, match=r"'cell-3' \(line 5\), column 'GEN1' has .*no number"):
        mutations.looked_at(tmp_path / "mine.csv")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("unit", [None, "counts"])
def test_an_h5ad_with_values_that_are_not_finite_is_refused(tmp_path, value, unit):
    (tmp_path / "mine.h5ad").write_bytes(mutations.h5ad())
    with h5py.File(tmp_path / "mine.h5ad", "a") as file:
        file["X/data"][5] = value
    given = {} if unit is None else {"unit": unit}
    with pytest.raises(SourceError, match=r"^mine\.h5ad: NaN or .* as -?(nan|inf) for 'GEN"):
        mutations.looked_at(tmp_path / "mine.h5ad", **given)


def test_an_h5ad_of_normalised_values_alone_is_detected_or_asked_about(tmp_path):
    """No layer's name says counts: there is nothing else to look for."""
    (tmp_path / "mine.h5ad").write_bytes(mutations.h5ad())
    with h5py.File(tmp_path / "mine.h5ad", "a") as file:
        file["X/data"][:] = np.log1p(file["X/data"][:] / 8)
    detected = look(tmp_path / "mine.h5ad")
    assert detected.open_questions[0].startswith("unit: the values could be")


def named_like_genes(folder: Path, n_genes: int = 30) -> Path:
    """A table of which the first genes and all samples are called GEN1, GEN2 and so on."""
    rows = zip(GENES, counts(len(GENES))[:, :n_genes].tolist(), strict=True)
    lines = [["", *GENES[:n_genes]], *([name, *map(str, values)] for name, values in rows)]
    (folder / "square.csv").write_text("".join(",".join(line) + "\n" for line in lines))
    return folder / "square.csv"


def test_labels_that_name_all_of_one_axis_decide_although_they_name_all_of_the_other(tmp_path):
    file = named_like_genes(tmp_path)
    write_labels(tmp_path / "labels.csv", GENES)
    assert look(file, tmp_path / "labels.csv").entry.options["genes_in"] == "columns"


def test_without_labels_a_table_of_samples_named_like_genes_asks_for_them(tmp_path):
    file = named_like_genes(tmp_path)
    with advising("command_line"), pytest.raises(SourceError) as refused:
        look(file)
    assert "square.csv: cannot tell which axis is genes" in str(refused.value)
    assert "--metadata labels.csv" in str(refused.value)
    assert "--option 'genes_in=\"rows\"'" in str(refused.value)
    with advising("sidecar"), pytest.raises(SourceError, match='metadata = "labels.csv"'):
        look(file)


def test_labels_of_another_matrix_are_refused_with_ids_of_both(tmp_path):
    file = named_like_genes(tmp_path)
    write_labels(tmp_path / "others.csv", ["p-1", "p-2"])
    with pytest.raises(SourceError) as refused:
        look(file, tmp_path / "others.csv")
    for part in ("square.csv: no id of the labels, others.csv, is", "'GEN1'", "another matrix"):
        assert part in str(refused.value)


def test_the_unit_that_an_owner_is_asked_for_is_named_as_it_is_written(tmp_path):
    write_counts(tmp_path / "x.csv", counts() * 100 / 3)
    for audience, setting in (("command_line", "--unit tpm for"), ("sidecar", 'unit = "tpm" for')):
        with advising(audience):
            (question,) = look(tmp_path / "x.csv").open_questions
        assert setting in question
        assert "not to a million" in question


def truncated(folder: Path, name: str) -> Path:
    """A file of counts that was not copied to its end."""
    write_counts(folder / "x.csv", counts(400))
    if name.endswith(".gz"):
        data = gzip.compress((folder / "x.csv").read_bytes())
    elif name.endswith(".parquet"):
        frame = pl.read_csv(folder / "x.csv")
        frame.write_parquet(folder / name)
        data = (folder / name).read_bytes()
    else:
        data = mutations.h5ad()
    (folder / name).write_bytes(data[: len(data) * 2 // 3])
    return folder / name


@pytest.mark.parametrize("name", ["mine.csv.gz", "mine.parquet", "mine.h5ad"])
def test_a_file_of_an_owner_that_is_cut_short_is_to_be_copied_again(tmp_path, name):
    file = truncated(tmp_path, name)
    with advising("command_line"), pytest.raises(SourceError) as refused:
        look(file)
    assert f"{name}: " in str(refused.value)
    assert "copy the whole file again from where it came" in str(refused.value)
    for wording in ("run again", "fetch it", "publisher", "archive"):
        assert wording not in str(refused.value)
