"""A program that embeds texts through the flow, for tests that kill it.

It reads its settings as JSON from standard input, and prints its result as the last line.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from pathlib import Path

from pydantic import SecretStr

from genept.storage.object_store import ObjectStore
from genept.text.gene_vectors import embed_through_cache
from genept.text.hosted_models import HostedModel
from genept.text.openai import OpenAIEmbedder
from genept.text.vector_cache import VectorCache
from orchestration.embedding_flow import prefect_runner


def main() -> None:
    order = json.load(sys.stdin)
    texts = [f"gene {number} does what it does" for number in range(order["n_texts"])]
    declared = HostedModel(**order["declared"])
    with ObjectStore(*order["store"]) as store:
        embedder = OpenAIEmbedder(declared, SecretStr(order["key"]), order["url"])
        cache = VectorCache(store, order["product"], embedder)
        began = time.perf_counter()
        vectors = embed_through_cache(embedder, cache, texts, prefect_runner(Path(order["home"])))
    result = {
        "seconds": time.perf_counter() - began,
        "sha256": hashlib.sha256(vectors.tobytes()).hexdigest(),
        "prefect": "prefect" in sys.modules,
    }
    print(json.dumps(result))  # noqa: T201 - the parent reads it


if __name__ == "__main__":
    main()
