"""The recipes and spaces of an installation: which there are, and which are available, or why not.

Building their vectors is `genept.client.platform`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from math import ceil

import numpy as np
from numpy.typing import NDArray

from genept import text
from genept.client.generated_texts import blocked, edited_recipes
from genept.client.installation import Installation
from genept.language_models.descriptions import StatementTables
from genept.language_models.probes import ProbeTables
from genept.storage import Part, StoredTable


class KnownSpaces(Installation):
    """An installation with its text models, recipes and spaces."""

    @cached_property
    def embedders(self) -> text.Embedders:
        """The text embedders, local and hosted."""
        return text.Embedders(self.settings, self.archives)

    @property
    def hosted(self) -> text.HostedEmbedders:
        """The hosted text embedders that the settings declare and give a key for."""
        return self.embedders.hosted

    @property
    def knowledge(self) -> text.KnowledgeSources:
        """Where descriptions are drawn from; what models wrote, once the store is open."""
        return self._knowledge if self._is_open else self._sources_alone

    @cached_property
    def _sources_alone(self) -> text.KnowledgeSources:
        return text.KnowledgeSources(self.archives)

    @cached_property
    def _knowledge(self) -> text.KnowledgeSources:
        return text.KnowledgeSources(self.archives, self.statements)

    @property
    def _is_open(self) -> bool:
        """Whether the store was opened: looking at what is declared opens none."""
        return "store" in vars(self)

    @cached_property
    def statements(self) -> StatementTables:
        """What language models wrote of genes."""
        return StatementTables(lambda: self.store, self.settings.product)

    @cached_property
    def facts(self) -> text.GeneFacts:
        """What spaces beyond texts are made of."""
        return text.GeneFacts(self.knowledge, lambda: self.reference, self.reference_version)

    @cached_property
    def probes(self) -> ProbeTables:
        """How language models did in probes."""
        return ProbeTables(lambda: self.store, self.settings.product)

    @property
    def writers(self) -> tuple[str, ...]:
        """The language models that write statements; `ValueError` if one is not available."""
        for id_ in self.settings.writers:
            if why := self.language_models.unavailable(id_):
                raise ValueError(f"writer {id_!r} is not available: {why}")
        return self.settings.writers

    @property
    def recipes(self) -> dict[str, text.Recipe]:
        """Every declared recipe, available here or not; and those of edited descriptions."""
        edited = self._edited if self._is_open else {}
        return text.load_recipes(self.settings.recipes) | edited

    @cached_property
    def _edited(self) -> dict[str, text.Recipe]:
        return edited_recipes(self.statements)

    @property
    def followed_recipes(self) -> list[text.Recipe]:
        """The recipes that have their sources here, at every token budget that a space has."""
        available = [
            recipe
            for recipe in self.recipes.values()
            if not (self.knowledge.unavailable(recipe) or blocked(self, recipe))
        ]
        budgeted = [self.recipe_of(space) for space in self.known_spaces if space.has_recipe]
        return list({recipe.id: recipe for recipe in (*available, *budgeted)}.values())

    def recipe_of(self, space: text.Space) -> text.Recipe:
        """The recipe of a space: at its embedder's token budget, or cut to the length it names.

        Raises
        ------
        ValueError
            If there is no such recipe, or what it requires has no source here.
        """
        id_, cut, tokens = space.recipe.partition("~")
        if id_ not in self.recipes:
            raise ValueError(
                f"space {space.id!r} names no recipe; there are {sorted(self.recipes)}"
            )
        recipe = self.recipes[id_]
        if reason := self.knowledge.unavailable(recipe):
            raise ValueError(f"space {space.id!r} cannot be embedded here: {reason}")
        if cut:
            return recipe.cut_to(int(tokens))
        return recipe.for_embedder(space.embedder, self.embedders.counted_in(space.embedder))

    def recipes_of(self, space: text.Space) -> list[text.Recipe]:
        """The recipes whose descriptions a space is embedded from; none if it is of no texts."""
        if space.fusion:
            members = map(self.space, space.fusion.members)
            every = [recipe for member in members for recipe in self.recipes_of(member)]
            return list({recipe.id: recipe for recipe in every}.values())
        return [self.recipe_of(space)] if space.has_recipe else []

    @cached_property
    def registered_spaces(self) -> list[text.RegisteredSpace]:
        """The registered tables of gene vectors."""
        return text.registered_spaces(self.store, self.settings.product).all()

    @property
    def declared_spaces(self) -> dict[text.Space, bool]:
        """Every declared space, and whether a release holds it by default.

        Those of hosted embedders are only embedded when they are named.
        """
        hosted = self.hosted.spaces(self.recipes)
        return text.declared_spaces(self.settings.recipes) | dict.fromkeys(hosted, False)

    @property
    def further_spaces(self) -> list[text.Space]:
        """Every recipe by every embedder of this machine, where it is not declared as a space."""
        declared = {space.id for space in self.declared_spaces}
        every = self.embedders.spaces(self.recipes)
        return [space for space in every if space.id not in declared]

    @property
    def every_space(self) -> tuple[text.Space, ...]:
        """Every declared, registered or chosen space, available here or not."""
        named = [space for space in self.further_spaces if space.id in self.settings.spaces]
        registered = (table.space for table in self.registered_spaces)
        return (*self.declared_spaces, *named, *registered)

    @property
    def needed_sources(self) -> list[str]:
        """The sources that the chosen collections and spaces draw on."""
        ids = {name.partition("/")[0] for name in self.settings.spaces}
        needed = super().needed_sources
        opened = [source for id_ in sorted(ids) for source in self.embedders.sources(id_)]
        return [*needed, *(source for source in opened if source not in needed)]

    @property
    def known_spaces(self) -> tuple[text.Space, ...]:
        """Every declared or registered space that can be embedded here, chosen or not."""
        return tuple(space for space in self.every_space if self.unavailable(space) is None)

    @property
    def unavailable_spaces(self) -> dict[str, str]:
        """Why declared spaces cannot be embedded here, by id."""
        reasons = {space.id: self.unavailable(space) for space in self.every_space}
        return {id_: why for id_, why in reasons.items() if why is not None}

    def space(self, id_: str) -> text.Space:
        """The space of an id, among all that are declared or registered.

        Raises
        ------
        ValueError
            If there is none.
        """
        (space,) = self._spaces([id_])
        return space

    def unavailable(self, space: text.Space) -> str | None:
        """Why a space cannot be embedded here; None if it can."""
        if space.table is not None:
            return None
        if space.fusion:
            known = {each.id: each for each in (*self.every_space, *self.further_spaces)}
            lacking = {
                id_: self.unavailable(known[id_]) if id_ in known else "there is no such space"
                for id_ in space.fusion.members
            }
            return "; ".join(f"{id_}: {why}" for id_, why in lacking.items() if why) or None
        if space.made_of:
            of_collection = space.made_of == "coexpression"
            return (self._not_ingested if of_collection else self.facts.unavailable)(space)
        if (recipe := self.recipes.get(space.recipe)) is None:
            return f"there is no recipe {space.recipe!r}"
        why = self.embedders.unavailable(space.embedder) if space.needs_embedder else None
        return why or self.knowledge.unavailable(recipe)

    def partly_embedded(
        self,
        spaces: Iterable[text.Space],
        parts: Mapping[str, Sequence[Part]],
        descriptions: StoredTable,
    ) -> dict[str, str]:
        """What `lacking_vectors` says of those spaces where not all genes have a vector."""
        counted = {
            f"partly embedded/{space.id}": self.lacking_vectors(space, part, descriptions)
            for space in spaces
            for part in parts.get(space.id, ())
        }
        return {name: lacking for name, lacking in counted.items() if lacking}

    def lacking_vectors(
        self, space: text.Space, vectors: Part, descriptions: StoredTable
    ) -> str | None:
        """How many described genes have a vector, and what gives one to all; None if all have.

        Parameters
        ----------
        space
            A space.
        vectors
            Its part of table `gene_embeddings`.
        descriptions
            Table `gene_descriptions`.
        """
        if not space.has_recipe:
            return None
        texts = descriptions.part(self.recipe_of(space).id)
        if vectors.rows == texts.rows:
            return None
        counted = f"{vectors.rows:,} of {texts.rows:,} genes have a vector"
        model = self.embedders.local.get(space.embedder)
        if model is None or model.tokens_per_second is None:
            return counted
        tokens = int(self.lake.read(texts, ["n_tokens"])["n_tokens"].sum())
        minutes = ceil(tokens / model.tokens_per_second / 60)
        return f"{counted}; GENEPT_EMBEDDING_MINUTES={minutes} embeds all"

    def embed_names(
        self, space: text.Space
    ) -> Callable[[Sequence[str]], NDArray[np.float32]] | None:
        """What embeds names of cell types in a space of a model of this machine; else None."""
        if space.is_control or not space.is_text or space.embedder not in self.embedders.local:
            return None
        embedder = self.embedders.open(space.embedder)
        if isinstance(embedder, text.QueryEmbedder):
            embedder = embedder.for_queries()
        return embedder.embed

    def _not_ingested(self, space: text.Space) -> str | None:
        if not self.settings.collections and space.recipe in self.shipped_catalogue.usual:
            return None  # without a look at what users added
        if space.recipe in {collection.id for collection in self.collections}:
            return None
        return (
            f"collection {space.recipe} is not ingested here: GENEPT_COLLECTIONS="
            f"'[\"+{space.recipe}\"]' adds it to the usual ones"
        )

    def stated_parts(self, space: text.Space) -> frozenset[str]:
        """The parts of descriptions that a space states: in its texts, or that it is made of.

        One that knows only annotations made before a day is named with it: ``go<2024-01-01``.
        """
        if space.fusion:
            members = map(self.space, space.fusion.members)
            return frozenset().union(*map(self.stated_parts, members))
        if space.made_of == "coexpression":
            return frozenset()
        if space.made_of:
            return frozenset({text.STATED[space.made_of]})
        if not space.has_recipe:
            return frozenset()
        recipe = self.recipe_of(space)
        days = {use.part: use.before for use in recipe.parts if use.before}
        parts = ((name, days.get(name)) for name in recipe.part_names)
        return frozenset(f"{name}<{day}" if day else name for name, day in parts)

    def _spaces(self, names: Sequence[str]) -> tuple[text.Space, ...]:
        own = [table.space for table in self.registered_spaces]
        declared = self.declared_spaces
        known = {space.id for space in (*declared, *own)}
        if set(names) - known:  # without a look at all others
            further = [space for space in self.further_spaces if space.id in names]
            declared |= dict.fromkeys(further, False)
        spaces = text.chosen_spaces(names, declared=declared, own=own)
        for space in spaces:
            if space.has_recipe:
                self.recipe_of(space)
            if why := self.unavailable(space):
                raise ValueError(f"space {space.id!r} is not available: {why}")
        return spaces
