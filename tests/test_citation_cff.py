"""`CITATION.cff` holds to the schema of its format, and names the version of the platform."""

from __future__ import annotations

import json
import tomllib
from importlib.resources import files
from pathlib import Path

import jsonschema
import yaml

PROJECT = Path(__file__).parents[1]


def test_it_is_valid_and_of_this_version() -> None:
    citation = yaml.safe_load((PROJECT / "CITATION.cff").read_text(encoding="utf-8"))
    vendored = files("check_jsonschema").joinpath(
        "builtin_schemas/vendor/citation-file-format.json"
    )
    schema = json.loads(vendored.read_text(encoding="utf-8"))
    jsonschema.validators.validator_for(schema)(schema).validate(citation)
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]
