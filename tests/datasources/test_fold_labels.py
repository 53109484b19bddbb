"""Terms with folds: every row is read as it stands; a gene in two splits of a term is refused."""

from functools import partial
from pathlib import Path

import pytest

from genept.common.errors import SourceError
from genept.datasources.catalogue import load_catalogue
from genept.datasources.download.archives import Archives
from genept.datasources.download.mirrors import SourceLocations
from genept.datasources.download.streams import open_bytes
from genept.datasources.fold_labels import FOLD_SOURCES, FoldLabel, fold_files, read_fold_labels

HEAD = "term\tsplit\tentrez\tlabel\n"


def read(folder: Path, text: str) -> list[FoldLabel]:
    path = folder / "folds.tsv"
    path.write_text(text, encoding="utf-8")
    return list(read_fold_labels(partial(open_bytes, path, None, path.name), path.name))


def test_rows_are_read_in_order(tmp_path):
    rows = "GO:1\tcv_fold1\t7157\t1\nGO:1\tholdout\t4609\t0\nGO:2\tholdout\t7157\t1\n"
    assert read(tmp_path, HEAD + rows) == [
        ("GO:1", "cv_fold1", "7157", True),
        ("GO:1", "holdout", "4609", False),
        ("GO:2", "holdout", "7157", True),
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("term,split,entrez,label\n", "line 1 is .*; expected"),
        (HEAD + "GO:1\tholdout\t7157\n", "line 2 has 3 values"),
        (HEAD + "\tholdout\t7157\t1\n", "line 2 lacks the term"),
        (HEAD + "GO:1\ttest\t7157\t1\n", "line 2 has the split 'test'"),
        (HEAD + "GO:1\tholdout\tTP53\t1\n", "line 2 has the gene 'TP53'"),
        (HEAD + "GO:1\tholdout\t7157\tyes\n", "line 2 has the label 'yes'"),
        (
            HEAD + "GO:1\tcv_fold1\t7157\t1\nGO:2\tholdout\t7157\t1\nGO:1\tholdout\t7157\t1\n",
            "line 4 has gene 7157 of term GO:1 again, after line 2",
        ),
    ],
)
def test_what_is_not_promised_is_refused_by_line(tmp_path, text, complaint):
    with pytest.raises(SourceError, match=complaint) as refused:
        read(tmp_path, text)
    assert str(refused.value).startswith("folds.tsv")


def test_only_what_a_mirror_has_is_available_and_diseases_of_omim_are_not_passed_on(tmp_path):
    catalogue = load_catalogue()
    assert fold_files(Archives(catalogue, tmp_path)) == {}
    folder = tmp_path / "mirror"
    nothing = SourceLocations((str(folder),))
    assert fold_files(Archives(catalogue, tmp_path, locations=nothing)) == {}
    assert [catalogue.source(id_).redistributable for id_ in FOLD_SOURCES] == [True, False]
