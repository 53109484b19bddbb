from __future__ import annotations

import io
import pickle
from pathlib import Path

import pytest

from genept.common.errors import SourceError
from genept.datasources.readers.pickles import read_pickled_texts, read_structure_table

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"


def read(data: bytes) -> dict[str, str]:
    return read_pickled_texts(io.BytesIO(data), what="drugs.pkl")


def test_names_and_structures_are_read_off_without_building_anything() -> None:
    drugs = {"Aspirin": ASPIRIN, "Methane": "C", "long": "C" * 300}
    assert read(pickle.dumps(drugs, protocol=4)) == drugs


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return (print, ("never",))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": Evil()}, "opcode STACK_GLOBAL"),
        ({"a": 1}, "opcode BININT1"),
        (["a"], "opcode EMPTY_LIST"),
    ],
)
def test_anything_but_texts_is_refused(value: object, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        read(pickle.dumps(value, protocol=4))


def test_cut_or_lengthened_files_are_refused() -> None:
    whole = pickle.dumps({"Aspirin": ASPIRIN, "Methane": "C"}, protocol=4)
    for data in (whole[:-10], whole + b"x", b"", b"<html>"):
        with pytest.raises(SourceError):
            read(data)


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    table = tmp_path / "drugs.csv"
    table.write_text(f"drug_id,smiles,note\nAspirin,{ASPIRIN},x\nMethane, C ,\n")
    assert read_structure_table(table) == {"Aspirin": ASPIRIN, "Methane": "C"}
    for text, message in (
        ("drug,smiles\na,C\n", "needs drug_id and smiles"),
        ("drug_id,smiles\na,\n", "line 2: needs a drug"),
        ("drug_id,smiles\na,C\na,CC\n", "names a drug twice"),
    ):
        table.write_text(text)
        with pytest.raises(SourceError, match=message):
            read_structure_table(table)
