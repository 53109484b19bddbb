"""A stranger's file is looked at under limits: bombs are refused before they go off."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import bombs
import limited_tasks
import mutations
import pytest
from own_files import REFERENCE, counts, write_counts

import genept.collections.dry_run
from genept.collections.dry_run import try_out
from genept.collections.sidecar import validated_sidecar
from genept.common.errors import SourceError
from genept.datasources.readers.sandbox import USUAL, limited

REFUSALS = {
    "stacked.h5ad": "compressed 2 times over",
    "references.h5ad": "a bomb of references",
    "dictionary.parquet": "ids and labels take more than",
    "rows.parquet": "claims 20,000,000 rows",
    "name.tar.gz": "refused as a",
    "duplicates.tar.gz": "declares 24,000,000 values, its size allows 2,400",
    "undeclared.tar.gz": "declares 2,400 values, but has more",
}


def looked_at_each(_, folder: str) -> dict[str, list]:
    """In the child: what is said of each bomb, the memory and processor time that it took."""
    refusals = {}
    for path in sorted(Path(folder).iterdir()):
        before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        try:
            text = f"read {mutations.looked_at(path)}"
        except SourceError as error:
            text = str(error)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        refusals[path.name] = [text, (after - before) << 10, time.process_time() - begun]
    return refusals


def test_every_bomb_is_refused_for_what_it_is_and_in_little_memory_and_time(tmp_path):
    for name, make in bombs.BOMBS.items():
        (tmp_path / name).write_bytes(make())
    (tmp_path / "a-good.csv").write_bytes(mutations.csv())
    with limited(
        looked_at_each, str(tmp_path), what="bombs", limits=USUAL.limits(tmp_path / "a-good.csv")
    ) as answer:
        refusals = answer.values
    assert refusals.pop("a-good.csv")[0] == "read 40"
    assert refusals.keys() == REFUSALS.keys()
    for name, (text, memory, seconds) in refusals.items():
        assert REFUSALS[name] in text, (name, text)
        assert name in text
        assert memory <= 256 << 20, name
        assert seconds <= 30, name


def asked(path: Path, **more):
    return try_out(
        path, None, validated_sidecar({"id": "mine"}, "x"), REFERENCE,
        bucket="b", product="p", limits=USUAL.limits(path), **more,
    )  # fmt: skip


def test_the_child_finds_what_this_process_would(tmp_path):
    write_counts(tmp_path / "mine.csv", counts())
    path = tmp_path / "mine.csv"
    limited_trial = asked(path)
    plain = try_out(
        path,
        None,
        validated_sidecar({"id": "mine"}, "x"),
        REFERENCE,
        bucket="b",
        product="p",
        limits=None,
    )
    assert limited_trial.detected == plain.detected
    assert limited_trial.dry_run.mapping.equals(plain.dry_run.mapping)
    for name in ("n_observations", "n_groups", "n_genes", "coverage", "labels", "noted"):
        assert getattr(limited_trial.dry_run, name) == getattr(plain.dry_run, name)


@pytest.mark.parametrize("answer", [b'{"answer": 3}\n', b'{"answer": {"entry": {"id": "b"}}}\n'])
def test_an_answer_that_cannot_be_is_a_refusal(tmp_path, monkeypatch, answer):
    write_counts(tmp_path / "mine.csv", counts())

    def taken_over(_, *arguments, **more):
        return limited(limited_tasks.sends, answer, **more)

    monkeypatch.setattr(genept.collections.dry_run, "limited", taken_over)
    with pytest.raises(SourceError, match=r"mine\.csv: .*gave an answer that cannot be"):
        asked(tmp_path / "mine.csv")


def test_a_limited_process_advises_whoever_typed_the_command(tmp_path):
    write_counts(tmp_path / "mine.csv", counts() / 8)
    sidecar = validated_sidecar({"id": "mine"}, "the test")
    limits = USUAL.limits(tmp_path / "mine.csv")
    trial = try_out(
        tmp_path / "mine.csv", None, sidecar, REFERENCE, bucket="b", product="p", limits=limits
    )
    (question,) = trial.detected.open_questions
    assert "--unit tpm for" in question
