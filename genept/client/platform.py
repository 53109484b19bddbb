"""An installation with its text models: recipes, spaces, labels, costs.

What an asset or a notebook needs to call the library. What lies in the store and comes from
archives is in `genept.client.installation`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

from genept import embeddings, perturbations, text
from genept.benchmarks import Labels, SpaceVectors, build_labels, space_costs
from genept.client.installation import Installation
from genept.common import Settings
from genept.models import DiagnosisTask, load_tasks, tasks_of
from genept.nomenclature import Nomenclature
from genept.storage import Part, StoredTable


class Platform(Installation):
    """An installation of the platform, to build with.

    Parameters
    ----------
    settings
        Settings of the installation.
    runner
        Runs the batches of texts that are to be embedded.
    remote
        Has texts of hosted embedders embedded elsewhere; None: they are embedded from here.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        runner: text.Runner = text.plain_loop,
        remote: text.EmbedRemotely | None = None,
    ) -> None:
        super().__init__(settings)
        self.runner, self.remote = runner, remote

    def diagnosis_tasks(self, collection: str) -> list[DiagnosisTask]:
        """What is to be read from the samples of a bulk collection."""
        return tasks_of(collection, load_tasks(self.settings.tasks), full=self.settings.full_models)

    @cached_property
    def embedders(self) -> text.Embedders:
        """The text embedders, local and hosted."""
        return text.Embedders(self.settings, self.archives)

    @property
    def hosted(self) -> text.HostedEmbedders:
        """The hosted text embedders that the settings declare and give a key for."""
        return self.embedders.hosted

    @cached_property
    def knowledge(self) -> text.KnowledgeSources:
        """Where descriptions are drawn from: the archives, and other available files."""
        return text.KnowledgeSources(self.archives)

    @property
    def recipes(self) -> dict[str, text.Recipe]:
        """Every declared recipe, available here or not."""
        return text.load_recipes(self.settings.recipes)

    @property
    def followed_recipes(self) -> list[text.Recipe]:
        """The recipes that have their sources here, at every token budget that a space has."""
        available = [
            recipe for recipe in self.recipes.values() if not self.knowledge.unavailable(recipe)
        ]
        budgeted = [self.recipe_of(space) for space in self.known_spaces if space.table is None]
        return list({recipe.id: recipe for recipe in (*available, *budgeted)}.values())

    def recipe_of(self, space: text.Space) -> text.Recipe:
        """The recipe of a space, at its embedder's token budget.

        Raises
        ------
        ValueError
            If there is no such recipe, or what it requires has no source here.
        """
        if space.recipe not in self.recipes:
            raise ValueError(
                f"space {space.id!r} names no recipe; there are {sorted(self.recipes)}"
            )
        recipe = self.recipes[space.recipe]
        if reason := self.knowledge.unavailable(recipe):
            raise ValueError(f"space {space.id!r} cannot be embedded here: {reason}")
        return recipe.for_embedder(space.embedder, self.embedders.counted_in(space.embedder))

    @cached_property
    def registered_spaces(self) -> list[text.RegisteredSpace]:
        """The registered tables of gene vectors."""
        return text.registered_spaces(self.store, self.settings.product).all()

    @cached_property
    def outside(self) -> list[embeddings.RegisteredVectors]:
        """The registered vectors of observations that other models made."""
        return embeddings.registered_vectors(self.store, self.settings.product).all()

    @property
    def ensembles(self) -> tuple[embeddings.Ensemble, ...]:
        """Every declared ensemble."""
        return embeddings.declared_ensembles(self.settings.recipes)

    @property
    def declared_spaces(self) -> dict[text.Space, bool]:
        """Every declared space, and whether a release holds it by default.

        Those of hosted embedders are only embedded when they are named.
        """
        hosted = self.hosted.spaces(self.recipes)
        return text.declared_spaces(self.settings.recipes) | dict.fromkeys(hosted, False)

    @property
    def spaces(self) -> tuple[text.Space, ...]:
        """The spaces to embed: those that the settings name, or all that a release holds.

        Raises
        ------
        ValueError
            If a space is unknown, its recipe cannot be followed here, or it is a hosted
            embedder's and there is no key for it.
        """
        return self._spaces(self.settings.spaces)

    @property
    def known_spaces(self) -> tuple[text.Space, ...]:
        """Every declared or registered space that can be embedded here, chosen or not."""
        every = (*self.declared_spaces, *(table.space for table in self.registered_spaces))
        return tuple(space for space in every if self.unavailable(space) is None)

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
        if (recipe := self.recipes.get(space.recipe)) is None:
            return f"there is no recipe {space.recipe!r}"
        why = self.embedders.unavailable(space.embedder) if space.needs_embedder else None
        return why or self.knowledge.unavailable(recipe)

    def _spaces(self, names: Sequence[str]) -> tuple[text.Space, ...]:
        own = [table.space for table in self.registered_spaces]
        spaces = text.chosen_spaces(names, declared=self.declared_spaces, own=own)
        for space in spaces:
            if space.table is None:
                self.recipe_of(space)
            if why := self.unavailable(space):
                raise ValueError(f"space {space.id!r} is not available: {why}")
        return spaces

    def embed(self, space: text.Space, descriptions: StoredTable) -> Part:
        """One space's part of table `gene_embeddings`: made, or remembered by the lake.

        Parameters
        ----------
        descriptions
            Table `gene_descriptions`.
        """
        product = self.settings.product
        if space.table is not None:
            return text.release_registered_space(self.lake, space, product=product)
        return text.embed_genes(
            self.lake,
            space,
            descriptions.part(self.recipe_of(space).id),
            partial(self.embedders.open, space.embedder),
            product=product,
            runner=self.runner,
            spending_limit=self.hosted.spending_limit,
            remote=self.remote,
        )

    def collection_tables(self, tables: Mapping[str, StoredTable]) -> embeddings.CollectionTables:
        """Tables of the lake, by name, with the chosen collections and spaces."""
        return embeddings.CollectionTables(self.lake, tables, self.collections, self.spaces)

    def describe(self, genes: Part, recipes: Iterable[text.Recipe]) -> list[Part]:
        """Tables `gene_descriptions` and `undescribed_genes`, of these recipes."""
        return [
            part
            for recipe in recipes
            for part in text.describe_genes(
                self.lake, self.knowledge, genes, recipe,
                lambda: self.embedders.minilm.count_tokens, max_genes=self.settings.max_genes,
            )
        ]  # fmt: skip

    def embed_sentences(
        self, of: embeddings.CollectionTables, kind: str, say: Callable[[str], None]
    ) -> tuple[list[Part], dict[str, str]]:
        """GenePT-s of as many observations as the settings allow, and how they were sampled."""
        cap = self.settings.sentences_per_collection
        return embeddings.embed_samples(
            of, kind, cap, lambda: self.embedders.minilm, self.runner, say
        )

    def label_parts(self, genes: Part) -> list[Part]:
        """Tables `gene_properties` and `gene_pairs`, of the sources that are available."""
        return build_labels(
            self.lake, self.knowledge, genes, lambda: Nomenclature(self.reference.index)
        )

    def screen_parts(self, genes: Part) -> list[Part]:
        """Tables `perturbation_screens` and `perturbation_effects`, of the available sources."""
        return perturbations.build_screens(
            self.lake, self.archives, genes, lambda: Nomenclature(self.reference.index)
        )

    def labels(self, genes: Part) -> Labels:
        """Tables `gene_properties` and `gene_pairs`, read into memory."""
        properties, pairs = self.label_parts(genes)
        return Labels(self.lake.read(properties), self.lake.read(pairs))

    def entrant(self, space: text.Space, vectors: Part) -> SpaceVectors:
        """A space for the benchmarks: its vectors, and the parts of its recipe."""
        parts = () if space.table else self.recipe_of(space).part_names
        return SpaceVectors(space, vectors, frozenset(parts))

    def entrants(self, vectors: Mapping[str, Part]) -> list[SpaceVectors]:
        """The chosen spaces for the benchmarks, with their vectors by id."""
        return [self.entrant(space, vectors[space.id]) for space in self.spaces]

    def costs(self, descriptions: StoredTable) -> list[Part]:
        """What the vectors of every chosen space of texts cost."""
        texts = [space for space in self.spaces if space.is_text]
        return [self.cost(space, descriptions, number) for number, space in enumerate(texts)]

    def cost(self, space: text.Space, descriptions: StoredTable, number: int) -> Part:
        """What the vectors of a space of texts cost; see `genept.benchmarks.space_costs`."""
        texts = descriptions.part(self.recipe_of(space).id)
        return space_costs(
            self.lake, space, texts, lambda: self.embedders.open(space.embedder), number
        )

    def forecasts(self, descriptions: StoredTable) -> dict[str, text.CostForecast]:
        """What each chosen space of a hosted embedder would cost, by space."""
        forecasts = {}
        for space in (each for each in self.spaces if each.embedder in self.hosted.declared):
            part = descriptions.part(self.recipe_of(space).id)
            texts = self.lake.read(part, ["text"])["text"].to_list()
            forecasts[space.id] = self.forecast(self.hosted.open(space.embedder), texts)
        return forecasts

    def forecast(self, embedder: text.OpenAIEmbedder, texts: Sequence[str]) -> text.CostForecast:
        """What embedding texts with a hosted embedder would cost."""
        cache = text.VectorCache(self.store, self.settings.product, embedder)
        return text.forecast(embedder, cache, texts, price=self.hosted.price(embedder))

    @property
    def subjects(self) -> dict[str, set[str]]:
        """What a run builds, by subject: collections, and spaces of genes and of observations."""
        spaces = {space.id for space in self.spaces} | {ensemble.id for ensemble in self.ensembles}
        spaces |= {vectors.space for vectors in self.outside}
        if self.settings.sentences_per_collection:
            spaces |= {f"{text.MODEL_ID}/{embeddings.RECIPE}"}
        return {"collection": {collection.id for collection in self.collections}, "space": spaces}

    @property
    def limits(self) -> dict[str, Any]:
        """How settings limit what is built; empty for a complete release."""
        limits: dict[str, Any] = {}
        chosen = {collection.id for collection in self.collections}
        if self.catalogue.usual - chosen:
            limits["collections"] = sorted(chosen)
        if set(self._spaces(())) - set(self.spaces):
            limits["spaces"] = sorted(space.id for space in self.spaces)
        if self.settings.max_genes is not None:
            limits["max_genes"] = self.settings.max_genes
        return limits
