"""Targets of drugs: how a text is split, and what each token means."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted import gene, reference_of
from pydantic import ValidationError

from genept.datasources.catalogue import load_catalogue
from genept.datasources.compounds import compounds_file, read_compounds, read_drug_facts
from genept.datasources.download.archives import Archives
from genept.datasources.download.mirrors import SourceLocations
from genept.nomenclature.mapping import Nomenclature
from genept.nomenclature.reference import starter_reference
from genept.nomenclature.target_groups import DeclaredTargets, declared_targets
from genept.nomenclature.target_tokens import TargetMeaning, map_targets, split_targets

MIRROR = Path(__file__).parents[3] / "shared" / "mirror"
LIST = MIRROR / "gdsc" / "screened_compounds_rel_8.4.csv"
SYMBOLS = (
    *("MAP2K1", "MAP2K2", "KIT", "PDGFRA", "PDGFRB", "HDAC1", "HDAC2", "HDAC3", "TNKS", "TNKS2"),
    *("NMT1", "NMT2", "FLT4", "PTPN6", "KRAS", "IDH2", "FASN", "FAS", "INSR", "PDPK1", "PDK1"),
    *("EIF2S1", "EIF2A", "MTOR", "RPTOR", "MLST8", "BCL2", "CDK4", "CDK6", "NRAS", "HRAS"),
)


@pytest.fixture(scope="module")
def small() -> Nomenclature:
    genes = (gene(number, name) for number, name in enumerate(SYMBOLS, start=1))
    return Nomenclature.of(reference_of(*genes))


@pytest.fixture(scope="module")
def real(real_archives: Archives) -> Nomenclature:
    return Nomenclature(starter_reference(real_archives).index)


def meaning(token: str, nomenclature: Nomenclature) -> TargetMeaning:
    return map_targets([token], nomenclature)[token]


def symbols(of: TargetMeaning) -> list[str]:
    return [symbol for symbol, _ in of.members]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("PDGFR, KIT,RET", ["PDGFR", "KIT", "RET"]),
        ("PI3K (class 1), MTORC1", ["PI3K (class 1)", "MTORC1"]),
        ("Tankyrase 1/2 (PARP5a, PARP5b)", ["Tankyrase 1/2 (PARP5a, PARP5b)"]),
        ("Tankyrase 1/2 (PARP5a, PARP5b", ["Tankyrase 1/2 (PARP5a", "PARP5b"]),
        ("PARP5a, PARP5b)", ["PARP5a", "PARP5b)"]),
        ("A (b, (c, d), e), f", ["A (b, (c, d), e)", "f"]),
        (" , BCL2,  , BCL-W,", ["BCL2", "BCL-W"]),
        ("", []),
    ],
)
def test_a_text_is_split_at_commas_outside_of_parentheses(text: str, tokens: list[str]) -> None:
    assert split_targets(text) == tokens


@given(st.text(alphabet="AB1-/ ,()α&", max_size=40))
def test_splitting_loses_nothing_but_separators(text: str) -> None:
    tokens = split_targets(text)
    bare = "".join(text.replace(",", "").split())
    assert "".join("".join(tokens).replace(",", "").split()) == bare
    assert all(token == token.strip() and token for token in tokens)


@given(st.text(alphabet="AKT123-/ ,()amut", max_size=25))
def test_any_token_has_a_meaning_with_evidence(text: str) -> None:
    nomenclature = Nomenclature.of(reference_of(gene(1, "AKT1"), gene(2, "AKT2")))
    for token, target in map_targets(split_targets(text), nomenclature).items():
        assert target.token == token
        assert target.evidence
        assert (target.outcome == "gene") <= (len(target.members) == 1)
        assert (target.group is None) == (target.outcome in ("gene", "unknown"))


@pytest.mark.parametrize(
    ("token", "outcome", "genes", "evidence"),
    [
        ("KIT", "gene", ["KIT"], "approved symbol"),
        ("MEK1", "gene", ["MAP2K1"], "declared alias of MAP2K1"),
        ("VEGFR3/FLT4", "gene", ["FLT4"], "several names: FLT4"),
        ("SHP-1 (PTPN6)", "gene", ["PTPN6"], "names a gene in parentheses; approved symbol"),
        ("PDK1 (PDPK1)", "gene", ["PDPK1"], "names a gene in parentheses; approved symbol"),
        ("KRAS (G12C)", "gene", ["KRAS"], "(G12C) left out; approved symbol"),
        (
            *("IDH2 R140Q mutant", "gene", ["IDH2"]),
            "what is done to it, or its mutation, left out; approved symbol",
        ),
        (
            *("BCL-2 selective", "gene", ["BCL2"]),
            "what is done to it, or its mutation, left out; declared alias of BCL2",
        ),
        ("PARP5b)", "gene", ["TNKS2"], "declared alias of TNKS2"),
        ("KIT)", "gene", ["KIT"], "a stray parenthesis left out; approved symbol"),
        (
            *("Tankyrase 1/2 (PARP5a", "gene", ["TNKS"]),
            "names a gene in parentheses; declared alias of TNKS",
        ),
        ("PDGFR", "family", ["PDGFRA", "PDGFRB"], "family PDGFR of target_groups.toml"),
        (
            "HDAC1-3",
            "family",
            ["HDAC1", "HDAC2", "HDAC3"],
            "a range of numbers: HDAC1, HDAC2, HDAC3",
        ),
        ("N-myristoyltransferase 1/2", "family", ["NMT1", "NMT2"], "several numbers: NMT1, NMT2"),
        ("CDK4/6", "family", ["CDK4", "CDK6"], "several numbers: CDK4, CDK6"),
        ("mTORC1", "complex", ["MTOR", "RPTOR", "MLST8"], "complex MTORC1 of target_groups.toml"),
        ("DNA crosslinker", "process", [], "process DNA crosslinking of target_groups.toml"),
        ("others", "unknown", [], "names no target, as target_groups.toml declares"),
        ("GLORP1", "unknown", [], "no source knows it; target_groups.toml does not declare it"),
    ],
)
def test_a_token_is_a_gene_a_group_or_unknown(
    small: Nomenclature, token: str, outcome: str, genes: list[str], evidence: str
) -> None:
    target = meaning(token, small)
    assert (target.outcome, symbols(target), target.evidence) == (outcome, genes, evidence)


def test_a_declared_name_decides_where_the_nomenclature_would_take_another_gene(
    small: Nomenclature,
) -> None:
    assert small.map_name("FAS").outcome == "exact"
    for token, symbol in (("FAS", "FASN"), ("IR", "INSR"), ("PDK1", "PDPK1"), ("EIF2A", "EIF2S1")):
        assert symbols(meaning(token, small)) == [symbol]


def test_every_synonym_of_a_target_has_the_same_gene(small: Nomenclature) -> None:
    """A drug's target must not be in two folds under two names."""
    spellings = ("MEK1", "MAP2K1", "mek1", "MEK-1", "MKK1", "MEK1 inhibitor", "MAPKK (MEK1)")
    target = map_targets(spellings, small)
    meanings = {of.members[0][1] for of in target.values()}
    assert meanings == {small.map_name("MAP2K1").ensembl_gene_id}
    kinase = Nomenclature.of(reference_of(gene(1, "PIK3CA")))
    greek, latin, hyphen = map_targets(["PI3Kα", "PI3Kalpha", "PI3K-alpha"], kinase).values()
    assert greek.members == latin.members == hyphen.members
    assert symbols(greek) == ["PIK3CA"]


def test_a_declared_gene_that_the_reference_lacks_is_said_and_not_a_member(
    small: Nomenclature,
) -> None:
    lacking = meaning("ERK2", small)
    assert (lacking.outcome, lacking.members) == ("unknown", ())
    assert lacking.evidence == "declared alias of MAPK1, which the reference lacks"
    group = meaning("MTORC2", small)
    assert symbols(group) == ["MTOR", "MLST8"]
    assert group.evidence.endswith("; the reference lacks RICTOR, MAPKAP1")


def test_a_number_is_no_target(small: Nomenclature) -> None:
    assert meaning("123138", small).outcome == "unknown"


def declared(**fields: object) -> DeclaredTargets:
    usual = {"unnamed": [], "qualifiers": ["mutant"], "aliases": {}, "groups": {}}
    return DeclaredTargets.model_validate(usual | fields)


def test_contradicting_declarations_are_refused() -> None:
    with pytest.raises(ValidationError, match="'MEK-1' is declared for MAP2K1 and for MAP2K2"):
        declared(aliases={"MAP2K1": ["MEK1"], "MAP2K2": ["MEK-1"]})
    with pytest.raises(ValidationError, match="the family AKT has no members"):
        declared(groups={"AKT": {"kind": "family"}})
    assert declared(groups={"DNA damage": {"kind": "process"}}).symbols("DNA damage") == ()


@pytest.mark.index
def test_every_declared_symbol_is_approved(real: Nomenclature) -> None:
    targets = declared_targets()
    named = {*targets.aliases, *(s for name in targets.groups for s in targets.symbols(name))}
    wrong = {
        symbol: known.evidence
        for symbol in sorted(named)
        if (known := real.map_name(symbol)).outcome != "exact" or known.ensembl_gene_id is None
    }
    assert not wrong


@pytest.mark.index
def test_every_target_of_our_table_is_an_approved_symbol_or_a_declared_group(
    real: Nomenclature,
) -> None:
    for row in read_drug_facts():
        for token, target in map_targets(split_targets(row.targets), real).items():
            assert target.evidence == "approved symbol" or target.group == token, (row.name, target)


@pytest.mark.index
def test_synonyms_have_the_same_gene_in_the_real_nomenclature(real: Nomenclature) -> None:
    targets = declared_targets()
    for symbol, names in targets.aliases.items():
        target = map_targets([symbol, *names], real)
        assert len({of.members for of in target.values()}) == 1, target


@pytest.mark.index
@pytest.mark.skipif(not LIST.is_file(), reason="needs the mirror's list of compounds")
def test_every_token_of_the_mirror_has_an_outcome(real: Nomenclature, tmp_path: Path) -> None:
    """381 pieces at all commas; 380 tokens, as one comma is within parentheses."""
    locations = SourceLocations((str(MIRROR),))
    file = compounds_file(Archives(load_catalogue(), tmp_path, locations=locations))
    assert file is not None
    texts = [row.targets for row in read_compounds(file.opener, file.path.name)]
    assert len({piece.strip() for text in texts for piece in text.split(",")} - {""}) == 381
    target = map_targets((token for text in texts for token in split_targets(text)), real)
    counts = {of.outcome: 0 for of in target.values()}
    for of in target.values():
        counts[of.outcome] += 1
    assert counts == {"gene": 290, "family": 50, "process": 26, "complex": 12, "unknown": 2}
    assert {of.token for of in target.values() if of.outcome == "unknown"} == {
        "others",
        "not defined",
    }
    expected = {
        "MEK1": ["MAP2K1"],
        "FAS": ["FASN"],
        "IR": ["INSR"],
        "PDK1": ["PDPK1"],
        "HDAC1-10": [f"HDAC{n}" for n in range(1, 11)],
        "Tankyrase 1/2 (PARP5a, PARP5b)": ["TNKS", "TNKS2"],
        "Retinioic X receptor (RXR) agonist": ["RXRA", "RXRB", "RXRG"],
        "Antimetabolite (DNA & RNA)": [],
        "P53 Mut specific": ["TP53"],
        "MRCKB_HUMAN": ["CDC42BPB"],
    }
    assert {token: symbols(target[token]) for token in expected} == expected
    for of in target.values():
        for symbol, id_ in of.members:
            known = real.map_name(symbol)
            assert (known.outcome, known.ensembl_gene_id) == ("exact", id_), of
