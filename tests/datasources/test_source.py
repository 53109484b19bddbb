"""What a source entry may say, and what is wrong with one that says something else."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError
from sources_layouts import source_entry

from genept.common.errors import SourceError
from genept.datasources.catalogue import Catalogue, load_catalogue
from genept.datasources.source import Source

PUBLIC = {
    "id": "x",
    "title": "a table",
    "publisher": "the tests",
    "address": "https://data.example.org/x/table.tsv",
    "bytes": 1000,
    "licence": "CC0-1.0",
    "redistributable": True,
    "citation": "none",
    "checksum": "etag",
}
SUM = {"algorithm": "md5", "address": "https://sums.example.org/MD5SUMS"}


def source(**changes: Any) -> Source:
    entry = {name: value for name, value in (PUBLIC | changes).items() if value is not None}
    return Source.model_validate(entry)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"address": "http://data.example.org/a"}, "not an https:// or s3:// address"),
        ({"address": "ftp://data.example.org/a"}, "not an https:// or s3:// address"),
        ({"address": "https://u:p@data.example.org/a"}, "no credentials, port, query"),
        ({"address": "https://data.example.org:8443/a"}, "no credentials, port, query"),
        ({"address": "https://data.example.org/a?token=1"}, "no credentials, port, query"),
        ({"address": None}, "say where it is"),
        ({"address": None, "mirror": "a/b"}, "must be pinned"),
        ({"mirror": "../secrets"}, "below the mirror"),
        ({"mirror": "/etc/passwd"}, "below the mirror"),
        ({"filename": "../x"}, "no plain file name"),
        ({"filename": ".hidden"}, "no plain file name"),
        ({"checksum": None}, "say how a download is verified"),
        ({"sha256": "0" * 64}, "neither `checksum` nor `refresh`"),
        ({"sha256": "0" * 64, "checksum": None, "refresh": "daily"}, "neither `checksum` nor"),
        ({"checksum": SUM | {"address": "http://sums.example.org/a"}}, "not an https://"),
        ({"checksum": SUM | {"algorithm": "crc32"}}, "md5"),
        ({"checksum": "trust me"}, "etag"),
        ({"refresh": "hourly"}, "daily"),
        ({"media": "rar"}, "gzip"),
        ({"bytes": 0}, "greater than 0"),
        ({"address": "https://data.example.org/{a}"}, "give a `pattern`"),
        ({"pattern": "(?P<a>x)"}, "the address fills"),
        ({"address": "https://data.example.org/{a}", "pattern": "(?P<b>x)"}, "the address fills"),
        ({"address": "https://data.example.org/{a}", "pattern": "("}, "no regular expression"),
        ({"package": "x", "version": "1.0"}, "has no address"),
        (
            {"ranges": True, "checksum": None, "sha256": "0" * 64},
            '`ranges` needs `checksum = "etag"`',
        ),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_a_wrong_entry_is_refused(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        source(**changes)


@pytest.mark.parametrize("missing", ["sha256", "version", "released"])
def test_a_package_is_pinned(missing: str) -> None:
    entry = source_entry("x", b"data") | {"id": "x"}
    del entry[missing]
    with pytest.raises(ValidationError):
        Source.model_validate(entry)


def test_what_is_not_pinned_does_not_pretend_to_be() -> None:
    with pytest.raises(SourceError, match=r"not pinned: call `Archives\.data_version\('x'\)`"):
        _ = source().sha256
    with pytest.raises(SourceError, match="states no date"):
        _ = source().released


def test_only_hosts_of_the_entry_are_allowed() -> None:
    several = source(hosts=("CDN.example.org",), checksum=SUM)
    assert several.allowed_hosts == {"data.example.org", "cdn.example.org", "sums.example.org"}


@pytest.mark.parametrize(
    ("source_id", "address"),
    [
        ("geo-series:GSE2034", "/geo/series/GSE2nnn/GSE2034/matrix/GSE2034_series_matrix.txt.gz"),
        ("geo-series:GSE12", "/geo/series/GSEnnn/GSE12/matrix/GSE12_series_matrix.txt.gz"),
        (
            "geo-series:GSE100000-GPL96",
            "/geo/series/GSE100nnn/GSE100000/matrix/GSE100000-GPL96_series_matrix.txt.gz",
        ),
        ("recount3:SRP009615", "/gene_sums/15/SRP009615/sra.gene_sums.SRP009615.G026.gz"),
        ("xena-tcga-expression:BRCA", "/download/TCGA.BRCA.sampleMap/HiSeqV2.gz"),
        (
            "cellxgene:1568e555-7c47-4b32-9f29-cda5717e9186",
            "/cell-census/2025-01-30/h5ads/1568e555-7c47-4b32-9f29-cda5717e9186.h5ad",
        ),
    ],
)
def test_patterns_of_the_catalogue_fill_their_addresses(source_id: str, address: str) -> None:
    source = load_catalogue().source(source_id)
    assert source.url is not None
    assert source.url.endswith(address)
    assert source.pattern is None
    assert "{" not in f"{source.url}{source.filename}{source.mirror}"


def test_an_unknown_id_is_named() -> None:
    with pytest.raises(SourceError, match="no source 'y' in the catalogue; known: "):
        load_catalogue().source("y:1")
    with pytest.raises(SourceError, match="no colon"):
        load_catalogue().source("go-basic:1")


def test_a_collection_may_name_a_file_of_a_pattern() -> None:
    entry = PUBLIC | {"address": "https://data.example.org/{a}", "pattern": "(?P<a>x)"}
    del entry["id"]
    catalogue = Catalogue.model_validate({"sources": {"p": entry}, "collections": {}})
    assert catalogue.source("p:x").id == "p:x"


def test_addresses_of_the_catalogue_are_public_and_bounded() -> None:
    for source in load_catalogue().sources.values():
        assert source.is_package or source.mirror or source.address
        assert source.bytes <= 10**11
        if source.url is not None:
            assert source.url.startswith("https://")
            assert source.allowed_hosts
        if source.is_pinned:
            assert source.released
