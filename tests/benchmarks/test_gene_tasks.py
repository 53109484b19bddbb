"""Tasks on genes and pairs: what is planted is found, controls fall to chance, splits are clean."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from gene_spaces import GENES as SPACE_GENES
from gene_spaces import space
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    LeaveOneOut,
    PredefinedSplit,
    cross_val_predict,
)

from genept.benchmarks.fitted_heads import (
    CHOSEN_STRENGTHS,
    PENALTIES,
    _solved,
    out_of_fold_scores,
    ridge_scores,
    scaled,
)
from genept.benchmarks.gene_tasks import EXACT, FAMILIES, KindTask, PropertyTask
from genept.benchmarks.input_tables import TaskInputs, entries, task_inputs
from genept.benchmarks.label_tables import GO_TERMS, PATHWAYS
from genept.benchmarks.pairs.pair_inputs import FEATURES
from genept.benchmarks.pairs.pair_splits import drawn_pairs, gene_disjoint
from genept.benchmarks.pairs.pair_tasks import DISJOINT, FIXED, InteractionTask, PairTask
from genept.benchmarks.resampling import resampled
from genept.benchmarks.split_tasks import NestedPairTask
from genept.benchmarks.task_base import FREQUENCY, MAJORITY, GeneVectors, Labels, random_vectors
from genept.benchmarks.task_registry import TASKS
from genept.benchmarks.terms.term_tasks import MembershipTask
from genept.datasources import GENE_PAIRS, LIGAND_RECEPTOR, PROTEIN_PAIRS
from genept.storage import Part

N = 240
GENES = tuple(f"ENSG{number:011}" for number in range(N))
RNG = np.random.default_rng(0)
GROUP = RNG.integers(0, 2, N)
NOISE = RNG.normal(size=(N, 24))


def planted(strength=1.5):
    matrix = NOISE.copy()
    matrix[:, 0] += strength * (2 * GROUP - 1)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    return GeneVectors("planted/text", GENES, matrix.astype(np.float32))


def properties(task, labels, genes=GENES):
    n = len(genes)
    return pl.DataFrame(
        {
            "task": [task] * n,
            "position": range(n),
            "input_id": genes,
            "ensembl_gene_id": genes,
            "outcome": ["ensembl_id"] * n,
            "label": labels,
            "fate": ["scored"] * n,
        }
    )


def pairs(n=3000, seed=1):
    """Pairs are positive if both genes are of group 1; test pairs have a third of the genes."""
    rng = np.random.default_rng(seed)
    at, split = [], []
    while len(at) < n:
        a, b = rng.integers(0, N, 2)
        if a != b and (a % 3 == 0) == (b % 3 == 0):
            at.append((a, b))
            split.append("test" if a % 3 == 0 else "train")
    a, b = np.array(at).T
    frame = pl.DataFrame(
        {
            "task": ["p"] * n,
            "split": split,
            "position": range(n),
            "gene_a": [GENES[row] for row in a],
            "gene_b": [GENES[row] for row in b],
            "label": (GROUP[a] == 1) & (GROUP[b] == 1),
            "fate": ["scored"] * n,
        }
    )
    return frame.with_columns(pl.col("label").cast(pl.Int64))


def everything(task, rows, vectors):
    """Predictions that decide, and those of other heads and splits."""
    return pl.concat([task.predict(rows, vectors), task.further(rows, vectors)])


def auroc(predicted, **selection):
    return resampled(predicted.filter(**selection), "auroc")


def property_task(**changes):
    fields = {
        "id": "t",
        "dataset": "d",
        "title": "t",
        "positive": "yes",
        "metrics": ("auroc",),
        "clean": "shuffled-5-fold-repeated",
        "heads": ("logistic-regression",),
    }
    return PropertyTask(**(fields | changes))


def test_a_planted_property_is_found_and_the_controls_fall_to_chance():
    task = property_task()
    rows = properties("t", ["yes" if is_positive else "no" for is_positive in GROUP])
    vectors = planted()
    predicted = task.predict(rows, vectors)
    assert auroc(predicted, split=task.clean).value > 0.9
    for control in (vectors.shuffled(), random_vectors(GENES)):
        assert 0.35 < auroc(task.predict(rows, control, draw=0)).value < 0.65
    permuted = task.predict(task.permuted(rows), vectors, draw=0)
    assert 0.35 < auroc(permuted).value < 0.65
    assert not permuted.filter(split=EXACT).height, "a draw has the deciding split alone"


def test_the_authors_folds_keep_repeated_genes_and_the_clean_ones_do_not():
    task = property_task()
    rows = properties("t", ["yes" if is_positive else "no" for is_positive in GROUP])
    repeated = rows.head(10).with_columns(
        pl.lit("duplicate").alias("fate"), position=pl.col("position") + N
    )
    predicted = everything(task, pl.concat([rows, repeated]), planted())
    assert predicted.filter(split=EXACT).height == N + 10
    clean = predicted.filter(split=task.clean)
    assert clean.height == 5 * N
    assert not clean.select("fold", "unit").is_duplicated().any()
    per_gene = clean.group_by("unit").agg(pl.col("fold").floordiv(5).n_unique())
    assert set(per_gene["fold"]) == {5}, "each gene is out of fold once in every repeat"


@pytest.mark.parametrize("head", ["random-forest", "gradient-boosting"])
def test_other_heads_find_a_planted_property(head):
    task = property_task(heads=("logistic-regression", head))
    rows = properties("t", ["yes" if is_positive else "no" for is_positive in GROUP])
    predicted = everything(task, rows, planted(3.0))
    assert auroc(predicted, model=head, split=EXACT).value > 0.8


def test_kinds_of_few_genes_are_left_out_and_the_majority_is_the_baseline():
    labels = ["rare" if row < 5 else "ab"[GROUP[row]] for row in range(N)]
    task = KindTask(
        id="k", dataset="d", title="k", metrics=("balanced_accuracy",), clean="clean",
        seeds=(1,), heads=("logistic-regression", "random-forest"),
    )  # fmt: skip
    rows = properties("k", labels)
    predicted = everything(task, rows, planted(3.0)).filter(split="clean")
    assert set(predicted["truth"]) == {"a", "b"}
    for head in task.heads:
        assert resampled(predicted.filter(model=head), "balanced_accuracy").value > 0.8
    name, baseline = task.baseline(rows)
    assert (name, resampled(baseline, "balanced_accuracy").value) == (MAJORITY, 0.5)


def test_membership_of_many_terms_is_a_mean_over_terms():
    known = [(GENES[row], f"term-{GROUP[row]}") for row in range(N)]
    noise = [(GENES[row], f"noise-{k}") for k in range(4) for row in RNG.choice(N, 60, False)]
    genes, terms = zip(*known, *noise, strict=True)
    task = MembershipTask(
        id="m", dataset="d", title="m", metrics=("mean_auroc",), clean="c", model="ridge"
    )
    rows = task.rows(Labels(properties("m", terms, genes), pairs()))
    score, values = task.areas(rows, planted(3.0))
    assert values.mean() == pytest.approx(np.mean(list(score.values())))
    assert task.predict(rows, planted(3.0))["score"].to_numpy() == pytest.approx(values)
    assert min(score["term-0"], score["term-1"]) > 0.9
    assert all(0.3 < score[f"noise-{k}"] < 0.7 for k in range(4))


def pair_task():
    return PairTask(id="p", dataset="d", title="p", metrics=("auroc",), clean=DISJOINT)


def test_planted_pairs_are_found_on_both_splits_and_by_every_feature():
    task, rows = pair_task(), pairs()
    predicted = everything(task, rows, planted(3.0))
    assert predicted.filter(split=DISJOINT)["model"].n_unique() == len(FEATURES)
    assert predicted.filter(split=FIXED)["model"].unique().to_list() == ["logistic-regression"]
    assert auroc(predicted, model="logistic-regression", split=FIXED).value > 0.85
    assert auroc(predicted, model="logistic-regression", split=DISJOINT).value > 0.85
    shuffled = task.predict(rows, planted(3.0).shuffled(), draw=0)
    assert 0.3 < auroc(shuffled, split=DISJOINT).value < 0.7
    permuted = task.predict(task.permuted(rows), planted(3.0), draw=0)
    assert 0.35 < auroc(permuted, split=DISJOINT).value < 0.65


def test_representations_of_pairs_are_fused_on_the_same_splits_as_one_is_scored():
    task, rows = pair_task(), pairs()
    members = [planted(1.0), GeneVectors("words", GENES, csr_array(planted(3.0).matrix))]
    alone, fused = task.predict(rows, members[0]), task.predict_fused(rows, members)
    same = ["model", "split", "fold", "unit", "partner", "truth"]
    assert fused.select(same).equals(alone.select(same))
    for split in (FIXED, DISJOINT):
        assert auroc(fused, split=split).value > auroc(alone, split=split).value
    of_draw = task.predict_fused(rows, members, draw=1)
    assert of_draw["split"].unique().to_list() == [DISJOINT]
    assert not InteractionTask.fuses
    assert not NestedPairTask.fuses


@pytest.mark.parametrize("seed", range(3))
def test_no_gene_of_a_test_pair_is_in_a_training_pair(seed):
    train, test = gene_disjoint(pairs(), seed)
    assert train.height
    assert test.height
    assert not {*train["gene_a"], *train["gene_b"]} & {*test["gene_a"], *test["gene_b"]}
    assert not test.select("gene_a", "gene_b").is_duplicated().any()


def test_frequency_is_at_chance_for_unseen_genes():
    name, predicted = pair_task().baseline(pairs())
    assert name == FREQUENCY
    assert auroc(predicted, split=FIXED).value == auroc(predicted, split=DISJOINT).value == 0.5


def partners(n=600):
    """Partners are of one group, and a few genes are hubs."""
    both = pairs(6 * n).filter(pl.col("label") == 1, pl.col("gene_a") < pl.col("gene_b"))
    same = both.unique(["gene_a", "gene_b"], maintain_order=True).head(n)
    return same.with_columns(split=pl.lit("all"))


def test_drawn_pairs_have_the_same_genes_as_often_and_are_never_partners():
    known = partners()
    drawn = drawn_pairs(known, known, seed=0)
    assert drawn.height > 0.9 * known.height
    assert set(drawn["label"]) == {0}
    pairs = {frozenset(pair) for pair in known.select("gene_a", "gene_b").iter_rows()}
    drawn_sets = [frozenset(pair) for pair in drawn.select("gene_a", "gene_b").iter_rows()]
    assert all(len(pair) == 2 and pair not in pairs for pair in drawn_sets)
    assert len(set(drawn_sets)) == len(drawn_sets)
    before, after = (rows["gene_b"].value_counts().sort("gene_b") for rows in (known, drawn))
    joined = before.join(after, on="gene_b", how="left").fill_null(0)
    assert (joined["count"] >= joined["count_right"]).all()
    assert drawn.equals(drawn_pairs(known, known, seed=0))


def test_interactions_are_predicted_by_shared_features_and_not_by_frequency():
    groups = np.arange(N) % 24
    matrix = np.eye(24)[groups] + 0.3 * RNG.normal(size=(N, 24))
    vectors = GeneVectors("planted/text", GENES, matrix.astype(np.float32))
    same = [(a, b) for a in range(N) for b in range(a) if groups[a] == groups[b]]
    a, b = np.array(same).T
    rows = pairs(len(same)).with_columns(
        gene_a=pl.Series([GENES[row] for row in a]),
        gene_b=pl.Series([GENES[row] for row in b]),
        label=pl.lit(1, pl.Int64),
        split=pl.lit("all"),
    )
    task = InteractionTask(
        id="i", dataset="d", title="i", metrics=("auroc",), clean=DISJOINT,
        model="logistic-regression:product",
    )  # fmt: skip
    predicted = everything(task, rows, vectors)
    assert set(predicted["split"]) == {DISJOINT}
    assert auroc(predicted, model=task.model).value > 0.8
    assert predicted.filter(model=task.model)["fold"].n_unique() == len(task.seeds), (
        "the deciding model has every seed"
    )
    assert 0.4 < auroc(predicted, model="logistic-regression").value < 0.6, (
        "a sum of vectors does not show partners"
    )
    _, by_frequency = task.baseline(rows)
    assert 0.4 < auroc(by_frequency).value < 0.6
    permuted = task.predict(task.permuted(rows), vectors, draw=1)
    assert 0.35 < auroc(permuted, model=task.model).value < 0.65


def test_the_registry_names_known_metrics_and_tasks_once():
    assert list(TASKS) == [task.id for task in TASKS.values()]
    assert all(task.metrics for task in TASKS.values())
    assert TASKS["go-terms"].stated_by == ("go",)
    assert TASKS.keys() >= {GO_TERMS, PATHWAYS, GENE_PAIRS, PROTEIN_PAIRS, LIGAND_RECEPTOR}


def test_the_scale_of_vectors_changes_no_clean_score_and_hides_nothing():
    """A column that knows, small beside the others; the same vectors a hundred times as long."""
    task = property_task()
    rows = properties("t", ["yes" if is_positive else "no" for is_positive in GROUP])
    knowing = planted().matrix.copy()
    hidden = knowing * np.where(np.arange(knowing.shape[1]) == 0, 0.01, 1)
    clean = []
    for matrix in (knowing, 100 * knowing, hidden):
        given = GeneVectors("planted/text", GENES, matrix.astype(np.float32))
        predicted = task.predict(rows, given, draw=0)
        clean.append(predicted.sort("unit")["score"].to_numpy())
    assert clean[1] == pytest.approx(clean[0], abs=1e-3)
    assert clean[2] == pytest.approx(clean[0], abs=1e-3)


def test_the_penalty_is_chosen_without_the_labels_of_the_fold_that_is_scored():
    fold = np.arange(N) % 5
    x = scaled(planted(0.4).matrix, "standardised")
    is_positive = GROUP == 1
    for left_out in range(5):
        turned = np.where(fold == left_out, ~is_positive, is_positive)
        plain, other = (
            out_of_fold_scores(x, of, fold)[fold == left_out] for of in (is_positive, turned)
        )
        assert other == pytest.approx(plain, abs=1e-9)


def test_the_penalty_that_is_chosen_is_the_best_of_the_inner_folds():
    """Against scikit-learn, fold by fold."""
    fold = np.arange(N) % 5
    x = scaled(planted(0.6).matrix, "standardised")
    is_positive = GROUP == 1
    score = out_of_fold_scores(x, is_positive, fold)
    chosen = set()
    for left_out in range(5):
        train = fold != left_out
        search = GridSearchCV(
            LogisticRegression(max_iter=1000), {"C": list(CHOSEN_STRENGTHS)}, scoring="roc_auc",
            cv=PredefinedSplit(fold[train]),
        ).fit(x[train] - x[train].mean(axis=0), is_positive[train])  # fmt: skip
        expected = search.decision_function(x[~train] - x[train].mean(axis=0))
        assert score[~train] == pytest.approx(expected, abs=0.02)
        chosen.add(search.best_params_["C"])
    assert chosen <= set(CHOSEN_STRENGTHS)


def test_the_ridge_is_scikit_learns_at_the_penalty_that_leaves_out_best():
    x, y = planted(1.0).matrix, np.stack([GROUP, NOISE[:, 1] > 0.3], axis=1).astype(np.float32)
    train, test = np.arange(N) % 5 > 0, np.arange(N) % 5 == 0
    centred = x[train] - x[train].mean(axis=0)
    unit = float(np.linalg.eigvalsh(centred.T @ centred).mean())
    errors = {}
    for penalty in PENALTIES:
        left_out = cross_val_predict(
            Ridge(alpha=penalty * unit, solver="cholesky"), x[train], y[train], cv=LeaveOneOut()
        )
        errors[penalty] = (((left_out - y[train]) ** 2).mean(axis=0) / y[train].var(axis=0)).mean()
    best = min(errors, key=errors.get)
    expected = Ridge(alpha=best * unit).fit(x[train], y[train] - y[train].mean(axis=0))
    scores = ridge_scores(x[train], y[train], x[test])
    assert scores == pytest.approx(expected.predict(x[test]), abs=1e-3)


def test_the_scale_of_vectors_changes_no_score_of_terms_or_pairs():
    knowing = planted(3.0).matrix
    scale = np.where(np.arange(knowing.shape[1]) == 0, 0.01, 100)
    known = [(GENES[row], f"term-{GROUP[row]}") for row in range(N)]
    genes, terms = zip(*known, strict=True)
    task = MembershipTask(
        id="m", dataset="d", title="m", metrics=("mean_auroc",), clean="c", model="ridge"
    )
    labels = Labels(properties("m", terms, genes), pairs())
    given = [GeneVectors("v", GENES, (knowing * by).astype(np.float32)) for by in (1, scale)]
    one, other = (task.predict(task.rows(labels), of)["score"] for of in given)
    assert other.to_list() == pytest.approx(one.to_list(), abs=1e-4)
    of_pairs = pair_task()
    predicted = (of_pairs.predict(pairs(), of, draw=0) for of in given)
    one, other = (scores.filter(split=DISJOINT)["score"] for scores in predicted)
    assert other.to_list() == pytest.approx(one.to_list(), abs=0.02)


def test_sparse_and_dense_pairs_score_alike():
    matrix = np.where(np.abs(planted(3.0).matrix) > 0.1, planted(3.0).matrix, 0)
    for feature in FEATURES:
        task = replace(pair_task(), model=f"logistic-regression:{feature}")
        dense, sparse = (
            auroc(task.predict(pairs(), GeneVectors("v", GENES, of), draw=0)).value
            for of in (matrix, csr_array(matrix))
        )
        assert sparse == pytest.approx(dense, abs=0.005)


def test_sparse_and_dense_terms_and_kinds_score_alike():
    dense = np.where(np.abs(planted(3.0).matrix) > 0.1, planted(3.0).matrix, 0)
    dense = dense - np.where(dense != 0, dense.sum(axis=0) / (dense != 0).sum(axis=0), 0)
    given = [GeneVectors("v", GENES, of) for of in (dense, csr_array(dense))]
    known = [(GENES[row], f"term-{GROUP[row]}") for row in range(N)]
    noise = [(GENES[row], f"noise-{k}") for k in range(4) for row in RNG.choice(N, 60, False)]
    genes, terms = zip(*known, *noise, strict=True)
    task = MembershipTask(
        id="m", dataset="d", title="m", metrics=("mean_auroc",), clean="c", model="ridge"
    )
    rows = task.rows(Labels(properties("m", terms, genes), pairs()))
    one, other = (task.areas(rows, of)[0] for of in given)
    assert other == pytest.approx(one, abs=0.05), "the penalty is chosen on other genes"
    kinds = KindTask(
        id="k", dataset="d", title="k", metrics=("balanced_accuracy",), clean="clean", seeds=(1,)
    )
    named = properties("k", ["ab"[group] for group in GROUP])
    one, other = (
        resampled(predicted.filter(model="logistic-regression", split="clean"), "accuracy").value
        for predicted in (kinds.predict(named, of) for of in given)
    )
    assert other == pytest.approx(one, abs=0.03)


def test_conjugate_gradients_end_at_the_ridge():
    x = csr_array(np.where(np.abs(NOISE) > 1, NOISE, 0))
    y = np.stack([GROUP, NOISE[:, 1] > 0.3], axis=1).astype(np.float32)
    dense, share = x.toarray(), y.mean(axis=0)
    expected = dense @ np.linalg.solve(dense.T @ dense + 7 * np.eye(24), dense.T @ (y - share))
    assert _solved(x, y, x, 7.0) == pytest.approx(expected + share, abs=1e-4)


def test_slow_controls_are_scored_on_request(lake):
    texts = Part("gene_descriptions", ("text",), "key", 1, "0" * 64, 1, None, {})
    vectors = replace(space(lake, "good/text", 1.0), texts=texts)
    for task, is_slow in ((pair_task(), True), (property_task(), False)):
        inputs = TaskInputs(task, pl.DataFrame(), (), (vectors,), {})
        named = {
            asked: [name for name, _ in entries(inputs, slow_controls=asked)]
            for asked in (False, True)
        }
        assert "tf-idf/text" in named[True]
        assert ("tf-idf/text" in named[False]) is not is_slow


def test_what_a_text_knows_of_relatives_alone_falls_without_them(lake):
    """Each family has one label and one vector: known with relatives in training, else not."""
    family = np.repeat(np.arange(60), 4)
    labels = np.random.default_rng(5).integers(0, 2, 60)[family]
    matrix = np.random.default_rng(6).normal(size=(60, 120))[family]
    rows = properties("t", ["yes" if label else "no" for label in labels])
    listed = pl.Series([f"stem F{at}|group {at}" for at in family])
    vectors = GeneVectors("kin/text", GENES, matrix.astype(np.float32))
    predicted = everything(property_task(), rows.with_columns(families=listed), vectors)
    assert auroc(predicted, split=property_task().clean).value > 0.95
    apart = predicted.filter(split=FAMILIES)
    assert 0.3 < auroc(apart).value < 0.7
    plain = predicted.filter(pl.col("fold") < 5, split=property_task().clean)
    assert apart.select("fold", "unit").equals(plain.select("fold", "unit")), "the same folds"
    unrelated = rows.with_columns(families=pl.lit(None, pl.String))
    alone = property_task().further(unrelated, planted()).filter(split=FAMILIES)
    known = property_task().predict(rows, planted(), draw=0)
    assert alone["score"].to_list() == pytest.approx(known["score"].to_list())


def test_families_are_stems_of_symbols_and_the_groups_that_are_known(lake):
    task = replace(property_task(), heads=("logistic-regression",))
    rows = properties("t", ["yes" if on else "no" for on in GROUP[:120]], SPACE_GENES)
    groups = {SPACE_GENES[0]: frozenset({"kinases"})}
    inputs = task_inputs(lake, task, Labels(rows, pairs(), groups), [space(lake, "a/text", 1.0)])
    families = dict(inputs.rows.select("ensembl_gene_id", "families").iter_rows())
    assert families[SPACE_GENES[0]] == f"group kinases|stem {SPACE_GENES[0]}"
    assert families[SPACE_GENES[1]] == f"stem {SPACE_GENES[1]}"
