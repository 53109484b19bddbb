"""Direction of effects: the perturbed gene comes first, and no gene is on both sides."""

from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from planted_kinds import ENSEMBL, N_GENES, area_of, kind_of, names, telling

from genept.benchmarks.classifiers import LOGISTIC
from genept.benchmarks.pairs import DISJOINT
from genept.benchmarks.pairs.pair_labels import direction_pairs
from genept.benchmarks.task_base import Labels, random_vectors
from genept.benchmarks.task_registry import TASKS
from genept.common.errors import SourceError
from genept.datasources.download.available import AvailableFile
from genept.datasources.download.streams import open_bytes

TASK = TASKS["perturbation-direction"]
MODEL = f"{LOGISTIC}:concatenation"


def labels_file(folder: Path, line: str, rows: list[str]) -> AvailableFile:
    path = folder / f"{line}-dir.csv"
    path.write_text("\n".join(["pert,gene,label,split", *rows, ""]), encoding="utf-8")
    opener = partial(open_bytes, path, None, path.name)
    return AvailableFile(f"perturbqa:{line}-dir", path, "0" * 64, "x", opener)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    """Two cell lines: what goes up depends on the perturbed gene's kind, and on the line."""
    folder = tmp_path_factory.mktemp("directions")
    frames = []
    for line in ("k562", "rpe1"):
        rng = np.random.default_rng(len(frames))
        pairs = [(a, b) for a in range(1, N_GENES + 1) for b in range(1, N_GENES + 1) if a != b]
        chosen = [pairs[at] for at in rng.permutation(len(pairs))[:6000]]
        written = [
            f"G{a},G{b},{int((kind_of(a) < 2) == (line == 'k562'))},"
            f"{'test' if a % 5 == 0 else 'train'}"
            for a, b in chosen
        ]
        frames.append(direction_pairs(line, labels_file(folder, line, written), names()))
    return TASK.rows(Labels(pl.DataFrame(), pl.concat(frames)))


def test_what_vectors_tell_of_a_new_perturbed_gene_is_scored_and_noise_is_not(
    rows: pl.DataFrame,
) -> None:
    assert TASK.unfit(rows) is None
    predicted = TASK.predict(rows, telling())
    assert set(predicted["model"]) == {MODEL}
    assert sorted(predicted["fold"].unique()) == list(range(10))
    assert area_of(predicted, DISJOINT, MODEL) > 0.9
    noise = TASK.predict(rows, random_vectors(ENSEMBL, 32), draw=1)
    assert sorted(noise["fold"].unique()) == [1, 6]
    assert 0.3 < area_of(noise, DISJOINT, MODEL) < 0.7


def test_vectors_are_read_in_the_order_of_the_pair(rows: pl.DataFrame) -> None:
    turned = rows.rename({"gene_a": "gene_b", "gene_b": "gene_a"})
    first, again = (TASK.predict(given, telling(), draw=0) for given in (rows, turned))
    assert area_of(again, DISJOINT, MODEL) > 0.9
    of = {(row["unit"], row["partner"]): row["score"] for row in first.iter_rows(named=True)}
    both = [(of[a, b], of[b, a]) for a, b in of if (b, a) in of and kind_of_id(a) != kind_of_id(b)]
    assert len(both) > 20
    assert np.corrcoef(np.array(both).T)[0, 1] < 0.5


def kind_of_id(gene: str) -> int:
    return kind_of(ENSEMBL.index(gene) + 1) < 2


def test_no_gene_is_trained_on_and_tested_and_cell_lines_are_apart(rows: pl.DataFrame) -> None:
    for _, fold, (training, test) in TASK._splits(rows):
        sides = [{*side["gene_a"], *side["gene_b"]} for side in (training, test)]
        assert not sides[0] & sides[1]
        line = "k562" if fold < 5 else "rpe1"
        assert set(pl.concat([training, test])["split"].str.split("-").list.first()) == {line}


def test_how_often_a_gene_goes_up_says_nothing(rows: pl.DataFrame) -> None:
    named = TASK.baseline(rows)
    assert named is not None
    assert area_of(named[1], DISJOINT, MODEL) == pytest.approx(0.5)


def test_both_directions_of_two_genes_are_pairs_of_their_own(tmp_path: Path) -> None:
    file = labels_file(
        tmp_path, "k562", ["G1,G2,1,train", "G2,G1,0,test", "G3,G3,0,train", "NOPE,G1,1,train"]
    )
    pairs = direction_pairs("k562", file, names())
    assert pairs.select("split", "label", "fate").rows() == [
        ("k562-train", 1, "scored"), ("k562-test", 0, "scored"), ("k562-train", 0, "self_pair"),
        ("k562-train", 1, "without_gene"),
    ]  # fmt: skip
    with pytest.raises(SourceError, match=r"k562-dir.csv: line 2 .*'up'"):
        direction_pairs("k562", labels_file(tmp_path, "k562", ["G1,G2,up,train"]), names())
