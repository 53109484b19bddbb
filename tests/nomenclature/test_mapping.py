"""What a name means: precedence, ambiguity, and what no name may ever do."""

from collections import Counter
from typing import NamedTuple

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted import gene, reference_of

from genept.datasources.download.archives import Archives
from genept.datasources.parsers import parse_collection
from genept.datasources.readers.parsed import ParsedCollection
from genept.nomenclature.mapping import Nomenclature
from genept.nomenclature.names import CLAIM_SCHEMA, gene_claims, name_index
from genept.schema.tables import OUTCOMES

TYMP, SCO2 = "ENSG00000000001", "ENSG00000000002"


class Mapped(NamedTuple):
    """What a name means, apart from the wording of the evidence."""

    outcome: str
    ensembl_gene_id: str | None = None
    candidates: tuple[str, ...] = ()


class Names:
    """A nomenclature of approved genes, asked for one name at a time."""

    def __init__(self, reference: pl.DataFrame) -> None:
        self.nomenclature = Nomenclature.of(reference)

    def map_name(self, name: str, entrez_id: str | None = None) -> Mapped:
        meaning = self.nomenclature.map_name(name, entrez_id)
        return Mapped(meaning.outcome, meaning.ensembl_gene_id, meaning.candidates)

    def map(self, names, entrez_ids=None) -> pl.DataFrame:
        return self.nomenclature.map(names, entrez_ids).rows


def nomenclature(*genes):
    return Names(reference_of(*genes))


def test_an_approved_symbol_beats_another_genes_alias_and_previous_symbol():
    thymidine = gene(1, "TYMP", previous_symbols=["ECGF1"])
    for claim in ({"aliases": ["TYMP"]}, {"previous_symbols": ["TYMP"]}):
        assert nomenclature(thymidine, gene(2, "SCO2", **claim)).map_name("TYMP") == Mapped(
            "exact", TYMP
        )


@pytest.mark.parametrize(
    ("name", "is_gene_like"),
    [
        *(("NEW", True), ("OLD", True), ("ENSG00000000001.7", True), ("ENSG00000999999", True)),
        *(("S1", False), ("ENST00000000001", False), ("", False)),
    ],
)
def test_what_counts_as_a_gene_on_an_axis(name: str, is_gene_like: bool) -> None:
    names = Nomenclature.of(reference_of(gene(1, "NEW", previous_symbols=["OLD"])))
    assert names.is_gene_like(name) is is_gene_like


def test_previous_symbols_and_aliases_are_distinguished():
    names = nomenclature(gene(1, "NEW", previous_symbols=["OLD", "BOTH"], aliases=["BY", "BOTH"]))
    assert names.map_name("OLD") == Mapped("previous", TYMP)
    assert names.map_name("BY") == Mapped("alias", TYMP)
    assert names.map_name("BOTH") == Mapped("previous", TYMP)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"aliases": ["X"]}, {"aliases": ["X"]}),
        ({"previous_symbols": ["X"]}, {"previous_symbols": ["X"]}),
    ],
)
def test_a_name_that_two_genes_claim_is_ambiguous_unless_an_id_decides(first, second):
    names = nomenclature(gene(2, "B", **second), gene(1, "A", **first))
    assert names.map_name("X") == Mapped("ambiguous", None, (TYMP, SCO2))
    assert names.map_name("X", "2").ensembl_gene_id == SCO2
    assert names.map_name("X", "1").ensembl_gene_id == TYMP
    assert names.map_name("X", "999").outcome == "ambiguous", "the reference does not know 999"


def test_a_symbol_withdrawn_because_it_looks_like_a_date_keeps_its_meaning():
    names = nomenclature(
        gene(1, "SEPTIN2", previous_symbols=["SEPT2"]), gene(2, "SEPTIN6", aliases=["SEPT2"])
    )
    assert names.map_name("SEPT2") == Mapped("previous", TYMP)
    assert (
        nomenclature(gene(1, "A", aliases=["SEPT2"]), gene(2, "B", aliases=["SEPT2"]))
        .map_name("SEPT2")
        .outcome
        == "ambiguous"
    )


def test_an_entrez_id_decides_whatever_the_name_says():
    names = nomenclature(
        gene(1, "A", previous_symbols=["OLD"], aliases=["BY"]), gene(2, "B", aliases=["A"])
    )
    inputs = ["A", "OLD", "BY", "unknown", "B"]
    assert set(names.map(inputs, ["1"] * 5)["ensembl_gene_id"]) == {TYMP}
    assert set(names.map(inputs, ["2"] * 5)["ensembl_gene_id"]) == {SCO2}
    assert names.map_name("unknown", "1") == names.map_name("B", "1") == Mapped("entrez_id", TYMP)
    assert names.map_name("A", "1") == Mapped("exact", TYMP)


def test_genes_that_share_an_ensembl_id_do_not_make_a_name_ambiguous():
    shared = {"ensembl_gene_id": TYMP, "aliases": ["X"]}
    assert nomenclature(gene(1, "A", **shared), gene(2, "B", **shared)).map_name("X") == Mapped(
        "alias", TYMP
    )


def test_a_gene_without_ensembl_id_is_recognised_and_not_given_to_another():
    without = gene(1, "LOST", ensembl_gene_id=None, aliases=["X"])
    names = nomenclature(without, gene(2, "B", aliases=["LOST", "X"]))
    assert names.map_name("LOST") == Mapped("without_ensembl_id")
    assert names.map_name("X") == Mapped("ambiguous", None, (SCO2,))
    assert names.map_name("anything", "1") == Mapped("without_ensembl_id")


def test_ensembl_ids_lose_their_version_only_if_the_reference_has_them():
    names = nomenclature(gene(1, "A"))
    assert names.map_name(TYMP) == Mapped("ensembl_id", TYMP)
    assert names.map_name(f"{TYMP}.14") == Mapped("version_stripped", TYMP)
    for stranger in (SCO2, f"{TYMP}.14_PAR_Y", TYMP.lower(), TYMP[:-1], "ENSMUSG00000000001"):
        assert names.map_name(stranger).ensembl_gene_id is None


@pytest.mark.parametrize(
    "name", ["Trp53", "tp53", "1-Sep", "2-Mar", "2020-09-01", "42614", "2.31E+13", "", "NA"]
)
def test_nothing_is_upper_cased_or_guessed(name):
    names = nomenclature(
        gene(1, "TP53", aliases=["TRP53"]), gene(2, "SEPTIN1", previous_symbols=["SEPT1"])
    )
    assert names.map_name(name).ensembl_gene_id is None


NAMES = st.sampled_from(["A", "B", "C", "D", "a", "SEPT2", "MARCH1", "ENSG00000000003"])
SYMBOLS = st.lists(st.sampled_from(["A", "B", "C", "D", "E", "F", "SEPTIN2"]), unique=True)
CLAIMS = st.lists(NAMES, max_size=3)


@st.composite
def references(draw):
    return reference_of(
        *(
            gene(
                number,
                symbol,
                previous_symbols=draw(CLAIMS),
                aliases=draw(CLAIMS),
                # Some genes share an Ensembl id, some have none.
                ensembl_gene_id=draw(st.sampled_from([None, TYMP, f"ENSG{number:011d}"])),
                entrez_id=draw(st.sampled_from([None, str(number)])),
            )
            for number, symbol in enumerate(draw(SYMBOLS), start=1)
        )
    )


ASKED = st.lists(st.tuples(NAMES, st.sampled_from([None, "1", "2", "77"])), max_size=8)


def answers(reference, inputs):
    names = Names(reference)
    return [names.map_name(*item) for item in inputs]


@given(references(), ASKED, st.randoms(use_true_random=False))
def test_order_and_duplication_change_nothing(reference, inputs, random):
    expected = dict(zip(inputs, answers(reference, inputs), strict=True))
    doubled = [*inputs, *inputs]
    random.shuffle(doubled)
    shuffled = reference.sample(fraction=1, shuffle=True, seed=random.randrange(2**32))
    assert answers(shuffled, doubled) == [expected[item] for item in doubled]
    table = Names(reference).map([name for name, _ in doubled], [id_ for _, id_ in doubled])
    assert table["outcome"].to_list() == [expected[item].outcome for item in doubled]


@given(references(), ASKED)
def test_every_answer_lies_inside_the_reference_and_maps_to_itself(reference, inputs):
    known = set(reference["ensembl_gene_id"].drop_nulls())
    names = Names(reference)
    for meaning in answers(reference, inputs):
        assert set(meaning.candidates) <= known
        if meaning.ensembl_gene_id is not None:
            assert meaning.ensembl_gene_id in known
            assert meaning.candidates == ()
            again = names.map_name(meaning.ensembl_gene_id)
            assert again == Mapped("ensembl_id", meaning.ensembl_gene_id)
        if meaning.outcome == "ambiguous":
            assert meaning.ensembl_gene_id is None
            assert meaning.candidates


@given(references(), ASKED)
def test_an_unrelated_gene_changes_nothing(reference, inputs):
    stranger = gene(99, "Z", previous_symbols=["ZOLD"], aliases=["ZALIAS"])
    extended = pl.concat([reference, reference_of(stranger)])
    assert answers(extended, inputs) == answers(reference, inputs)


@given(references())
def test_an_approved_symbol_is_always_its_own_gene(reference):
    names = Names(reference)
    for symbol, ensembl in reference.select("symbol", "ensembl_gene_id").iter_rows():
        assert names.map_name(symbol) == Mapped(
            "exact" if ensembl else "without_ensembl_id", ensembl
        )


@given(references(), st.sampled_from(["A", "B", "C", "D", "a"]))
def test_a_name_has_a_gene_exactly_if_all_who_claim_it_agree(reference, name):
    was = reference.filter(pl.col("previous_symbols").list.contains(name))
    claims = was if was.height else reference.filter(pl.col("aliases").list.contains(name))
    meaning = Names(reference).map_name(name)
    if name not in reference["symbol"] and meaning.outcome != "case_or_space_fixed":
        agreed = claims["ensembl_gene_id"].n_unique() == 1
        assert (meaning.outcome == "ambiguous") == (claims.height > 0 and not agreed)
        assert meaning.ensembl_gene_id == (claims["ensembl_gene_id"][0] if agreed else None)


KINDS = ("previous", "alias", "synonym", "entrez_id", "exact", "retired_successor", "withdrawn")
SPELLINGS = (
    *("{}", " {} ", "{}.7", "{}_PAR_Y", "{}.1", "{}-1", "LOC{}"),
    *(
        "2-Sep",
        "1. Mrz",
        "44075",
        "2.31E+13",
        "ERCC-00002",
        "EBV",
        "NA",
        "nix",
        "ENSMUSG00000000001",
    ),
)


@st.composite
def indexes(draw):
    """Names of every kind, claimed by a few genes: some on the ids of others, some without id."""
    ids = [TYMP, SCO2, "ENSG00000000003"]
    claims = [(id_, "ensembl_id", f"G{n}", id_, "s") for n, id_ in enumerate(ids)]
    names = st.sampled_from(["A", "B", "c1orf1", "7", "8", "SEPT2", SCO2, "ENSG00000000077"])
    claims += draw(
        st.lists(
            st.tuples(
                names,
                st.sampled_from(KINDS),
                st.just("X"),
                st.sampled_from([*ids, None]),
                st.just("s"),
            ),
            max_size=12,
        )
    )
    return name_index(pl.DataFrame(claims, schema=CLAIM_SCHEMA, orient="row"))


@given(indexes(), st.data())
def test_whatever_the_outcome_what_a_name_maps_to_maps_to_itself(index, data):
    known = Nomenclature(index)
    spelling = data.draw(st.sampled_from(SPELLINGS))
    name = spelling.format(data.draw(st.sampled_from([*index["name"], "C1ORF1", "b", "nix"])))
    meaning = known.map_name(name)
    reached = [meaning.ensembl_gene_id] if meaning.ensembl_gene_id else meaning.candidates
    for id_ in reached:
        assert known.map_name(id_)[:3] == ("ensembl_id", id_, ())
    once = known.map([name])
    assert once.rows.drop("input_id").row(0) == (
        *meaning[:2],
        list(meaning.candidates),
        meaning.evidence,
    )
    again = known.map(once.mapped["ensembl_gene_id"].to_list())
    assert again.rows["ensembl_gene_id"].to_list() == once.mapped["ensembl_gene_id"].to_list()


EVERY_OUTCOME = {
    "A": "exact",
    TYMP: "ensembl_id",
    f"{TYMP}.3": "version_stripped",
    " A": "case_or_space_fixed",
    "1": "entrez_id",
    "OLD": "previous",
    "BY": "alias",
    "ENSG00000000077": "retired_successor",
    "2-Sep": "spreadsheet_date",
    "44075": "spreadsheet_number",
    "BOTH": "ambiguous",
    "GONE": "withdrawn",
    "ENSMUSG00000000001": "non_human",
    "EBV": "control_feature",
    "NOID": "without_ensembl_id",
    "nix": "unknown",
}


def test_an_input_of_every_outcome_and_none_that_is_not_declared():
    genes = reference_of(
        gene(1, "A", previous_symbols=["OLD"], aliases=["BY", "BOTH"]),
        gene(2, "B", aliases=["BOTH"]),
        gene(3, "NOID", ensembl_gene_id=None),
    )
    further = pl.DataFrame(
        [
            ("ENSG00000000077", "retired_successor", "A", TYMP, "s"),
            ("GONE", "withdrawn", None, None, "s"),
        ],
        schema=CLAIM_SCHEMA,
        orient="row",
    )
    known = Nomenclature(name_index(pl.concat([gene_claims(genes, "s"), further])))
    meaning = known.map(list(EVERY_OUTCOME)).rows
    assert dict(meaning.select("input_id", "outcome").iter_rows()) == EVERY_OUTCOME
    assert set(EVERY_OUTCOME.values()) == set(OUTCOMES)
    reached = meaning["ensembl_gene_id"].drop_nulls().to_list()
    assert known.map(reached).rows["ensembl_gene_id"].to_list() == reached
    assert set(known.map(reached).rows["outcome"]) == {"ensembl_id"}


def counted(meaning: pl.DataFrame) -> Counter[str]:
    return Counter(meaning["outcome"])


@pytest.fixture(scope="module")
def real_names(real_reference: pl.DataFrame) -> Names:
    return Names(real_reference)


@pytest.mark.index
def test_real_names_that_others_get_wrong(real_names: Names, real_reference: pl.DataFrame):
    approved = dict(real_reference.select("symbol", "ensembl_gene_id").iter_rows())
    assert real_names.map_name("TYMP") == Mapped("exact", approved["TYMP"])
    assert approved["TYMP"] != approved["SCO2"]
    for old, new in (("SEPT2", "SEPTIN2"), ("MARCH1", "MARCHF1"), ("SEPT6", "SEPTIN6")):
        assert real_names.map_name(old) == Mapped("previous", approved[new])
    # Once approved for ADAM11, and only in use for CCL22.
    assert real_names.map_name("MDC") == Mapped("previous", approved["ADAM11"])
    assert "also alias of CCL22" in real_names.nomenclature.map_name("MDC").evidence
    for broken in ("1-Sep", "2-Mar", "Trp53", "tymp"):
        assert real_names.map_name(broken).ensembl_gene_id is None


def real_collection(archives: Archives, id_: str) -> ParsedCollection:
    return parse_collection(archives, archives.catalogue.collections[id_])


@pytest.mark.index
@pytest.mark.timeout(1200)
def test_outcomes_in_the_starter_collections(real_archives: Archives, real_names: Names):
    """Beside the figures of an independent count, which gave a previous symbol the precedence."""
    pbmc = counted(real_names.map(real_collection(real_archives, "pbmc-hao").symbols))
    assert pbmc == {
        "exact": 7_424, "previous": 316, "alias": 53, "ambiguous": 4,
        "without_ensembl_id": 11, "unknown": 3_372,
    }  # fmt: skip
    assert pbmc["exact"] + pbmc["without_ensembl_id"] == 7_435
    assert pbmc["previous"] + pbmc["alias"] + pbmc["ambiguous"] == 318 + 55
    gdsc = real_collection(real_archives, "gdsc")
    fillers = [item.input_id for item in gdsc.quarantined if item.item == "gene"]
    every_column = counted(real_names.map([*gdsc.symbols, *fillers]))
    assert every_column == {
        "exact": 5_801, "previous": 325, "alias": 7, "ambiguous": 1,
        "without_ensembl_id": 2, "unknown": 4, "case_or_space_fixed": 23,  # HLA.A is HLA-A
    }  # fmt: skip
    assert every_column["exact"] + every_column["without_ensembl_id"] == 5_803
    assert every_column["previous"] + every_column["ambiguous"] == 326


@pytest.mark.index
@pytest.mark.timeout(1200)
def test_entrez_ids_recover_what_symbols_alone_leave_open(
    real_archives: Archives, real_names: Names
):
    brca = real_collection(real_archives, "tcga-brca")
    by_symbol = counted(real_names.map(brca.symbols))
    assert by_symbol == {
        "exact": 2_159, "previous": 266, "alias": 15, "ambiguous": 2,
        "without_ensembl_id": 4, "entrez_id": 34, "unknown": 20,
    }  # fmt: skip
    # A name such as LOC344967 holds its NCBI Gene id; without that, 56 would be unknown.
    held = by_symbol["entrez_id"] + 2
    assert by_symbol.total() - by_symbol["unknown"] - held == 2_160 + 269 + 15
    by_id = counted(real_names.map(brca.symbols, brca.entrez_ids))
    assert (by_id["ambiguous"], by_id["unknown"]) == (0, 5)


def test_the_y_copy_of_a_retired_id_leads_to_the_gene_of_today():
    claims = [
        ("ENSG00000000001", "ensembl_id", "G1", "ENSG00000000001", "s"),
        ("ENSG00000000077", "retired_successor", "G1", "ENSG00000000001", "s"),
    ]
    known = Nomenclature(name_index(pl.DataFrame(claims, schema=CLAIM_SCHEMA, orient="row")))
    meaning = known.map_name("ENSG00000000077_PAR_Y")
    assert (meaning.outcome, meaning.candidates) == ("ambiguous", ("ENSG00000000001",))
