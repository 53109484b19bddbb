"""Every row of the table of bad inputs in `docs/collections.md` has a test of its outcome.

The table lists bad inputs and their outcomes; this module names the tests of each row.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parent
TESTS_OF_ROW: Final[dict[int, tuple[str, ...]]] = {
    1: ("test_a_date_is_recognised_and_never_guessed",),
    2: ("test_a_serial_number_is_recognised",),
    3: ("test_a_serial_number_is_recognised",),
    4: ("test_previous_symbols_and_aliases_are_distinguished",),
    5: (
        "test_ensembl_ids_lose_their_version_only_if_the_reference_has_them",
        "test_several_inputs_of_a_gene_follow_the_policy_or_are_refused",
    ),
    6: ("test_the_y_copy_is_left_out_unless_the_policy_says_otherwise",),
    7: ("test_a_name_that_two_genes_claim_is_ambiguous_unless_an_id_decides",),
    8: ("test_gencode_adds_ids_and_says_what_is_ambiguous",),
    9: ("test_several_inputs_of_a_gene_follow_the_policy_or_are_refused",),
    10: ("test_equal_columns_of_one_id_are_one_measurement",),
    11: (
        "test_one_per_cent_of_another_species_is_quarantined_and_said",
        "test_another_species_is_refused_above_one_per_cent",
    ),
    12: ("test_other_species_are_distinguished_and_never_upper_cased",),
    13: ("test_a_retired_id_has_a_successor_if_one_gene_moved",),
    14: ("test_an_input_of_every_outcome_and_none_that_is_not_declared",),
    15: ("test_mixed_releases_are_refused_unless_one_is_declared",),
    16: ("test_what_can_only_be_meant_one_way_is_repaired_with_the_reason",),
    17: ("test_every_input_gets_a_verdict_in_order",),
    18: (
        "test_control_features_are_split_out",
        "test_viruses_and_barcodes_are_split_out",
    ),
    19: ("Bad(19,", "test_values_that_contradict_their_unit_are_refused"),
    20: ("test_values_that_contradict_their_unit_are_refused",),
    21: ("Bad(21,", "test_values_that_contradict_their_unit_are_refused"),
    22: ("Bad(22,",),
    23: (
        "test_23_an_observation_of_zeros_is_quarantined",
        "test_a_gene_that_is_zero_everywhere_is_kept_and_warned_of",
    ),
    24: (
        "Bad(24,",
        "test_a_value_far_from_the_sample_names_its_observation",
        "test_a_number_that_float32_would_round",
    ),
    25: ("Bad(25,",),
    26: (
        "Bad(26,",
        "test_a_matrix_on_its_side_is_refused_before_it_is_read",
        "test_a_transposed_matrix_is_refused",
    ),
    27: ("Bad(27,", "test_27_metadata_in_another_order_is_joined_by_id"),
    28: (
        "Bad(28,",
        "test_tables_are_ingested_under_the_collections_own_name",
    ),
    29: ("test_one_sample_under_two_ids_is_one_group",),
    30: ("test_a_dense_matrix_in_columns_is_refused_under_a_cap",),
    31: ("test_a_broken_matrix_is_refused_by_place",),
    32: (
        "test_coverage_has_a_minimum",
        "test_too_little_coverage_is_refused_and_nothing_shows",
    ),
    33: ("test_a_library_far_from_the_others_is_warned_of_and_kept",),
    34: ("Bad(34,",),
    35: ("Bad(35,",),
    36: ("Bad(36,",),
    37: ("test_other_bytes_than_the_pinned_ones_are_refetched_once_then_refused",),
    38: (
        "Bad(38,",
        "test_every_attack_is_refused_under_a_memory_cap",
    ),
    39: ("Bad(39,",),
    40: ("Bad(40,", "test_40_a_declared_encoding_is_read"),
    41: ("Bad(41,",),
    42: ("test_42_a_header_shifted_by_one_is_repaired_and_reported",),
    43: ("test_a_file_that_leads_out_of_itself_is_refused_wherever_it_does",),
    44: ("test_counts_that_are_none_are_refused_with_what_else_there_is",),
    45: ("Bad(45,",),
    46: ("Bad(46,",),
    47: ("test_rows_that_break_the_declaration_leave_no_file",),
    48: (
        "test_rows_against_the_last_release",
        "test_held_approved_published_and_the_next_change_is_held_again",
    ),
    49: ("test_49_an_unknown_label_is_quarantined",),
    50: ("Bad(50,", "test_50_a_response_without_a_unit_is_no_entry"),
    51: ("test_51_unknown_drugs_are_counted_and_synonyms_resolved",),
    52: (
        "test_control_characters_go_and_are_counted_and_an_empty_item_is_none",
        "test_a_first_item_over_the_budget_is_cut_after_a_word_and_says_so",
    ),
}  # fmt: skip
"""By row: names of tests, or `Bad(row,` for a case of `test_refused` in `test_bad_inputs.py`."""


def test_every_row_has_tests_that_exist() -> None:
    sources = {path: path.read_text() for path in TESTS.rglob("test_*.py")}
    tests = {
        node.name
        for source in sources.values()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }
    (cases,) = (source for path, source in sources.items() if path.name == "test_bad_inputs.py")
    assert list(TESTS_OF_ROW) == list(range(1, 53))
    missing = {
        row: name
        for row, names in TESTS_OF_ROW.items()
        for name in names
        if not (name in cases if name == f"Bad({row}," else name in tests)
    }
    assert not missing
