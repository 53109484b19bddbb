"""Spaces embedded and scored on demand, beyond what a release holds; what that will cost first.

The tasks are in `genept.benchmarks`; the asset of the nightly run calls them itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from genept.benchmarks import Task, companions, costs_of, fates, run_tasks
from genept.client.platform import Platform
from genept.datasources import MEMBERS as LABEL_ARCHIVES
from genept.nomenclature import build_reference_table
from genept.storage import Part, StoredTable
from genept.text import Space, TooFewTextsError, genes_in_time, has_gene_vectors

Advance = Callable[[str, float], None]
"""Called with what is done now, and the share that is finished."""


@dataclass(frozen=True)
class SpaceForecast:
    """What embedding a space will cost; no request was sent.

    Parameters
    ----------
    space
        Its id.
    n_new
        Texts without a vector; None for spaces that are computed without a text model.
    seconds
        Processor seconds on this machine; None for services and for spaces without a text model.
    dollars
        Price of a service.
    """

    space: str
    n_new: int | None
    seconds: float | None
    dollars: float


@dataclass(frozen=True)
class ScoredSpaces:
    """Scores of spaces on tasks.

    Parameters
    ----------
    parts
        Of the tables of benchmarks.
    dimensions
        Length of the vectors, by space.
    remarks
        Why a task or space was not scored, by task or space.
    labels
        Labels by what became of them: ``task/fate`` and their number.
    partly_embedded
        How many genes have a vector, by space where not all have.
    added
        Spaces that others are compared with, which nobody named.
    """

    parts: list[Part]
    dimensions: dict[str, int]
    remarks: dict[str, str]
    labels: dict[str, int]
    partly_embedded: dict[str, str]
    added: list[Space]


def score_spaces(
    platform: Platform,
    spaces: Sequence[Space],
    tasks: Mapping[str, Task] | None = None,
    *,
    together: bool = False,
    slow_controls: bool = False,
    other_heads: bool = True,
    advance: Advance,
) -> ScoredSpaces:
    """Embed spaces where that is new, and run tasks on them and on what they are compared with.

    Parameters
    ----------
    platform
        The installation.
    spaces
        Spaces that can be embedded here.
    tasks
        Tasks by id.
    together
        Whether to score an ensemble of all spaces, too.
    slow_controls
        Whether sparse TF-IDF is scored on every task that it can be scored on.
    other_heads
        Whether heads and splits that do not decide are scored, too.
    advance
        Shows how far it is.

    Returns
    -------
    ScoredSpaces
        Results of earlier runs on the same inputs are reused.

    Raises
    ------
    ValueError
        A space cannot be made of so few genes. One that nobody named is left out, with a remark.
    """
    for source in LABEL_ARCHIVES:
        platform.archives.fetch(source)
    added = companions(spaces)
    genes = _genes(platform)
    labels = platform.labels(genes)
    entrants, costs, dimensions = [], list[Part](), dict[str, int]()
    partly, left_out = dict[str, str](), dict[str, str]()
    every = [*spaces, *added]
    for number, space in enumerate(every):
        advance(f"embedding {space.id}", number / len(every))
        stored = _described(platform, genes, space)
        try:
            vectors = platform.embed(space, stored)
        except TooFewTextsError as error:
            if space not in added:
                raise
            left_out[space.id] = f"not compared: {error}"
            continue
        entrants.append(platform.entrant(space, vectors, stored))
        if lacking := platform.lacking_vectors(space, vectors, stored):
            partly[space.id] = lacking
        if vectors.dimension is not None:
            dimensions[space.id] = vectors.dimension
        costs += [platform.cost(space, stored, number)] if space.is_text else []
    parts, remarks = run_tasks(
        platform.lake, labels, entrants, tasks=tasks, together=together,
        slow_controls=slow_controls, other_heads=other_heads, processes=platform.settings.threads,
        further=costs, advance=advance,
    )  # fmt: skip
    counted = fates(labels.properties) | fates(labels.pairs)
    compared = [space for space in added if space.id not in left_out]
    return ScoredSpaces(parts, dimensions, left_out | remarks, counted, partly, compared)


def forecast_spaces(
    platform: Platform, spaces: Sequence[Space], advance: Advance
) -> list[SpaceForecast]:
    """What embedding spaces will cost, before anything is embedded or paid.

    Parameters
    ----------
    platform
        The installation.
    spaces
        Spaces that can be embedded here.
    advance
        Shows how far it is: texts are composed, and a sample is embedded by each local embedder
        whose speed is not known yet.

    Returns
    -------
    list of SpaceForecast
        One per space; what several spaces embed, as a control and its space do, is of the first.
    """
    genes = _genes(platform)
    forecasts = []
    counted: set[tuple[str, str]] = set()
    for number, space in enumerate(spaces):
        advance(f"forecasting {space.id}", number / len(spaces))
        if not space.needs_embedder:
            forecasts.append(SpaceForecast(space.id, None, None, 0.0))
            continue
        if (texts := (space.embedder, space.recipe)) in counted:
            forecasts.append(SpaceForecast(space.id, 0, 0.0, 0.0))
            continue
        counted.add(texts)
        stored = _described(platform, genes, space)
        forecasts.append(_forecast(platform, space, stored, number))
    return forecasts


def _forecast(
    platform: Platform, space: Space, descriptions: StoredTable, number: int
) -> SpaceForecast:
    recipe = platform.recipe_of(space).id
    version = platform.embedders.version(space.embedder)
    if has_gene_vectors(platform.lake, space, descriptions.part(recipe), version):
        return SpaceForecast(space.id, 0, 0.0, 0.0)
    embedder = platform.embedders.open(space.embedder)
    columns = ["ensembl_gene_id", "text", "n_tokens"]
    rows = genes_in_time(platform.lake.read(descriptions.part(recipe), columns), embedder)
    cost = platform.forecast(embedder, rows["text"].to_list())
    if space.embedder in platform.hosted.declared:
        return SpaceForecast(space.id, cost.n_new, None, cost.dollars)
    whole = costs_of(platform.lake.read(platform.cost(space, descriptions, number)))
    seconds = float(whole["seconds"][0]) * cost.n_new / max(cost.n_texts, 1)
    return SpaceForecast(space.id, cost.n_new, seconds, 0.0)


def _genes(platform: Platform) -> Part:
    return build_reference_table(platform.lake, platform.archives, "genes").part()


def _described(platform: Platform, genes: Part, space: Space) -> StoredTable:
    parts = platform.describe(genes, platform.recipes_of(space))
    return platform.lake.assemble("gene_descriptions", parts)


def results_of(platform: Platform, scored: ScoredSpaces) -> Callable[[str], pl.DataFrame]:
    """Reads the tables of benchmarks that were just made; a frame without columns of others.

    Parameters
    ----------
    platform
        The installation.
    scored
        What was scored.

    Returns
    -------
    callable
        From the name of a table to its rows.
    """

    def read(name: str) -> pl.DataFrame:
        parts = [part for part in scored.parts if part.table == name]
        return platform.lake.read(parts) if parts else pl.DataFrame()

    return read
