"""One version everywhere; `CITATION.cff` holds to the schema of its format."""

from __future__ import annotations

import json
import re
import tomllib
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import jsonschema
import yaml

PROJECT = Path(__file__).parents[1]


PROJECT_TABLE = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
VERSION = PROJECT_TABLE["version"]


def test_the_newest_entry_of_the_changelog_is_of_this_version() -> None:
    changelog = (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[(.+?)\]", changelog, re.MULTILINE)
    assert headings[:2] == ["Unreleased", VERSION]
    assert version("genept-platform") == VERSION


def test_images_are_tagged_with_this_version() -> None:
    files = [path for path in (PROJECT / "infra").rglob("*") if path.is_file()]
    texts = [path.read_text("utf-8") for path in files if path.suffix in {"", ".yaml"}]
    tags = [tag for text in texts for tag in re.findall(r"\bgenept:(\d[\w.]*)", text)]
    tags += [tag for text in texts for tag in re.findall(r"^ *tag: \"(.+)\"", text, re.MULTILINE)]
    assert len(tags) >= 4
    assert set(tags) == {VERSION}


def test_the_citation_is_valid_and_of_this_version() -> None:
    citation = yaml.safe_load((PROJECT / "CITATION.cff").read_text(encoding="utf-8"))
    vendored = files("check_jsonschema").joinpath(
        "builtin_schemas/vendor/citation-file-format.json"
    )
    schema = json.loads(vendored.read_text(encoding="utf-8"))
    jsonschema.validators.validator_for(schema)(schema).validate(citation)
    assert citation["version"] == VERSION
    assert citation["license"] == PROJECT_TABLE["license"]
