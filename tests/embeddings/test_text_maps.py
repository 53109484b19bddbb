"""Maps fitted on labels: a text that no label has is placed by the types that it resembles."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from genept.embeddings.text_readings.similarities import gene_centre, text_vectors, unit_rows_of
from genept.embeddings.text_readings.text_maps import FEWEST_OF_TYPE, HEADS, fit_text_map

N, TYPES = 200, ("B cell", "T cell", "monocyte", "neuron")


def planted(seed: int = 0):
    """Directions of expression of four types, the first of which is five times as frequent."""
    rng = np.random.default_rng(seed)
    codes = rng.choice(4, N, p=[0.55, 0.15, 0.15, 0.15])
    directions = rng.normal(size=(N, 6)) * 0.6 + 2 * np.eye(6)[codes]
    texts = unit_rows_of(np.eye(4, 10) + 0.1 * rng.normal(size=(4, 10)))
    return directions, codes, np.array(TYPES)[codes], texts


@pytest.mark.parametrize("head", HEADS)
def test_every_head_finds_a_type_by_another_phrasing(head) -> None:
    directions, codes, labels, texts = planted()
    fitted = fit_text_map(directions[::2], labels[::2], TYPES, texts, head=head)
    asked = unit_rows_of(texts + 0.1 * np.random.default_rng(1).normal(size=texts.shape))
    scores = fitted.read(directions[1::2], asked)
    nearest = np.argsort(-scores, axis=0, kind="stable")[:5]
    assert (codes[1::2][nearest] == np.arange(4)).mean() > 0.9
    dealt = fit_text_map(
        directions[::2], np.random.default_rng(0).permutation(labels[::2]), TYPES, texts, head=head
    )
    by_chance = np.argsort(-dealt.read(directions[1::2], asked), axis=0, kind="stable")[:5]
    assert (codes[1::2][by_chance] == np.arange(4)).mean() < 0.6


def test_a_text_between_two_types_finds_both_and_no_other() -> None:
    directions, codes, labels, texts = planted()
    fitted = fit_text_map(directions, labels, TYPES, texts)
    between = unit_rows_of(texts[[1]] + texts[[2]])
    assert_allclose(fitted.shares_of(between).sum(), 1)
    assert fitted.shares_of(between)[0, [1, 2]].min() > 0.3
    nearest = np.argsort(-fitted.read(directions, between)[:, 0], kind="stable")[:20]
    assert set(codes[nearest]) == {1, 2}


def test_probabilities_sum_to_one_and_rare_types_weigh_as_much() -> None:
    directions, codes, labels, texts = planted()
    shares = fit_text_map(directions, labels, TYPES, texts).types_of(directions)
    assert_allclose(shares.sum(axis=1), 1)
    recall = [(shares[codes == at].argmax(axis=1) == at).mean() for at in range(4)]
    assert min(recall) > 0.8


def test_a_text_that_means_no_type_scores_lower_than_one_that_does() -> None:
    directions, _, labels, texts = planted()
    fitted = fit_text_map(directions, labels, TYPES, texts)
    unrelated = np.linalg.svd(texts)[2][-1:]  # at right angles to the text of every type
    scores = fitted.read(directions, np.concatenate([texts, unrelated]))
    assert np.abs(scores[:, -1]).max() < 0.2 * np.abs(scores[:, :-1]).max()
    assert_allclose(scores.mean(axis=0), 0, atol=1e-9)


def test_labels_that_are_no_type_take_no_part() -> None:
    directions, _, labels, texts = planted()
    with_others = np.where(np.arange(N) % 5 == 0, "unassigned", labels)
    kept = with_others != "unassigned"
    everything = fit_text_map(directions, with_others, TYPES, texts)
    alone = fit_text_map(directions[kept], labels[kept], TYPES, texts)
    assert_allclose(everything.weights, alone.weights)


def test_two_types_are_enough() -> None:
    directions, codes, labels, texts = planted()
    fitted = fit_text_map(directions, labels, TYPES[:2], texts[:2])
    shares = fitted.types_of(directions[codes < 2])
    assert (shares.argmax(axis=1) == codes[codes < 2]).mean() > 0.9


@pytest.mark.parametrize("types", [TYPES[:1], (*TYPES, "never seen")])
def test_too_little_to_fit_on_is_refused_and_named(types) -> None:
    directions, _, labels, texts = planted()
    vectors = np.concatenate([texts, texts])[: len(types)]
    with pytest.raises(ValueError, match=f"{FEWEST_OF_TYPE} observations.*(none|never seen)"):
        fit_text_map(directions, labels, types, vectors)


def test_phrasings_are_averaged_and_the_centre_of_the_genes_is_taken_off() -> None:
    genes = np.array([[3.0, 0.0], [0.0, 0.5]], np.float32)
    centre = gene_centre(genes)
    assert_allclose(centre, [0.5, 0.5])
    vectors = text_vectors(centre, [np.array([[2, 0], [0, 1]], np.float32), genes[:1]])
    assert_allclose(vectors[0], 0, atol=1e-9)
    assert_allclose(vectors[1], np.array([1, -1]) / np.sqrt(2))
