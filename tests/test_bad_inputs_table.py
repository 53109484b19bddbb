"""Every row of the table of bad inputs has a test that shows its outcome: 52 of 52, collected.

The table itself (what is bad, and what it gets) is `docs/collections.md`'s; this names, row by
row, who shows it, and asks pytest whether they exist.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

PROJECT: Final = Path(__file__).parents[1]
SPELLING: Final = "nomenclature/test_nomenclature_spelling.py::"
MAPPING: Final = "nomenclature/test_nomenclature_mapping.py::"
SCREENING: Final = "nomenclature/test_nomenclature_screening.py::"
BAD: Final = "sources/test_bad_inputs.py::"
INGEST: Final = "collections/test_collections_ingest.py::"
UNITS: Final = INGEST + "test_values_that_contradict_their_unit_are_refused"
SNAPSHOTS: Final = "nomenclature/test_nomenclature_snapshots.py::"
H5AD: Final = "sources/test_sources_h5ad.py::"
DIFFERENCES: Final = "nomenclature/test_nomenclature_differences.py::"
FETCHING: Final = "sources/test_sources_fetching.py::"
HDF5: Final = "sources/test_sources_hdf5.py::"
TEXT: Final = "text/test_text_descriptions.py::"
SHOWN_BY: Final[dict[int, tuple[str, ...]]] = {
    1: (SPELLING + "test_a_date_is_recognised_and_never_guessed",),
    2: (SPELLING + "test_a_serial_number_is_recognised",),
    3: (SPELLING + "test_a_serial_number_is_recognised",),
    4: (MAPPING + "test_previous_symbols_and_aliases_are_found_and_told_apart",),
    5: (
        MAPPING + "test_ensembl_ids_lose_their_version_only_if_the_reference_has_them",
        SCREENING + "test_several_inputs_of_a_gene_follow_the_policy_or_are_refused",
    ),
    6: (SCREENING + "test_the_y_copy_is_left_out_unless_the_policy_says_otherwise",),
    7: (MAPPING + "test_a_name_that_two_genes_claim_is_ambiguous_unless_an_id_decides",),
    8: (SNAPSHOTS + "test_gencode_adds_ids_and_says_what_is_ambiguous",),
    9: (SCREENING + "test_several_inputs_of_a_gene_follow_the_policy_or_are_refused",),
    10: (SCREENING + "test_equal_columns_of_one_id_are_one_measurement",),
    11: (
        SCREENING + "test_one_per_cent_of_another_species_is_quarantined_and_said",
        SCREENING + "test_another_species_is_refused_above_one_per_cent",
    ),
    12: (SPELLING + "test_other_species_are_told_apart_and_never_upper_cased",),
    13: (DIFFERENCES + "test_a_retired_id_has_a_successor_if_one_gene_moved",),
    14: (MAPPING + "test_an_input_of_every_outcome_and_none_that_is_not_declared",),
    15: (SCREENING + "test_mixed_releases_are_refused_unless_one_is_declared",),
    16: (SPELLING + "test_what_can_only_be_meant_one_way_is_mended_and_said",),
    17: (SCREENING + "test_every_input_gets_a_verdict_in_order",),
    18: (
        SPELLING + "test_control_features_are_split_out",
        SPELLING + "test_viruses_and_barcodes_are_split_out",
    ),
    19: (BAD + "test_refused[19-", UNITS + "[19]"),
    20: (UNITS + "[20]",),
    21: (BAD + "test_refused[21-", UNITS + "[21]"),
    22: (BAD + "test_refused[22-",),
    23: (
        BAD + "test_23_an_observation_of_zeros_is_quarantined",
        INGEST + "test_a_gene_that_is_zero_everywhere_is_kept_and_warned_of",
    ),
    24: (
        BAD + "test_refused[24-",
        INGEST + "test_a_value_far_from_the_sample_names_its_observation",
        H5AD + "test_a_number_that_float32_would_round",
    ),
    25: (BAD + "test_refused[25-",),
    26: (
        BAD + "test_refused[26-",
        INGEST + "test_a_matrix_on_its_side_is_refused_before_it_is_read",
        H5AD + "test_a_transposed_matrix_is_told",
    ),
    27: (BAD + "test_refused[27-", BAD + "test_27_metadata_in_another_order_is_joined_by_id"),
    28: (
        BAD + "test_refused[28-",
        INGEST + "test_tables_are_ingested_under_the_collections_own_name",
    ),
    29: (INGEST + "test_one_sample_under_two_ids_is_one_group",),
    30: (H5AD + "test_a_dense_matrix_in_columns_is_refused_under_a_cap",),
    31: (H5AD + "test_a_broken_matrix_is_refused_by_place",),
    32: (
        SCREENING + "test_coverage_has_a_floor",
        INGEST + "test_too_little_coverage_is_refused_and_nothing_shows",
    ),
    33: (INGEST + "test_a_library_far_from_the_others_is_warned_of_and_kept",),
    34: (BAD + "test_refused[34-",),
    35: (BAD + "test_refused[35-",),
    36: (BAD + "test_refused[36-",),
    37: (FETCHING + "test_other_bytes_than_the_pinned_ones_are_refetched_once_then_refused",),
    38: (
        BAD + "test_refused[38-",
        "sources/test_sources_attacks.py::test_every_attack_is_refused_under_a_memory_cap",
    ),
    39: (BAD + "test_refused[39-",),
    40: (BAD + "test_refused[40-", BAD + "test_40_a_declared_encoding_is_read"),
    41: (BAD + "test_refused[41-",),
    42: (BAD + "test_42_a_header_shifted_by_one_is_mended_and_said",),
    43: (HDF5 + "test_a_file_that_leads_out_of_itself_is_refused_wherever_it_does",),
    44: (H5AD + "test_counts_that_are_none_are_refused_with_what_else_there_is",),
    45: (BAD + "test_refused[45-",),
    46: (BAD + "test_refused[46-",),
    47: ("store/test_store_parquet.py::test_rows_that_break_the_declaration_leave_no_file",),
    48: (
        "store/test_store_drift.py::test_rows_against_the_last_release",
        "store/test_store_approvals.py::test_held_approved_published_and_the_next_change_is_held_again",
    ),
    49: (BAD + "test_49_an_unknown_label_is_quarantined",),
    50: (BAD + "test_refused[50-", BAD + "test_50_a_response_without_a_unit_is_no_entry"),
    51: (BAD + "test_51_unknown_drugs_are_counted_and_synonyms_mended",),
    52: (
        TEXT + "test_control_characters_go_and_are_counted_and_an_empty_item_is_none",
        TEXT + "test_a_first_item_over_the_budget_is_cut_after_a_word_and_says_so",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def collected() -> list[str]:
    """Ids of the tests in the files that are named, as pytest sees them."""
    files = sorted({name.partition("::")[0] for names in SHOWN_BY.values() for name in names})
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    told = subprocess.run(
        [*command, *(f"tests/{file}" for file in files)],
        cwd=PROJECT,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    return [line.removeprefix("tests/") for line in told.stdout.splitlines() if "::" in line]


def test_every_row_is_shown_by_tests_that_exist(collected: list[str]) -> None:
    assert list(SHOWN_BY) == list(range(1, 53))
    lacking = {
        row: name
        for row, names in SHOWN_BY.items()
        for name in names
        if not any(_is(one, name) for one in collected)
    }
    assert not lacking


def _is(one: str, name: str) -> bool:
    """Whether a collected test is the named one, or a case of it."""
    if "[" in name:
        return one == name or (name.endswith("-") and one.startswith(name))
    return one.partition("[")[0] == name
