"""What is known about each gene, part by part: items, and the release of their source.

Joins what the sources say to Ensembl genes, and says which parts have no source on this
installation, and why. How items become a text is `genept.text.composition`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Protocol

import polars as pl

from genept.common import SourceError
from genept.datasources import (
    has_content,
    most_specific_first,
    read_gaf,
    read_go_annotations,
    read_go_terms,
    read_obo,
)
from genept.datasources.download import Archives, AvailableFile, available_files
from genept.text.gene_facts import FACT_READERS, Facts, by_accession, items_of_column
from genept.text.recipes import PartName, Recipe

WRITTEN: Final = "written"
"""The part that a language model writes: statements from the other parts."""

OF_GENES: Final = frozenset({"symbol", "name", "biotype"})
"""Parts that are columns of table `genes`."""

FILES_OF_PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "summary": ("ncbi-gene-summary",),
    "function": ("uniprot-human",),
    "location": ("uniprot-human",),
    "disease": ("uniprot-human",),
    "go": ("goa-human", "go-basic"),
    "pathways": ("reactome-genes",),
    "interactions": ("biogrid",),
    "phenotypes": ("hpo-genes",),
}
"""The publishers' files that a part is read from."""

_ASPECTS: Final = {
    "biological_process": "process",
    "molecular_function": "function",
    "cellular_component": "component",
}


@dataclass(frozen=True)
class Knowledge:
    """What the parts of recipes are made of.

    Parameters
    ----------
    genes
        Table `genes`.
    facts
        By part: `ensembl_gene_id` and `item`, a gene's items in the order in which they are
        written; for go also `aspect`, and `evidence` and `made` (null where the source states
        none): the code, and the date on which it was first said.
    releases
        Release of each part's source.
    without_content
        By part: genes of which its source says nothing but what is left out as saying nothing.
    """

    genes: pl.DataFrame
    facts: Facts
    releases: Mapping[str, str]
    without_content: Mapping[str, frozenset[str]] = field(default_factory=dict)


class Statements(Protocol):
    """What language models wrote of genes, by the model's id."""

    def missing(self, writer: str) -> str | None:
        """Why there is nothing of a model; None if there is."""

    def sha256(self, writer: str) -> str:
        """Changes with what a model wrote."""

    def read(self, writer: str) -> pl.DataFrame:
        """Facts: ensembl_gene_id and item."""


class NoStatements:
    """An installation on which no language model wrote anything."""

    def missing(self, writer: str) -> str:
        """Why there is nothing of a model."""
        return f"{writer} wrote nothing here: `genept genes write --model {writer}`"

    def sha256(self, writer: str) -> str:
        """Nothing has no hash. Raises `SourceError`."""
        raise SourceError(self.missing(writer))

    def read(self, writer: str) -> pl.DataFrame:
        """There are no facts. Raises `SourceError`."""
        raise SourceError(self.missing(writer))


@dataclass(frozen=True)
class KnowledgeSources:
    """The sources of knowledge that this installation has.

    Parameters
    ----------
    archives
        The pinned archives, and the mirrors of publishers' files.
    statements
        What language models wrote.
    """

    archives: Archives
    statements: Statements = field(default_factory=NoStatements)

    @cached_property
    def files(self) -> Mapping[str, AvailableFile]:
        """The publishers' files that are available, by source id."""
        every = [id_ for ids in FILES_OF_PARTS.values() for id_ in ids]
        return available_files(self.archives, dict.fromkeys(every))

    def missing(self, part: PartName) -> str | None:
        """Why a part has no source here; None if it has one."""
        if part in OF_GENES or part in ("go", WRITTEN):  # of a writer, see `unavailable`
            return None
        lacking = [id_ for id_ in FILES_OF_PARTS[part] if id_ not in self.files]
        return f"no source: {remedy(lacking)}" if lacking else None

    def unavailable(self, recipe: Recipe) -> str | None:
        """Why a recipe cannot be followed here; None if it can."""
        needed = {part: self.missing(part) for part in (*recipe.requires, *recipe.needs_source)}
        reasons = [f"{part} has {reason}" for part, reason in needed.items() if reason]
        asked = {
            "evidence codes": {use.label for use in recipe.parts if use.evidence},
            "dates of annotations": {use.label for use in recipe.parts if use.before},
        }
        reasons += [
            f"{', '.join(sorted(labels))} asks for {what}, which the packaged Gene Ontology lacks: "
            f"{remedy(FILES_OF_PARTS['go'])}"
            for what, labels in asked.items()
            if labels and not self.has_dates
        ]
        if recipe.writer:
            why = self.statements.missing(recipe.writer)
            reasons += [f"{WRITTEN} has no source: {why}"] if why else []
        return "; ".join(reasons) or None

    def inputs(self, parts: Iterable[PartName], writer: str | None = None) -> dict[str, str]:
        """Content hashes of everything that these parts use beyond table `genes`."""
        hashes = {}
        for part in parts:
            if part == "go" and not self.has_dates:
                hashes["pyiomica"] = self.archives.catalogue.sources["pyiomica"].sha256
            elif part == WRITTEN:
                hashes[f"written by {writer}"] = self.statements.sha256(str(writer))
            elif part not in OF_GENES and self.missing(part) is None:
                hashes |= {id_: self.files[id_].sha256 for id_ in FILES_OF_PARTS[part]}
        return hashes

    def read(
        self, genes: pl.DataFrame, parts: Iterable[PartName], writer: str | None = None
    ) -> Knowledge:
        """Read what is known of genes; parts without a source are left out.

        Parameters
        ----------
        genes
            Table `genes`.
        parts
            Names of the parts.
        writer
            The model whose statements are part `written`.

        Returns
        -------
        Knowledge
            Facts and releases by part.

        Raises
        ------
        SourceError
            A source is missing, or not what it should be.
        """
        release_of_genes = genes["reference_release"][0] if genes.height else "none"
        facts: dict[str, pl.DataFrame] = {}
        releases: dict[str, str] = {}
        without_content: dict[str, frozenset[str]] = {}
        for part in parts:
            if part in OF_GENES:
                facts[part] = items_of_column(genes, part)
                releases[part] = release_of_genes
            elif part == "go":
                every, releases[part] = self._go(genes)
                facts[part] = every.filter("has_content").drop("has_content")
                bare = every.join(facts[part], on="ensembl_gene_id", how="anti")
                without_content[part] = frozenset(bare["ensembl_gene_id"])
            elif part == WRITTEN:
                facts[part], releases[part] = self.statements.read(str(writer)), str(writer)
            elif part not in facts and self.missing(part) is None:
                file = self.files[FILES_OF_PARTS[part][0]]
                read, facts_of = FACT_READERS[file.id]
                facts |= facts_of(read(file.opener, file.path.name), genes)
                releases |= {
                    name: self.files[FILES_OF_PARTS[name][0]].release
                    for name in facts
                    if name not in releases
                }
        return Knowledge(genes, facts, releases, without_content)

    @property
    def has_dates(self) -> bool:
        """Whether annotations of the Gene Ontology have evidence and dates here."""
        return all(id_ in self.files for id_ in FILES_OF_PARTS["go"])

    def _go(self, genes: pl.DataFrame) -> tuple[pl.DataFrame, str]:
        """Terms of genes, rarest first, by UniProt accession; and whether they say anything."""
        if self.has_dates:
            goa, ontology = self.files["goa-human"], self.files["go-basic"]
            annotations, stated = read_gaf(goa.opener, goa.path.name)
            terms = read_obo(ontology.opener, ontology.path.name)
            release = f"goa-{stated}" if stated else goa.release
        else:
            annotations = read_go_annotations(self.archives).with_columns(
                evidence=pl.lit(None, pl.String), made=pl.lit(None, pl.Date)
            )
            terms = read_go_terms(self.archives)
            release = f"go-{self.archives.catalogue.sources['pyiomica'].released}"
        known = terms.filter(~pl.col("obsolete")).select(
            "go_id", item="name", aspect=pl.col("aspect").replace_strict(_ASPECTS)
        )
        of_gene = (
            by_accession(genes)
            .join(annotations, on="uniprot_id")
            .join(known, on="go_id")
            .with_columns(has_content=has_content())
            .group_by("ensembl_gene_id", "item", "aspect", "evidence", "has_content")
            .agg(pl.col("made").min())
        )
        return most_specific_first(of_gene), release


def remedy(lacking: Iterable[str]) -> str:
    """What to do about sources that are not available, by their ids."""
    return f"run `genept sources fetch {' '.join(lacking)}`, or name a mirror that has it"
