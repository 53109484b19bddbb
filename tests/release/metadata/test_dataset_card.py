"""The dataset card: the Hub's own parser reads its front matter, whose patterns find the files."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml
from huggingface_hub import DatasetCard

from genept.release.metadata.dataset_card import dataset_card, size_category
from genept.release.metadata.release_description import DescribedRelease
from genept.schema.tables import TABLES


@pytest.fixture(scope="module")
def card(copied) -> DatasetCard:
    return DatasetCard((copied.folder / "README.md").read_text())


def test_every_table_is_a_configuration(copied, card: DatasetCard) -> None:
    configs = {config["config_name"]: config for config in card.data.configs}
    assert list(configs) == list(TABLES), "in the order of declaration"
    assert [name for name, config in configs.items() if config.get("default")] == ["genes"]
    for name, config in configs.items():
        found = {
            str(path.relative_to(copied.folder))
            for pattern in config["data_files"]
            for path in copied.folder.glob(pattern)
        }
        assert found == {file.path for file in copied.manifest.tables[name].files}


def test_front_matter_has_what_the_hub_asks_for(card: DatasetCard) -> None:
    data = card.data.to_dict()
    assert (data["license"], data["license_name"], data["license_link"]) == (
        "other",
        "several",
        "licences.json",
    )
    assert data["size_categories"] == ["n<1K"]
    assert data["language"] == ["en"]
    assert "gene embeddings" in data["tags"]


def test_the_page_names_licences_and_how_to_cite(card: DatasetCard) -> None:
    assert "| `src` | A source | MIT (package); CC-BY-4.0 (data) | yes |" in card.text
    assert "doi:10.1000/a_b" in card.text
    assert "`genes` | " in card.text


def test_a_name_cannot_write_into_the_card(copied) -> None:
    evil = '---\nlicense: mit\n---\n| <script>alert(1)</script> ```\n# "title"'
    (source,) = copied.manifest.sources.values()
    sources = {"src": source.model_copy(update={"title": evil, "citation": evil, "licence": evil})}
    manifest = copied.manifest.model_copy(update={"sources": sources, "left_out": (evil,)})
    text = dataset_card(DescribedRelease(manifest, "s3://lake/x/"))
    _, front, body = text.split("---\n", 2)
    assert yaml.safe_load(front)["license"] == "other"
    assert DatasetCard(text).data.license == "other"
    outside = body.partition("## Citation")[0]
    assert "<script>" not in outside
    assert "\n# " not in outside.replace("\n# GenePT: gene, cell and sample embeddings\n", "")


@pytest.mark.parametrize(
    ("rows", "category"), [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (2 * 10**6, "1M<n<10M")]
)
def test_sizes_are_those_of_the_hub(rows: int, category: str) -> None:
    assert size_category(rows) == category


def test_a_partial_release_says_so(copied) -> None:
    manifest = copied.manifest.model_copy(update={"complete": False})
    described = DescribedRelease(manifest, "s3://lake/x/")
    assert "**Partial**" in dataset_card(described)
    assert "**Partial**" not in dataset_card(replace(described, manifest=copied.manifest))
