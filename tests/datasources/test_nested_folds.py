"""Pairs with nested folds: roles of pairs in every fold; folds that share a gene are refused."""

import json
from functools import partial
from pathlib import Path

import pytest
from planted_folds import nested_folds

from genept.common.errors import SourceError
from genept.datasources.download.streams import open_bytes
from genept.datasources.nested_folds import NestedPair, read_nested_pairs


def read(folder: Path, content: object) -> list[NestedPair]:
    path = folder / "folds.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return list(read_nested_pairs(partial(open_bytes, path, None, path.name), path.name))


def test_every_pair_has_its_role_in_every_outer_fold(tmp_path):
    file = nested_folds()
    rows = read(tmp_path, file)
    assert [(row.first, row.second, row.label) for row in rows] == [
        (*pair, label) for pair, label in zip(file["pairs"], file["labels"], strict=True)
    ]
    for number, fold in enumerate(file["cv_splits"].values()):
        roles = [row.roles.split("|")[number] for row in rows]
        at = {role: {n for n, of in enumerate(roles) if of == role} for role in set(roles)}
        assert at["test"] == set(fold["test_idx"])
        assert set(range(len(rows))) - at["test"] - at["unused"] == set(fold["train_idx"])
        for inner, (inside, outside) in enumerate(fold["inner_splits"], start=1):
            assert at[f"validation-{inner}"] == set(outside)
            others = [at[f"validation-{other}"] for other in (1, 2, 3) if other != inner]
            assert set.union(at[f"training-{inner}"], *others) == set(inside)


def changed(change) -> dict:
    file = nested_folds()
    change(file)
    return file


def shared_gene(file) -> None:
    fold = file["cv_splits"]["0"]
    fold["train_idx"].append(fold["test_idx"][0])


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"pairs": [', "at the file: Invalid JSON"),
        ("<html>", "is a web page"),
        ({"pairs": [], "labels": []}, "at cv_splits: Field required"),
        (changed(lambda file: file["labels"].pop()), "pairs and .* labels; expected as many"),
        (changed(lambda file: file["labels"].__setitem__(3, 2)), "at labels.3: Input should be 0"),
        (changed(lambda file: file["pairs"].__setitem__(3, ["TP53", "1"])), "at pairs.3.0"),
        (changed(shared_gene), "outer fold 0: gene .* is in pairs of both sides"),
        (
            changed(lambda file: file["cv_splits"]["1"]["test_idx"].append(10_000)),
            "outer fold 1: names pair 10000 of",
        ),
        (
            changed(
                lambda file: file["cv_splits"]["0"]["inner_splits"][0][0].append(
                    file["cv_splits"]["0"]["test_idx"][0]
                )
            ),
            "outer fold 0, inner fold 1: has pairs that are not among the outer training pairs",
        ),
        (
            changed(lambda file: file["cv_splits"]["0"]["inner_splits"].pop()),
            "is in 2 inner folds to train on and in 0 to score|in 1 inner folds .* in 1",
        ),
    ],
)
def test_other_layouts_are_refused(tmp_path, content, complaint):
    with pytest.raises(SourceError, match=complaint) as refused:
        read(tmp_path, content)
    assert str(refused.value).startswith("folds.json: ")


FILE = Path(__file__).resolve().parents[3] / "shared" / "mirror" / "gene_embedding_benchmarks"
FILE /= "tf_nested_cv_splits.json.gz"


@pytest.mark.skipif(not FILE.exists(), reason="the mirror is not here")
def test_the_real_file_has_folds_without_a_common_gene():
    rows = list(read_nested_pairs(partial(open_bytes, FILE, None, FILE.name), FILE.name))
    assert (len(rows), sum(row.label for row in rows)) == (110_000, 10_000)
    roles = [row.roles.split("|") for row in rows]
    assert [sum(of[fold] == "test" for of in roles) for fold in range(3)] == [12294, 11948, 12327]
    assert {len(of) for of in roles} == {3}
    assert not any(role == "training" for of in roles for role in of), "each is in an inner fold"
