"""Projections of a collection in a space: two principal components, and the coverage.

A picture is drawn once for the same rows and kept in the lake; nothing is decided by it. Scores
with intervals say how good a space is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genept.common import MissingObjectError, new_figure, png_bytes
from genept.embeddings.expression import embedding_matrix
from genept.embeddings.representations import Sampling, label_of
from genept.storage import Lake, Origin, Part, StoredTable, sha256_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DRAWN: Final = 2000
"""Observations at most that are drawn, each label in proportion."""

COLOURS: Final = (
    *("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd"),
    *("#8c564b", "#e377c2", "#bcbd22", "#17becf"),
)
"""Colours of the most frequent labels; the others are grey."""

GREY: Final = "#b5b5b5"


def pictures_of(
    lake: Lake, observations: StoredTable, embeddings: StoredTable
) -> dict[str, tuple[str, bytes]]:
    """Draw every collection in every space, unless the lake holds the picture.

    Parameters
    ----------
    lake
        Where pictures are kept.
    observations
        Table `observations`.
    embeddings
        Table `cell_embeddings` or `sample_embeddings`.

    Returns
    -------
    dict of str to (str, bytes)
        Key in the store and content (PNG), by ``collection/space``.
    """
    pictures = {}
    for partition in dict.fromkeys(part.partition for part in embeddings.parts):
        space, _, collection = partition
        of_collection, parts = observations.part(collection), embeddings.matching(*partition)
        key = _key(lake, of_collection, parts)
        try:
            picture = lake.store.get(key)
        except MissingObjectError:
            covered = lake.read(parts, ["observation_id", "coverage"])
            observed = covered.join(lake.read(of_collection), on="observation_id")
            vectors = _vectors(lake, parts, drawn_of(observed))
            picture = draw_projection(observed, vectors, f"{collection} in {space}")
            lake.store.put_if_absent(key, picture)
        pictures[f"{collection}/{space}"] = (key, picture)
    return pictures


def drawn_of(observed: pl.DataFrame) -> list[str]:
    """Ids of the observations that are drawn: of a large collection, a sample by label."""
    return Sampling(DRAWN, label_of(observed)).choose(observed)[0]


def draw_projection(observed: pl.DataFrame, vectors: pl.DataFrame, title: str) -> bytes:
    """Draw a collection in a space; the same rows give the same bytes on one machine.

    Parameters
    ----------
    observed
        `observation_id`, `coverage` and the labels of every observation.
    vectors
        `observation_id` and `embedding` of those that are drawn.
    title
        Above the picture.

    Returns
    -------
    bytes
        PNG: the first two principal components by label, and a histogram of the coverage.
    """
    label = label_of(observed)
    drawn = vectors.join(observed, on="observation_id").sort("observation_id")
    components, shares = _components(embedding_matrix(drawn.to_arrow()))
    figure = new_figure((8.6, 3.6), dpi=80)
    figure.suptitle(title, fontsize=10)
    scatter, histogram = figure.subplots(1, 2, width_ratios=[3, 2])
    _scatter(scatter, components, drawn[label].to_list() if label else [None] * len(drawn))
    scatter.set_xlabel(f"PC 1 ({shares[0]:.0%} of variance)", fontsize=8)
    scatter.set_ylabel(f"PC 2 ({shares[1]:.0%})", fontsize=8)
    scatter.set_title(f"{len(drawn):,} of {len(observed):,}, by {label or 'nothing'}", fontsize=8)
    coverage = observed["coverage"].to_numpy()
    histogram.hist(coverage, bins=40, range=(0, 1), color="#4c72b0")
    histogram.set_xlabel("share of the weight with a vector", fontsize=8)
    histogram.set_ylabel("observations", fontsize=8)
    histogram.set_title(f"median coverage {np.median(coverage):.3f}", fontsize=8)
    for axes in (scatter, histogram):
        axes.tick_params(labelsize=7)
    return png_bytes(figure)


def _key(lake: Lake, observations: Part, embeddings: Sequence[Part]) -> str:
    origin = Origin(
        code=(__name__, "genept.embeddings.representations"),
        inputs={
            "observations": observations.sha256,
            "embeddings": sha256_of([part.sha256 for part in embeddings]),
        },
        settings={"partition": embeddings[0].partition},
        libraries=("matplotlib", "scikit-learn"),
    )
    return f"{lake.prefix}/pictures/{sha256_of(origin.as_dict())}.png"


def _vectors(lake: Lake, parts: Sequence[Part], ids: list[str]) -> pl.DataFrame:
    """Row group by row group: a large table is never in memory."""
    chosen = pl.Series(ids)
    return pl.concat(
        pl.DataFrame(pl.from_arrow(rows)).filter(pl.col("observation_id").is_in(chosen.implode()))
        for part in parts
        for rows in lake.row_groups(part, ["observation_id", "embedding"])
    )


def _components(matrix: NDArray[np.float32]) -> tuple[NDArray[np.float64], list[float]]:
    """The first two principal components and their shares of the variance; zero if there is one."""
    from sklearn.decomposition import PCA
    from threadpoolctl import threadpool_limits

    components, shares = np.zeros((len(matrix), 2)), np.zeros(2)
    if n := min(2, len(matrix) - 1, matrix.shape[1]):
        with threadpool_limits(1, user_api="blas"):
            pca = PCA(n, svd_solver="randomized", random_state=0)
            components[:, :n] = pca.fit_transform(matrix.astype(np.float64))
        shares[:n] = pca.explained_variance_ratio_
    return components, shares.tolist()


def _scatter(axes: Axes, components: NDArray[np.float64], labels: Sequence[str | None]) -> None:
    counts = pl.Series("label", labels, dtype=pl.String).value_counts().drop_nulls()
    shown = counts.sort(["count", "label"], descending=[True, False])["label"].to_list()
    colours = dict(zip(shown, COLOURS, strict=False))
    size = 30 if len(labels) < 200 else 4
    for label, colour in (("others", GREY), *colours.items()):
        rows = [(value if value in colours else "others") == label for value in labels]
        if any(rows):
            x, y = components[rows].T
            axes.scatter(x, y, s=size, color=colour, label=label[:28], linewidths=0)
    if shown:
        axes.legend(
            fontsize=6, markerscale=2 if size < 10 else 1, frameon=False,
            loc="upper left", bbox_to_anchor=(1, 1),
        )  # fmt: skip
