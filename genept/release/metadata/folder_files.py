"""The files in the folder of a release that describe it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from genept.release.metadata.citations import bibtex, citation_text
from genept.release.metadata.croissant import croissant
from genept.release.metadata.data_package import data_package
from genept.release.metadata.dataset_card import dataset_card
from genept.release.metadata.release_description import DescribedRelease
from genept.release.metadata.usage_terms import LICENCES


def metadata_files(release: DescribedRelease) -> Mapping[str, bytes]:
    """Describe a release in every format.

    Parameters
    ----------
    release
        The release.

    Returns
    -------
    Mapping of str to bytes
        Files by path in the folder of the release, beside its manifest.
    """
    return {
        "README.md": dataset_card(release).encode(),
        "croissant.json": _json(croissant(release)),
        "datapackage.json": _json(data_package(release)),
        LICENCES: _json(release.licences()),
        "CITATION.txt": citation_text(release).encode(),
        "CITATION.bib": bibtex(release).encode(),
    }


def _json(document: Any) -> bytes:
    return f"{json.dumps(document, indent=1, ensure_ascii=False)}\n".encode()
