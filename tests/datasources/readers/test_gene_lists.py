"""Gene names out of people's own files, and files that must not be followed."""

import gzip

import h5py
import numpy as np
import pytest

from genept.common.errors import SourceError
from genept.datasources.readers.gene_lists import gene_name_batches


def written(folder, name, text):
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def read_gene_names(path, column=None):
    where, batches = gene_name_batches(path, column)
    return [name for batch in batches for name in batch], where


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "x,Gene\n1,TP53\n2,\n"),
        ("a.tsv", "x\tsymbol\n1\tTP53\n2\t\n"),
        ("a.txt", "symbol\tx\nTP53\t1\n\t2\n"),
        ("a.tab", "first\tx\nTP53\t1\n\t2\n"),
        ("A.CSV", "\ufeffgene,x\nTP53,1\n,2\n"),
        ("a.csv.gz", "gene,x\nTP53,1\n,2\n"),
    ],
)
def test_the_column_with_a_usual_name_or_the_first(tmp_path, name, text):
    names, where = read_gene_names(written(tmp_path, name, text))
    assert names == ["TP53", ""], "an empty name is kept: nothing vanishes"
    assert name in where


def test_names_are_text_whatever_they_look_like(tmp_path):
    path = written(tmp_path, "a.csv", "gene\n44075.0\n2.31E+13\n007\nNA\n TP53 \n")
    assert read_gene_names(path)[0] == ["44075.0", "2.31E+13", "007", "NA", " TP53 "]


def test_a_column_of_choice(tmp_path):
    path = written(tmp_path, "a.csv", "gene,other\nA,B\n")
    assert read_gene_names(path, "other") == (["B"], "column 'other' of a.csv")
    with pytest.raises(SourceError, match=r"a\.csv: has no column 'nix'; found \['gene', 'other'"):
        read_gene_names(path, "nix")


def test_the_header_of_a_wide_matrix(tmp_path):
    genes = [f"G{i}" for i in range(60)]
    text = "\n".join([",".join(["cell", *genes]), ",".join(["c1"] + ["0"] * 60)])
    assert read_gene_names(written(tmp_path, "a.csv", text)) == (genes, "the header of a.csv")


def test_a_table_of_r_has_no_name_over_the_names_of_its_rows(tmp_path):
    path = written(tmp_path, "a.txt", '"c1"\t"c2"\n"TP53"\t1\t0\n"2-Mar"\t3\t4\n"A1BG"\t3\t4\n')
    assert read_gene_names(path)[0] == ["TP53", "2-Mar", "A1BG"]
    with pytest.raises(SourceError, match="line 3 has 4 fields, the header 3"):
        read_gene_names(written(tmp_path, "b.txt", "c1\tc2\nTP53\t1\t0\nA1BG\t3\t4\t5\n"))


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.csv", "", "empty"),
        ("a.csv", "<!DOCTYPE html>\n<html></html>\n", "is a web page, not data"),
        ("a.csv", "gene,x\nA,1\nB,2,3\n", "line 3 has 3 fields, the header 2"),
        ("a.csv", "gene,x\nA,1\nB\n", "line 3 has 1 fields"),
        ("a.xlsx", "gene", "expected .csv, .tsv, .txt or .h5ad"),
        ("a.h5ad", "gene", "is not HDF5"),
    ],
)
def test_other_files_are_refused_by_name(tmp_path, name, text, says):
    with pytest.raises(SourceError, match=f"{name}: .*{says}"):
        read_gene_names(written(tmp_path, name, text))


def test_a_list_keeps_its_empty_names_and_a_table_its_blank_lines_out(tmp_path):
    assert read_gene_names(written(tmp_path, "a.csv", "gene\nA\n\nB\n"))[0] == ["A", "", "B"]
    assert read_gene_names(written(tmp_path, "b.csv", "gene,x\nA,1\n\nB,2\n"))[0] == ["A", "B"]
    assert read_gene_names(written(tmp_path, "c.csv", "gene,x\n"))[0] == []


def test_another_encoding_is_refused_with_the_line(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("gene\nA\nMär-1\n".encode("latin-1"))
    with pytest.raises(SourceError, match=r"a\.csv: is not UTF-8.*save it as UTF-8"):
        read_gene_names(path)


@pytest.mark.parametrize("size", [1, 7, 100])
def test_batches_are_the_whole(tmp_path, size):
    names = [f"G{i}" for i in range(50)]
    for name in ("a.csv", "a.csv.gz"):
        path = written(tmp_path, name, "gene,x\n" + "".join(f"{gene},1\n" for gene in names))
        batches = list(gene_name_batches(path, size=size)[1])
        assert [gene for batch in batches for gene in batch] == names
        assert max(map(len, batches)) <= size


def test_a_long_table_with_many_columns_is_no_wide_matrix(tmp_path):
    row = ",".join(["G", *(["0"] * 60)])
    text = "\n".join([",".join(["x", *(f"c{i}" for i in range(60))]), *([row] * 61)])
    assert read_gene_names(written(tmp_path, "a.csv", text))[1] == "column 'x' of a.csv"


def test_a_damaged_gzip_is_refused(tmp_path):
    path = written(tmp_path, "a.csv.gz", "gene\n" + "".join(f"G{i}\n" for i in range(5000)))
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(SourceError, match=r"a\.csv\.gz"):
        read_gene_names(path)


@pytest.fixture
def h5ad(tmp_path):
    """An h5ad with names, a categorical, numbers; open for writing."""
    path = tmp_path / "a.h5ad"
    text = h5py.string_dtype()
    with h5py.File(path, "w") as file:
        var = file.create_group("var")
        var.attrs["_index"] = "_index"
        var.create_dataset("_index", data=["TP53", "2-Sep"], dtype=text)
        var.create_dataset("length", data=np.array([1.5, 2.5]))
        category = var.create_group("feature_name")
        category.create_dataset("categories", data=["B", "A"], dtype=text)
        category.create_dataset("codes", data=np.array([1, -1], dtype=np.int8))
    return path


def test_the_index_of_var_or_a_field_of_it(h5ad):
    assert read_gene_names(h5ad) == (["TP53", "2-Sep"], "var['_index'] of a.h5ad")
    assert read_gene_names(h5ad, "feature_name")[0] == ["A", ""]


def test_a_categorical_index(h5ad):
    with h5py.File(h5ad, "a") as file:
        file["var"].attrs["_index"] = "feature_name"
    assert read_gene_names(h5ad) == (["A", ""], "var['feature_name'] of a.h5ad")


@pytest.mark.parametrize(
    ("column", "says"), [("nix", "var has no 'nix'"), ("length", "not a column of text")]
)
def test_other_fields_of_var_are_refused(h5ad, column, says):
    with pytest.raises(SourceError, match=rf"a\.h5ad: .*{says}"):
        read_gene_names(h5ad, column)


def test_an_hdf5_file_that_is_no_h5ad(tmp_path):
    with h5py.File(tmp_path / "a.h5ad", "w") as file:
        file["x"] = 1
    with pytest.raises(SourceError, match="has no 'var'; found"):
        read_gene_names(tmp_path / "a.h5ad")
    with h5py.File(tmp_path / "a.h5ad", "a") as file:
        file["var"] = np.zeros(2)
    with pytest.raises(SourceError, match="var is neither a group nor a table of named columns"):
        read_gene_names(tmp_path / "a.h5ad")


def plant(file, how, secret):
    var = file["var"]
    if how in ("external link", "soft link"):
        link = h5py.ExternalLink(secret, "names") if how == "external link" else None
        del var["_index"]
        var["_index"] = link or h5py.SoftLink("/elsewhere")
        file.create_dataset("elsewhere", data=["X"], dtype=h5py.string_dtype())
    elif how == "external var":
        del file["var"]
        file["var"] = h5py.ExternalLink(secret, "var")
    elif how == "path in _index":
        file["elsewhere"] = h5py.ExternalLink(secret, "names")
        var.attrs["_index"] = "/elsewhere"
    elif how == "external storage":
        del var["_index"]
        raw = [(secret, 0, 16)]
        var.create_dataset("_index", shape=(2,), dtype="S8", external=raw)
    elif how == "virtual":
        del var["_index"]
        layout = h5py.VirtualLayout(shape=(2,), dtype=h5py.string_dtype())
        layout[:] = h5py.VirtualSource(secret, "names", shape=(2,), dtype=h5py.string_dtype())
        var.create_virtual_dataset("_index", layout)
    else:
        var.attrs["_index"] = "feature_name"
        del var["feature_name/categories"]
        var["feature_name/categories"] = h5py.ExternalLink(secret, "names")


@pytest.mark.parametrize(
    "how",
    [
        *("external link", "soft link", "external var", "path in _index"),
        *("external storage", "virtual", "categories"),
    ],
)
def test_nothing_outside_the_file_is_read(h5ad, tmp_path, how):
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file.create_dataset("names", data=["SECRET", "SECRET"], dtype=h5py.string_dtype())
        file.create_group("var").attrs["_index"] = "names"
        file["var/names"] = file["names"]
    with h5py.File(h5ad, "a") as file:
        plant(file, how, str(secret))
    with pytest.raises(SourceError, match="leads out of the file"):
        read_gene_names(h5ad)
