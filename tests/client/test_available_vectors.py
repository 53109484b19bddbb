"""Vectors that predictors ask for: those that can be made; of the others, why not."""

from pathlib import Path

import pytest

from genept.client.platform import Platform
from genept.common.settings import Settings
from genept.storage.provenance import StoredTable
from genept.text import EmbeddingError


def test_a_space_that_cannot_be_made_is_left_out_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = Platform(Settings(state_dir=tmp_path))
    made = object()

    def embed(self: Platform, space: object, descriptions: object) -> object:
        if "go-200" in getattr(space, "id", ""):
            raise EmbeddingError("0 genes that share 0 terms are too few for 200 dimensions")
        return made

    monkeypatch.setattr(Platform, "embed", embed)
    monkeypatch.setattr(
        Platform, "unavailable", lambda _, space: "no source" if "network" in space.id else None
    )
    messages: list[str] = []
    wanted = ("lsa-384/name-ncbi-go", "go-200/co-annotation", "network-200/interactions")
    vectors = platform.available_vectors(
        wanted, StoredTable.of("gene_descriptions", []), messages.append
    )
    assert vectors == {"lsa-384/name-ncbi-go": made}
    (line,) = messages
    assert line.startswith("space go-200/co-annotation is left out: 0 genes that share 0 terms")
