"""Tables of screens: names with outcomes, labels side by side, nothing without a source."""

from pathlib import Path

import polars as pl
import pytest
from declared_rows import declared_rows
from own_files import REFERENCE

from genept.common.errors import SourceError
from genept.datasources.catalogue import load_catalogue
from genept.datasources.download.archives import Archives
from genept.datasources.download.mirrors import SourceLocations
from genept.nomenclature.mapping import Nomenclature
from genept.perturbations.effects import Effects
from genept.perturbations.paired_aucs import ClassPairs
from genept.perturbations.screen_tables import build_screens, how_to_get
from genept.schema.tables import TABLES
from genept.storage.lake import Lake
from genept.storage.provenance import NewPart, Origin, Part, StoredTable
from validation.checks import check_table

MIRROR = Path(__file__).resolve().parents[3] / "shared" / "mirror"
HEAD = "pert,gene,label,split"


def write_screen(folder: Path, line: str, de: list[str], direction: list[str]) -> None:
    (folder / "perturbqa").mkdir(parents=True, exist_ok=True)
    for question, rows in (("de", de), ("dir", direction)):
        path = folder / "perturbqa" / f"{line}-{question}.csv.gz"
        path.write_text("".join(f"{row}\n" for row in (HEAD, *rows)))


def archives(folder: Path) -> Archives:
    locations = SourceLocations((str(folder),))
    return Archives(load_catalogue(), folder / "copies", locations=locations)


@pytest.fixture
def genes(lake: Lake) -> Part:
    rows = NewPart("genes", declared_rows(TABLES["genes"]))
    return lake.build("genes", Origin(("genept.nomenclature",)), lambda: [rows])[0]


def build(lake: Lake, folder: Path, genes: Part) -> list[Part]:
    return build_screens(lake, archives(folder), genes, lambda: Nomenclature(REFERENCE.index))


def test_labels_stand_side_by_side_with_genes_and_outcomes(lake, genes, tmp_path) -> None:
    known = REFERENCE.genes["symbol"].to_list()[:3]
    a, b, c = known
    de = [f"{a},{b},1,train", f"{a},{c},0,train", f"nobody,{b},1,test", f"{a},{a},1,train"]
    write_screen(tmp_path, "k562", de, [f"{a},{b},0,train", f"nobody,{b},1,test"])
    parts = build(lake, tmp_path, genes)
    effects = lake.read([part for part in parts if part.table == "perturbation_effects"])
    ids = dict(REFERENCE.genes.select("symbol", "ensembl_gene_id").iter_rows())
    seen = effects.select(
        "perturbed_gene", "measured_gene", "differential", "direction", "split", "perturbed_outcome"
    )
    assert set(seen.iter_rows()) == {
        (ids[a], ids[b], True, "down", "train", "exact"),
        (ids[a], ids[c], False, None, "train", "exact"),
        (None, ids[b], True, "up", "test", "unknown"),
        (ids[a], ids[a], True, None, "train", "exact"),
    }
    screens = lake.read([part for part in parts if part.table == "perturbation_screens"])
    (screen,) = screens.rows(named=True)
    counted = {name: screen[name] for name in screen if name.startswith("n_")}
    assert list(counted.items()) == [
        *(("n_perturbations", 2), ("n_combinations", 0), ("n_few_cells", 0)),
        *(("n_test", 1), ("n_genes", 3)),
        *(("n_pairs", 4), ("n_directions", 2), ("n_unresolved", 1)),
    ]
    assert not screen["redistributable"]
    assert screen["rule"] == "labels as published"
    assert screen["unchanged_share"] is None
    for name in ("perturbation_screens", "perturbation_effects"):
        assert check_table(lake, lake.assemble(name, parts)).failed == ()


def test_a_second_build_computes_nothing(lake, genes, tmp_path) -> None:
    write_screen(tmp_path, "rpe1", ["A,B,1,train"], ["A,B,0,train"])
    first = build(lake, tmp_path, genes)

    def opened() -> Nomenclature:
        raise AssertionError("the nomenclature was opened again")

    assert build_screens(lake, archives(tmp_path), genes, opened) == first


def test_a_perturbation_in_both_splits_is_refused_by_name(lake, genes, tmp_path) -> None:
    write_screen(tmp_path, "k562", ["A,B,1,train", "A,C,0,train"], ["A,B,1,test"])
    with pytest.raises(SourceError, match="perturbation of A is both in training and in the test"):
        build(lake, tmp_path, genes)


def test_without_sources_tables_are_empty_and_one_line_says_how_to_get_them(
    lake, genes, tmp_path
) -> None:
    assert build(lake, tmp_path, genes) == []
    assert "`genept sources fetch" in how_to_get(archives(tmp_path))
    for name in ("perturbation_screens", "perturbation_effects"):
        assert check_table(lake, StoredTable.of(name, [])).passed


def test_of_one_question_the_other_column_is_empty(lake, genes, tmp_path) -> None:
    write_screen(tmp_path, "hepg2", [], ["A,B,1,train", "C,B,0,test"])
    (tmp_path / "perturbqa" / "hepg2-de.csv.gz").unlink()
    effects = lake.read(
        [part for part in build(lake, tmp_path, genes) if part.table == "perturbation_effects"]
    )
    assert effects["differential"].null_count() == 2
    assert effects.sort("perturbed_input")["direction"].to_list() == ["up", "down"]
    assert effects.filter(pl.col("split") == "test")["perturbed_input"].to_list() == ["C"]


@pytest.mark.skipif(not (MIRROR / "perturbqa").is_dir(), reason="needs the mirror's PerturbQA")
def test_a_screen_of_the_mirror_has_no_perturbation_in_both_splits(lake, genes, tmp_path) -> None:
    (tmp_path / "perturbqa").mkdir()
    name = "perturbqa/hepg2-dir.csv.gz"
    (tmp_path / name).write_bytes((MIRROR / name).read_bytes())
    (part,) = (p for p in build(lake, tmp_path, genes) if p.table == "perturbation_effects")
    effects = Effects.of(lake.read(part), "dir")
    assert effects.test.sum() == 253
    assert ClassPairs.of(effects, effects.test).n_genes == 166
