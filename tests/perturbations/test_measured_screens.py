"""Screens of expression: two styles, damaged and hostile files, names, split, and predictions."""

from __future__ import annotations

from pathlib import Path

import anndata
import h5py
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from declared_rows import declared_rows
from planted import described
from screen_h5ad import (
    IDS,
    N_GENES,
    REFERENCE,
    SYMBOLS,
    cell_counts,
    planted_folds,
    write_cells,
    write_pseudobulk,
    write_single_cells,
)

from genept.common.errors import SourceError
from genept.datasources.catalogue import load_catalogue
from genept.datasources.download.archives import Archives
from genept.datasources.download.mirrors import SourceLocations
from genept.datasources.readers.sandbox import Allowance
from genept.datasources.screen_files import Perturbed, read_screen, screen_sources, target_of
from genept.nomenclature.mapping import Nomenclature
from genept.perturbations import measured_screens
from genept.perturbations.arena import TEXT
from genept.perturbations.measured_screens import (
    MeasuredScreen,
    ScreenFile,
    measure_screen,
    split_of,
)
from genept.perturbations.measured_tables import build_measured, screen_inputs
from genept.perturbations.score_tables import build_predictions, build_scores
from genept.schema.tables import TABLES
from genept.storage.lake import Lake
from genept.storage.provenance import NewPart, Origin, Part
from validation.checks import check_table


def measured(path: Path, cell_line: str = "K562", **given: str) -> MeasuredScreen:
    file = ScreenFile(path, path.name, cell_line, **given)
    return measure_screen("mine", file, Nomenclature(REFERENCE.index), Allowance())


@pytest.fixture
def genes(lake: Lake) -> Part:
    rows = NewPart("genes", declared_rows(TABLES["genes"]))
    return lake.build("genes", Origin(("genept.nomenclature",)), lambda: [rows])[0]


@pytest.mark.parametrize(
    ("label", "target"),
    [
        ("10005_ZBTB4_P1P2_ENSG00000174282", Perturbed("ZBTB4", "ENSG00000174282")),
        ("7_HLA-A_P1_ENSG00000206503", Perturbed("HLA-A", "ENSG00000206503")),
        ("10753_non-targeting_non-targeting_non-targeting", "control"),
        ("ZBTB4", Perturbed("ZBTB4", "ZBTB4")),
        ("ZBTB4_2", Perturbed("ZBTB4", "ZBTB4")),
        ("12", Perturbed("12", "12")),
        ("CTRL", Perturbed("CTRL", "CTRL")),
        ("ZBTB4+ctrl", Perturbed("ZBTB4", "ZBTB4")),
        *((name, "control") for name in ("control", "non-targeting", "NT_12", "ctrl")),
        *((name, "combination") for name in ("A_B", "A+B", "AHR_KLF1", "A|B")),
        *((name, "unlabelled") for name in (None, "", "nan", " ")),
    ],
)
def test_a_label_is_a_gene_a_control_or_a_combination(label, target) -> None:
    assert target_of(label) == target


@pytest.mark.parametrize("write", [write_single_cells, write_pseudobulk])
def test_effects_are_rows_with_genes_of_both_names(tmp_path, write) -> None:
    folds = planted_folds(20)
    screen = measured(write(tmp_path / "screen.h5ad", folds))
    effects = screen.effects
    assert effects.height == 20 * (N_GENES - 1), "every pair but the perturbed genes themselves"
    assert screen.unchanged_share == 1
    assert (effects["perturbed_gene"] != effects["measured_gene"]).all()
    assert set(effects["perturbed_input"]) == set(SYMBOLS[:20])
    assert set(effects["perturbed_outcome"].unique()) <= {"exact", "ensembl_id"}
    row, column = (
        effects[name].replace_strict(IDS, range(N_GENES), return_dtype=pl.Int64).to_numpy()
        for name in ("perturbed_gene", "measured_gene")
    )
    fold = folds[row, column]
    differential = effects["differential"].to_numpy()
    assert differential[fold != 0].mean() > 0.95
    assert differential[fold == 0].mean() < 0.03
    hit = effects.filter(pl.Series(differential & (fold != 0)))
    assert (hit["direction"] == "up").to_list() == (fold[differential & (fold != 0)] > 0).tolist()
    assert effects.filter(~pl.col("differential"))["direction"].null_count() == (
        effects.height - differential.sum()
    )


def test_combinations_few_cells_and_other_lines_are_left_out(tmp_path) -> None:
    labels = [SYMBOLS[0]] * 60 + [SYMBOLS[1]] * 10 + [f"{SYMBOLS[0]}_{SYMBOLS[2]}"] * 40
    labels += ["nobody-knows"] * 30 + ["control"] * 80
    lines = ["K562", "RPE-1"] * 30 + ["K562"] * (len(labels) - 60)
    counts = cell_counts(np.zeros((0, N_GENES)), 0, len(labels))
    path = write_cells(tmp_path / "cells.h5ad", labels, counts, lines=lines)
    screen = measured(path)
    assert (screen.n_combinations, screen.n_few) == (1, 1)
    by = screen.effects.unique("perturbed_input").sort("perturbed_input")
    assert by["perturbed_input"].to_list() == [SYMBOLS[0], "nobody-knows"]
    assert by["perturbed_outcome"].to_list() == ["exact", "unknown"]
    assert (read_screen(path, cell_line="k-562").group == 0).sum() == 30
    with pytest.raises(SourceError, match=r"has no cells of 'HeLa'; its cell lines are .*RPE-1"):
        measured(path, "HeLa")


def test_two_rows_of_one_gene_are_one_perturbation(tmp_path) -> None:
    path = write_pseudobulk(tmp_path / "bulk.h5ad", np.repeat(planted_folds(2), 2, axis=0))
    data = anndata.read_h5ad(path)
    names = data.obs_names.to_list()
    names[:4] = [f"{at}_{SYMBOLS[at // 2]}_P{at % 2}_{IDS[at // 2]}" for at in range(4)]
    data.obs_names = names
    data.obs["gene_transcript"] = names
    data.write_h5ad(path)
    assert measured(path).effects["perturbed_input"].n_unique() == 2


def test_the_split_is_by_gene_and_a_fifth_is_the_test() -> None:
    splits = [split_of(f"ENSG{number:011d}") for number in range(5000)]
    assert abs(splits.count("test") / 5000 - 0.2) < 0.02
    assert split_of("ENSG00000141510") == split_of("ENSG00000141510")


def test_of_many_pairs_a_sample_without_an_effect_is_kept(tmp_path, monkeypatch) -> None:
    path = write_pseudobulk(tmp_path / "bulk.h5ad", planted_folds(20))
    every = measured(path).effects
    monkeypatch.setattr(measured_screens, "MOST_UNCHANGED", 600)
    screen = read_screen(path)
    names = [it.symbol for it in screen.perturbed]
    kept = measured_screens.sampled(names, screen.measured, 600 / (20 * N_GENES))
    assert abs(int(kept.sum()) - 600) < 80
    assert every.filter(~pl.col("differential")).height > 1500


def rewrite(path: Path, name: str) -> None:
    with h5py.File(path, "a") as file:
        del file[name]


def fractions(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file["X/data"][...] = file["X/data"][...] + np.float32(0.5)


def foreign(path: Path) -> None:
    with h5py.File(path, "a") as file:
        del file["X/data"]
        file["X/data"] = h5py.ExternalLink("/etc/passwd", "/data")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:3000]), "bad.h5ad"),
        (lambda path: path.write_bytes(b"no HDF5"), "bad.h5ad"),
        (lambda path: rewrite(path, "obs/perturbation"), "bad.h5ad.*perturbation"),
        (lambda path: rewrite(path, "X"), "bad.h5ad.*no X"),
        (fractions, "bad.h5ad.*no count"),
        (foreign, "bad.h5ad: X/data leads out of the file"),
    ],
)
def test_damaged_files_are_refused_with_the_reason(tmp_path, damage, reason) -> None:
    path = write_single_cells(tmp_path / "bad.h5ad", planted_folds(2))
    damage(path)
    with pytest.raises(SourceError, match=reason):
        measured(path, style="single_cell")


def test_a_file_without_perturbations_is_refused(tmp_path) -> None:
    counts = cell_counts(np.zeros((0, N_GENES)), 0, 40)
    path = write_cells(tmp_path / "cells.h5ad", ["control"] * 40, counts)
    with pytest.raises(SourceError, match=r"no row is of a perturbed gene; labels are \[.control"):
        measured(path)


@pytest.mark.parametrize(
    "values",
    [
        {"perturbed": [["A", "A"], ["A", "B"]]},
        {"perturbed": [["A", 1]]},
        {"measured": "GEN1"},
        {"n_few": -1},
        {"n_few": True},
        {"share": 2.0},
        {"rule": None},
    ],
)
def test_what_the_child_says_is_checked(values) -> None:
    sound = {
        "perturbed": [["A", "A"]], "measured": [["B", "B"]], "rule": "r",
        "n_combinations": 0, "n_few": 0, "share": 1.0,
    }  # fmt: skip

    class Answer:
        def __init__(self, values: object) -> None:
            self.values = values

    assert measured_screens._checked("f", Answer(sound)).perturbed == [("A", "A")]
    for wrong in (sound | values, None, []):
        with pytest.raises(SourceError, match="handed over what cannot be"):
            measured_screens._checked("f", Answer(wrong))


def embedded(lake: Lake, vectors: np.ndarray) -> Part:
    """A part of `gene_embeddings` with these vectors of the genes."""
    schema = TABLES["gene_embeddings"].schema(vectors.shape[1])
    example = declared_rows(TABLES["gene_embeddings"], 1).to_pylist()[0]
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = [
        example | {"space": TEXT, "ensembl_gene_id": id_, "symbol": symbol, "embedding": vector}
        for id_, symbol, vector in zip(IDS, SYMBOLS, unit.tolist(), strict=True)
    ]
    table = pa.Table.from_pylist(rows, schema=schema)
    part = NewPart("gene_embeddings", table, (TEXT,), dimension=vectors.shape[1])
    return lake.build("planted vectors", Origin(("genept.schema.tables",)), lambda: [part])[0]


def archives(tmp_path: Path, mirror: Path) -> Archives:
    return Archives(
        load_catalogue(), tmp_path / "copies", locations=SourceLocations((str(mirror),))
    )


def test_a_file_of_the_catalogue_becomes_scores_and_predictions(lake, genes, tmp_path) -> None:
    mirror = tmp_path / "mirror"
    (mirror / "replogle").mkdir(parents=True)
    # Genes with similar vectors have similar effects.
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((N_GENES, 8))
    sides, strengths = (vectors[:100] @ rng.standard_normal((8, N_GENES)) for _ in range(2))
    folds = np.sign(sides) * np.maximum(strengths, 0)
    write_pseudobulk(mirror / "replogle" / "rpe1_normalized_bulk_01.h5ad", folds)
    available = archives(tmp_path, mirror)
    assert screen_sources(available) == ["replogle-rpe1"]
    inputs = screen_inputs(available, [])
    say: list[str] = []

    def build() -> list[Part]:
        return build_measured(
            lake, inputs, genes, lambda: Nomenclature(REFERENCE.index), Allowance(), say.append
        )

    parts = build()
    assert build() == parts
    assert say == []
    for name in ("perturbation_screens", "perturbation_effects"):
        assert check_table(lake, lake.assemble(name, parts)).failed == ()
    (screen,) = lake.read([it for it in parts if it.table == "perturbation_screens"]).rows(
        named=True
    )
    assert screen["screen"] == "replogle-rpe1"
    assert screen["rule"].startswith("pseudobulk: z-scores against 60 control rows, |z| >= 2")
    assert screen["n_perturbations"] == 100
    assert 5 < screen["n_test"] < 40
    assert screen["redistributable"]
    effects = lake.assemble("perturbation_effects", parts)
    space = {TEXT: embedded(lake, vectors)}
    texts = described(lake, dict.fromkeys(IDS, "a gene"))
    scores = build_scores(lake, effects, space, None)
    assert check_table(lake, lake.assemble("perturbation_scores", scores)).failed == ()
    rows = lake.read(scores).filter(split="authors", representation=TEXT)
    assert (rows["value"] > 0.65).all()
    predictions = build_predictions(lake, effects, space, texts)
    assert check_table(lake, lake.assemble("perturbation_predictions", predictions)).failed == ()
    predicted = lake.read(predictions)
    assert set(predicted["ensembl_gene_id"]) == set(IDS[100:])
    answered = predicted.filter(~pl.col("abstained"))
    assert answered["ensembl_gene_id"].n_unique() > 10
