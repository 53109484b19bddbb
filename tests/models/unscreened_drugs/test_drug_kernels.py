"""How alike drugs are: by hand, and what holds of every similarity."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from planted_drugs import GENES, drugs_of, planted, spaces_of

from genept.embeddings import KnownVectors
from genept.models.drug_response import has_rdkit
from genept.models.unscreened_drugs.drug_kernels import (
    BOTH,
    CONTROLS,
    FINGERPRINTS,
    ONTOLOGY,
    PATHWAY,
    STATED,
    STRUCTURES,
    TARGETS,
    TEXT,
    VARIANT,
    WITH_PATHWAY,
    DrugVariant,
    by_label,
    by_stated_targets,
    by_structure,
    by_targets,
    kernels,
    tanimoto,
    together,
)
from genept.models.unscreened_drugs.known_drugs import Drugs

ASPIRIN, SALICYLIC, WATER = "CC(=O)Oc1ccccc1C(=O)O", "Oc1ccccc1C(=O)O", "O"
FROZEN = "a979f9904a98903fb8054ce47a00c91f796867b95a32787831d9a8cebae891d3"


def some_drugs() -> Drugs:
    """Five drugs: with everything, with less, and one of which nothing is known."""
    return Drugs(
        ("a", "b", "c", "d", "e"),
        ((),) * 5,
        (
            frozenset(GENES[:1]), frozenset(GENES[:2]), frozenset({"DNA crosslinking"}),
            frozenset(GENES[2:4]), frozenset(),
        ),
        (ASPIRIN, SALICYLIC, ASPIRIN, None, None),
        ("one", "one", "two", None, None),
    )  # fmt: skip


def test_the_declared_variant_is_the_one_that_was_frozen() -> None:
    assert VARIANT.sha256 == FROZEN, "a variant is chosen before the test: see docs/decisions"
    assert DrugVariant(power=1.0).sha256 != FROZEN
    assert DrugVariant() == VARIANT


def test_every_similarity_is_symmetric_with_one_on_the_diagonal() -> None:
    every = kernels(some_drugs(), planted().spaces)
    expected = {TARGETS, STRUCTURES, BOTH, PATHWAY, WITH_PATHWAY, STATED}
    assert set(every) == expected | ({FINGERPRINTS} if has_rdkit() else set())
    for name, kernel in every.items():
        assert kernel.shape == (5, 5), name
        np.testing.assert_allclose(kernel, kernel.T, atol=1e-12, err_msg=name)
        np.testing.assert_allclose(np.diag(kernel), 1, atol=1e-12, err_msg=name)
        assert (kernel >= 0).all(), name
        assert (kernel <= 1 + 1e-12).all(), name


def test_what_no_drug_has_is_left_out() -> None:
    bare = drugs_of(("a", "b"), [0, 1])
    assert set(kernels(bare, {})) == {STATED}
    assert set(kernels(bare, planted().spaces)) == {STATED, TARGETS}


def test_targets_are_compared_by_the_mean_of_centred_unit_vectors() -> None:
    vectors = np.zeros((len(GENES), 2), np.float32)
    vectors[:4] = [[1, 0], [0, 1], [-1, 0], [0, -1]]
    drugs = Drugs(
        ("a", "b", "c", "d"), ((),) * 4,
        (
            frozenset(GENES[:1]), frozenset(GENES[:2]), frozenset(GENES[2:3]),
            frozenset({GENES[0], "no gene"}),
        ),
        (None,) * 4, (None,) * 4,
    )  # fmt: skip
    kernel = by_targets(drugs, {TEXT: KnownVectors.of(GENES, vectors)}, 2.0)
    half = np.cos(np.pi / 4) ** 2
    np.testing.assert_allclose(
        kernel, [[1, half, 0, 1], [half, 1, 0, half], [0, 0, 1, 0], [1, half, 0, 1]], atol=1e-6
    )
    power = by_targets(drugs, {TEXT: KnownVectors.of(GENES, vectors)}, 1.0)
    assert power[0, 1] == pytest.approx(np.sqrt(half))


def test_cosines_of_spaces_are_averaged_before_the_power() -> None:
    same, against = np.zeros((2, len(GENES), 2), np.float32)
    same[:2], against[:2] = [[1, 0], [1, 0.001]], [[1, 0], [-1, 0]]
    drugs = drugs_of(("a", "b"), [0, 1])
    spaces = {TEXT: KnownVectors.of(GENES, same), ONTOLOGY: KnownVectors.of(GENES, against)}
    alone = by_targets(drugs, {TEXT: spaces[TEXT]}, 1.0)[0, 1]
    assert alone > 0.99
    assert by_targets(drugs, spaces, 1.0)[0, 1] == pytest.approx(0, abs=1e-4)


def test_tanimoto_by_hand() -> None:
    bits = np.array([[1, 1, 0, 0], [0, 1, 1, 1], [0, 0, 0, 0], [1, 1, 0, 0]], dtype=float)
    assert tanimoto(bits).tolist() == [
        [1, 0.25, 0, 1], [0.25, 1, 0, 0.25], [0, 0, 1, 0], [1, 0.25, 0, 1],
    ]  # fmt: skip


@given(arrays(np.int8, st.tuples(st.integers(1, 6), st.integers(1, 9)), elements=st.integers(0, 1)))
def test_tanimoto_is_the_share_of_common_bits(bits: np.ndarray) -> None:
    kernel = tanimoto(bits.astype(float))
    for a, first in enumerate(bits.astype(bool)):
        for b, second in enumerate(bits.astype(bool)):
            either = (first | second).sum()
            share = (first & second).sum() / either if either else 0
            assert kernel[a, b] == pytest.approx(1 if a == b else share)


def test_structures_by_pieces_of_their_text() -> None:
    kernel = by_structure([ASPIRIN, SALICYLIC, WATER, None, None])
    assert kernel[0, 1] > 0.5 > kernel[0, 2] > 0
    assert kernel[3].tolist() == [0, 0, 0, 1, 0], "an unknown structure is like no other"
    pieces = by_structure(["CO", "CN"], DrugVariant(shortest=1, longest=2))
    assert pieces[0, 1] == pytest.approx(1 / 5), "C of C, O, CO, N, CN"
    assert by_structure(["Cc", "CC"], DrugVariant(shortest=1, longest=1))[0, 1] == 0.5, (
        "case counts"
    )


def test_labels_and_stated_targets() -> None:
    assert by_label(["one", "one", "two", None, None]).tolist() == [
        [1, 1, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1],
    ]  # fmt: skip
    stated = by_stated_targets(some_drugs())
    assert stated[0, 1] == pytest.approx(1 / np.sqrt(2))
    assert stated[0, 2:].tolist() == [0, 0, 0]
    assert stated[4].tolist() == [0, 0, 0, 0, 1], "no target is shared with nobody"


def test_two_similarities_together() -> None:
    first, second = np.array([[1, 0.25], [0.25, 1]]), np.array([[1, 0.81], [0.81, 1]])
    both = together(first, second)
    assert both[0, 1] == pytest.approx((0.25 + 0.81 + 0.45) / 3)
    assert both[0, 0] == 1
    assert together(first, np.eye(2))[0, 1] == pytest.approx(0.25 / 3)


def test_controls_keep_genes_and_shape_and_lose_who_has_which_vector() -> None:
    rng = np.random.default_rng(1)
    spaces = spaces_of(rng.normal(size=(len(GENES), 4)).astype(np.float32))
    mixed, drawn = (
        {name: CONTROLS[control](space, seeded) for name, space in spaces.items()}
        for control, seeded in (
            ("shuffled", np.random.default_rng(0)),
            ("random", np.random.default_rng(0)),
        )
    )
    for name, space in spaces.items():
        assert mixed[name].number == space.number
        assert sorted(mixed[name].vectors.tolist()) == sorted(space.vectors.tolist())
        moved = (mixed[name].vectors != space.vectors).any(axis=1)
        assert moved.mean() > 0.9
        assert drawn[name].vectors.shape == space.vectors.shape
        assert abs(np.corrcoef(drawn[name].vectors.ravel(), space.vectors.ravel())[0, 1]) < 0.15
