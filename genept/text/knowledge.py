"""What is known about each gene, part by part: items, and the release of their source.

Joins what the sources say to Ensembl genes, and says which parts have no source on this
installation, and why. How items become a text is `genept.text.composition`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import polars as pl

from genept.datasources import (
    read_gaf,
    read_gene_summary,
    read_go_annotations,
    read_go_terms,
    read_interactions,
    read_obo,
    read_phenotypes,
    read_reactome,
    read_swissprot,
)
from genept.datasources.download import Archives, AvailableFile, available_files
from genept.text.composition import sentences, tidy_summary
from genept.text.recipes import PartName, Recipe

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

Facts = Mapping[str, pl.DataFrame]
"""Items of genes by part; see `Knowledge`."""

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
        written; for go also `aspect` and `evidence` (null where the source states none).
    releases
        Release of each part's source.
    """

    genes: pl.DataFrame
    facts: Facts
    releases: Mapping[str, str]


@dataclass(frozen=True)
class KnowledgeSources:
    """The sources of knowledge that this installation has.

    Parameters
    ----------
    archives
        The pinned archives, and the mirrors of publishers' files.
    """

    archives: Archives

    @cached_property
    def files(self) -> Mapping[str, AvailableFile]:
        """The publishers' files that are available, by source id."""
        every = [id_ for ids in FILES_OF_PARTS.values() for id_ in ids]
        return available_files(self.archives, dict.fromkeys(every))

    def missing(self, part: PartName) -> str | None:
        """Why a part has no source here; None if it has one."""
        if part in OF_GENES or part == "go":
            return None
        lacking = [id_ for id_ in FILES_OF_PARTS[part] if id_ not in self.files]
        return f"no source: {remedy(lacking)}" if lacking else None

    def unavailable(self, recipe: Recipe) -> str | None:
        """Why a recipe cannot be followed here; None if it can."""
        needed = {part: self.missing(part) for part in (*recipe.requires, *recipe.needs_source)}
        reasons = [f"{part} has {reason}" for part, reason in needed.items() if reason]
        codes = {use.label for use in recipe.parts if use.evidence}
        if codes and not self._has_goa:
            reasons.append(
                f"{', '.join(sorted(codes))} asks for evidence codes, which the packaged Gene "
                f"Ontology lacks: {remedy(FILES_OF_PARTS['go'])}"
            )
        return "; ".join(reasons) or None

    def inputs(self, parts: Iterable[PartName]) -> dict[str, str]:
        """Content hashes of everything that these parts use beyond table `genes`."""
        hashes = {}
        for part in parts:
            if part == "go" and not self._has_goa:
                hashes["pyiomica"] = self.archives.catalogue.sources["pyiomica"].sha256
            elif part not in OF_GENES and self.missing(part) is None:
                hashes |= {id_: self.files[id_].sha256 for id_ in FILES_OF_PARTS[part]}
        return hashes

    def read(self, genes: pl.DataFrame, parts: Iterable[PartName]) -> Knowledge:
        """Read what is known of genes; parts without a source are left out.

        Parameters
        ----------
        genes
            Table `genes`.
        parts
            Names of the parts.

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
        for part in parts:
            if part in OF_GENES:
                facts[part] = _column(genes, part)
                releases[part] = release_of_genes
            elif part == "go":
                facts[part], releases[part] = self._go(genes)
            elif part not in facts and self.missing(part) is None:
                file = self.files[FILES_OF_PARTS[part][0]]
                read, facts_of = _READERS[file.id]
                facts |= facts_of(read(file.opener, file.path.name), genes)
                releases |= {
                    name: self.files[FILES_OF_PARTS[name][0]].release
                    for name in facts
                    if name not in releases
                }
        return Knowledge(genes, facts, releases)

    @property
    def _has_goa(self) -> bool:
        return all(id_ in self.files for id_ in FILES_OF_PARTS["go"])

    def _go(self, genes: pl.DataFrame) -> tuple[pl.DataFrame, str]:
        """Terms of genes, those that fewest genes share first; found by UniProt accession."""
        if self._has_goa:
            goa, ontology = self.files["goa-human"], self.files["go-basic"]
            annotations, stated = read_gaf(goa.opener, goa.path.name)
            terms = read_obo(ontology.opener, ontology.path.name)
            release = f"goa-{stated}" if stated else goa.release
        else:
            annotations = read_go_annotations(self.archives).with_columns(
                evidence=pl.lit(None, pl.String)
            )
            terms = read_go_terms(self.archives)
            release = f"go-{self.archives.catalogue.sources['pyiomica'].released}"
        known = terms.filter(~pl.col("obsolete")).select(
            "go_id", item="name", aspect=pl.col("aspect").replace_strict(_ASPECTS)
        )
        of_gene = (
            _by_accession(genes)
            .join(annotations, on="uniprot_id")
            .join(known, on="go_id")
            .select("ensembl_gene_id", "item", "aspect", "evidence")
            .unique()
            .with_columns(n_genes=pl.col("ensembl_gene_id").n_unique().over("item"))
            .sort("ensembl_gene_id", "n_genes", "item", "aspect", "evidence")
        )
        return of_gene.drop("n_genes"), release


def _column(genes: pl.DataFrame, part: str) -> pl.DataFrame:
    """A column of table `genes` as items; a symbol that is only the Ensembl id tells nothing."""
    value = pl.col(part).str.replace_all("_", " ") if part == "biotype" else pl.col(part)
    if part == "symbol":
        value = pl.when(value != pl.col("ensembl_gene_id")).then(value)
    items = genes.select("ensembl_gene_id", item=value)
    return items.filter(pl.col("item").fill_null("") != "")


def _by_accession(genes: pl.DataFrame) -> pl.DataFrame:
    accessions = genes.select("ensembl_gene_id", uniprot_id="uniprot_ids")
    return accessions.explode("uniprot_id", empty_as_null=True).drop_nulls()


def _by_entrez(genes: pl.DataFrame) -> pl.DataFrame:
    return genes.select("ensembl_gene_id", "entrez_id").drop_nulls()


def _items_of(rows: pl.DataFrame, *order: str) -> pl.DataFrame:
    """Distinct items of each gene, in order."""
    chosen = rows.sort("ensembl_gene_id", *order, maintain_order=True)
    return chosen.select("ensembl_gene_id", "item").unique(maintain_order=True)


def _rarest_first(rows: pl.DataFrame, column: str) -> pl.DataFrame:
    """Distinct items of each gene, those of few genes first: they are the most specific."""
    sized = rows.with_columns(n_genes=pl.col("ensembl_gene_id").n_unique().over(column))
    return _items_of(sized.rename({column: "item"}), "n_genes", "item")


def _summaries(summaries: pl.DataFrame, genes: pl.DataFrame) -> Facts:
    tidy = pl.col("summary").map_elements(tidy_summary, pl.String)
    of_genes = summaries.join(_by_entrez(genes), on="entrez_id").with_columns(tidy)
    return {"summary": _items_of(_sentences(of_genes, "summary"))}


def _swissprot(entries: pl.DataFrame, genes: pl.DataFrame) -> Facts:
    sentences_ = _sentences(entries.join(_by_accession(genes), on="uniprot_id"), "text")
    return {
        topic: _items_of(sentences_.filter(topic=topic), "uniprot_id")
        for topic in ("function", "location", "disease")
    }


def _pathways(members: pl.DataFrame, genes: pl.DataFrame) -> Facts:
    """Pathways of each gene, small ones first.

    Members are counted among the genes that HGNC names, so that the second copy of a gene (on the Y
    chromosome, for example) does not make its pathways larger.
    """
    named = genes.filter(pl.col("hgnc_id") != "")
    ids = pl.concat(
        [
            _by_accession(named).rename({"uniprot_id": "input_id"}),
            named.select("ensembl_gene_id", input_id="ensembl_gene_id"),
        ]
    )
    return {"pathways": _rarest_first(members.join(ids, on="input_id"), "pathway")}


def _phenotypes(annotated: pl.DataFrame, genes: pl.DataFrame) -> Facts:
    of_genes = annotated.join(_by_entrez(genes), on="entrez_id")
    return {"phenotypes": _rarest_first(of_genes, "phenotype")}


def _interactions(partners: pl.DataFrame, genes: pl.DataFrame) -> Facts:
    """Partners with most publications first."""
    ranked = partners.join(_by_entrez(genes), on="entrez_id").select(
        "ensembl_gene_id", item="partner", rank=-pl.col("publications").cast(pl.Int64)
    )
    return {"interactions": _items_of(ranked, "rank", "item")}


def _sentences(rows: pl.DataFrame, column: str) -> pl.DataFrame:
    split = pl.col(column).map_elements(sentences, pl.List(pl.String))
    return rows.with_columns(item=split).explode("item", empty_as_null=True).drop_nulls("item")


def remedy(lacking: Iterable[str]) -> str:
    """What to do about sources that are not available, by their ids."""
    return f"run `genept sources fetch {' '.join(lacking)}`, or name a mirror that has it"


_READERS: Final[Mapping[str, tuple[Callable[..., pl.DataFrame], Callable[..., Facts]]]] = {
    "ncbi-gene-summary": (read_gene_summary, _summaries),
    "uniprot-human": (read_swissprot, _swissprot),
    "reactome-genes": (read_reactome, _pathways),
    "hpo-genes": (read_phenotypes, _phenotypes),
    "biogrid": (read_interactions, _interactions),
}
"""Readers by publisher's file: its reader, and what makes facts of its rows and table `genes`."""
