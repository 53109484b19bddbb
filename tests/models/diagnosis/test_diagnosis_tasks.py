"""Tasks: by themselves where there are diagnoses, by an entry for any other label column."""

import polars as pl
import pytest

from genept.datasources.catalogue import load_catalogue
from genept.models.diagnosis.diagnosis_tasks import DiagnosisTask, TasksError, load_tasks, tasks_of
from genept.models.heads import HEADS


def observations(n=60, **labels):
    rows = {"group_id": [f"p{row // 2}" for row in range(n)]}
    return pl.DataFrame(rows | {"diagnosis": None, "tissue": None, "tissue_subtype": None} | labels)


def test_an_entry_makes_any_label_column_a_task(tmp_path):
    own = tmp_path / "tasks.toml"
    own.write_text(
        '[subtype-mine]\ncollection = "mine"\nlabel = "tissue_subtype"\nmin_groups = 6\n'
        'only = { diagnosis = "tumor" }\n[diagnosis-mine]\ncollection = "mine"\n'
        'label = "diagnosis"\nforgotten_on_purpose = ["old"]\n'
    )
    first, second = tasks_of("mine", load_tasks(own))
    assert first.model == "diagnosis-mine"
    assert first.forgotten_on_purpose == ("old",)
    assert second.model == "subtype-mine"
    rows = observations(
        diagnosis=["tumor"] * 40 + ["normal"] * 20, tissue_subtype=["a", "a", "b", "b"] * 15
    )
    assert second.impossible(rows) is None
    assert second.takes_part(rows).sum() == 40
    assert tasks_of("other", load_tasks(own)) == [DiagnosisTask(collection="other")]


def test_shipped_entries_and_full_models():
    entries = load_tasks()
    usual = {task.model for task in tasks_of("gdsc", entries)}
    full = {task.model for task in tasks_of("gdsc", entries, full=True)}
    assert "diagnosis-gdsc" in usual
    assert "tissue-gdsc" in full - usual
    of_tcga = {task.model: task for task in tasks_of("tcga11", entries, full=True)}
    cancer, tumour = of_tcga["cancer-type-tcga11"], of_tcga["diagnosis-tcga11"]
    assert cancer.only == {"diagnosis": "tumor"}
    assert (tumour.label, tumour.cohort) == ("diagnosis", "tissue_subtype")
    assert cancer.heads == HEADS


def test_every_shipped_entry_is_of_a_bulk_collection():
    collections = load_catalogue().collections
    kinds = {
        entry.collection: collections[entry.collection].kind for entry in load_tasks().values()
    }
    assert set(kinds.values()) == {"bulk"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[a]\ncollection = 1", "a wrong entry: a.collection"),
        ('[a]\ncollection = "x"\nlabel = "sex"', "a wrong entry: a.label"),
        ('[a]\ncollection = "x"\nlabel = "tissue"\nhead = 1', "a wrong entry: a.head"),
        ("a = 1", "a wrong entry: a"),
        ("[a", "is no TOML"),
        (None, "cannot be read"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, text, message):
    own = tmp_path / "tasks.toml"
    if text is not None:
        own.write_text(text)
    with pytest.raises(TasksError, match=message):
        load_tasks(own)


@pytest.mark.parametrize(
    ("diagnoses", "why"),
    [
        (None, "no sample has a diagnosis"),
        (["tumor"] * 60, "'tumor' 30"),
        (["tumor"] * 40 + ["normal"] * 20, "12 groups or more: 'normal' 10, 'tumor' 20"),
        (["tumor"] * 30 + ["normal"] * 30, None),
        (["tumor", "normal"] * 30, None),
    ],
)
def test_a_collection_that_lacks_what_a_task_needs_is_reported(diagnoses, why):
    reason = DiagnosisTask(collection="planted").impossible(observations(diagnosis=diagnoses))
    assert reason == why or (why and reason and reason.endswith(why))
