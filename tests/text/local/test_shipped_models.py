"""Declared embedders of this machine, as their publishers describe them."""

from __future__ import annotations

from genept.datasources.catalogue import load_catalogue
from genept.text.local.local_models import load_local_models

BGE_QUERY = "Represent this sentence for searching relevant passages: "
E5 = ("query: ", "passage: ")
PUBLISHED = {
    # dimensions, tokens, pooling, whether of unit length, prefixes
    "minilm-l6-v2": (384, 256, "mean", True, ("", "")),
    "bge-small-en-v1.5": (384, 512, "cls", True, (BGE_QUERY, "")),
    "bge-base-en-v1.5": (768, 512, "cls", True, (BGE_QUERY, "")),
    "bge-large-en-v1.5": (1024, 512, "cls", True, (BGE_QUERY, "")),
    "e5-small-v2": (384, 512, "mean", True, E5),
    "e5-base-v2": (768, 512, "mean", True, E5),
    "multilingual-e5-small": (384, 512, "mean", True, E5),
    "gte-base": (768, 512, "mean", True, ("", "")),
    "medcpt-article": (768, 512, "cls", False, ("", "")),
    "medcpt-query": (768, 64, "cls", False, ("", "")),
    "sapbert": (768, 512, "cls", False, ("", "")),
    "biolord-2023": (768, 128, "mean", True, ("", "")),
}


def test_encoders_are_declared_as_published() -> None:
    declared = {
        model.id: (
            model.dimensions, model.max_tokens, model.pooling, model.normalised,
            (model.query_prefix, model.passage_prefix),
        )
        for model in load_local_models().values() if model.kind == "bert"
    }  # fmt: skip
    assert declared == PUBLISHED


def test_every_model_says_where_it_is_published_and_archives_are_in_the_catalogue() -> None:
    sources = load_catalogue().sources
    for model in load_local_models().values():
        assert model.repository or model.source
        assert model.source is None or sources[model.source].is_package
        assert model.licence
