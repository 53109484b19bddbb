"""Language models that write about genes in a run, and what is asked of hosted models elsewhere.

What of it a release may hold is `genept.client.generated_texts`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import polars as pl

from genept.language_models import (
    AnswerCache,
    Chat,
    ChatService,
    PendingChatsError,
    in_threads,
)
from genept.language_models.descriptions import (
    GeneEvidence,
    evidence_of,
    prompt_for,
    write_statements,
)
from genept.storage import Part
from genept.text import MeteredEmbedder, unfinished_batches
from genept.text.hosted import Job

if TYPE_CHECKING:
    from genept.client.known_spaces import KnownSpaces
    from genept.client.platform import Platform


class RemoteModels(Protocol):
    """Has hosted models asked elsewhere; their answers are in the store when it returns."""

    def embed(self, embedder: MeteredEmbedder, texts: Part) -> None:
        """Have texts embedded; see `genept.text.EmbedRemotely`."""

    def complete(self, service: ChatService, cache: AnswerCache, chats: Sequence[Chat]) -> None:
        """Have chats completed; see `genept.language_models.CompleteRemotely`."""


def evidence_for(
    platform: KnownSpaces, writer: str, genes: pl.DataFrame, wanted: set[str]
) -> list[GeneEvidence]:
    """Evidence of the wanted genes, and of those of which the model has written.

    Parameters
    ----------
    platform
        The installation.
    writer
        A language model.
    genes
        Table `genes`.
    wanted
        Ensembl ids.

    Returns
    -------
    list of GeneEvidence
        Of the genes of which something is known.
    """
    if platform.statements.missing(writer) is None:
        wanted = wanted | set(platform.statements.rows(writer)["ensembl_gene_id"])
    return evidence_of(platform.knowledge, genes, wanted)


def store_statements(platform: KnownSpaces, writer: str, rows: pl.DataFrame) -> None:
    """Use what a model wrote from now on, in recipes and releases.

    Parameters
    ----------
    platform
        The installation.
    writer
        The model.
    rows
        Of table `written_statements`, as `write_statements` returned them.
    """
    counts = dict(sorted(rows["fate"].value_counts().iter_rows()))
    platform.statements.put(writer, tuple(rows["prompt"].unique().sort()), counts, rows)


def write_of_all_genes(
    platform: Platform, genes: pl.DataFrame, say: Callable[[str], None]
) -> dict[str, PendingChatsError]:
    """Have the chosen language models write statements about all protein-coding genes.

    What was written before is not asked again.

    Parameters
    ----------
    platform
        The installation.
    genes
        Table `genes`.
    say
        Called with how far a model came.

    Returns
    -------
    dict
        What a model waits for, by its id; empty if nothing is under way. Raises `ChatError` if a
        model cannot be asked.
    """
    coding = genes.filter(biotype="protein_coding").sort("ensembl_gene_id")["ensembl_gene_id"]
    wanted = set(coding.head(platform.settings.max_genes or len(coding)))
    pending: dict[str, PendingChatsError] = {}
    for writer in platform.writers:
        evidence = evidence_for(platform, writer, genes, wanted)
        try:
            rows = _written(platform, writer, evidence)
        except PendingChatsError as error:
            pending[writer] = error
            continue
        n = rows["ensembl_gene_id"].n_unique()
        say(f"{writer} has written of {n:,} of the {len(evidence):,} genes with evidence")
        if n:
            store_statements(platform, writer, rows)
    return pending


def _written(platform: Platform, writer: str, evidence: Sequence[GeneEvidence]) -> pl.DataFrame:
    models = platform.language_models
    with models.open(writer) as service:
        is_local = service.declared.weights is not None
        return write_statements(
            service,
            models.cache(service, platform.store),
            prompt_for(service.declared),
            evidence,
            seconds=60 * platform.settings.embedding_minutes if is_local else None,
            spending_limit=models.batch_limit,
            runner=in_threads,
            remote=platform.remote.complete if platform.remote else None,
        )


def batches_under_way(platform: KnownSpaces) -> list[Job]:
    """The batches of embedders and language models that their services are still at work on.

    Parameters
    ----------
    platform
        The installation.

    Returns
    -------
    list of Job
        Raises `ValueError` if a service cannot be asked.
    """
    place = (platform.store, platform.settings.product)
    return [
        *unfinished_batches(*place, platform.hosted.open),
        *unfinished_batches(*place, platform.language_models.open, "chats"),
    ]
