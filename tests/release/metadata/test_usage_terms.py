"""The terms of a table are those of its sources, through whatever files were made in between."""

from __future__ import annotations

from typing import Any

import pytest

from genept.datasources.catalogue import load_catalogue
from genept.release.manifest import (
    Manifest,
    ReleasedColumn,
    ReleasedFile,
    ReleasedSource,
    ReleasedTable,
)
from genept.release.metadata.usage_terms import ReleaseTerms, UsageTerms
from genept.schema.tables import TABLES


def source(number: int, **terms: Any) -> ReleasedSource:
    given = {"licence": "CC0-1.0", "redistributable": True, "citation": "", **terms}
    return ReleasedSource(
        title=f"source {number}",
        version="1",
        released="2026-01-01",
        sha256=f"{number:064}",
        **given,
    )


SOURCES = {
    name: source(number)
    for number, name in enumerate(("names", "summaries", "labels", "cells", "lines"), 1)
}


def file(name: str, *partition: str, inputs: dict[str, str], **more: Any) -> ReleasedFile:
    path = "/".join(["data", name, *partition, "part-00000.parquet"])
    settings = more.pop("settings", {})
    return ReleasedFile(
        path=path, partition=partition, bytes=1, sha256=f"sha of {path}", rows=1, dimension=None,
        origin={"inputs": inputs, "settings": settings}, **more,
    )  # fmt: skip


def sha(source_id: str) -> str:
    return SOURCES[source_id].sha256


def released(name: str, *files: ReleasedFile) -> ReleasedTable:
    table = TABLES[name]
    return ReleasedTable(
        meaning=table.meaning, key=table.key, partition=table.partition,
        columns=ReleasedColumn.of(table), data_version=f"version of {name}",
        rows=len(files), bytes=len(files), files=files,
    )  # fmt: skip


def collection(id_: str, source_id: str, licence: str) -> ReleasedFile:
    settings = {"id": id_, "title": f"the {id_}", "licence": licence, "redistributable": False}
    return file(
        "collections", id_, inputs={source_id: sha(source_id), "reference": "a hash"},
        collections=(id_,), settings=settings,
    )  # fmt: skip


SPACE = "minilm/full"
FULL = "sha of data/gene_descriptions/full/part-00000.parquet"
FILES = {
    "collections": [
        collection("blood", "cells", "terms of the blood"),
        collection("gdsc", "lines", "GDSC terms"),
    ],
    "genes": [file("genes", inputs={"names": sha("names")})],
    "gene_pairs": [file("gene_pairs", inputs={"labels": sha("labels")})],
    "gene_descriptions": [
        file("gene_descriptions", "name", inputs={"genes": "sha of data/genes/part-00000.parquet"}),
        file(
            "gene_descriptions",
            "full",
            inputs={"genes": "version of genes", "summaries": sha("summaries")},
        ),
    ],
    "gene_embeddings": [
        file("gene_embeddings", SPACE, inputs={"gene_descriptions": FULL}),
        file(
            "gene_embeddings",
            "own/x",
            inputs={"vectors": "?"},
            settings={"space": "own/x", "licence": "mine alone", "redistributable": False},
        ),
    ],
    "expression": [
        file("expression", "blood", inputs={"cells": sha("cells")}, collections=("blood",))
    ],
    "cell_embeddings": [
        file(
            "cell_embeddings",
            SPACE,
            "genept-w",
            "blood",
            inputs={"expression": "?", "gene_embeddings_of_the_axis": "?"},
            collections=("blood",),
        ),
    ],
    "model_folds": [
        file("model_folds", "diagnosis-gdsc", inputs={"axis": "?"}, collections=("gdsc",))
    ],
    "sample_diagnoses": [
        file(
            "sample_diagnoses",
            "diagnosis-gdsc",
            "blood",
            inputs={"model": "?"},
            collections=("blood",),
        )
    ],
    "benchmark_results": [
        file(
            "benchmark_results",
            "go",
            "labels",
            inputs={f"genes of {SPACE}": "?"},
            collections=("labels",),
        ),
        file(
            "benchmark_results",
            "x",
            "blood",
            inputs={"a step in between": "?"},
            collections=("blood",),
        ),
    ],
    "gene_axis": [file("gene_axis", "gdsc", inputs={}, collections=("gdsc",))],
}


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return Manifest(
        release_id="x", data_version="x", created_at="2026-01-01", previous=None, complete=True,
        limits={}, platform_version="1", requirements_sha256=None, evidence={}, audit={},
        tables={name: released(name, *files) for name, files in FILES.items()}, sources=SOURCES,
    )  # fmt: skip


def ids(terms: list[UsageTerms]) -> set[str]:
    return {each.id for each in terms}


@pytest.mark.parametrize(
    ("name", "number", "wanted"),
    [
        ("genes", 0, {"names"}),
        ("gene_descriptions", 0, {"names"}),
        ("gene_descriptions", 1, {"names", "summaries"}),
        ("gene_embeddings", 0, {"names", "summaries"}),
        ("collections", 0, {"blood", "cells", "names"}),
        ("expression", 0, {"blood", "cells", "names"}),
        ("cell_embeddings", 0, {"blood", "cells", "names", "summaries"}),
        ("sample_diagnoses", 0, {"blood", "cells", "names", "gdsc", "lines"}),
        ("benchmark_results", 0, {"labels", "names", "summaries"}),
        ("benchmark_results", 1, {"blood", "cells", "labels", "names", "summaries"}),
    ],
)
def test_a_file_is_under_the_terms_of_all_it_was_made_of(
    manifest: Manifest, name: str, number: int, wanted: set[str]
) -> None:
    assert ids(ReleaseTerms(manifest).of_file(name, FILES[name][number])) == wanted


def test_a_table_is_under_the_terms_of_all_its_files(manifest: Manifest) -> None:
    terms = ReleaseTerms(manifest)
    assert ids(terms.of_table("collections")) == {"blood", "cells", "names", "gdsc", "lines"}
    assert terms.of_table("gene_descriptions") == [
        each for each in terms.all if each.id in ("names", "summaries")
    ]


def test_collections_and_registered_vectors_have_terms_of_their_own(manifest: Manifest) -> None:
    stated = {terms.id: terms for terms in ReleaseTerms(manifest).all}
    assert stated["blood"].licence == "terms of the blood"
    assert not stated["blood"].redistributable
    assert stated["own/x"].licence == "mine alone"
    assert "own/x" in ids(
        ReleaseTerms(manifest).of_file("gene_embeddings", FILES["gene_embeddings"][1])
    )


def test_licences_are_recognised_by_their_spdx_ids() -> None:
    text = "MIT (package); CC-BY-NC-ND-4.0, not CC-BY-4.0.1, MITX or BSD-3-Clause-Clear"
    terms = UsageTerms("x", "x", text, True, "")
    assert terms.spdx_ids == ("MIT", "CC-BY-NC-ND-4.0")
    found = {
        id_
        for entry in load_catalogue().sources.values()
        for id_ in UsageTerms(entry.id, "", entry.licence, True, "").spdx_ids
    }
    assert {"Apache-2.0", "BSD-3-Clause", "CC-BY-3.0", "CC-BY-4.0", "CC0-1.0", "MIT"} <= found


@pytest.mark.parametrize(
    ("citation", "doi"),
    [
        ("A. 2020. doi:10.1/a-b.c", "10.1/a-b.c"),
        ("A. 2020. doi:10.1/a.", "10.1/a"),
        ("A. doi:10.1/a; B. doi:10.1/b", None),
        ("A. 2020.", None),
    ],
)
def test_the_doi_is_that_of_the_one_citation(citation: str, doi: str | None) -> None:
    assert UsageTerms("x", "x", "MIT", True, citation).doi == doi
