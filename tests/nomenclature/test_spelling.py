"""Names that no gene claims: what is repaired, what is recognised, and what is never guessed."""

from string import printable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from planted import gene, reference_of

from genept.nomenclature.mapping import Nomenclature
from genept.nomenclature.spelling import Meaning, meaning_by_spelling

TP53, SEPTIN2, MARCHF2, MTARC2, ORF, ACTB, MATR3, HLA, MTCO1 = (
    f"ENSG{number:011d}" for number in range(1, 10)
)
REFERENCE = reference_of(
    gene(1, "TP53", aliases=["TRP53"], previous_symbols=["LFS1"]),
    gene(2, "SEPTIN2", previous_symbols=["SEPT2"]),
    gene(3, "MARCHF2", previous_symbols=["MARCH2"]),
    gene(4, "MTARC2", previous_symbols=["MARC2"]),
    gene(5, "FIRRM", previous_symbols=["C1orf112"]),
    gene(6, "ACTB"),
    gene(7, "MATR3"),
    gene(8, "HLA-A"),
    gene(9, "MT-CO1"),
    gene(10, "MARCHF1", previous_symbols=["MARCH1"]),
    gene(11, "POU5F1", aliases=["OCT4"]),
    gene(12, "DELEC1", previous_symbols=["DEC1"]),
    gene(13, "H2AC1"),
    gene(14, "C2orf49"),
    gene(15, "CTCF"),
    gene(16, "AMBA", aliases=["BOTH"]),
    gene(17, "AMBB", aliases=["BOTH"]),
)
NAMES = Nomenclature.of(REFERENCE)
KNOWN = [
    name
    for column in ("symbol", "ensembl_gene_id", "entrez_id", "aliases", "previous_symbols")
    for name in REFERENCE[column].explode(empty_as_null=True).drop_nulls()
]

REPAIRED = {
    "\ufeffTP53": TP53,
    "TP53\u00a0": TP53,
    "TP\u200b53": TP53,
    "\tTP53 ": TP53,
    "  LFS1": TP53,
    "C1ORF112": ORF,
    " C1ORF112": ORF,
    "C2ORF49": f"ENSG{14:011d}",
}
SEPT, MARCH = (SEPTIN2,), (MARCHF2, MTARC2)
DATES = {
    "2-Sep": SEPT,
    "02-Sep": SEPT,
    "2/Sep": SEPT,
    "2.Sep": SEPT,
    "2. Sep": SEPT,
    "2 September": SEPT,
    "2-sep-06": SEPT,
    "2-Sep-2006": SEPT,
    "Sep-02": SEPT,
    "SEP-2": SEPT,
    "Sept 2": SEPT,
    "Sep 2, 2006": SEPT,
    "2-Mar": MARCH,
    "Mar-02": MARCH,
    "Mar-2002": (),
    "1-Jun": (),
    "2006/09/02": (),
    "2006-09-02": (),
    "02.09.2006": (),
    "9/2/06": (),
    "2020-09-01 00:00:00": (),
    "2020-09-01T00:00:00": (),
    "2020-09-01T00:00:00.000": (),
    "2020-09-01T00:00:00Z": (),
    "\ufeff2-Sep ": SEPT,
    # German, French, Spanish, Italian, Dutch, Portuguese
    "2. Mrz": MARCH,
    "2-Mär": MARCH,
    "02. März 2006": MARCH,
    "Mrz-02": MARCH,
    "2-mrt": MARCH,
    "2-mars": MARCH,
    "2-marzo": MARCH,
    "1. Dez": (f"ENSG{12:011d}",),
    "1-dic": (f"ENSG{12:011d}",),
    "1-déc.": (f"ENSG{12:011d}",),
    "dez-01": (f"ENSG{12:011d}",),
    "2-set": SEPT,
    "2/set/2006": SEPT,
    "4. Okt": (f"ENSG{11:011d}",),
    "4-out": (f"ENSG{11:011d}",),
    "4-ott": (f"ENSG{11:011d}",),
    "1. Mai": (),
    "1-févr.": (),
    "févr-01": (),
    "1-août": (),
    "1-ene": (),
    "3-juil.": (),
    "3-lug": (),
}
NO_DATES = ["AGO-2", "SET-2", "GEN 1", "MAG-1", "out 5", "Settle-2", "1-genx", "Mais-2"]
NUMBERS = ["42614", "44075", "44075.0", "44075.00", "2.31E+13", "2.31e+13", "2,31E+13", "5E10"]
OTHERS = {
    "ENSMUSG00000059552": (),
    "ENSMUSG00000059552.3": (),
    "ENSDARG00000035559": (),
    "FBgn0039044": (),
    "WBGene00000467": (),
    "Trp53": (TP53,),
    "Actb": (ACTB,),
    "tp53": (TP53,),
    "actb": (ACTB,),
    "mt-Co1": (MTCO1,),
    "Both": (f"ENSG{16:011d}", f"ENSG{17:011d}"),
    "2310001A20Rik": (),
    "Gm12345": (),
    "mm10___Actb": (),
    "GRCm38_Actb": (),
}
CONTROLS = [
    *("ERCC-00002", "gSpikein_ERCC-00002", "CD3_TotalSeqB", "CD3_TotalSeq", "ADT_CD3", "HTO-1"),
    *("Hashtag1", "hashtag-12", "anti-CD3", "EGFP", "Cas9"),
    *("__no_feature", "_no_feature", "__ambiguous", "__too_low_aQual", "__not_aligned"),
    *("__alignment_not_unique", "N_unmapped", "N_multimapping", "N_noFeature", "N_ambiguous"),
]
VIRUSES = [
    *("SARS-CoV-2", "SARS_CoV_2_ORF1ab", "SARSCoV2", "SCoV2", "NC_045512.2", "MN908947.3"),
    *("HIV", "HIV-1", "HIV1_gag", "NC_001802.1", "K03455", "EBV", "chrEBV", "HHV4", "HHV-6B"),
    *("NC_007605.1", "EBNA1", "EBNA3A", "LMP2A", "BZLF1", "BHRF1", "EBER1", "KSHV-LANA", "HHV8"),
    *("HPV16", "HPV-18", "HPV16_E6", "HPV16E7", "CMV", "HCMV-UL83", "HSV-1", "HBV", "HCV"),
    *("NC_001405.1", "AC_000008.1", "HAdV-C5", "AAV2", "SV40", "GU280_gp01", "ORF3a", "ZIKV"),
]
BARCODES = [
    *("HTO1", "HTO-1", "Hashtag1", "hashtag-12", "CMO301", "SampleTag01_hs", "sample_tag 3"),
    *("barcode-7", "MULTIseq_Bar1", "LMO-3"),
]
HUMAN_LOOKING = ["UL83", "N", "S", "ORF6", "HIVEP1", "AAVS1", "HPV18I1", "CMOX", "BARD1", "LMP7"]
UNKNOWN = {
    "": ((), "no name"),
    "  ": ((), "no name"),
    "\u200b": ((), "no name"),
    "NA": ((), "no name"),
    "n/a": ((), "no name"),
    "NaN": ((), "no name"),
    "#N/A": ((), "no name"),
    "-": ((), "no name"),
    "MATR3.1": ((MATR3,), "further column"),
    "MATR3-1": ((MATR3,), "further column"),
    "CTCF.1": ((f"ENSG{15:011d}",), "further column"),
    "RP11-34P13.7": ((), "clone"),
    "CTD-2132N18.4": ((), "clone"),
    "XXbac-BPG300A18.13": ((), "clone"),
    "AC012345.1": ((), "clone"),
    "AL627309.1": ((), "clone"),
    "ENSG00000999999.3": ((), "of a newer annotation"),
    "ENSG00000999999": ((), "of a newer annotation"),
    "ENSG00000000000": ((), "does not have"),
    "ENSG00000000000.3": ((), "does not have"),
    "ENSG0000000001": ((), "no source"),
    "DEC-205": ((), "no source"),
    "123456": ((), "no source"),
    "Mar": ((), "no source"),
    "NEVERHEARD": ((), "no source"),
}


@pytest.mark.parametrize(("name", "gene_id"), REPAIRED.items())
def test_what_can_only_be_meant_one_way_is_repaired_with_the_reason(name, gene_id):
    meaning = NAMES.map_name(name)
    assert meaning[:3] == ("case_or_space_fixed", gene_id, ())
    assert "left out" in meaning.evidence or "in capitals" in meaning.evidence


@pytest.mark.parametrize(("name", "candidates"), DATES.items())
def test_a_date_is_recognised_and_never_guessed(name, candidates):
    assert NAMES.map_name(name)[:3] == ("spreadsheet_date", None, candidates)


@pytest.mark.parametrize("name", NO_DATES)
def test_what_only_resembles_a_month_of_another_language_is_no_date(name):
    assert NAMES.map_name(name)[:3] == ("unknown", None, ())


@pytest.mark.parametrize("name", NUMBERS)
def test_a_serial_number_is_recognised(name):
    assert NAMES.map_name(name)[:3] == ("spreadsheet_number", None, ())


@pytest.mark.parametrize(("name", "candidates"), OTHERS.items())
def test_other_species_are_distinguished_and_never_upper_cased(name, candidates):
    assert NAMES.map_name(name)[:3] == ("non_human", None, candidates)


@pytest.mark.parametrize("name", CONTROLS)
def test_control_features_are_split_out(name):
    assert NAMES.map_name(name)[:3] == ("control_feature", None, ())


@pytest.mark.parametrize(
    ("name", "why"), [*((v, "virus") for v in VIRUSES), *((b, "barcode") for b in BARCODES)]
)
def test_viruses_and_barcodes_are_split_out(name, why):
    assert NAMES.map_name(name)[:3] == ("control_feature", None, ())
    assert why in NAMES.map_name(name).evidence


@pytest.mark.parametrize("name", HUMAN_LOOKING)
def test_what_may_be_a_gene_is_not_taken_for_a_virus_or_barcode(name):
    assert NAMES.map_name(name)[:3] == ("unknown", None, ())


@pytest.mark.parametrize(("name", "expected"), UNKNOWN.items())
def test_the_unknown_stays_unknown_with_a_hint(name, expected):
    candidates, hint = expected
    meaning = NAMES.map_name(name)
    assert meaning[:3] == ("unknown", None, candidates)
    assert hint in meaning.evidence


def test_versions_and_the_y_copy():
    assert NAMES.map_name(f"{TP53}.12")[:3] == ("version_stripped", TP53, ())
    assert NAMES.map_name(f" {TP53}.12\u00a0")[:3] == ("version_stripped", TP53, ())
    assert "version left out" in NAMES.map_name(f"{TP53}.12").evidence
    for y in (f"{TP53}.12_PAR_Y", f"{TP53}_PAR_Y"):
        assert NAMES.map_name(y)[:3] == ("ambiguous", None, (TP53,))
    assert NAMES.map_name("ENSG00000999999.1_PAR_Y")[:3] == ("ambiguous", None, ())


def test_repairing_space_does_not_decide_what_is_ambiguous():
    both = (f"ENSG{16:011d}", f"ENSG{17:011d}")
    assert NAMES.map_name(" BOTH ")[:3] == ("ambiguous", None, both)


@pytest.mark.parametrize("name", KNOWN)
def test_a_known_name_is_never_touched(name):
    assert NAMES.map_name(name).outcome not in (
        *("case_or_space_fixed", "spreadsheet_date", "spreadsheet_number", "non_human"),
        *("control_feature", "unknown", "withdrawn"),
    )


ANY_NAME = st.one_of(
    st.sampled_from(
        [*REPAIRED, *DATES, *NUMBERS, *OTHERS, *CONTROLS, *VIRUSES, *BARCODES, *UNKNOWN]
    ),
    st.text(st.sampled_from(printable), min_size=1, max_size=12),
    st.from_regex(r"[A-Z]{1,5}[0-9]{0,3}(-[A-Z0-9]{1,3})?", fullmatch=True),
)


@given(ANY_NAME)
def test_whatever_a_name_looks_like_the_reference_comes_first(name):
    owner = Nomenclature.of(reference_of(gene(77, name), gene(2, "SEPTIN2"), gene(1, "TP53")))
    assume(name not in ("", "1", "2", "SEPTIN2", "TP53"))
    assert owner.map_name(name)[:3] == ("exact", f"ENSG{77:011d}", ())
    assert owner.map([name]).rows["outcome"].to_list() == ["exact"]


@given(ANY_NAME)
def test_an_empty_reference_gives_no_gene_to_anything(name):
    meaning = meaning_by_spelling(name, lambda _: None, {})
    assert (meaning.ensembl_gene_id, meaning.candidates) == (None, ())
    assert meaning.evidence


@given(st.sampled_from(KNOWN))
def test_small_letters_never_reach_a_gene(name):
    assume(name.lower() not in KNOWN)
    assert NAMES.map_name(name.lower()).ensembl_gene_id is None


def test_capitals_are_repaired_only_where_no_other_gene_has_them():
    orf = gene(1, "FIRRM", previous_symbols=["C1orf112"])
    assert Nomenclature.of(reference_of(orf)).map_name("C1ORF112") == Meaning(
        "case_or_space_fixed",
        TP53,
        (),
        "C1orf112 written in capitals; previous symbol of FIRRM (reference)",
    )
    owned = Nomenclature.of(reference_of(orf, gene(2, "B", aliases=["C1ORF112"])))
    assert owned.map_name("C1ORF112")[:2] == ("alias", SEPTIN2)
    twice = Nomenclature.of(reference_of(orf, gene(2, "B", previous_symbols=["c1orf112"])))
    assert twice.map_name("C1ORF112").ensembl_gene_id is None
    two_genes = Nomenclature.of(reference_of(orf, gene(2, "B", previous_symbols=["C1orf112"])))
    assert two_genes.map_name("C1ORF112").ensembl_gene_id is None
