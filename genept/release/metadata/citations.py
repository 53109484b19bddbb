"""How a release is cited: as text and as BibTeX, with everything that it is made of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from genept.release.metadata.release_description import CREATOR, METHOD, TITLE, DescribedRelease
from genept.release.metadata.usage_terms import UsageTerms

_SPECIAL: Final = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$",
    "#": r"\#", "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
}  # fmt: skip


def citation_text(release: DescribedRelease) -> str:
    """Cite a release and all its sources in plain text.

    Parameters
    ----------
    release
        The release.

    Returns
    -------
    str
        One paragraph for the release, and one line for the method and for each source.
    """
    lines = [f"{cited(release)}\n", "It is made of the following; cite what you use:\n", METHOD]
    lines += [
        f"{terms.id}: {terms.citation or terms.title} Licence: {terms.licence}."
        for terms in release.terms.all
    ]
    return "\n".join(lines) + "\n"


def cited(release: DescribedRelease) -> str:
    """The release alone, in one sentence, as text."""
    manifest = release.manifest
    return (
        f"{CREATOR}. {TITLE}. Release {manifest.release_id}, schema "
        f"{manifest.schema_version or 'none'}, data version {manifest.data_version[:12]}. "
        f"{release.date[:4]}. {release.url}"
    )


def bibtex(release: DescribedRelease) -> str:
    """Cite a release, the method and all sources in BibTeX.

    Parameters
    ----------
    release
        The release.

    Returns
    -------
    str
        One entry for each; keys begin with ``genept``.
    """
    manifest = release.manifest
    entries = [
        _entry(
            f"genept-{manifest.release_id}",
            {
                "author": f"{{{_escaped(CREATOR)}}}",
                "title": _escaped(TITLE),
                "year": release.date[:4],
                "version": _escaped(manifest.release_id),
                "doi": release.doi,
                "url": release.url,
                "note": _escaped(
                    f"schema {manifest.schema_version}, data version {manifest.data_version}"
                ),
            },
        ),
        _entry("genept-method", {"title": _escaped(METHOD), "doi": "10.1038/s41551-024-01284-6"}),
    ]
    entries += [_entry(f"genept-{terms.id}", _of_terms(terms)) for terms in release.terms.all]
    return "\n".join(entries)


def _of_terms(terms: UsageTerms) -> dict[str, str | None]:
    year = re.match(r"\d{4}", terms.released)
    return {
        "title": _escaped(terms.title),
        "year": year[0] if year else None,
        "version": _escaped(terms.version) or None,
        "doi": terms.doi,
        "note": _escaped(f"{terms.citation} Licence: {terms.licence}.".lstrip()),
    }


def _entry(key: str, fields: Mapping[str, str | None]) -> str:
    key = re.sub(r"[^A-Za-z0-9.:-]+", "-", key)
    lines = [f"  {name} = {{{value}}},\n" for name, value in fields.items() if value]
    return f"@misc{{{key},\n{''.join(lines)}}}\n"


def _escaped(text: str) -> str:
    """Text in which nothing has a meaning to TeX, in one line."""
    return "".join(_SPECIAL.get(character, character) for character in " ".join(text.split()))
