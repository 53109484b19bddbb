"""The simulator finds every fixed bug that is put back, within few seeds."""

from __future__ import annotations

from pathlib import Path

import pytest

from genept.storage.object_store import ObjectStore
from simulation.library import seams
from simulation.mutations import MUTATIONS, Edit, Mutation, MutationError
from simulation.scenario import QUICK, Report, run_seed

MOST_SEEDS = 2_000


def search(mutation: Mutation, first: int, folder: Path) -> tuple[int, Report | None]:
    """The number of seeds that were needed, and the report of the last one."""
    with pytest.MonkeyPatch.context() as patch:
        mutation.apply(patch)
        with seams():
            for number in range(MOST_SEEDS):
                report = run_seed(first + number, folder)
                if report.violations:
                    return number + 1, report
    return MOST_SEEDS, None


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_the_simulator_finds_a_fixed_bug_that_is_put_back(
    mutation: Mutation, tmp_path: Path
) -> None:
    tried, report = search(mutation, mutation.known_seed, tmp_path)
    assert report is not None, f"{MOST_SEEDS} seeds do not find it: {mutation.description}"
    print(f"\n{mutation.name}: {tried} seeds; {report}")
    if report.seed >= QUICK:  # earlier seeds are run without the bug in any case
        with seams():
            assert not run_seed(report.seed, tmp_path).violations, "it fails without the bug, too"


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_bug_is_found_within_few_seeds_from_the_first(mutation: Mutation, tmp_path: Path) -> None:
    tried, report = search(mutation, 0, tmp_path)
    assert report is not None
    print(f"\n{mutation.name}: {tried} seeds; {report}")


def test_a_mutation_of_code_that_moved_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MutationError, match="'if moved:' 0 times"):
        Edit(ObjectStore, "put_if_match", "if moved:", "if True:").apply(monkeypatch)
    with pytest.raises(MutationError, match="put_if_moved is gone"):
        Edit(ObjectStore, "put_if_moved", "if True:", "if False:").apply(monkeypatch)
