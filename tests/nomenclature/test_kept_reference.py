"""The reference that is kept on this machine: read back as it was made, made anew if damaged."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from planted import numbered_reference

from genept.nomenclature import reference
from genept.nomenclature.mapping import Nomenclature
from genept.nomenclature.reference import Reference, kept_reference


class Maker:
    """Makes a reference, and counts how often it is called."""

    def __init__(self, n: int = 5) -> None:
        self.n, self.n_calls = n, 0

    def __call__(self) -> Reference:
        self.n_calls += 1
        return Reference("hgnc-test", numbered_reference(self.n))


def test_it_is_made_once_and_read_back_as_it_was(tmp_path: Path) -> None:
    make = Maker()
    first = kept_reference(tmp_path / "reference", "1", make)
    again = kept_reference(tmp_path / "reference", "1", make)
    assert make.n_calls == 1
    assert again.release == first.release
    assert again.genes.equals(first.genes)
    assert again.further.equals(first.further)
    assert again.index.equals(first.index)
    assert again.index.schema == first.index.schema
    assert Nomenclature(again.index).map_name("G3").ensembl_gene_id == "ENSG00000000003"
    assert stat.S_IMODE((tmp_path / "reference").stat().st_mode) == 0o700


def test_other_archives_or_other_code_are_another_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept_reference(tmp_path, "1", Maker())
    assert kept_reference(tmp_path, "2", Maker(6)).genes.height == 6
    assert len(list(tmp_path.iterdir())) == 1, "only the newest stays"
    monkeypatch.setattr(reference, "reading_code", lambda: "changed")
    make = Maker(7)
    assert kept_reference(tmp_path, "2", make).genes.height == 7
    assert make.n_calls == 1


def test_the_code_of_every_package_that_decides_it_is_hashed() -> None:
    package = Path(reference.__file__).parents[1]
    for name in reference._READERS:
        assert list((package / name).rglob("*.py")), f"genept/{name} has no modules"


@pytest.mark.parametrize("name", ["index.parquet", "genes.parquet", "reference.json"])
@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda _: b"", lambda d: d[::-1]])
def test_what_is_damaged_is_made_anew(tmp_path: Path, name: str, damage) -> None:
    kept_reference(tmp_path, "1", Maker())
    (place,) = tmp_path.iterdir()
    (place / name).write_bytes(damage((place / name).read_bytes()))
    make = Maker()
    assert kept_reference(tmp_path, "1", make).index.equals(Maker()().index)
    assert make.n_calls == 1
    kept_reference(tmp_path, "1", make)
    assert make.n_calls == 1


def test_a_folder_that_cannot_be_written_costs_only_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    make = Maker()
    assert kept_reference(tmp_path / "file", "1", make).genes.height == 5
