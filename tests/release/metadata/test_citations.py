"""How a release is cited: every source is named, and BibTeX is well formed whatever they say."""

from __future__ import annotations

import re

import pytest

from genept.release.metadata.citations import bibtex, citation_text
from genept.release.metadata.release_description import DescribedRelease


@pytest.fixture
def described(copied) -> DescribedRelease:
    return DescribedRelease(copied.manifest, "s3://lake/genept/releases/x/")


def test_the_text_names_release_method_and_sources(copied, described) -> None:
    text = citation_text(described)
    assert f"Release {copied.manifest.release_id}" in text
    assert "doi:10.1038/s41551-024-01284-6" in text
    assert "src: An author et al. A title: #1 & 50 % of it." in text
    assert "Licence: MIT (package); CC-BY-4.0 (data)." in text
    assert (copied.folder / "CITATION.txt").read_text().count("src:") == 1


def entries(text: str) -> dict[str, dict[str, str]]:
    """Entries of BibTeX by key, with their fields; braces must be balanced."""
    assert text.count("{") == text.count("}")
    found = re.findall(r"@misc\{([^,\s]+),\n((?:  \w+ = \{.*\},\n)+)\}\n", text)
    assert len(found) == text.count("@")
    return {key: dict(re.findall(r"  (\w+) = \{(.*)\},\n", fields)) for key, fields in found}


def test_bibtex_has_one_entry_for_each(copied, described) -> None:
    found = entries(bibtex(described))
    release = f"genept-{copied.manifest.release_id}"
    assert list(found) == [release, "genept-method", "genept-src"]
    assert found[release]["author"] == "{GenePT platform contributors}"
    assert "doi" not in found[release]
    assert found["genept-src"]["doi"] == "10.1000/a_b"
    assert found["genept-src"]["year"] == "2026"
    assert r"\#1 \& 50 \% of it" in found["genept-src"]["note"]


def test_a_doi_is_named_only_where_the_settings_give_one(copied) -> None:
    with_doi = DescribedRelease(copied.manifest, "s3://lake/x/", doi="10.1234/genept")
    assert (
        entries(bibtex(with_doi))[f"genept-{copied.manifest.release_id}"]["doi"] == "10.1234/genept"
    )
    assert "https://doi.org/10.1234/genept" in citation_text(with_doi)


def test_no_text_breaks_an_entry(copied) -> None:
    (source,) = copied.manifest.sources.values()
    evil = dict.fromkeys(("title", "licence", "citation"), "a}\n\\input{x},\n@misc{b, %")
    sources = {"src:a,b": source.model_copy(update=evil)}
    manifest = copied.manifest.model_copy(update={"sources": sources})
    text = bibtex(DescribedRelease(manifest, "s3://lake/x/"))
    assert "\\input" not in text
    assert "genept-src:a-b" in text
    assert len(re.findall(r"(?m)^@", text)) == 3
    unescaped = re.sub(r"\\[{}]", "", text)
    assert unescaped.count("{") == unescaped.count("}")
