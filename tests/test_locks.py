"""The locks of requirements: they agree, everything has a hash, and no index is named."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement

PROJECT = Path(__file__).parents[1]
LOCKS = ("requirements.lock", "infra/bootstrap.lock", "infra/docs.lock")


def entries(lock: str) -> dict[tuple[str, str], tuple[str, list[str]]]:
    """Version and hashes of each requirement, by its name and marker."""
    text = (PROJECT / lock).read_text("utf-8").replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines()]
    found = {}
    for line in (line for line in lines if line and not line.startswith("#")):
        stated, *hashes = re.split(r"\s+--hash=", line)
        requirement = Requirement(stated)
        (specifier,) = requirement.specifier
        marker = str(requirement.marker or "")
        found[requirement.name, marker] = (specifier.version, hashes)
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_everything_has_a_hash_and_no_index_is_named(lock: str) -> None:
    assert "://" not in (PROJECT / lock).read_text("utf-8")
    locked = entries(lock)
    assert locked
    assert not [name for name, (_, hashes) in locked.items() if not hashes]
    assert all(
        re.fullmatch(r"sha256:[0-9a-f]{64}", h) for _, hashes in locked.values() for h in hashes
    )


def here(lock: str) -> dict[str, str]:
    """Versions that this lock installs here."""
    return {
        name: version
        for (name, marker), (version, _) in entries(lock).items()
        if not marker or Marker(marker).evaluate()
    }


def test_the_lock_of_the_site_changes_no_version() -> None:
    everything, site = here("requirements.lock"), here("infra/docs.lock")
    shared = everything.keys() & site.keys()
    assert len(shared) > 100
    assert {name: site[name] for name in shared} == {name: everything[name] for name in shared}


def test_the_lock_of_the_site_is_of_the_declared_extra() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    declared = [Requirement(text) for text in project["optional-dependencies"]["docs"]]
    site = here("infra/docs.lock")
    others = [each for each in declared if each.name != project["name"]]
    assert others
    assert not [each.name for each in others if not each.specifier.contains(site[each.name])]
