"""Observations of one collection: in every representation, row by row; and samples of them.

The input of benchmarks and models: expression, and each space's vectors. Nothing is fitted here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa
import scipy.sparse as sp
from numpy.typing import NDArray

from genept.embeddings.expression import embedding_matrix, expression_matrix
from genept.embeddings.pooling import METHOD
from genept.storage import Lake, Part, sha256_of
from genept.text import Space

EXPRESSION = "expression"
BOTH = "expression+embedding"
LABELS: Final = ("cell_type", "diagnosis", "tissue_subtype", "tissue")


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
    spaces: dict[str, NDArray[np.float32]]
    controls: tuple[str, ...]

    def labelled(self, label: str) -> ObservationViews:
        """Only the observations that have this label."""
        return self.only(self.observations[label].is_not_null().to_numpy())

    def joined(
        self, name: str, ids: Sequence[str], vectors: NDArray[np.float32]
    ) -> ObservationViews:
        """With a further representation, and only the observations that have a vector in it."""
        known = pl.Series(ids, dtype=pl.String)
        kept = self.only(self.observations["observation_id"].is_in(known.implode()).to_numpy())
        ours = known.is_in(kept.observations["observation_id"].implode()).to_numpy()
        return replace(kept, spaces=kept.spaces | {name: vectors[ours]})

    def only(self, keep: NDArray[np.bool_]) -> ObservationViews:
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
    expression, per_kilobase
        One part per shard; as of the collection.
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
    per_kilobase: bool = False

    @property
    def inputs(self) -> dict[str, str]:
        """Content hashes, for the origin of what is made of them."""
        parts = self.further | {
            representation_name(space): shards for space, shards in self.embeddings.items()
        }
        parts |= {"observations": (self.observations,), "axis": (self.axis,)}
        parts["expression"] = self.expression
        return {name: sha256_of([part.sha256 for part in shards]) for name, shards in parts.items()}


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


def _read_vectors(lake: Lake, shards: Sequence[Part]) -> tuple[list[str], NDArray[np.float32]]:
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


@dataclass(frozen=True)
class Sampling:
    """A sample of at most `cap` observations of a collection, each label in proportion.

    Every label keeps at least one observation if `cap` allows it. The sample depends on the seed
    and the ids alone, not on the order of rows.

    Parameters
    ----------
    cap
        Most observations.
    label
        Column of `observations` whose values keep their shares; None: at random.
    seed
        Another seed gives another sample.
    """

    cap: int
    label: str | None = None
    seed: int = 2023

    def __post_init__(self) -> None:
        if self.cap < 1:
            raise ValueError(f"a sample has at least one observation, not {self.cap}")

    def choose(self, observations: pl.DataFrame) -> tuple[list[str], dict[str, Any]]:
        """Draw ids, in order; and a record, as JSON values, of how they were chosen."""
        strata = self._strata(observations)
        sizes = {name: len(ids) for name, ids in strata.items()}
        shares = _proportional(sizes, min(self.cap, observations.height))
        chosen = sorted(
            id_
            for name, ids in strata.items()
            for id_ in sorted(ids, key=self._draw)[: shares[name]]
        )
        return chosen, asdict(self) | {
            "n_observations": observations.height,
            "n_chosen": len(chosen),
            "chosen_of_label": {name: [shares[name], sizes[name]] for name in sizes},
        }

    def _strata(self, observations: pl.DataFrame) -> dict[str, list[str]]:
        label = pl.lit("")
        if self.label is not None:
            label = pl.col(self.label).cast(pl.String).fill_null("(none)")
        labelled = observations.select("observation_id", stratum=label)
        strata = labelled.group_by("stratum", maintain_order=True).agg("observation_id")
        return dict(strata.select("stratum", "observation_id").iter_rows())

    def _draw(self, observation_id: str) -> bytes:
        return hashlib.sha256(f"{self.seed}:{observation_id}".encode()).digest()


def _proportional(sizes: dict[str, int], total: int) -> dict[str, int]:
    """Shares of `total` in proportion to `sizes`, at least one each; remainders by size."""
    population = sum(sizes.values())
    shares = {name: total * size // population for name, size in sizes.items()}
    by_size = sorted(sizes, key=lambda name: (-sizes[name], name))
    for name in by_size if total >= len(sizes) else []:
        shares[name] = max(shares[name], 1)
    by_remainder = sorted(by_size, key=lambda name: -(total * sizes[name] % population))
    while (left := total - sum(shares.values())) != 0:
        for name in by_remainder if left > 0 else by_size:
            if left > 0 and shares[name] < sizes[name]:
                shares[name], left = shares[name] + 1, left - 1
            elif left < 0 and shares[name] > 1:
                shares[name], left = shares[name] - 1, left + 1
    return shares


def chosen(part: Part) -> str:
    """Describe how the observations of a part of GenePT-s were sampled.

    Parameters
    ----------
    part
        A part with method ``genept-s``.

    Returns
    -------
    str
        One line, from the settings of its origin.
    """
    record = part.origin["settings"]["sampling"]
    by = f"each {record['label']} in proportion" if record["label"] else "at random"
    return (
        f"{record['n_chosen']:,} of {record['n_observations']:,} observations, {by}, by seed "
        f"{record['seed']}; at most {record['cap']:,}"
    )


def label_of(observations: pl.DataFrame) -> str | None:
    """Return the finest label that a collection's observations have.

    Parameters
    ----------
    observations
        Rows of table `observations`.

    Returns
    -------
    str or None
        Name of the column; None if there is no label.
    """
    return next(
        (label for label in LABELS if observations[label].null_count() < len(observations)), None
    )
