"""Table `perturbation_scores`: the declared predictor on held-out perturbations, beside controls.

The variants were chosen on folds over training perturbations and are fixed here; the test
perturbations are read once, by this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import polars as pl

from genept.benchmarks import Floats
from genept.datasources import QUESTIONS, Question
from genept.embeddings import KnownVectors, Spaces
from genept.nomenclature import Flags, Groups, families_of, relatives
from genept.perturbations.effects import Effects
from genept.perturbations.paired_aucs import comparable, mean_aucs
from genept.perturbations.votes import Variant, Vote

TEXT: Final = "lsa-384/name-ncbi"
NETWORK: Final = "network-200/interactions"
ONTOLOGY: Final = "go-200/co-annotation"
NAME: Final = "lsa-384/name"
"""The main control: what the gene is called, and nothing else."""

VARIANTS: Final[Mapping[Question, Variant]] = {
    "de": Variant("de", (TEXT, NETWORK, ONTOLOGY), power=3.0, shrinkage=0.5, strength=0.2),
    "dir": Variant("dir", (TEXT, NETWORK, ONTOLOGY), power=3.0, shrinkage=0.2),
}
"""The declared predictors, by question."""

SPACES: Final = (TEXT, NETWORK, ONTOLOGY, NAME)
"""Spaces that the arena reads, where they are available."""

Contestants = Mapping[str, tuple[Variant, Spaces, bool]]
"""Predictors by representation: vectors that each reads; whether its strength alone counts."""

SEED: Final = 0
SPLITS: Final = ("authors", "families", "cross-line")


def score_screen(
    rows: pl.DataFrame,
    others: Sequence[pl.DataFrame],
    spaces: Spaces,
    texts: Mapping[str, str],
    groups: Groups | None = None,
) -> pl.DataFrame:
    """Score the declared predictors and their controls on one screen.

    Parameters
    ----------
    rows
        Rows of table `perturbation_effects` of the screen.
    others
        Those of the other screens, of which one is trained on in split cross-line.
    spaces
        Vectors by id: those of `SPACES` that are available.
    texts
        Descriptions by Ensembl id, for the control of sparse TF-IDF; empty: without it.
    groups
        Gene groups that are families, too, in split families; None: stems of symbols alone.

    Returns
    -------
    pl.DataFrame
        Rows of table `perturbation_scores`.

    Raises
    ------
    LeakError
        A perturbation is in training and in the test.
    """
    scored: list[dict[str, object]] = []
    for question in QUESTIONS:
        effects = Effects.of(rows, question)
        if effects is None or not comparable(effects, effects.test):
            continue
        variant = VARIANTS[question]
        contestants = dict(_contestants(variant, spaces, effects, texts))
        for split in SPLITS:
            scored += _scored(effects, variant, split, others, contestants, groups)
    return pl.DataFrame(scored)


def _scored(
    effects: Effects,
    variant: Variant,
    split: str,
    others: Sequence[pl.DataFrame],
    contestants: Contestants,
    groups: Groups | None,
) -> Iterator[dict[str, object]]:
    """Rows of one question and split; none where there is nothing to train on."""
    if split == "cross-line":
        training = [seen for rows in others if (seen := _unseen(rows, effects)) is not None]
        if not training:
            return
    else:
        kept = ~effects.test
        if split == "families":
            families = families_of(effects.perturbations, effects.names, groups)
            kept &= ~relatives(families, effects.test)
        if not kept.any():
            return
        training = [(effects, kept)]
    scores: dict[str, Floats] = {"gene-mean": np.zeros(len(effects.row))}
    main = next((name for name in (NAME, *contestants) if name in contestants), "gene-mean")
    scores |= _pair_scores(effects, training, contestants)
    class_pairs, results = mean_aucs(effects, effects.test, scores, main, seed=SEED)
    for name, (value, difference) in results.items():
        known = name != main
        yield {
            "screen": effects.screen,
            "question": effects.question,
            "representation": name,
            "split": split,
            "value": value.value,
            "ci_low": value.low,
            "ci_high": value.high,
            "difference": difference.value if known else None,
            "difference_low": difference.low if known else None,
            "difference_high": difference.high if known else None,
            "other": main,
            "n_genes": class_pairs.n_genes,
            "n_perturbations": int(effects.test.sum()),
            "is_control": name not in variant.spaces and "+" not in name,
            "variant": variant.sha256,
        }


def _unseen(rows: pl.DataFrame, effects: Effects) -> tuple[Effects, Flags] | None:
    """Effects of another screen, and its perturbations that are not of this one's test."""
    other = Effects.of(rows, effects.question)
    if other is None:
        return None
    tested = set(effects.ids_of(effects.test))
    kept = np.array([gene not in tested for gene in other.perturbations])
    return (other, kept) if kept.any() else None


def _pair_scores(
    effects: Effects, training: Sequence[tuple[Effects, Flags]], contestants: Contestants
) -> dict[str, Floats]:
    """Score of every test pair by predictor, the sum over the screens that are trained on."""
    genes, pairs = effects.ids_of(effects.test), effects.pairs_of(effects.test)
    row = effects.rows_of(effects.test)
    results = {name: np.zeros(len(effects.row)) for name in contestants}
    for seen, kept in training:
        vote: Vote | None = None
        number = {gene: at for at, gene in enumerate(seen.genes)}
        column = np.array([number.get(gene, -1) for gene in effects.genes], dtype=np.intp)
        at = column[effects.column[pairs]]
        for name, (variant, spaces, strength_only) in contestants.items():
            vote = vote.reading(variant, spaces) if vote else Vote.fit(variant, spaces, seen, kept)
            if strength_only:
                results[name][pairs] += vote.strengths(genes)[row]
            else:
                results[name][pairs] += np.where(at >= 0, vote.scores(genes)[row, at], 0)
    return results


def _contestants(
    variant: Variant, spaces: Spaces, effects: Effects, texts: Mapping[str, str]
) -> Iterator[tuple[str, tuple[Variant, Spaces, bool]]]:
    """Predictors by name of their representation, with the vectors that each reads."""
    used = [name for name in variant.spaces if name in spaces]
    if not used:
        return
    vectors = {name: spaces[name] for name in used}
    yield "+".join(used), (variant, vectors, False)
    for name in (*used, NAME):
        if name in spaces and [name] != used:
            yield name, (replace(variant, spaces=(name,)), spaces, False)
    yield "strength", (variant, vectors, True)
    yield "shuffled", (variant, _changed(vectors, KnownVectors.shuffled), False)
    yield "random", (variant, _changed(vectors, KnownVectors.random), False)
    if texts:
        sparse = replace(variant, spaces=("tf-idf",))
        yield "tf-idf", (sparse, {"tf-idf": tf_idf(texts, effects)}, False)


def _changed(
    spaces: Spaces, change: Callable[[KnownVectors, np.random.Generator], KnownVectors]
) -> Spaces:
    rng = np.random.default_rng(SEED)
    return {name: change(space, rng) for name, space in spaces.items()}


def tf_idf(texts: Mapping[str, str], effects: Effects) -> KnownVectors:
    """Represent genes by the TF-IDF of their texts, which are used as they are.

    Parameters
    ----------
    texts
        Descriptions by Ensembl id.
    effects
        Whose perturbed genes are represented.

    Returns
    -------
    KnownVectors
        Vectors of the perturbed genes with the cosines of the sparse ones.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    genes = sorted(texts.keys() & set(effects.perturbations))
    weighted = TfidfVectorizer(min_df=2, sublinear_tf=True).fit_transform(
        [texts[gene] for gene in genes]
    )
    values, directions = np.linalg.eigh((weighted @ weighted.T).toarray())
    kept = values > 1e-6
    return KnownVectors.of(
        genes, np.asarray(directions[:, kept] * np.sqrt(values[kept]), np.float32)
    )
