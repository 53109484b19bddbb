"""Terms split by time, on a made file in GOA's format: heads and texts know earlier days alone."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from planted import gene, made_archives, reference_of
from planted_go import go_mirror

from genept.benchmarks.label_tables import dated_members
from genept.benchmarks.split_tasks.dated_terms import BEFORE, SINCE
from genept.benchmarks.task_base import GeneVectors, Labels, random_vectors
from genept.benchmarks.task_registry import TASKS
from genept.text.knowledge import KnowledgeSources

TASK = TASKS["go-terms-since-2024"]
N_GENES = 240
GENES = reference_of(
    *(gene(number, f"G{number}", uniprot_ids=[f"P{number}"]) for number in range(1, N_GENES + 1))
)
ENSEMBL = GENES["ensembl_gene_id"].to_list()
TERMS = ("GO:0000001", "GO:0000002", "GO:0000003")
OLD, NEW = date(2019, 5, 1), date(2024, 1, 1)


def annotations() -> list[tuple[str, str, str, date]]:
    """Genes of a like remainder have a term: most since 2019, every fourth since 2024."""
    rows = []
    for number in range(1, N_GENES + 1):
        term = TERMS[number % 3]
        day = NEW + timedelta(days=number) if number % 4 == 0 else OLD
        rows.append((f"P{number}", term, "IDA", day))
        rows.append((f"P{number}", term, "IEA", date(2025, 6, 1)))
    rows.append(("P3", TERMS[0], "IMP", date(2025, 1, 1)))  # again: it counts from the first day
    rows.append(("P1", TERMS[0], "IEA", date(2025, 6, 1)))  # electronic alone
    return rows


@pytest.fixture
def rows(tmp_path: Path) -> pl.DataFrame:
    sources = go_mirror(tmp_path, annotations(), {id_: f"process {id_}" for id_ in TERMS})
    return TASK.rows(Labels(dated_members(sources, GENES), pl.DataFrame()))


def telling() -> GeneVectors:
    """Vectors that tell the term, with noise."""
    rng = np.random.default_rng(0)
    of_term = rng.normal(0, 1, (3, 24))
    kinds = [number % 3 for number in range(1, N_GENES + 1)]
    matrix = of_term[kinds] + rng.normal(0, 0.5, (N_GENES, 24))
    return GeneVectors("telling", tuple(ENSEMBL), matrix.astype(np.float32))


def test_a_gene_has_a_term_since_the_first_day_that_a_curator_gave_it(rows: pl.DataFrame) -> None:
    day = {(row["ensembl_gene_id"], row["label"]): row["split"] for row in rows.to_dicts()}
    assert day[ENSEMBL[2], "process GO:0000001"] == "2019-05-01"
    assert day[ENSEMBL[3], "process GO:0000002"] == "2024-01-05"
    assert day[ENSEMBL[0], "process GO:0000001"] is None, "a computation of 2025 is no day"
    assert len(day) == N_GENES + 1


def test_later_members_are_found_by_what_was_known_before(rows: pl.DataFrame) -> None:
    assert TASK.unfit(rows) is None
    predicted = TASK.predict(rows, telling())
    means = dict(predicted.group_by("split").agg(pl.col("score").mean()).iter_rows())
    assert set(means) == {SINCE, BEFORE}
    assert min(means.values()) > 0.9
    noise = TASK.predict(rows, random_vectors(ENSEMBL, 24), draw=0)
    assert set(noise["split"]) == {SINCE}
    assert 0.35 < noise["score"].mean() < 0.65
    dealt = TASK.predict(TASK.permuted(rows), telling(), draw=0)
    assert dealt["score"].mean() < 0.75


def test_what_came_later_teaches_nothing(rows: pl.DataFrame) -> None:
    """Scores of genes stay if later annotations go to other genes: only who is a member changes."""
    later = rows["split"].str.to_date(strict=False) >= TASK.since
    swapped = rows.with_columns(
        ensembl_gene_id=pl.when(later).then(pl.lit(None, pl.String)).otherwise("ensembl_gene_id")
    )
    without = swapped.filter(pl.col("ensembl_gene_id").is_not_null())
    few = TASK.__class__(**{**vars(TASK), "fewest_new": 0})
    vectors = telling()
    terms = [few._dated(given, ENSEMBL) for given in (rows, without)]
    assert np.array_equal(terms[0].before, terms[1].before)
    assert terms[0].since.sum() == N_GENES // 4
    assert not terms[1].since.any()
    assert not (terms[0].before & terms[0].since).any()
    assert not terms[0].others[0, 0], "known by a computation alone: neither member nor other"
    assert few.areas_of(rows, vectors)[BEFORE][0].keys() == set(terms[0].names)


def test_texts_that_know_later_annotations_are_left_out() -> None:
    assert TASK.states("go")
    assert TASK.states("go<2024-01-02")
    assert not TASK.states("go<2024-01-01")
    assert not TASK.states("name")
    assert TASKS["go-terms"].states("go<2024-01-01")


def test_without_dates_there_are_no_labels_and_with_few_they_are_too_few(
    rows: pl.DataFrame,
) -> None:
    assert "has no dates; `genept sources fetch goa-human go-basic`" in TASK.without_labels
    one = rows.filter(pl.col("label") == "process GO:0000001")
    assert TASK.unfit(one) == (
        "1 terms have 20 to 500 genes before 2024-01-01 and 10 since, and two are needed"
    )


def test_packaged_annotations_have_no_dates(tmp_path: Path) -> None:
    assert not KnowledgeSources(made_archives(tmp_path)).has_dates
