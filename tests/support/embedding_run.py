"""A program that embeds texts as a step of a Dagster run, through flows; for tests that kill it.

Its argument is a folder with `settings.json`, `embedders.json` and `texts.json`. Its last line is
the result as JSON.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
from planted import described

from genept.client.platform import Platform
from genept.common.settings import Settings
from genept.embeddings.expression import embedding_matrix
from genept.text.embedders import Space
from genept.text.gene_vectors import embed_genes
from orchestration.remote_embedding import PrefectFlows


def embedded(
    settings: Settings, embedder: str, texts: dict[str, str], instance: dg.DagsterInstance
) -> dict[str, Any]:
    """Embed texts by gene as a step of a run; what is in the event log of it."""

    @dg.asset
    def vectors() -> dg.MaterializeResult[None]:
        platform = Platform(settings)
        part = embed_genes(
            platform.lake,
            Space(embedder, "name-go"),
            described(platform.lake, texts),
            lambda: platform.hosted.open(embedder),
            product=settings.product,
            spending_limit=platform.hosted.spending_limit,
            remote=PrefectFlows(settings).embed,
        )
        matrix = embedding_matrix(platform.lake.read_arrow(part))
        digest = hashlib.sha256(np.ascontiguousarray(matrix).tobytes()).hexdigest()
        return dg.MaterializeResult(metadata={"digest": digest})

    result = dg.materialize([vectors], instance=instance)
    (event,) = result.asset_materializations_for_node("vectors")
    return {name: value.value for name, value in event.metadata.items()}


def main() -> None:
    folder = Path(sys.argv[1])
    settings = Settings(**json.loads((folder / "settings.json").read_text()))
    texts = json.loads((folder / "texts.json").read_text())
    (embedder,) = json.loads((folder / "embedders.json").read_text())
    began = time.perf_counter()
    with dg.DagsterInstance.ephemeral() as instance:
        metadata = embedded(settings, embedder, texts, instance)
    result = metadata | {
        "seconds": time.perf_counter() - began,
        "prefect": "prefect" in sys.modules,
    }
    print(json.dumps(result))  # noqa: T201 - the parent reads it


if __name__ == "__main__":
    main()
