"""schema.org's description, and that nothing in it ends the script element of the page."""

from __future__ import annotations

import json
import posixpath
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genept.release.metadata.json_ld import in_script, schema_org
from genept.release.metadata.release_description import DescribedRelease


@given(st.text() | st.sampled_from(["</script>", "<!--", "]]>", "\u2028", "&lt;/script&gt;"]))
def test_no_text_ends_a_script_element(text: str) -> None:
    written = in_script({text: [text]})
    assert not set(written) & set("<>&\u2028\u2029")
    assert json.loads(written) == {text: [text]}


@pytest.fixture(scope="module")
def document(copied) -> dict:
    described = DescribedRelease(copied.manifest, "s3://lake/x/", doi="10.1234/genept")
    return json.loads(in_script(schema_org(described)))


def test_it_is_a_dataset_with_what_search_engines_require(document) -> None:
    assert document["@type"] == "Dataset"
    assert 50 <= len(document["description"]) <= 5000
    assert document["identifier"][1] == "https://doi.org/10.1234/genept"
    assert document["license"] == [
        {
            "@type": "CreativeWork",
            "name": "src: MIT (package); CC-BY-4.0 (data)",
            "url": "https://spdx.org/licenses/MIT.html",
        }
    ]
    assert any("doi:10.1000/a_b" in cited for cited in document["citation"])
    measured = {each["name"]: each for each in document["variableMeasured"]}
    assert measured["drug_responses.value"]["description"]
    assert measured["genes.length"]["unitText"] == "bp"
    assert "genes.symbol" not in measured


def test_downloads_lead_from_the_page_to_every_file(copied, document) -> None:
    page = "audit/site"
    found = {
        posixpath.normpath(posixpath.join(page, unquote(each["contentUrl"]))): each["sha256"]
        for each in document["distribution"]
    }
    wanted = {
        file.path: file.sha256 for table in copied.manifest.tables.values() for file in table.files
    }
    assert found == wanted
    assert any("%25" in each["contentUrl"] for each in document["distribution"])
