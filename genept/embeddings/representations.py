"""One collection in every representation, row by row in the same order.

The input of benchmarks and models: expression, and each space's vectors. Nothing is fitted here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import scipy.sparse as sp

from genept.embeddings.expression import embedding_matrix, expression_matrix
from genept.embeddings.pooling import METHOD
from genept.storage import Lake, Part, sha256_of
from genept.text import Space

EXPRESSION = "expression"
BOTH = "expression+embedding"


@dataclass(frozen=True)
class ObservationViews:
    """The observations of one collection.

    Parameters
    ----------
    observations
        Rows of table `observations`, sorted by id.
    expression
        Observations × genes of the axis, in the collection's unit.
    spaces
        Observations × dimensions, by name of the representation.
    controls
        Names in `spaces` that are controls.
    """

    observations: pl.DataFrame
    expression: sp.csr_matrix
    spaces: dict[str, npt.NDArray[np.float32]]
    controls: tuple[str, ...]

    def labelled(self, label: str) -> ObservationViews:
        """Only the observations that have this label."""
        return self.only(self.observations[label].is_not_null().to_numpy())

    def joined(
        self, name: str, ids: Sequence[str], vectors: npt.NDArray[np.float32]
    ) -> ObservationViews:
        """With a further representation, and only the observations that have a vector in it."""
        known = pl.Series(ids, dtype=pl.String)
        kept = self.only(self.observations["observation_id"].is_in(known.implode()).to_numpy())
        ours = known.is_in(kept.observations["observation_id"].implode()).to_numpy()
        return replace(kept, spaces=kept.spaces | {name: vectors[ours]})

    def only(self, keep: npt.NDArray[np.bool_]) -> ObservationViews:
        """Some of the observations."""
        return ObservationViews(
            self.observations.filter(keep),
            sp.csr_matrix(self.expression[keep]),
            {name: matrix[keep] for name, matrix in self.spaces.items()},
            self.controls,
        )


def is_labelled(lake: Lake, observations: Part, label: str) -> bool:
    """Whether any observation of a collection has a label.

    Parameters
    ----------
    lake
        Where the table is stored.
    observations
        The collection's part of table `observations`.
    label
        Name of the column.

    Returns
    -------
    bool
        Whether one value is not null.
    """
    return lake.read(observations, [label])[label].null_count() < observations.rows


def representation_name(space: Space) -> str:
    """Return the name of GenePT-w in a space.

    Parameters
    ----------
    space
        The space.

    Returns
    -------
    str
        Such as ``minilm-l6-v2/name-go:genept-w``.
    """
    return f"{space.id}:{METHOD}"


@dataclass(frozen=True)
class CollectionParts:
    """The parts that the views of one collection are read from.

    Parameters
    ----------
    observations, axis
        Of tables `observations` and `gene_axis`.
    expression
        One part per shard.
    embeddings
        By space: parts of `cell_embeddings` or `sample_embeddings` by GenePT-w, one per shard.
    further
        By name of the representation: parts of the same table by other methods; they may lack
        observations.
    """

    observations: Part
    axis: Part
    expression: tuple[Part, ...]
    embeddings: dict[Space, tuple[Part, ...]]
    further: dict[str, tuple[Part, ...]] = field(default_factory=dict)

    @property
    def inputs(self) -> dict[str, str]:
        """Content hashes, for the origin of what is made of them."""
        parts = {
            "observations": (self.observations,),
            "axis": (self.axis,),
            "expression": self.expression,
        }
        spaces = {representation_name(space): shards for space, shards in self.embeddings.items()}
        return {
            name: sha256_of([part.sha256 for part in shards])
            for name, shards in {**parts, **spaces, **self.further}.items()
        }


def read_views(lake: Lake, parts: CollectionParts) -> ObservationViews:
    """Read a collection in every representation.

    Parameters
    ----------
    lake
        Where the tables are stored.
    parts
        What to read.

    Returns
    -------
    ObservationViews
        The observations that are in all representations.

    Raises
    ------
    ValueError
        Expression and embeddings are of different ingests.
    """
    observations = lake.read(parts.observations).sort("observation_id")
    ids, expression = expression_matrix(lake, parts.expression, parts.axis.rows)
    _require_same(observations["observation_id"].to_list(), ids, "expression")
    spaces = {}
    for space, shards in parts.embeddings.items():
        vector_ids, spaces[representation_name(space)] = _read_vectors(lake, shards)
        _require_same(ids, vector_ids, space.id)
    controls = tuple(representation_name(space) for space in parts.embeddings if space.is_control)
    views = ObservationViews(observations, expression, spaces, controls)
    for name, shards in parts.further.items():
        views = views.joined(name, *_read_vectors(lake, shards))
    return views


def _read_vectors(lake: Lake, shards: Sequence[Part]) -> tuple[list[str], npt.NDArray[np.float32]]:
    """Ids, sorted, and their vectors."""
    read = [lake.read_arrow(part, ["observation_id", "embedding"]) for part in shards]
    rows = pa.concat_tables(read).sort_by("observation_id")
    return rows["observation_id"].to_pylist(), embedding_matrix(rows)


def _require_same(expected: Sequence[str], actual: Sequence[str], what: str) -> None:
    if list(expected) != list(actual):
        raise ValueError(
            f"{what} holds {len(actual)} observations that are not the {len(expected)} of table "
            "`observations`, in its order: materialise both from the same ingest"
        )
