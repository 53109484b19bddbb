"""What a release was computed with, as a CycloneDX bill of materials.

Read from the installed distributions, so it names what ran rather than what was meant to. The
document has no time, no random serial number and no path: the same installation writes the same
bytes. The sources of the data are the manifest's; this names software only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from importlib.metadata import Distribution, PackageMetadata, distributions
from typing import Final
from uuid import UUID, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

PLATFORM: Final = "genept-platform"
EXTRAS: Final = ("platform",)
"""Of the platform's own extras, what a run needs."""
PAGE: Final = "sbom.cdx.json"
"""Its path in the audit of a release."""

_SERIAL_NUMBERS: Final = UUID("6f0d1c52-5d6c-5b0e-9d8a-4d8e6a4f0c11")
_LONGEST_LICENCE: Final = 120
"""Some packages put the licence's whole text where its name belongs."""


def bill_of_materials(found: Iterable[Distribution] | None = None) -> bytes:
    """CycloneDX 1.6, as JSON: every installed distribution, its licence, and what it requires.

    Parameters
    ----------
    found
        The distributions; by default all that this Python sees, the platform among them.
    """
    installed: dict[str, PackageMetadata] = {}
    for one in distributions() if found is None else found:
        stated = one.metadata  # parsed anew each time it is asked for
        if stated["Name"]:  # a folder that an interrupted uninstall left behind has none
            installed.setdefault(canonicalize_name(stated["Name"]), stated)
    components = {name: _component(name, one) for name, one in sorted(installed.items())}
    bom = Bom()
    bom.metadata.timestamp = None  # type: ignore[assignment] # the schema has it optional
    bom.metadata.component = components.get(PLATFORM)
    bom.components = [one for name, one in components.items() if name != PLATFORM]
    for name, component in components.items():
        extras = ("", *EXTRAS) if name == PLATFORM else ("",)
        required = _required(installed[name], extras) & set(components) - {name}
        bom.register_dependency(component, [components[other] for other in sorted(required)])
    named = "\n".join(str(one.purl) for one in components.values())
    bom.serial_number = uuid5(_SERIAL_NUMBERS, named)
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    return json.dumps(document, indent=1, sort_keys=True).encode()


def _component(name: str, installed: PackageMetadata) -> Component:
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
    """As the package states it: its SPDX expression, else its name, else its classifier."""
    stated = [*installed.get_all("License-Expression", ()), *installed.get_all("License", ())]
    stated += [
        one.rpartition(" :: ")[2]
        for one in installed.get_all("Classifier", ())
        if one.startswith("License ::")
    ]
    for one in stated:
        text = " ".join(one.split())
        if text and text != "UNKNOWN" and len(text) <= _LONGEST_LICENCE:
            return LicenseFactory().make_from_string(text)
    return None


def _required(installed: PackageMetadata, extras: Sequence[str]) -> set[str]:
    """Names of what it requires here with these extras; the empty one is what all need."""
    names: set[str] = set()
    for line in installed.get_all("Requires-Dist", ()):
        try:
            requirement = Requirement(line)
        except InvalidRequirement:  # an old package's own spelling; its name is readable
            names.add(canonicalize_name(re.split(r"[^\w.-]", line)[0]))
            continue
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": one}) for one in extras):
            names.add(canonicalize_name(requirement.name))
    return names
