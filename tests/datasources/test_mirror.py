"""The mirror's real files through catalogue entries alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from genept.datasources.catalogue import load_catalogue
from genept.datasources.download.archives import Archives
from genept.datasources.download.mirrors import SourceLocations

MIRROR = Path(__file__).parents[3] / "shared" / "mirror"
pytestmark = pytest.mark.skipif(not MIRROR.is_dir(), reason=f"no mirror at {MIRROR}")


@pytest.fixture
def archives(tmp_path: Path) -> Archives:
    return Archives(load_catalogue(), tmp_path, locations=SourceLocations((str(MIRROR),)))


UNREAD = (
    "cell_ontology/",
    "essential/",
    "gene_embedding_benchmarks/embed_meta",
    "gene_embedding_benchmarks/paired_",
    "gene_embedding_benchmarks/single_gene_",
    "gene_embedding_benchmarks/tf_nested",
    "perturbqa/",
)
"""What the mirror holds and no reader uses yet."""


def test_every_file_of_the_mirror_is_a_source(archives: Archives) -> None:
    sources = archives.catalogue.sources.values()
    files = {str(path.relative_to(MIRROR)) for path in MIRROR.rglob("*") if path.is_file()}
    named = {source.mirror for source in sources}
    unnamed = {file for file in files - named if not file.startswith(UNREAD)}
    assert unnamed == {"README.md"}
    pinned = [source for source in sources if source.is_pinned and source.mirror in files]
    assert len(pinned) == 21
    for source in pinned:
        assert archives.fetch(source.id) == MIRROR / str(source.mirror)
        assert archives.data_version(source.id) == source.sha256


@pytest.mark.parametrize(
    ("source_id", "head"),
    [
        ("hgnc-complete-set-2024-10-18", b"hgnc_id\t"),
        ("ncbi-gene-info", b"#tax_id\tGeneID"),
        ("ncbi-gene-summary", b"#tax_id\tGeneID\tSource\tSummary"),
        ("pbmc3k", b"\x89HDF"),
        ("gene2vec-train-label", b"1\n"),
    ],
)
def test_it_is_opened_as_what_it_is(archives: Archives, source_id: str, head: bytes) -> None:
    with archives.open(source_id) as stream:
        assert stream.read(len(head)) == head
