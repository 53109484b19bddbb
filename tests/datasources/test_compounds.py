"""Lists of drugs and their targets: what is read, and which line is wrong; the real ones, too."""

import io
from contextlib import nullcontext
from pathlib import Path

import pytest

from genept.common.errors import SourceError
from genept.datasources.catalogue import load_catalogue
from genept.datasources.compounds import (
    Compound,
    compounds_file,
    read_compounds,
    read_drug_facts,
)
from genept.datasources.download.archives import Archives
from genept.datasources.download.mirrors import SourceLocations

MIRROR = Path(__file__).resolve().parents[3] / "shared" / "mirror"
LIST = MIRROR / "gdsc" / "screened_compounds_rel_8.4.csv"
HEAD = '"DRUG_ID","SCREENING_SITE","DRUG_NAME","SYNONYMS","TARGET","TARGET_PATHWAY"'
FACTS = "drug,synonyms,targets,source"


def published(*lines: str) -> list[Compound]:
    body = "".join(f"{line}\n" for line in lines).encode()
    return list(read_compounds(lambda: nullcontext(io.BytesIO(body)), "list.csv"))


def facts(*lines: str) -> list[Compound]:
    body = "".join(f"{line}\n" for line in lines).encode()
    return read_drug_facts(lambda: nullcontext(io.BytesIO(body)), "facts.csv")


def archives(tmp_path: Path, *mirrors: Path) -> Archives:
    locations = SourceLocations(tuple(map(str, mirrors)))
    return Archives(load_catalogue(), tmp_path / "copies", locations=locations)


def test_a_row_is_read_with_its_synonyms_and_targets() -> None:
    assert published(HEAD, '5,"MGH","Sunitinib ","Sutent, SU-11248, Sutent","KIT, RET","RTK"') == [
        Compound("Sunitinib", ("Sutent", "SU-11248"), "KIT, RET", "RTK")
    ]
    assert published(f"\ufeff{HEAD}", '5,"MGH","123138",""," ",""') == [
        Compound("123138", (), "", "")
    ]


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["DRUG_ID,DRUG_NAME"], r"line 1 is .*expected DRUG_ID,SCREENING_SITE"),
        ([HEAD, "1,MGH,A,,KIT,RTK", "2,MGH,B"], r"line 3 has 3 values; expected 6"),
        ([HEAD, "1,MGH, ,,KIT,RTK"], r"line 2 lacks the name of a drug"),
        ([HEAD, "one,MGH,A,,KIT,RTK"], r"line 2 has the id 'one'; expected a number"),
        ([HEAD, "1,MGH,A,,KIT,RTK", "1,MGH,B,,KIT,RTK"], r"line 3 has the id 1 of line 2"),
        ([HEAD, ""], r"line 2 has 0 values"),
    ],
)
def test_a_wrong_line_of_the_list_is_named(lines: list[str], problem: str) -> None:
    with pytest.raises(SourceError, match=rf"list\.csv: {problem}"):
        published(*lines)


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["drug,targets"], r"line 1 is .*expected drug,synonyms,targets,source"),
        ([FACTS, "A,,KIT"], r"line 2 has 3 values; expected 4"),
        ([FACTS, ",,KIT,label"], r"line 2 lacks the name of a drug"),
        ([FACTS, "A,,,label"], r"line 2 lacks the target of A"),
        ([FACTS, "A,,KIT,"], r"line 2 lacks the source of A"),
        ([FACTS, "A,,KIT,x", "a,,RET,x"], r"line 3 has the drug a of line 2"),
        ([FACTS, 'A,,"KIT, RET",x'], r"line 2 has a comma in 'KIT, RET'; separate by \|"),
    ],
)
def test_a_wrong_line_of_our_table_is_named(lines: list[str], problem: str) -> None:
    with pytest.raises(SourceError, match=rf"facts\.csv: {problem}"):
        facts(*lines)


def test_our_table_has_drugs_that_were_screened_and_drugs_that_were_not() -> None:
    rows = {row.name: row for row in read_drug_facts()}
    assert len(rows) == 306
    assert rows["Palbociclib"].targets == "CDK4, CDK6"
    assert rows["Sotorasib"].targets == "KRAS"
    assert "AMG 510" in rows["Sotorasib"].synonyms
    assert rows["AZD5363"].synonyms[0] == "Capivasertib"
    assert not any(row.pathway for row in rows.values())
    assert all(row.source for row in rows.values())


def test_the_list_is_read_where_a_mirror_has_it_and_never_downloaded(tmp_path: Path) -> None:
    assert compounds_file(archives(tmp_path)) is None
    path = tmp_path / "mirror" / "gdsc" / "screened_compounds_rel_8.4.csv"
    path.parent.mkdir(parents=True)
    path.write_text(f"{HEAD}\n1,MGH,Erlotinib,Tarceva,EGFR,EGFR signaling\n")
    file = compounds_file(archives(tmp_path, tmp_path / "mirror"))
    assert file is not None
    (row,) = read_compounds(file.opener, file.path.name)
    assert row == Compound("Erlotinib", ("Tarceva",), "EGFR", "EGFR signaling")


@pytest.mark.skipif(not LIST.is_file(), reason="needs the mirror's list of compounds")
def test_the_list_of_the_mirror_has_its_compounds(tmp_path: Path) -> None:
    file = compounds_file(archives(tmp_path, MIRROR))
    assert file is not None
    rows = list(read_compounds(file.opener, file.path.name))
    assert (len(rows), len({row.name for row in rows})) == (621, 542)
    assert sum(not row.targets for row in rows) == 43
