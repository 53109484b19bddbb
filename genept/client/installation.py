"""One installation opened from its settings: store, lake, releases, archives, collections.

Everything is opened on first use, so that looking at the graph starts nothing. What turns texts
into spaces is in `genept.client.platform`; what a release depends on, in
`genept.client.input_versions`.
"""

from __future__ import annotations

from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from genept.client.release_lookup import open_releases
from genept.collections import UserCollection, added_collections
from genept.collections.labels import LabelMapper, Ontologies
from genept.common import Settings, SourceError
from genept.datasources import MEMBERS as LABEL_ARCHIVES
from genept.datasources import (
    ONTOLOGIES,
    ONTOLOGIES_SOURCE,
    Catalogue,
    Collection,
    OntologyTerm,
    drug_sources,
    load_catalogue,
    read_ontology,
    screen_sources,
)
from genept.datasources.download import Archives, SourceLocations
from genept.datasources.readers import Allowance, read_pickled_texts, read_structure_table
from genept.language_models import LanguageModels
from genept.language_models.games import PlayedGames
from genept.nomenclature import SOURCES as REFERENCE_SOURCES
from genept.nomenclature import Reference, kept_reference, starter_reference
from genept.perturbations import UserScreen, added_screens
from genept.release import Claim, ReleasedSource, Releases
from genept.storage import (
    Lake,
    ObjectStore,
    Part,
    open_store,
    sha256_of,
    sha256_of_file,
)

if TYPE_CHECKING:
    from genept.models import ModelRegistry


class Installation:
    """What an installation has, before any text is embedded.

    Parameters
    ----------
    settings
        Settings of the installation. What they name is opened when it is first used.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def shipped_catalogue(self) -> Catalogue:
        """The public sources and collections."""
        return load_catalogue()

    @cached_property
    def added(self) -> list[UserCollection]:
        """The collections that users added."""
        return added_collections(self.store, self.settings.product).all()

    @cached_property
    def added_screens(self) -> list[UserScreen]:
        """The screens of perturbations that users added."""
        return added_screens(self.store, self.settings.product).all()

    @cached_property
    def catalogue(self) -> Catalogue:
        """The public sources and collections, and those that users added."""
        return self.shipped_catalogue.with_entries(
            [
                *(source for added in self.added for source in added.sources),
                *(screen.file for screen in self.added_screens),
            ],
            [added.collection for added in self.added],
        )

    @cached_property
    def archives(self) -> Archives:
        """Verified copies of the public sources, from mirrors first if the settings name any."""
        return self.archives_of(self.shipped_catalogue)

    @cached_property
    def language_models(self) -> LanguageModels:
        """The language models, local and hosted."""
        return LanguageModels(self.settings, self.archives.open_member)

    @cached_property
    def games(self) -> PlayedGames:
        """The games that agents and language models played."""
        return PlayedGames(self.store, self.settings.product, self.language_models)

    @cached_property
    def collection_archives(self) -> Archives:
        """The same for the sources of all collections, added ones included."""
        return self.archives_of(self.catalogue)

    def archives_of(self, catalogue: Catalogue) -> Archives:
        """Verified copies of a catalogue's sources."""
        locations = SourceLocations(
            self.settings.mirrors,
            self.settings.addresses,
            lambda bucket, key: self.store.presigned(key, bucket=bucket),
        )
        folder = self.settings.private_state() / "cache" / "archives"
        return Archives(catalogue, folder, locations=locations)

    @cached_property
    def store(self) -> ObjectStore:
        """The object store, to build in; starts the embedded one if the settings say so."""
        return open_store(self.settings, "writer")

    @cached_property
    def lake(self) -> Lake:
        """Everything that was ever built."""
        return Lake(self.store, self.settings.product, self.settings.state / "cache" / "parts")

    @cached_property
    def releases(self) -> Releases:
        """Everything that was ever published, and to be published."""
        self.store  # noqa: B018 - a new installation gets its store, which a publisher does not
        return open_releases(self.settings, role="publisher")

    @cached_property
    def claim(self) -> Claim:
        """Which run may publish; raises where declarations changed that readers rely on."""
        self.releases.refuse_breaking(approved=self.settings.approve)
        return Claim(self.releases)

    @cached_property
    def registry(self) -> ModelRegistry:
        """Every trained model, and who is champion."""
        from genept.models import ModelRegistry  # heavy: most commands need no model

        return ModelRegistry(self.store, self.settings.product)

    @cached_property
    def reference(self) -> Reference:
        """The starter reference, genes without Ensembl id included."""
        return kept_reference(
            self.settings.state / "cache" / "reference",
            self.reference_version,
            lambda: starter_reference(self.archives),
        )

    @property
    def reference_version(self) -> str:
        """Changes with the archives that the reference is read from."""
        return sha256_of(
            [self.shipped_catalogue.sources[name].sha256 for name in REFERENCE_SOURCES]
        )

    @property
    def collections(self) -> list[Collection]:
        """What to ingest: as usual, or as settings name it; `ValueError` for unknown names."""
        return self.catalogue.chosen(self.settings.collections)

    def ingest(self, collection: Collection) -> list[Part]:
        """Parts of all tables of one collection: ingested now, or found in the lake.

        Files that a user added are read in a child process with limits. Raises `SourceError` for a
        missing or unreadable file or a value that is impossible in its unit, and
        `CollectionRefusedError` for a collection that contradicts its catalogue entry.
        """
        from genept.collections import ingest, parts_in_child  # numba: most commands need neither

        in_child = partial(parts_in_child, allowance=self.file_allowance)
        return ingest(
            self.lake, self.collection_archives, collection, lambda: self.reference,
            self.reference_version, self.settings.threads,
            make=in_child if self.is_added(collection) else None,
            ontologies=self.label_ontologies,
        )  # fmt: skip

    def is_added(self, collection: Collection) -> bool:
        """Whether a user added the collection; the others are shipped."""
        return collection.id in {added.id for added in self.added}

    def structures(self, collection: Collection) -> dict[str, str]:
        """SMILES by name of the drug: of the collection's source, and of one's own table."""
        member, smiles = collection.options.get("structures"), {}
        if member is not None:
            with self.collection_archives.open_member(collection.sources[0], member) as stream:
                smiles = read_pickled_texts(stream, what=member)
        if self.settings.drug_structures is not None:
            smiles |= read_structure_table(self.settings.drug_structures)
        return smiles

    @cached_property
    def ontology(self) -> dict[str, OntologyTerm]:
        """Terms whose texts stand for labels, by id; none without their archive."""
        if not self.ontology_version:
            return {}
        read = (read_ontology(self.archives, prefix) for prefix in self.settings.label_texts)
        return {id_: term for terms in read for id_, term in terms.items()}

    @property
    def ontology_version(self) -> str:
        """Changes with `ontology`; empty where there are no terms."""
        texts, archive = self.settings.label_texts, self.label_ontologies.version
        return f"{archive} {' '.join(texts)}" if archive and texts else ""

    @cached_property
    def label_mapper(self) -> LabelMapper:
        """Maps labels to all ontologies; to none without their archive."""
        prefixes = ONTOLOGIES if self.label_ontologies.version else ()
        return LabelMapper({prefix: read_ontology(self.archives, prefix) for prefix in prefixes})

    @property
    def label_ontologies(self) -> Ontologies:
        """The ontologies that labels are mapped to, read when they are first needed."""
        available = self.archives.is_available(ONTOLOGIES_SOURCE)
        version = self.archives.data_version(ONTOLOGIES_SOURCE) if available else ""
        return Ontologies(version, lambda: self.label_mapper)

    @property
    def wanted_sources(self) -> tuple[str, ...]:
        """Sources that a run fetches if it can, and without which it goes on."""
        return (ONTOLOGIES_SOURCE,)

    @property
    def needed_sources(self) -> list[str]:
        """The sources that the chosen collections and spaces draw on, in catalogue order."""
        needed: set[str] = {*REFERENCE_SOURCES, "pyiomica", "minilm", *LABEL_ARCHIVES}
        needed.update(drug_sources(self.archives))
        needed.update(name for name in self.wanted_sources if self.archives.is_available(name))
        needed.update(screen.file.id for screen in self.added_screens)
        needed.update(screen_sources(self.archives), *(each.sources for each in self.collections))
        order = list(self.catalogue.sources)
        return sorted(needed, key=lambda name: (order.index(name.partition(":")[0]), name))

    def obtain(self, source_id: str) -> tuple[bool, str]:
        """Fetch a source if a run needs it; or wants it, and it can be had.

        Returns whether it is needed; and why one that is wanted cannot be had, or nothing. Raises
        `SourceError` if one that is needed cannot be had.
        """
        is_wanted = source_id in self.wanted_sources
        if not is_wanted and source_id not in self.needed_sources:
            return False, ""
        try:
            self.archives.obtain(source_id)
        except SourceError as error:
            if not is_wanted:
                raise
            return False, str(error)
        return True, ""

    def released_sources(self) -> dict[str, ReleasedSource]:
        """What a release says about the sources that went into it."""
        archives = self.collection_archives
        return {name: ReleasedSource.of(archives, name) for name in self.needed_sources}

    @property
    def file_allowance(self) -> Allowance:
        """What reading a user's file may take."""
        return Allowance(self.settings.file_memory, self.settings.file_seconds)

    @property
    def version(self) -> str:
        """Version of the platform."""
        return version("genept-platform")

    def requirements_sha256(self) -> str | None:
        """Hash of the requirements lock of a checkout; None for an installed wheel."""
        lock = Path(__file__).parents[2] / "requirements.lock"
        return sha256_of_file(lock) if lock.exists() else None
