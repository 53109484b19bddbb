"""Descriptions of cells and samples of a release: read from its table, or computed from its data.

Groups of a label are in table `observation_descriptions`. A single observation, and groups in
another space, are described when they are asked for, which needs what builds a release.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from genept.client.api import load_table
from genept.client.release_lookup import (
    LATEST,
    Resolved,
    released_files,
    resolve,
    suggestion,
    usual_space,
)
from genept.client.searching import KIND_OF, collection_row
from genept.client.vectors import released_vectors
from genept.common import Settings, StoreError

if TYPE_CHECKING:
    import scipy.sparse as sp

    from genept.embeddings.text_readings import DescriptionInputs
    from genept.release import ReleasedFile

TABLE: Final = "observation_descriptions"

LARGEST: Final = 20_000
"""Cells among which the nearest of a cell are looked for; of more, some are drawn."""


class ReleasedDescriptions:
    """What the cells or samples of one collection of a release are.

    Parameters
    ----------
    collection
        Id of the collection.
    among
        ``cells`` or ``samples``: what the collection is expected to hold; None: either.
    release
        Id of a release, or ``latest``.
    settings
        Where the releases are; by default as the environment and ``genept.toml`` say.

    Raises
    ------
    StoreError
        There is no such release or collection, or it holds the other.
    """

    def __init__(
        self,
        collection: str,
        *,
        among: str | None = None,
        release: str = LATEST,
        settings: Settings | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self.release: Resolved = resolve(release, self.settings)
        self.collection = collection
        row = collection_row(self._table("collections").collect(), collection, among)
        self.kind, self.unit = row["kind"], row["unit"]

    def groups(
        self, by: str | None = None, group: str | None = None, *, space: str | None = None
    ) -> pl.DataFrame:
        """Descriptions of the groups of its labels.

        Parameters
        ----------
        by
            A label, such as ``cell_type``; None: all that make groups.
        group
            A value of it; None: all.
        space
            Space of gene programs and of texts; None: that of the release's table.

        Returns
        -------
        pl.DataFrame
            Rows of table `observation_descriptions`.

        Raises
        ------
        StoreError
            There is no such label, value or space.
        """
        if TABLE not in self.release.manifest.tables:  # a release that was made before it
            return self._described_anew(by, group, space or self._usual_space())
        rows = self._table(TABLE).filter(pl.col("collection_id") == self.collection).collect()
        labels = rows["grouping"].unique().sort().to_list()
        self._require_label(by, labels)
        rows = rows if by is None else rows.filter(grouping=by)
        if space is not None and space not in set(rows["space"].drop_nulls()):
            rows = self._computed(labels if by is None else [by], space)
        return self._of_group(rows, group)

    def _described_anew(self, by: str | None, group: str | None, space: str) -> pl.DataFrame:
        from genept.embeddings.text_readings import groupings

        labels = list(groupings(self._expression()[0]))
        self._require_label(by, labels)
        return self._of_group(self._computed(labels if by is None else [by], space), group)

    def _require_label(self, by: str | None, labels: Sequence[str]) -> None:
        if by is not None and by not in labels:
            has = ", ".join(labels) or "none"
            raise StoreError(f"no label {by!r} makes groups in {self.collection}; it has {has}")

    def _of_group(self, rows: pl.DataFrame, group: str | None) -> pl.DataFrame:
        values = rows["group_label"].unique().sort().to_list()
        if group is not None and group not in values:
            raise StoreError(f"{self.collection} has no group {group!r}{suggestion(group, values)}")
        return rows if group is None else rows.filter(group_label=group)

    def observation(self, id_: str, *, space: str | None = None) -> pl.DataFrame:
        """Description of one cell, with the cells nearest to it, or of one sample.

        Parameters
        ----------
        id_
            Id of the observation.
        space
            Space of gene programs and of texts; None: the usual one.

        Returns
        -------
        pl.DataFrame
            Rows as of table `observation_descriptions`; `grouping` is ``observation``.

        Raises
        ------
        StoreError
            There is no such observation or space.
        """
        from genept.embeddings import text_readings

        space = space or self._usual_space()
        observations, expression = self._expression()
        number = observations["observation_id"].index_of(id_)
        if number is None:
            such = observations["observation_id"][0]
            raise StoreError(f"{self.collection} has no observation {id_!r}; one is {such!r}")
        group_of = np.full(observations.height, -1, np.intp)
        group_of[number] = 0
        if self.kind == KIND_OF["cells"]:
            drawn = text_readings.drawn(observations.height, LARGEST)
            drawn = np.union1d(drawn, [number])
            place = int(np.searchsorted(drawn, number))
            near = text_readings.neighbours_of(expression[drawn], self.unit, place)
            group_of[drawn[near]] = 0
        effects = text_readings.compare_groups([expression], group_of, self.unit, 1)
        # The nearest were chosen by expression: a test of single genes would be of the choice.
        effects = replace(effects, z=np.full_like(effects.z, np.nan))
        label, values = next(iter(text_readings.groupings(observations).items()), ("cell_type", []))
        axis = self._axis()
        vocabulary = self._inputs(space).vocabulary(
            self.collection, label, values, axis["ensembl_gene_id"].to_list(),
            dict(axis.select("ensembl_gene_id", "symbol").iter_rows()),
        )  # fmt: skip
        described = text_readings.describe_groups(
            effects, vocabulary, self.collection, "observation", [id_], fewest=1
        )
        return _frame(row for it in described for row in it.rows(space))

    def _computed(self, labels: Sequence[str], space: str) -> pl.DataFrame:
        from genept.embeddings.text_readings import describe_label

        observations, expression = self._expression()
        inputs, axis = self._inputs(space), self._axis()
        return _frame(
            row
            for label in labels
            for it in describe_label(
                inputs, self.collection, self.unit, label, observations[label], axis, [expression]
            )
            for row in it.rows(space)
        )

    def _usual_space(self) -> str:
        space = usual_space(self.release.manifest)
        if space is None or "random" in space or "@" in space:
            raise StoreError("the release has no space of texts to describe observations in")
        return space

    def _inputs(self, space: str) -> DescriptionInputs:
        from genept.client.platform import Platform
        from genept.embeddings.text_readings import DescriptionInputs

        vectors = released_vectors(self.release, "gene_embeddings", space)
        platform = Platform(self.settings)
        programs, terms = [
            [pl.read_parquet(self.release.local_files(name, {"space": space}), glob=False)]
            if any(file.partition[0] == space for file in self._files(name))
            else []
            for name in ("gene_programs", "program_terms")
        ]
        try:
            embed = platform.embed_names(platform.space(space))
        except ValueError:  # a space of the release that is not declared here
            embed = None
        return DescriptionInputs.of(
            self._table("gene_properties").collect(), programs, terms,
            (vectors.ids.tolist(), vectors.matrix), embed, platform.ontology,
        )  # fmt: skip

    def _expression(self) -> tuple[pl.DataFrame, sp.csr_matrix]:
        """Observations with their labels, and their expression in the same order."""
        from genept.client.searching import ReleasedExpression

        read = ReleasedExpression.read(self.release, self.collection)
        return read.observations, read.expression

    def _axis(self) -> pl.DataFrame:
        axis = self._of_collection("gene_axis")
        return axis.select("gene_index", "ensembl_gene_id", "symbol").sort("gene_index").collect()

    def _files(self, table: str) -> list[ReleasedFile]:
        known = table in self.release.manifest.tables
        return released_files(self.release.manifest, table, {}) if known else []

    def _table(self, name: str) -> pl.LazyFrame:
        release = self.release.manifest.release_id
        return load_table(name, release=release, settings=self.settings)

    def _of_collection(self, name: str) -> pl.LazyFrame:
        release = self.release.manifest.release_id
        of = self.collection
        return load_table(name, release=release, settings=self.settings, collection_id=of)


def _frame(rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    from genept.embeddings.text_readings import rows_of

    return pl.DataFrame(pl.from_arrow(rows_of(rows)))
