"""Forms of labels in which authors' habits of writing do not count."""

from __future__ import annotations

import pytest

from genept.collections.labels.label_spelling import as_published, letters_and_digits, words_form


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("T_cells_CD4+", "t cell cd4 positive"),
        ("CD16- monocytes", "cd16 negative monocyte"),
        ("CD56bright NK", "cd56 bright nk"),
        ("CD4-positive, alpha-beta T cell", "cd4 positive alpha beta t cell"),
        ("γδ T cells", "gamma delta t cell"),
        ("Alzheimer's disease", "alzheimer disease"),
        ("Alzheimers disease", "alzheimer disease"),
        ("acute myeloid leukaemia", "acute myeloid leukemia"),
        ("Oesophagus", "esophagus"),
        ("Ovaries", "ovary"),
        ("10x 3' v3", "10x 3 v3"),
        ("NKs", "nk"),
        ("B", "b"),
        ("?", ""),
    ],
)
def test_words_of_a_label(label: str, words: str) -> None:
    assert " ".join(words_form(label)) == words


def test_a_sign_is_kept() -> None:
    assert len({words_form(f"CD16{sign} monocytes") for sign in ("+", "-", "")}) == 3


def test_published_forms() -> None:
    assert as_published(" Bone_Marrow ") == "bone marrow"
    assert letters_and_digits("MDA-MB-231") == letters_and_digits("mdamb231")
