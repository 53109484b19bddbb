"""schema.org's description of a release, which search engines read in its page."""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import quote

from genept.release.metadata.citations import cited
from genept.release.metadata.release_description import (
    CREATOR,
    KEYWORDS,
    PARQUET,
    SUMMARY,
    TITLE,
    DescribedRelease,
)
from genept.release.metadata.usage_terms import UsageTerms

ROOT: Final = "../../"
"""The folder of the release, from the folder of its page."""

_OUT_OF_SCRIPTS: Final = str.maketrans(
    {"<": r"\u003c", ">": r"\u003e", "&": r"\u0026", "\u2028": r"\u2028", "\u2029": r"\u2029"}
)


def schema_org(release: DescribedRelease) -> dict[str, Any]:
    """Describe a release as a schema.org Dataset.

    Parameters
    ----------
    release
        The release.

    Returns
    -------
    dict
        JSON-LD; addresses of files are relative to the page of the release.
    """
    manifest = release.manifest
    return {
        "@context": "https://schema.org/",
        "@type": "Dataset",
        "name": TITLE,
        "description": SUMMARY,
        "url": release.url,
        "identifier": [manifest.release_id, release.url],
        "version": manifest.release_id,
        "datePublished": release.date,
        "isAccessibleForFree": True,
        "keywords": list(KEYWORDS),
        "creator": {"@type": "Organization", "name": CREATOR},
        "creditText": cited(release),
        "license": [_creative_work(terms) for terms in release.terms.all],
        "citation": [terms.citation for terms in release.terms.all if terms.citation],
        "variableMeasured": [
            {
                "@type": "PropertyValue",
                "name": f"{table.name}.{column.name}",
                "description": column.meaning,
                **({"unitText": column.unit} if column.unit else {}),
            }
            for table, _ in release.tables
            for column in table.columns
            if column.is_floating or column.unit
        ],
        "distribution": [
            {
                "@type": "DataDownload",
                "name": file.path,
                "contentUrl": f"{ROOT}{quote(file.path, safe='/=')}",
                "encodingFormat": PARQUET,
                "contentSize": f"{file.bytes} B",
                "sha256": file.sha256,
            }
            for _, released in release.tables
            for file in released.files
        ],
    }


def _creative_work(terms: UsageTerms) -> dict[str, str]:
    (known, *_) = (*terms.licence_urls, "")
    work = {"@type": "CreativeWork", "name": f"{terms.id}: {terms.licence}"}
    return work | ({"url": known} if known else {})


def in_script(data: Any) -> str:
    """JSON that may stand in a script element of HTML: no text in it ends the element.

    Parameters
    ----------
    data
        Anything that JSON can express.

    Returns
    -------
    str
        JSON without ``<``, ``>`` and ``&``, which reads as the same data.
    """
    return json.dumps(data, ensure_ascii=False).translate(_OUT_OF_SCRIPTS)
