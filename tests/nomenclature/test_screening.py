"""What all gene names of a matrix together decide: refused, quarantined, split out, or kept."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted import gene, reference_of

from genept.nomenclature.mapping import Nomenclature
from genept.nomenclature.names import claims_of, gene_claims, name_index
from genept.nomenclature.screening import (
    GeneNamesRefusedError,
    NamePolicy,
    Screening,
    refuse_low_coverage,
    screen_names,
)

GENES = reference_of(
    *(
        gene(number, f"G{number}", previous_symbols=[f"OLD{number}"])
        for number in range(1, 401)
        if not 200 <= number < 225
    )
)
FIRST = "ENSG00000000001"
NEW = range(300, 325)
TODAY = [*(f"ENSG{n:011d}" for n in range(1, 200)), *(f"ENSG{n:011d}" for n in range(225, 400))]
RETIRED_EARLY = [f"ENSG{number:011d}" for number in range(200, 225)]
RETIRED_LATE = [f"ENSG{number:011d}" for number in range(9000, 9025)]


def inputs_by_gene(screening: Screening) -> dict[str, int]:
    """Number of kept inputs of each gene."""
    kept = screening.rows.filter(pl.col("verdict") == "kept")
    return dict(kept["ensembl_gene_id"].value_counts().iter_rows())


@pytest.fixture(scope="module")
def names() -> Nomenclature:
    """G1 … G400 without those that G300 … G324 replaced: each had two other ids before."""
    today = GENES.filter(pl.col("symbol").is_in([f"G{number}" for number in NEW]))
    older = [
        claims_of(
            today.with_columns(pl.Series("retired", retired)),
            "retired_successor",
            "retired",
            "older",
        )
        for retired in (RETIRED_EARLY, RETIRED_LATE)
    ]
    return Nomenclature(name_index(pl.concat([gene_claims(GENES, "now"), *older])))


@pytest.fixture
def screen(names):
    def screened(inputs, duplicates="sum", prints=None, **policy):
        fingerprints = None if prints is None else (lambda: np.asarray(prints, dtype=float))
        return screen_names(
            names.map(inputs).rows,
            NamePolicy(duplicates, **policy),
            collection="c",
            fingerprints=fingerprints,
        )

    return screened


def ids(start, stop, version=""):
    return [f"ENSG{number:011d}{version}" for number in range(start, stop)]


def verdicts(screening):
    return dict(screening.rows.select("input_id", pl.col("verdict", "reason")).rows_by_key(
        "input_id", unique=True
    ))  # fmt: skip


def test_every_input_gets_a_verdict_in_order(screen):
    inputs = ["G1", "2-Sep", "44075", "ERCC-00002", "SARS-CoV-2", "NA", "NIX", "G2 ", "OLD3"]
    screening = screen(inputs)
    assert screening.rows["input_id"].to_list() == inputs
    assert verdicts(screening) == {
        "G1": ("kept", None),
        "2-Sep": ("quarantined", "spreadsheet_date"),
        "44075": ("quarantined", "spreadsheet_number"),
        "ERCC-00002": ("split_out", "control_feature"),
        "SARS-CoV-2": ("split_out", "control_feature"),
        "NA": ("quarantined", "no_name"),
        "NIX": ("quarantined", "unknown"),
        "G2 ": ("kept", None),
        "OLD3": ("kept", None),
    }
    split, repaired = screening.warnings
    assert split.startswith("2 inputs split out, being no genes")
    assert split.endswith("such as 'ERCC-00002', 'SARS-CoV-2'")
    assert (
        repaired == "1 inputs repaired (white space, invisible characters, capitals), such as 'G2 '"
    )


@pytest.mark.parametrize(
    ("strangers", "remedy"),
    [
        (["ENSMUSG00000059552", "ENSMUSG00000059553"], "take the other species' genes out"),
        (["mm10___G1", "mm10___G2"], "take the other species' genes out"),
        ([f"g{n}" for n in range(1, 200)], "never upper-cased"),
    ],
)
def test_another_species_is_refused_above_one_per_cent(screen, strangers, remedy):
    with pytest.raises(GeneNamesRefusedError, match=rf"collection 'c'.*{strangers[0]}.*{remedy}"):
        screen([*(f"G{n}" for n in range(1, 150)), *strangers])


def test_one_per_cent_of_another_species_is_quarantined_and_said(screen):
    screening = screen([*(f"G{n}" for n in range(1, 199)), "ENSMUSG00000059552", "g5"])
    assert verdicts(screening)["ENSMUSG00000059552"] == ("quarantined", "non_human")
    assert verdicts(screening)["g5"] == ("quarantined", "non_human")
    assert "2 inputs of another species, left out" in screening.warnings[0]
    with pytest.raises(GeneNamesRefusedError):
        screen([*(f"G{n}" for n in range(1, 199)), "ENSMUSG00000059552", "g5", "g6"])


def test_the_y_copy_is_left_out_unless_the_policy_says_otherwise(screen):
    inputs = [f"{FIRST}.5", f"{FIRST}.5_PAR_Y", "ENSG00000000002_PAR_Y", "ENSG00000999999_PAR_Y"]
    left_out = screen(inputs)
    assert verdicts(left_out)[f"{FIRST}.5_PAR_Y"] == ("quarantined", "par_y")
    assert left_out.genes.to_list() == [FIRST, None, None, None]
    assert "3 inputs Y copies" in left_out.warnings[0]
    merged = screen(inputs, par_y="merge")
    assert merged.genes.to_list() == [FIRST, FIRST, "ENSG00000000002", None]
    assert inputs_by_gene(merged)[FIRST] == 2
    with pytest.raises(GeneNamesRefusedError, match="_PAR_Y"):
        screen(inputs, "refuse", par_y="merge")


@pytest.mark.parametrize("inputs", [[f"{FIRST}.1", FIRST], ["G1", "OLD1"], ["G1", "G1"]])
def test_several_inputs_of_a_gene_follow_the_policy_or_are_refused(screen, inputs):
    with pytest.raises(GeneNamesRefusedError, match=rf"1 genes.*{FIRST} \(columns 0, 1: .*state"):
        screen(inputs, "refuse", prints=[1, 2])
    for policy in ("sum", "highest_mean", "first"):
        screening = screen([*inputs, "G2"], policy, prints=[1, 2, 3])
        assert inputs_by_gene(screening) == {FIRST: 2, "ENSG00000000002": 1}


def test_equal_columns_of_one_id_are_one_measurement(screen):
    for policy in ("refuse", "sum"):
        screening = screen([f"{FIRST}.1", FIRST, f"{FIRST}.1"], policy, prints=[7, 7, 7])
        assert screening.genes.to_list() == [FIRST, None, None]
        assert screening.rows["reason"].to_list() == [None, "copy", "copy"]
        assert "2 inputs copies" in screening.warnings[0]
        assert inputs_by_gene(screening) == {FIRST: 1}
    unequal = screen([f"{FIRST}.1", FIRST, f"{FIRST}.1"], prints=[7, 7, 8])
    assert inputs_by_gene(unequal) == {FIRST: 2}


def test_equal_columns_under_two_names_are_left_to_the_policy(screen):
    screening = screen(["G1", "OLD1"], prints=[7, 7])
    assert inputs_by_gene(screening) == {FIRST: 2}
    with pytest.raises(GeneNamesRefusedError):
        screen(["G1", "OLD1"], "refuse", prints=[7, 7])


def test_values_are_read_only_if_an_id_is_doubled(names):
    def unread():
        raise AssertionError("read for nothing")

    rows = names.map(["G1", "OLD1", "ENSG00000000002"]).rows
    screen_names(rows, NamePolicy("sum"), collection="c", fingerprints=unread)


def test_mixed_releases_are_refused_unless_one_is_declared(screen):
    mixed = [*TODAY, *RETIRED_EARLY]
    with pytest.raises(
        GeneNamesRefusedError,
        match=r"several annotation releases: 25 of them.*ENSG00000000200 by ENSG00000000300, yet",
    ):
        screen(mixed)
    assert screen(mixed, annotation_release="gencode-19").genes.null_count() == 0
    versions = [f"{id_}.{version}" for id_ in TODAY for version in (1, 2)]
    with pytest.raises(GeneNamesRefusedError, match=r"374 of them .* in two versions, such as ENS"):
        screen(versions)


@pytest.mark.parametrize(
    "inputs",
    [
        [*RETIRED_EARLY, *ids(1, 200)],  # an old release: none is as new as the successors
        [*RETIRED_EARLY, *ids(1, 200), *ids(398, 400)],  # two strays
        TODAY,
        [*TODAY, *RETIRED_EARLY[:19]],  # too few to tell
        [*TODAY, *RETIRED_LATE],  # replaced by ids that are older than they were: merged
        [*(f"{id_}.2" for id_ in TODAY), *ids(1, 5, ".3")],  # four clashes
        [*(f"{id_}.2" for id_ in TODAY), *(f"{id_}_PAR_Y" for id_ in ids(1, 30, ".3"))],
        [*(f"G{n}" for n in range(1, 200)), *(f"OLD{n}" for n in range(1, 200))],
    ],
)
def test_one_release_is_not_taken_for_several(screen, inputs):
    assert screen(inputs).rows.height == len(inputs)


def test_coverage_has_a_minimum():
    refuse_low_coverage(0.6, collection="c")
    with pytest.raises(GeneNamesRefusedError, match=r"'c': only 59% .* 60% are needed"):
        refuse_low_coverage(0.59, collection="c")


INPUTS = st.lists(
    st.sampled_from(
        ["G1", "OLD1", FIRST, f"{FIRST}.2", "G2", "NIX", "2-Sep", "ERCC-00002", f"{FIRST}_PAR_Y"]
    ),
    max_size=10,
)


@given(inputs=INPUTS, policy=st.sampled_from(["sum", "highest_mean", "first"]), data=st.data())
def test_nothing_vanishes_and_no_gene_comes_from_nowhere(names, inputs, policy, data):
    prints = data.draw(st.lists(st.integers(0, 2), min_size=len(inputs), max_size=len(inputs)))
    mapped = names.map(inputs).rows
    screening = screen_names(
        mapped,
        NamePolicy(policy),
        collection="c",
        fingerprints=lambda: np.asarray(prints, dtype=float),
    )
    assert screening.rows["input_id"].to_list() == inputs
    for before, after, verdict, reason in zip(
        mapped["ensembl_gene_id"],
        screening.genes,
        screening.rows["verdict"],
        screening.rows["reason"],
        strict=True,
    ):
        assert after in (before, None)
        assert (verdict == "kept") == (after is not None) == (reason is None)
    kept = screening.rows.filter(pl.col("verdict") == "kept")
    assert set(kept["ensembl_gene_id"]) == set(mapped["ensembl_gene_id"].drop_nulls())
    assert sum(inputs_by_gene(screening).values()) == kept.height
