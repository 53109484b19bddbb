"""The predictor on planted data: signal is found, noise is not, leaks are refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from genept.embeddings import KnownVectors, Spaces
from genept.nomenclature.families import families_of, family_groups, family_of, relatives
from genept.perturbations.arena import NAME, TEXT, VARIANTS, score_screen
from genept.perturbations.effects import Effects, LeakError
from genept.perturbations.paired_aucs import AucInterval, ClassPairs, mean_aucs
from genept.perturbations.unseen import LEAST_PERTURBATIONS, fit_models, predict_unseen
from genept.perturbations.votes import Vote

N, WIDTH, MEASURED = 240, 12, 40
PERTURBED = [f"ENSG{number:011d}" for number in range(N)]
GENES = [f"ENSG{number:011d}" for number in range(1000, 1000 + MEASURED)]


def planted(seed: int = 0, *, noise: bool = False, screen: str = "s-a") -> pl.DataFrame:
    """Effects of a screen that follow the vectors of the perturbed genes, or nothing."""
    vectors = space(seed).vectors[:N]
    rng = np.random.default_rng(seed + 1)
    wanted = vectors @ rng.standard_normal((WIDTH, MEASURED))
    wanted = rng.standard_normal(wanted.shape) if noise else wanted
    answer = wanted + 0.3 * rng.standard_normal(wanted.shape) > 0.4
    row, column = np.nonzero(rng.random(wanted.shape) < 0.5)
    other = vectors @ rng.standard_normal((WIDTH, MEASURED))
    up = (other[row, column] > 0).tolist()
    return pl.DataFrame(
        {
            "screen": screen,
            "perturbed_input": [f"P{at}" for at in row],
            "perturbed_gene": [PERTURBED[at] for at in row],
            "measured_input": [f"M{at}" for at in column],
            "measured_gene": [GENES[at] for at in column],
            "differential": answer[row, column],
            "direction": [
                ("up" if is_up else "down") if yes else None
                for is_up, yes in zip(up, answer[row, column], strict=True)
            ],
            "split": ["test" if at % 4 == 0 else "train" for at in row],
        }
    )


def space(seed: int = 0) -> KnownVectors:
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((N + MEASURED, WIDTH)).astype(np.float32)
    return KnownVectors.of([*PERTURBED, *GENES], vectors)


def spaces(seed: int = 0) -> Spaces:
    return {TEXT: space(seed), NAME: space(seed + 99)}


def scores(rows: pl.DataFrame, *others: pl.DataFrame) -> dict[tuple[str, str, str], dict]:
    table = score_screen(rows, others, spaces(), {})
    return {
        (row["question"], row["split"], row["representation"]): row
        for row in table.iter_rows(named=True)
    }


def test_signal_is_found_and_controls_have_none() -> None:
    scored = scores(planted())
    for question in ("de", "dir"):
        row = scored[question, "authors", TEXT]
        assert row["ci_low"] < row["value"] < row["ci_high"]
        assert row["value"] > 0.75
        assert row["difference_low"] > 0.1
        assert not row["is_control"]
        for control in ("gene-mean", "shuffled", "random", NAME):
            beside = scored[question, "authors", control]
            assert beside["is_control"]
            assert abs(beside["value"] - 0.5) < 0.08
        constant = scored[question, "authors", "gene-mean"]
        assert constant["value"] == constant["ci_low"] == constant["ci_high"] == 0.5


def test_noise_is_not_found() -> None:
    row = scores(planted(noise=True))["de", "authors", TEXT]
    assert row["ci_low"] < 0.5 < row["ci_high"]


def test_permuted_labels_are_at_chance() -> None:
    rows = planted()
    rng = np.random.default_rng(7)
    permuted = rows.with_columns(differential=rng.permutation(rows["differential"].to_numpy()))
    assert abs(scores(permuted)["de", "authors", TEXT]["value"] - 0.5) < 0.05


def test_the_same_seed_gives_the_same_scores() -> None:
    first, second = (score_screen(planted(), [], spaces(), {}) for _ in range(2))
    assert first.equals(second)


def test_another_line_is_trained_on_without_the_tested_perturbations() -> None:
    rows = planted()
    other = rows.with_columns(screen=pl.lit("s-b"), split=pl.lit("train"))
    scored = scores(rows, other)
    assert scored["dir", "cross-line", TEXT]["value"] > 0.7
    only_tested = other.filter(
        pl.col("perturbed_gene").is_in(rows.filter(split="test")["perturbed_gene"].implode())
    )
    assert ("dir", "cross-line", TEXT) not in scores(rows, only_tested)


def test_the_family_split_trains_without_paralogues() -> None:
    assert family_of("RPL13A") == family_of("RPL5") == "RPL"
    assert family_of("STAT1") == family_of("STAT5A")
    assert family_of("TP53") == "TP"
    assert family_of("A2M") == "A2M"
    assert family_of("ENSG00000174282") != family_of("ENSG00000141510")
    rows = planted().with_columns(
        perturbed_input=pl.concat_str(pl.lit("FAM"), pl.col("perturbed_input").str.slice(1))
    )
    scored = scores(rows)  # every training perturbation is a relative
    assert not any(split == "families" for _, split, _ in scored)


@pytest.mark.parametrize("n_test", [0, 1])
def test_a_screen_with_too_few_test_perturbations_has_no_scores(n_test: int) -> None:
    tested = [f"P{at}" for at in range(n_test)]
    few = planted().with_columns(
        split=pl.when(pl.col("perturbed_input").is_in(tested))
        .then(pl.lit("test"))
        .otherwise(pl.lit("train"))
    )
    assert score_screen(few, [], spaces(), {}).is_empty()


def test_a_question_without_genes_of_both_classes_has_no_scores() -> None:
    same = planted().with_columns(differential=pl.lit(value=False), direction=pl.lit("up"))
    assert score_screen(same, [], spaces(), {}).is_empty()
    in_one_direction = planted().with_columns(direction=pl.when("differential").then(pl.lit("up")))
    assert set(score_screen(in_one_direction, [], spaces(), {})["question"]) == {"de"}


def grouped(**groups: list[str]) -> pl.DataFrame:
    """Groups of genes by their ids, as HGNC's complete set lists them."""
    pairs = [(gene, group) for group, genes in groups.items() for gene in genes]
    return pl.DataFrame(
        {
            "symbol": [f"symbol of {gene}" for gene, _ in pairs],
            "ensembl_gene_id": [gene for gene, _ in pairs],
            "gene_group": [group for _, group in pairs],
        }
    )


def test_a_gene_group_is_a_family_unless_it_is_too_wide() -> None:
    rows = grouped(
        narrow=PERTURBED[:2], wide=PERTURBED[:101], at_the_limit=[PERTURBED[3], *PERTURBED[101:200]]
    )
    groups = family_groups(rows)
    assert groups[PERTURBED[0]] == {"narrow"}
    assert groups[PERTURBED[3]] == {"at_the_limit"}
    assert PERTURBED[4] not in groups
    genes, names = PERTURBED[:5], ["ALPHA", "BETA", "GAMMA1", "GAMMA2", "DELTA"]
    test = np.array([True, False, True, False, False])
    assert relatives(families_of(genes, names), test).tolist() == [False, False, False, True, False]
    assert relatives(families_of(genes, names, groups), test).tolist() == [
        False,
        True,
        False,
        True,
        False,
    ]
    assert relatives(families_of(names, names, groups), test).tolist() == [
        False,
        False,
        False,
        True,
        False,
    ]


def test_the_family_split_trains_without_gene_groups() -> None:
    rows = planted()
    few = grouped(**{f"g{at}": PERTURBED[at : at + 2] for at in range(0, N, 4)})
    without = score_screen(rows, [], spaces(), {}).filter(representation=TEXT)
    with_groups = score_screen(rows, [], spaces(), {}, family_groups(few)).filter(
        representation=TEXT
    )
    assert without.filter(split="authors").equals(with_groups.filter(split="authors"))
    # The symbols are P0, P1, …: no stem in common, so that families are the authors' split.
    same = ["question", "value"]
    assert (
        without.filter(split="families")
        .select(same)
        .equals(without.filter(split="authors").select(same))
    )
    assert (
        with_groups.filter(split="families")["value"].to_list()
        != without.filter(split="families")["value"].to_list()
    )
    of_every = grouped(**{f"g{at}": PERTURBED[at : at + 4] for at in range(0, N, 4)})
    nothing = score_screen(rows, [], spaces(), {}, family_groups(of_every))
    assert set(nothing["split"]) == {"authors"}


@pytest.mark.parametrize("alias", ["P0", "another name of P0"])
def test_a_planted_leak_is_refused_by_name(alias: str) -> None:
    rows = planted()
    leaked = rows.filter(perturbed_input="P0").head(1)
    leaked = leaked.with_columns(
        split=pl.lit("train"),
        perturbed_input=pl.lit(alias),
        measured_gene=pl.lit("ENSG99999999999"),
    )
    with pytest.raises(LeakError, match=rf"{PERTURBED[0]} \(as .*{alias}"):
        score_screen(pl.concat([rows, leaked]), [], spaces(), {})


def test_labels_of_the_test_do_not_reach_the_model() -> None:
    rows = planted()
    changed = rows.with_columns(
        differential=pl.when(pl.col("split") == "test")
        .then(~pl.col("differential"))
        .otherwise("differential")
    )
    before, after = (Effects.of(each, "de") for each in (rows, changed))
    fits = [Vote.fit(VARIANTS["de"], spaces(), each, ~each.test) for each in (before, after)]
    asked = [gene for gene, held in zip(before.perturbations, before.test, strict=True) if held]
    np.testing.assert_array_equal(*(vote.scores(asked) for vote in fits))


def test_aucs_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import roc_auc_score

    effects = Effects.of(planted(), "de")
    score = np.round(np.random.default_rng(3).random(len(effects.row)), 1)  # with ties
    pairs = effects.pairs_of(effects.test)
    aucs = []
    for gene in range(len(effects.genes)):
        own = pairs[effects.column[pairs] == gene]
        if 0 < effects.label[own].sum() < len(own):
            aucs.append(roc_auc_score(effects.label[own], score[own]))
    class_pairs, results = mean_aucs(effects, effects.test, {"x": score}, "x", n_draws=20)
    assert class_pairs.n_genes == len(aucs)
    assert results["x"][0].value == pytest.approx(np.mean(aucs))
    assert results["x"][1].low == results["x"][1].high == 0


def test_genes_of_one_class_have_no_auc() -> None:
    rows = planted().with_columns(differential=pl.lit(True))
    effects = Effects.of(rows, "de")
    with pytest.raises(ValueError, match="no measured gene has both classes"):
        ClassPairs.of(effects, effects.test)


def test_a_screen_of_few_perturbations_predicts_nothing() -> None:
    few = planted().filter(pl.col("perturbed_gene").is_in(PERTURBED[: LEAST_PERTURBATIONS - 1]))
    assert few["perturbed_gene"].n_unique() == LEAST_PERTURBATIONS - 1
    assert fit_models(few, {TEXT: space()}) == {}


def test_probabilities_are_calibrated_and_the_model_abstains_far_from_its_training() -> None:
    rows = planted()
    far = np.zeros((1, WIDTH), np.float32)
    known = {TEXT: space()}
    unknown, near = "ENSG00000009999", "ENSG00000008888"
    vectors = np.vstack([known[TEXT].vectors, far, known[TEXT].vectors[:1] * 1.01])
    known = {TEXT: KnownVectors.of([*PERTURBED, *GENES, unknown, near], vectors)}
    known[TEXT].number.pop(unknown)  # a described gene without a vector
    models = fit_models(rows, known)
    table = predict_unseen(models, [PERTURBED[0], unknown, near], top=5)
    assert PERTURBED[0] not in table["ensembl_gene_id"]
    (abstained,) = table.filter(ensembl_gene_id=unknown).rows(named=True)
    assert abstained["abstained"]
    assert abstained["rank"] == 0
    assert abstained["measured_gene"] is None
    predicted = table.filter(ensembl_gene_id=near)
    assert predicted["rank"].to_list() == [1, 2, 3, 4, 5]
    assert predicted["evidence"][0][0] == "P0"
    assert predicted["probability"].is_sorted(descending=True)
    model = models["de"]
    probability = model.probabilities(PERTURBED)
    answered = probability[model.vote.effects.row, model.vote.effects.column]
    for low, high in ((0.0, 0.3), (0.3, 0.6), (0.6, 1.0)):
        inside = (answered >= low) & (answered < high)
        assert inside.any()
    label = model.vote.effects.label
    assert answered[label].mean() > answered[~label].mean() + 0.2
    evidence = model.evidence(model.vote.cosines([near])[0], GENES[0])
    assert evidence
    assert evidence == sorted(evidence, key=lambda each: -each.similarity)


def test_a_variant_has_one_hash() -> None:
    variant = VARIANTS["de"]
    assert replace(variant).sha256 == variant.sha256
    assert replace(variant, power=4.0).sha256 != variant.sha256
    assert VARIANTS["dir"].sha256 != variant.sha256


def test_the_declared_variants_are_those_that_were_tested() -> None:
    """Another variant is chosen on training perturbations, and gets other scores and docs."""
    assert {question: variant.sha256 for question, variant in VARIANTS.items()} == {
        "de": "8979126aae730e5c6502d1f5130a2eb92b62645354cb005091b81811c4e1c399",
        "dir": "51e4b98c4d736015c547b5f7d2c7aa75bef76204c4941637b082a96345788d1d",
    }


def test_intervals_cover_the_value_that_further_perturbations_would_give() -> None:
    """Of 40 screens with few perturbations each, most intervals hold the value of a large one."""
    rng = np.random.default_rng(5)

    def drawn(n: int) -> tuple[Effects, np.ndarray]:
        row, column = (grid.ravel() for grid in np.indices((n, 30)))
        quality = rng.standard_normal(n)[row]  # a perturbation is predicted well or badly as one
        label = rng.random(len(row)) < 0.1
        score = label * (0.8 + quality) + rng.standard_normal(len(row))
        ids = tuple(f"P{at}" for at in range(n))
        genes = tuple(f"M{at}" for at in range(30))
        every = np.ones(n, dtype=bool)
        return Effects("s", "de", ids, ids, genes, row, column, label, every), score

    def mean_auc(n: int, n_draws: int) -> AucInterval:
        effects, score = drawn(n)
        _, results = mean_aucs(effects, effects.test, {"x": score}, "x", n_draws=n_draws)
        return results["x"][0]

    truth = mean_auc(1500, 2).value
    covered = sum(it.low < truth < it.high for it in (mean_auc(40, 200) for _ in range(40)))
    assert 33 <= covered <= 40
