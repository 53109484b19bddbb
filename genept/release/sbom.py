"""The software bill of materials (SBOM) of a release: what is installed, under which licence."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.metadata import Distribution, PackageMetadata, distributions
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid5

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from cyclonedx.model.component import Component
    from cyclonedx.model.license import License

# cyclonedx is imported where a document is made: it parses the SPDX licences, a fifth of a second.

PLATFORM: Final = "genept-platform"

EXTRAS: Final = ("platform",)
"""Extras of the platform that a run needs."""

PAGE: Final = "sbom.cdx.json"
"""Path of the SBOM in the audit of a release."""


_SERIAL_NUMBERS: Final = UUID("6f0d1c52-5d6c-5b0e-9d8a-4d8e6a4f0c11")

_LONGEST_LICENCE: Final = 120
"""Some packages give the full text of the licence in place of its name."""


def bill_of_materials(packages: Iterable[Distribution] | None = None) -> bytes:
    """Return a CycloneDX 1.6 document: all installed distributions, licences and requirements.

    Parameters
    ----------
    packages
        The distributions; by default all that are installed, including the platform.

    Returns
    -------
    bytes
        JSON in UTF-8; equal for equal installations.
    """
    return _bill_of_installed() if packages is None else _bill_of(packages)


@cache
def _bill_of_installed() -> bytes:
    return _bill_of(distributions())


def _bill_of(packages: Iterable[Distribution]) -> bytes:
    from cyclonedx.model.bom import Bom
    from cyclonedx.output.json import JsonV1Dot6

    installed: dict[str, PackageMetadata] = {}
    for distribution in packages:
        metadata = distribution.metadata  # each access parses it again
        if metadata["Name"]:  # an interrupted uninstall may leave a folder without a name
            installed.setdefault(canonicalize_name(metadata["Name"]), metadata)
    components = {name: _component(name, metadata) for name, metadata in sorted(installed.items())}
    bom = Bom()
    bom.metadata.timestamp = None  # type: ignore[assignment] # the schema has it optional
    bom.metadata.component = components.get(PLATFORM)
    bom.components = [component for name, component in components.items() if name != PLATFORM]
    for name, component in components.items():
        extras = ("", *EXTRAS) if name == PLATFORM else ("",)
        required = _required(installed[name], extras) & set(components) - {name}
        bom.register_dependency(component, [components[other] for other in sorted(required)])
    named = "\n".join(str(component.purl) for component in components.values())
    bom.serial_number = uuid5(_SERIAL_NUMBERS, named)
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    return json.dumps(document, indent=1, sort_keys=True).encode()


def _component(name: str, installed: PackageMetadata) -> Component:
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    purl = PackageURL("pypi", name=name, version=installed["Version"])
    licence = _licence(installed)
    return Component(
        name=name,
        version=installed["Version"],
        type=ComponentType.APPLICATION if name == PLATFORM else ComponentType.LIBRARY,
        purl=purl,
        bom_ref=str(purl),
        licenses=[licence] if licence else None,
    )


def _licence(installed: PackageMetadata) -> License | None:
    """The licence that a package states: SPDX expression, name or classifier, in this order."""
    from cyclonedx.contrib.license.factories import LicenseFactory

    stated = [*installed.get_all("License-Expression", ()), *installed.get_all("License", ())]
    stated += [
        classifier.rpartition(" :: ")[2]
        for classifier in installed.get_all("Classifier", ())
        if classifier.startswith("License ::")
    ]
    for statement in stated:
        text = " ".join(statement.split())
        if text and text != "UNKNOWN" and len(text) <= _LONGEST_LICENCE:
            return LicenseFactory().make_from_string(text)
    return None


def _required(installed: PackageMetadata, extras: Sequence[str]) -> set[str]:
    """Names of the requirements on this machine with these extras, or without if empty."""
    names: set[str] = set()
    for line in installed.get_all("Requires-Dist", ()):
        try:
            requirement = Requirement(line)
        except InvalidRequirement:  # invalid requirement of an old package; its name is readable
            names.add(canonicalize_name(re.split(r"[^\w.-]", line)[0]))
            continue
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
            names.add(canonicalize_name(requirement.name))
    return names
