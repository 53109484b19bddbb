"""The catalogue: which sources are used and which collections are made of them.

Reads and validates `catalogue.toml`. A further collection of a known format is an entry there and
no code. What a source is, is in `source`; which formats there are, in `formats`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from genept.common import SourceError, problems_of
from genept.datasources.formats import options_of
from genept.datasources.source import ID, Entry, Source
from genept.schema import LINEAR, Unit, merge_policy


class Collection(Entry):
    """One data set that is ingested: its format, unit, groups and terms of use.

    `options` are checked against the format's model on load; the parser reads them through it.
    """

    id: str = Field(pattern=ID)
    title: str
    kind: Literal["single_cell", "bulk"]
    format: str
    sources: tuple[str, ...]
    unit: Unit
    counts_of: Literal["reads", "molecules"] | None = None
    """What is counted, where the unit is counts: reads of whole transcripts, of which a long gene
    has more, or molecules (UMI, or reads of one end). None: reads in bulk, molecules in cells."""
    duplicate_policy: Literal["sum", "highest_mean", "first", "refuse"]
    par_y: Literal["quarantine", "merge"] = "quarantine"
    annotation_release: str | None = None
    """As declared by the publisher."""
    group_axis: str
    redistributable: bool
    licence: str
    citation: str
    caveat: str | None = None
    optional: bool = False
    """Ingested only where the settings name it."""
    options: dict[str, Any] = Field({})

    @model_validator(mode="after")
    def _policy_suits_unit(self) -> Collection:
        expected = merge_policy(self.unit)
        if (policy := self.duplicate_policy) not in (expected, "first", "refuse"):
            raise ValueError(
                f"columns of one gene in {self.unit} are merged by {expected!r} or refused, "
                f"not merged by {policy!r}"
            )
        return self

    @model_validator(mode="after")
    def _counts_are_counts(self) -> Collection:
        if self.counts_of and self.unit != "counts":
            raise ValueError(f"counts_of says what counts are of, and the unit is {self.unit!r}")
        return self

    @property
    def per_kilobase(self) -> bool:
        """Whether values are divided by the lengths of genes where genes are weighed by them."""
        usual = "reads" if self.kind == "bulk" else "molecules"
        return self.unit == "counts" and (self.counts_of or usual) == "reads"

    @property
    def weights(self) -> str:
        """How genes are weighed by its values: one of `WEIGHTS`."""
        if self.per_kilobase:
            return "log1p_counts_per_kilobase"
        if self.unit in LINEAR:
            return f"log1p_{self.unit}"
        return {"zscore": "zscore_above_lowest"}.get(self.unit, self.unit)

    @model_validator(mode="after")
    def _options_suit_format(self) -> Collection:
        n = options_of(self.format).model_validate(self.options).n_sources
        if len(self.sources) != n:
            raise ValueError(f"format {self.format!r} takes {n} sources, not {len(self.sources)}")
        return self


def _named_by_headings(entries: Any) -> Any:
    """Entries with the ids that their headings state: ``[sources.ID]``."""
    if not isinstance(entries, dict):
        return entries
    return {
        id_: {"id": id_} | entry if isinstance(entry, dict) else entry
        for id_, entry in entries.items()
    }


class Catalogue(Entry):
    """All sources and collections by id."""

    sources: Annotated[dict[str, Source], BeforeValidator(_named_by_headings)]
    collections: Annotated[dict[str, Collection], BeforeValidator(_named_by_headings)]

    def source(self, source_id: str) -> Source:
        """The source of an id; of `entry:value` the file that `value` names (see `Source`).

        Raises
        ------
        SourceError
            There is no such entry, or the value does not fit its pattern.
        """
        if ":" in source_id and source_id in self.sources:
            return self.sources[source_id]  # of a pattern, and filled already
        entry_id, colon, value = source_id.partition(":")
        if entry_id not in self.sources:
            known = ", ".join(sorted(self.sources))
            raise SourceError(f"no source {entry_id!r} in the catalogue; known: {known}")
        entry = self.sources[entry_id]
        if colon:
            return entry.filled(value)
        if entry.pattern is not None:
            raise SourceError(
                f"source {entry_id!r} stands for many files: name one as {entry_id}:…, where … "
                f"fits {entry.pattern!r}"
            )
        return entry

    @property
    def usual(self) -> frozenset[str]:
        """Ids of the collections that are ingested unasked: all but the optional ones."""
        return frozenset(id_ for id_, entry in self.collections.items() if not entry.optional)

    def chosen(self, names: Sequence[str]) -> list[Collection]:
        """The collections of these names; of none, the usual ones.

        A name with a plus before it comes on top: ``["+pbmc3k"]`` is the usual ones and pbmc3k.

        Raises
        ------
        ValueError
            There is none of that name.
        """
        wanted = self.wanted(names)
        if unknown := sorted(wanted - set(self.collections)):
            known = sorted(self.collections)
            raise ValueError(f"unknown collections {unknown}; the catalogue has {known}")
        return [collection for id_, collection in self.collections.items() if id_ in wanted]

    def wanted(self, names: Sequence[str]) -> set[str]:
        """Ids that names stand for, as of `chosen`, whether or not there is such a collection."""
        plain = {name for name in names if not name.startswith("+")} or set(self.usual)
        return plain | {name.removeprefix("+") for name in names}

    def with_entries(
        self, sources: Iterable[Source], collections: Iterable[Collection]
    ) -> Catalogue:
        """The same catalogue with further entries, whose ids are free.

        Raises
        ------
        SourceError
            An id is taken.
        """
        merged = {}
        for heading, added in (("sources", [*sources]), ("collections", [*collections])):
            known = getattr(self, heading)
            if taken := sorted(entry.id for entry in added if entry.id in known):
                kind = heading.removesuffix("s")
                raise SourceError(f"the catalogue has a {kind} {taken[0]!r} already: rename yours")
            merged[heading] = known | {entry.id: entry for entry in added}
        return Catalogue.model_validate(merged)

    @model_validator(mode="after")
    def _collections_name_known_sources(self) -> Catalogue:
        for collection in self.collections.values():
            for source_id in collection.sources:
                if (named := source_id.partition(":")[0]) not in self.sources:
                    near = get_close_matches(named, self.sources, n=1)
                    hint = f"did you mean {near[0]!r}?" if near else "see `genept sources list`"
                    unknown = f"names the unknown source {source_id!r}"
                    raise ValueError(f"collection {collection.id!r} {unknown}; {hint}")
        for heading, entries in (("sources", self.sources), ("collections", self.collections)):
            for id_, entry in entries.items():
                if entry.id != id_:
                    raise ValueError(f"[{heading}.{id_}] calls itself {entry.id!r}: drop its id")
        return self


def load_catalogue(path: Path | None = None) -> Catalogue:
    """Read and validate a catalogue.

    Parameters
    ----------
    path
        TOML file; None: the catalogue that is shipped with the library.

    Returns
    -------
    Catalogue
        Sources and collections, by id.

    Raises
    ------
    SourceError
        The file is missing, is not TOML, or an entry is wrong; names every wrong entry.
    """
    where = path or resources.files("genept.datasources") / "catalogue.toml"
    try:
        return Catalogue.model_validate(tomllib.loads(where.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SourceError(f"the catalogue {where} cannot be read: {error}") from error
    except ValidationError as error:
        problems = problems_of(error)
        raise SourceError(f"the catalogue {where} is not valid: {problems}") from error
