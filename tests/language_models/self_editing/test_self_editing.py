"""Self-editing: what helps is found and kept, what does not is refused, and a cheat is caught."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genept.language_models.descriptions import GeneEvidence
from genept.language_models.self_editing import (
    Edit,
    EditOptions,
    LearnedPolicy,
    Library,
    ModelPolicy,
    Proposal,
    edit_descriptions,
    every_edit,
    findings,
    new_words,
)
from genept.language_models.self_editing.edit_results import TaskScore
from genept.schema import CANARY

N = 120
LABELS = {f"ENSG{n:04}": n % 2 == 0 for n in range(N)}


def evidence_for(n):
    """A kinase of which a line on muscle or brain tells the label, behind a line on drugs."""
    tissue = "It is expressed in muscle." if n % 2 == 0 else "It is expressed in brain."
    lines = (f"This kinase is number {n}.", f"It is inhibited by drug {n % 7}.", tissue)
    return GeneEvidence(f"ENSG{n:04}", f"G{n}", "a kinase", lines, ("summary@1",) * 2 + ("go@1",))


def library_of(restated=None):
    evidence = {f"ENSG{n:04}": evidence_for(n) for n in range(N)}
    genes = pl.DataFrame({"ensembl_gene_id": list(evidence), "symbol": [f"G{n}" for n in range(N)]})
    return Library(
        evidence, genes, lambda texts: [2 + len(t.split()) for t in texts], restated or {}
    )


VOCABULARY = ["muscle", "brain", "drug", "inhibited", "kinase", "sensitive", "restated"]


def embed(texts):
    """Bags of words."""
    rows = [[float(text.lower().count(word)) for word in VOCABULARY] for text in texts]
    return np.array(rows, np.float32) + 0.01


class Scorer:
    """How well a label is read off a bag of words; chance depends on the genes' numbers alone."""

    rewarded = ("wanted",)
    others = ("unrelated",)
    genes = frozenset(LABELS)
    training_genes = frozenset(list(LABELS)[:90])

    def score(self, task, vectors, *, permuted=False):
        ids = sorted(self.training_genes)
        labels = np.array([LABELS[id_] for id_ in ids])
        if permuted:
            labels = np.random.default_rng(1).permutation(labels)
        if task == "unrelated":
            return 0.7
        x = np.stack([vectors[id_] for id_ in ids])
        half = len(ids) // 2
        means = [x[:half][labels[:half] == each].mean(axis=0) for each in (True, False)]
        right = x[half:] @ (means[0] - means[1]) > 0.5 * (means[0] + means[1]) @ (
            means[0] - means[1]
        )
        return float((right == labels[half:]).mean())


def edited(policy=None, rounds=3, library=None, **options):
    chosen = EditOptions(rounds=rounds, proposals=8, **options)
    return edit_descriptions(
        library or library_of(), Scorer(), embed, policy or LearnedPolicy(), chosen
    )


def test_the_edit_that_adds_what_tells_the_label_is_found_and_kept():
    result = edited(rounds=4)
    assert (result.plan[0].action, result.plan[0].of) == ("add", "go")
    (kept,) = [each for each in result.tried if each.edit == result.plan[0]]
    assert kept.reward > max(kept.noise, 0.3)
    assert abs(kept.permuted) < kept.reward / 2
    assert "It is expressed in" in kept.after
    assert "It is expressed in" not in kept.before
    assert set(kept.after.split()) <= set(" ".join(["a kinase.", *kept.evidence]).split())
    last = [score for score in result.scores if score.task == "wanted"][-1]
    assert last.value == pytest.approx(1.0, abs=0.05)


def test_the_same_seed_gives_the_same_edits():
    first, second = edited(rounds=2), edited(rounds=2)
    assert [each.edit for each in first.tried] == [each.edit for each in second.tried]
    assert first.scores == second.scores
    assert [each.edit for each in edited(seed=5).tried] != [each.edit for each in edited().tried]


class KilledError(Exception):
    """The process ends here."""


@pytest.mark.parametrize("after", [1, 3, 9, 20])
def test_a_run_that_was_killed_goes_on_and_embeds_nothing_twice(after):
    kept: dict[str, np.ndarray] = {}
    calls = []

    def through_a_cache(texts):
        new = [text for text in dict.fromkeys(texts) if text not in kept]
        calls.append(new)
        if len(calls) == after:
            raise KilledError
        kept.update(zip(new, embed(new), strict=True))
        return np.stack([kept[text] for text in texts])

    run = (library_of(), Scorer(), through_a_cache)
    options = EditOptions(rounds=2, proposals=8)
    with pytest.raises(KilledError):
        edit_descriptions(*run, LearnedPolicy(), options)
    result = edit_descriptions(*run, LearnedPolicy(), options)
    assert result.tried == edited(rounds=2).tried
    finished = [text for number, new in enumerate(calls, 1) if number != after for text in new]
    assert len(finished) == len(set(finished))


def test_what_is_not_above_shuffled_edits_is_refused_with_the_reason():
    result = edited(rounds=1)
    refused = [each for each in result.tried if not each.kept]
    assert refused
    assert {each.why for each in refused} <= {
        "not above the noise",
        "adds nothing to the edits kept before it",
    }
    assert all(each.reward <= each.noise or "adds nothing" in each.why for each in refused)


def test_labels_that_were_dealt_are_not_learnt():
    """With permuted labels no edit is more than chance, round after round."""

    class Dealt(Scorer):
        def score(self, task, vectors, *, permuted=False):
            return super().score(task, vectors, permuted=True)

    result = edit_descriptions(
        library_of(),
        Dealt(),
        embed,
        LearnedPolicy(),
        EditOptions(rounds=3, proposals=8, shuffled=8),
    )
    assert max(score.value for score in result.scores if score.task == "wanted") < 0.75


@given(st.data())
def test_no_edit_writes_what_the_evidence_does_not_say_or_empties_a_text(data):
    library = library_of()
    drafts = library.first_drafts
    for edit in data.draw(st.lists(st.sampled_from(every_edit(library)), max_size=6)):
        drafts = edit.apply(library, drafts)
    for id_ in list(drafts)[:10]:
        assert drafts[id_]
        assert len(set(drafts[id_])) == len(drafts[id_])
        assert not new_words({id_: library.text(id_, drafts[id_])}, library.evidence)


@pytest.mark.parametrize(
    ("action", "of", "lines"),
    [
        ("choose", "tissues", (0, 2)),
        ("order", "tissues", (2, 0, 1)),
        ("drop", "drugs", (0, 2)),
        ("drop", "functions", (1, 2)),
        ("cut", "1", (0,)),
    ],
)
def test_what_each_edit_does(action, of, lines):
    library = library_of()
    whole = {"ENSG0003": (0, 1, 2)}
    assert Edit("signalling", action, of).apply(library, whole) == {"ENSG0003": lines}
    assert Edit("transport", action, of).apply(library, whole) == whole


def test_lines_are_restated_where_a_model_wrote_them():
    written = {"ENSG0004": {"It is inhibited by drug 4.": "Drug 4 inhibits it (restated)."}}
    library = library_of(written)
    edit = Edit("signalling", "restate", "model")
    assert edit in every_edit(library)
    assert edit not in every_edit(library_of())
    after = edit.apply(library, library.first_drafts)
    assert library.text("ENSG0004", after["ENSG0004"]).endswith("Drug 4 inhibits it (restated).")
    assert after["ENSG0005"] == library.first_drafts["ENSG0005"]
    texts = {"ENSG0004": library.text("ENSG0004", after["ENSG0004"])}
    assert new_words(texts, library.evidence) == {"ENSG0004": ["inhibits", "restated"]}
    assert not new_words(texts, library.evidence, library.restated)


SCORES = [
    TaskScore(0, "wanted", True, 0.80), TaskScore(3, "wanted", True, 0.85),
    TaskScore(0, "other", False, 0.70), TaskScore(3, "other", False, 0.695),
]  # fmt: skip
TEXTS = {"ENSG0001": "a kinase. It is expressed in brain."}


def failing(gain=(0.02, 0.01, 0.03), scores=SCORES, texts=TEXTS, labels=("sensitive",)):
    gate = findings(gain, scores, texts, library_of().evidence, labels)
    return [finding.condition for finding in gate if not finding.holds]


def test_the_gate_lets_through_what_holds_everything():
    assert not failing()


@pytest.mark.parametrize(
    ("changed", "conditions"),
    [
        ({"gain": (0.02, -0.001, 0.04)}, ["hidden genes are predicted better"]),
        (
            {"scores": [*SCORES[:3], TaskScore(3, "other", False, 0.68)]},
            ["no task is forgotten by more than 0.01"],
        ),
        (
            {"texts": {"ENSG0001": "a kinase. It is Sensitive."}},
            ["no text has a word that its evidence lacks", "no label is written in"],
        ),
        (
            {"texts": {"ENSG0001": "a kinase. It is expressed in brain with TP53."}},
            ["no text has a word that its evidence lacks"],
        ),
        (
            {"texts": {"ENSG0001": f"a kinase {CANARY}"}},
            ["no text has a word that its evidence lacks", "no canary"],
        ),
    ],
)
def test_the_gate_names_what_does_not_hold(changed, conditions):
    assert failing(**changed) == conditions


def test_a_cheat_that_writes_labels_into_texts_is_caught():
    """It would raise the reward of any labels, true or dealt: words give it away."""
    cheated = {
        id_: f"a kinase. {'sensitive' if label else 'kinase'}." for id_, label in LABELS.items()
    }
    conditions = failing(texts=cheated)
    assert "no label is written in" in conditions
    assert "no text has a word that its evidence lacks" in conditions


def test_a_policy_prefers_what_was_kept_for_this_and_other_kinds():
    policy = LearnedPolicy()
    edits = [Edit(kind, "drop", of) for kind in ("enzymes", "other") for of in ("drugs", "aging")]
    good = [Proposal(edits[0], 0.01, True)] * 30
    bad = [Proposal(edits[1], -0.01, False)] * 30
    policy.learn([*good, *bad])
    firsts = [policy.propose(edits, 2, round_) for round_ in range(20)]
    assert all(edits[0] in first for first in firsts)
    assert sum(edits[2] in first for first in firsts) >= 15, "the same edit, other genes"


def test_a_language_model_proposes_and_gaps_are_filled():
    asked = []

    def ask(question):
        asked.append(question)
        return "I would try 3, then 1, 3 and 99."

    policy = ModelPolicy(ask, LearnedPolicy())
    possible = [Edit("enzymes", "drop", str(n)) for n in range(6)]
    shown = LearnedPolicy().propose(possible, 20, 1)
    assert policy.propose(possible, 3, 1)[:2] == [shown[2], shown[0]]
    assert len(set(policy.propose(possible, 6, 1))) == 6
    policy.learn([Proposal(possible[0], 0.0123, True)])
    policy.propose(possible, 2, 2)
    assert "drop 0 for enzymes: +0.0123" in asked[-1]
    silent = ModelPolicy(lambda _: None, LearnedPolicy())
    assert silent.propose(possible, 3, 1) == shown[:3]
