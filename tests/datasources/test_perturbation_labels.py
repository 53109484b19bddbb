"""PerturbQA's label files: what is read, and which line is wrong; the real ones with the mirror."""

import gzip
import io
from contextlib import nullcontext
from pathlib import Path

import pytest

from genept.common.errors import SourceError
from genept.datasources.catalogue import load_catalogue
from genept.datasources.download.archives import Archives
from genept.datasources.download.mirrors import SourceLocations
from genept.datasources.perturbation_labels import (
    PerturbationLabel,
    perturbation_files,
    read_perturbation_labels,
)

MIRROR = Path(__file__).resolve().parents[3] / "shared" / "mirror"
HEAD = "pert,gene,label,split"


def read(*lines: str) -> list[PerturbationLabel]:
    body = "".join(f"{line}\n" for line in lines).encode()
    return list(read_perturbation_labels(lambda: nullcontext(io.BytesIO(body)), "x-de.csv"))


def archives(tmp_path: Path, *mirrors: Path) -> Archives:
    locations = SourceLocations(tuple(map(str, mirrors)))
    return Archives(load_catalogue(), tmp_path / "copies", locations=locations)


def test_rows_are_read_in_order() -> None:
    assert read(HEAD, "TP53,CDKN1A,1,train", "STAT1,ISG15,0,test") == [
        ("TP53", "CDKN1A", True, "train"),
        ("STAT1", "ISG15", False, "test"),
    ]


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["pert,gene,label"], r"line 1 is .*expected pert,gene,label,split"),
        ([HEAD, "A,B,1,train", "A,C,1"], r"line 3 has 3 values; expected 4"),
        ([HEAD, "A,B,2,train"], r"line 2 has the label '2'; expected 0 or 1"),
        ([HEAD, "A,B,1,valid"], r"line 2 has the split 'valid'; expected train or test"),
        ([HEAD, ",B,1,train"], r"line 2 lacks the name of a gene"),
        ([HEAD, "A,B,1,train", "A,B,0,train"], r"line 3 gives A,B the label .*0 train.*1 train"),
        ([HEAD, ""], r"line 2 has 0 values"),
    ],
)
def test_a_wrong_line_is_named(lines: list[str], problem: str) -> None:
    with pytest.raises(SourceError, match=rf"x-de\.csv: {problem}"):
        read(*lines)


def test_a_mirror_may_hold_plain_or_gzipped_files_of_any_line(tmp_path: Path) -> None:
    body = f"{HEAD}\nA,B,1,train\n".encode()
    for folder, content in (("plain", body), ("packed", gzip.compress(body))):
        path = tmp_path / folder / "perturbqa" / "jurkat-dir.csv.gz"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        files = perturbation_files(archives(tmp_path / f"of-{folder}", tmp_path / folder))
        assert files.keys() == {("jurkat", "dir")}
        (file,) = files.values()
        assert list(read_perturbation_labels(file.opener, file.path.name)) == [
            ("A", "B", True, "train")
        ]


def test_without_a_source_there_is_no_file(tmp_path: Path) -> None:
    assert perturbation_files(archives(tmp_path)) == {}


@pytest.mark.skipif(not (MIRROR / "perturbqa").is_dir(), reason="needs the mirror's PerturbQA")
def test_files_of_the_mirror_have_the_published_counts(tmp_path: Path) -> None:
    files = perturbation_files(archives(tmp_path, MIRROR))
    counts = {}
    for (line, question), file in files.items():
        if question == "dir":
            rows = list(read_perturbation_labels(file.opener, file.path.name))
            counts[line] = (len(rows), sum(row.split == "test" for row in rows))
    assert counts == {"k562": (19_980, 3_119), "rpe1": (26_652, 5_365), "hepg2": (17_860, 3_603)}
