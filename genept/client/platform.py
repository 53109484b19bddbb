"""An installation that builds: descriptions, vectors, labels, costs.

What an asset or a notebook calls. What lies in the store and comes from archives is in
`genept.client.installation`, which spaces there are in `genept.client.known_spaces`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from genept import embeddings, perturbations, text
from genept.benchmarks import Labels, SpaceVectors, build_labels, space_costs
from genept.client.generated_texts import require_cleared
from genept.client.known_spaces import KnownSpaces
from genept.client.statement_writing import RemoteModels
from genept.common import Settings, give_memory_back
from genept.datasources import gene_group_file, read_gene_groups
from genept.nomenclature import Groups, Nomenclature, family_groups
from genept.storage import Part, StoredTable

if TYPE_CHECKING:
    from genept.models import DiagnosisTask


class Platform(KnownSpaces):
    """An installation of the platform, to build with.

    Parameters
    ----------
    settings
        Settings of the installation.
    runner
        Runs the batches of texts that are to be embedded.
    remote
        Has hosted models asked elsewhere; None: they are asked from here.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        runner: text.Runner = text.plain_loop,
        remote: RemoteModels | None = None,
    ) -> None:
        super().__init__(settings)
        self.runner, self.remote = runner, remote

    def release_memory(self) -> None:
        """Let go of what was read of sources and models; it is read again when it is needed."""
        self.embedders.release()
        for name in ("label_mapper", "ontology", "reference"):
            vars(self).pop(name, None)
        give_memory_back(and_garbage=True)

    def diagnosis_tasks(self, collection: str) -> list[DiagnosisTask]:
        """What is to be read from the samples of a bulk collection."""
        from genept.models import load_tasks, tasks_of  # scikit-learn: slower than a lookup

        return tasks_of(collection, load_tasks(self.settings.tasks), full=self.settings.full_models)

    @cached_property
    def outside(self) -> list[embeddings.RegisteredVectors]:
        """The registered vectors of observations that other models made."""
        return embeddings.registered_vectors(self.store, self.settings.product).all()

    @property
    def ensembles(self) -> tuple[embeddings.Ensemble, ...]:
        """Every declared ensemble."""
        return embeddings.declared_ensembles(self.settings.recipes)

    @property
    def spaces(self) -> tuple[text.Space, ...]:
        """The spaces to embed: those that the settings name, or all that a release holds.

        Raises
        ------
        ValueError
            If a space is unknown, its recipe cannot be followed here, or it is a hosted
            embedder's and there is no key for it.
        """
        return require_cleared(self, self._spaces(self.settings.spaces))

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
        if space.fusion:
            members = {id_: self.space(id_) for id_ in space.fusion.members}
            parts = {id_: self.embed(member, descriptions) for id_, member in members.items()}
            return text.embed_fused(self.lake, space, parts)
        if space.made_of == "coexpression":
            (collection,) = self.catalogue.chosen([space.recipe])
            parts_of_it = self.ingest(collection)
            published = self.reference.published
            return embeddings.embed_coexpression(
                self.lake, space, collection, parts_of_it, published
            )
        if space.made_of:
            return text.embed_facts(self.lake, space, self.facts)
        return text.embed_genes(
            self.lake,
            space,
            descriptions.part(self.recipe_of(space).id),
            partial(self.embedders.open, space.embedder),
            product=product,
            version=self.embedders.version(space.embedder) if space.needs_embedder else None,
            runner=self.runner,
            spending_limit=self.hosted.spending_limit,
            remote=self.remote.embed if self.remote else None,
        )

    def link_fates(self) -> dict[str, int]:
        """How many links of each network that a chosen space is made of are used, or why not."""
        made = {space.recipe for space in self.spaces if space.made_of == "network"}
        return {
            f"{network} links {fate}": n
            for network in sorted(made)
            for fate, n in text.link_fates(self.lake, network, self.facts).items()
        }

    def collection_tables(self, tables: Mapping[str, StoredTable]) -> embeddings.CollectionTables:
        """Tables of the lake, by name, with the chosen collections and spaces."""
        chosen = (self.collections, self.spaces, self.embed_names)
        ontology = (lambda: self.ontology, self.ontology_version)
        return embeddings.CollectionTables(self.lake, tables, *chosen, *ontology)

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

    def names(self) -> Nomenclature:
        """The nomenclature of the reference."""
        return Nomenclature(self.reference.index)

    def screen_parts(self, genes: Part, warn: Callable[[str], None]) -> list[Part]:
        """Tables `perturbation_screens` and `perturbation_effects`, of what is available.

        Parameters
        ----------
        genes
            Table `genes`.
        warn
            Called with which screen of a user is left out, and why.
        """
        archives = self.collection_archives
        inputs = perturbations.screen_inputs(archives, self.added_screens)
        return [
            *perturbations.build_screens(self.lake, archives, genes, self.names),
            *perturbations.build_measured(
                self.lake, inputs, genes, self.names, self.file_allowance, warn
            ),
        ]

    def drug_parts(self, genes: Part, responses: StoredTable) -> list[Part]:
        """Tables `drugs` and `drug_targets`, of the screens and of the available lists.

        Parameters
        ----------
        genes
            Table `genes`.
        responses
            Table `drug_responses`.
        """
        from genept.client.drug_screens import drug_parts

        return drug_parts(self, genes, responses)

    def available_vectors(
        self, ids: Iterable[str], descriptions: StoredTable, say: Callable[[str], None]
    ) -> dict[str, Part]:
        """Vectors of those of the spaces that are available, declared for a release or not.

        A space that cannot be made of so few genes is left out; `say` gets the reason.
        """
        vectors = {}
        for embedder, _, recipe in (id_.partition("/") for id_ in ids):
            space = text.Space(embedder, recipe)
            if self.unavailable(space) is not None:
                continue
            try:
                vectors[space.id] = self.embed(space, descriptions)
            except text.EmbeddingError as error:
                say(f"space {space.id} is left out: {error}")
        return vectors

    def described(self, descriptions: StoredTable) -> Part | None:
        """The texts of the genes whose perturbation is predicted; None if there are none."""
        recipes = [id_.partition("/")[2] for id_ in (perturbations.TEXT, perturbations.NAME)]
        texts = (part for recipe in recipes for part in descriptions.matching(recipe))
        return next(texts, None)

    def labels(self, genes: Part) -> Labels:
        """Tables `gene_properties` and `gene_pairs`, read into memory."""
        parts = self.label_parts(genes)
        properties, pairs = (
            self.lake.read(self.lake.assemble(name, parts))
            for name in ("gene_properties", "gene_pairs")
        )
        return Labels(properties, pairs, self.gene_groups)

    @cached_property
    def gene_groups(self) -> Groups | None:
        """HGNC's gene groups that count as families; None where no complete set is available."""
        file = gene_group_file(self.archives)
        return family_groups(read_gene_groups(file.opener, file.path.name)) if file else None

    def entrant(
        self, space: text.Space, vectors: Part, descriptions: StoredTable | None = None
    ) -> SpaceVectors:
        """A space for the benchmarks: its vectors, the parts that it states, and its texts."""
        texts = None
        if descriptions is not None and space.is_text:
            texts = descriptions.part(self.recipe_of(space).id)
        return SpaceVectors(space, vectors, self.stated_parts(space), texts)

    def entrants(
        self, vectors: Mapping[str, Part], descriptions: StoredTable | None = None
    ) -> list[SpaceVectors]:
        """The chosen spaces for the benchmarks, with their vectors by id, and their texts."""
        return [self.entrant(space, vectors[space.id], descriptions) for space in self.spaces]

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

    def forecast(self, embedder: text.TextEmbedder, texts: Sequence[str]) -> text.CostForecast:
        """What embedding texts with an embedder would cost."""
        cache = text.VectorCache(self.store, self.settings.product, embedder)
        price = self.hosted.price(embedder) if isinstance(embedder, text.OpenAIEmbedder) else 1.0
        return text.forecast(embedder, cache, texts, price=price)

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
