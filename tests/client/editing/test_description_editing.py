"""Editing descriptions of an installation: real labels and terms, an embedder of bags of words."""

import zlib
from dataclasses import replace
from functools import cached_property

import numpy as np
import polars as pl
import pytest
from installations import storage_settings

from genept.client import (
    EditReport,
    Platform,
    edit_inputs,
    edit_on,
    edit_parts,
    forecast_edit,
    keep_edits,
    next_name,
    register_edited,
)
from genept.client.editing.edit_inputs import SAMPLE
from genept.client.editing.edit_scores import HIDDEN, labelled_tasks
from genept.client.generated_texts import generated_version
from genept.common import Settings, StoreError
from genept.language_models.self_editing import EditOptions
from genept.text import Embedders

OPTIONS = EditOptions(rounds=1, proposals=2, shuffled=1)


class Words:
    """An embedder that counts words by their hash."""

    id, identity, dimensions, unit_norm, texts_at_once = "words", "words:1", 64, True, 256

    def __init__(self):
        self.texts = []

    def embed(self, texts):
        self.texts += texts
        rows = np.zeros((len(texts), 64), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().split():
                row[zlib.crc32(word.encode()) % 64] += 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class Opened(Embedders):
    """Embedders of an installation, of which one is that of words."""

    def __init__(self, settings, archives, words):
        super().__init__(settings, archives)
        self.words = words

    def open(self, id_):
        return self.words if id_ == "words" else super().open(id_)


class Edited(Platform):
    @cached_property
    def words(self):
        return Words()

    @cached_property
    def embedders(self):
        return Opened(self.settings, self.archives, self.words)


@pytest.fixture
def platform(tmp_path, object_store, store_prefix, real_archives):
    (tmp_path / "cache").mkdir()
    for name in ("archives", "reference"):  # neither is made anew
        (real_archives.folder.parent / name).mkdir(exist_ok=True)
        (tmp_path / "cache" / name).symlink_to(real_archives.folder.parent / name)
    product = store_prefix.replace("tests/", "").replace("_", "-")
    return Edited(Settings(state_dir=tmp_path, product=product, **storage_settings(object_store)))


@pytest.mark.slow
def test_an_editing_is_scored_kept_and_made_a_recipe(platform):
    assert next_name(platform) == "self-edited-1"
    inputs = edit_inputs(platform)
    forecast = forecast_edit(platform, inputs, "words", OPTIONS)
    assert len(platform.words.texts) == SAMPLE
    assert forecast.n_new > 900
    platform.words.texts.clear()
    report = edit_on(platform, "self-edited-1", "words", (), OPTIONS)
    assert report.n_genes > 900
    assert {score.task for score in report.edited.scores} >= {"haploinsufficiency"}
    assert 0.6 < report.hidden["haploinsufficiency"][0] < 1, "names and terms tell much"
    assert forecast.n_genes == forecast.n_new == report.n_genes
    assert {*forecast.rewarded, *forecast.others} == set(report.hidden)
    n_embedded = len(platform.words.texts)
    assert report.n_genes < n_embedded < 2 * forecast.n_texts
    assert forecast_edit(platform, inputs, "words", OPTIONS).n_new == 0
    del platform.words.texts[n_embedded:]
    again = edit_on(platform, "self-edited-1", "words", (), OPTIONS)
    assert (again.gain, again.edited.tried) == (report.gain, report.edited.tried)
    assert len(platform.words.texts) == n_embedded, "no text is embedded twice"

    before = generated_version(platform)
    keep_edits(platform, report)
    assert generated_version(platform) != before
    assert next_name(platform) == "self-edited-2"
    edits, forgetting = map(pl.DataFrame, map(platform.lake.read, edit_parts(platform)))
    assert sorted(edits["reward"]) == sorted(each.reward for each in report.edited.tried)
    hidden = forgetting.filter(split="hidden", task="haploinsufficiency").row(0, named=True)
    assert hidden["difference"] == report.hidden["haploinsufficiency"][1]
    assert forgetting.filter(round=0)["difference"].to_list() == [0.0] * len(report.hidden)

    with_failure = EditReport(
        **{**vars(report), "gate": [each._replace(holds=False) for each in report.gate]}
    )
    with pytest.raises(StoreError, match="does not pass the gate"):
        register_edited(platform, with_failure)
    passed = EditReport(**{**vars(report), "gate": ()})
    with pytest.raises(StoreError, match="may not be redistributed"):
        register_edited(platform, replace(passed, is_restricted=True))
    assert "self-edited-1" not in platform.recipes
    n = register_edited(platform, passed)
    assert n > 15_000
    fresh = Edited(platform.settings)
    assert fresh.store
    recipe = fresh.recipes["self-edited-1"]
    assert (recipe.writer, fresh.knowledge.unavailable(recipe)) == ("self-edited-1", None)
    assert recipe in fresh.followed_recipes
    assert fresh.statements.read("self-edited-1")["ensembl_gene_id"].n_unique() == n


@pytest.mark.slow
def test_what_cannot_be_scored_is_refused(platform):
    with pytest.raises(StoreError, match="no tasks on properties of genes"):
        edit_on(platform, "self-edited-1", "words", ("go-terms",), OPTIONS)
    with pytest.raises(StoreError, match="no labels here of"):
        edit_on(platform, "self-edited-1", "words", ("tf-range",), OPTIONS)
    with pytest.raises(StoreError, match="no screens .*'perturbqa-none'.* here, but none"):
        edit_on(
            platform, "self-edited-1", "words", ("perturbation-direction/perturbqa-none",), OPTIONS
        )


def test_hidden_genes_are_the_same_in_every_task_and_three_tenths_of_them():
    genes = [f"ENSG{n:011}" for n in range(3000)]
    rows = pl.DataFrame(
        {
            "task": ["a"] * 3000 + ["b"] * 1000 + ["c"] * 30,
            "ensembl_gene_id": [*genes, *genes[:1000], *genes[:30]],
            "label": [("yes", "no")[n % 2] for n in range(4030)],
            "fate": "scored",
        }
    )
    tasks = labelled_tasks(rows, {"a": "yes", "b": "yes", "c": "yes"}, genes)
    assert set(tasks) == {"a", "b"}, "of c too few genes are left"
    assert tasks["a"].is_hidden.mean() == pytest.approx(HIDDEN, abs=0.03)
    assert (tasks["a"].is_hidden[:1000] == tasks["b"].is_hidden).all()
    assert not set(tasks["a"].training_genes) & set(np.array(genes)[tasks["a"].is_hidden])
