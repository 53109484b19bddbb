"""What groups of observations are described in: terms, programs, vectors and labels, of the lake.

Where descriptions are built of them is `genept.embeddings.text_readings.collection_descriptions`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genept.embeddings.collection_tables import CollectionTables
from genept.embeddings.expression import embedding_matrix
from genept.embeddings.text_readings.group_statements import Vocabulary
from genept.embeddings.text_readings.label_meanings import LabelQuery, Ontology, label_queries
from genept.embeddings.text_readings.lineages import Lineages
from genept.embeddings.text_readings.similarities import similarity_on_axis
from genept.storage import sha256_of
from genept.text import Space

SPACE: Final = "minilm-l6-v2/name-go"
"""Space of programs and labels, where it is chosen; the settings of descriptions are of it."""

GO_TERMS: Final = "go-terms"
"""Task of table `gene_properties` whose labels are terms of the Gene Ontology."""

Embed = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass
class DescriptionInputs:
    """What groups are described in, whatever the collection.

    Parameters
    ----------
    go_terms
        Columns ``name`` and ``ensembl_gene_id``.
    programs, program_names
        Gene programs of the space, as of `Vocabulary`.
    vectors
        Ensembl ids and vectors of the genes of the space.
    embed
        Embeds texts in the space; None: groups are not named.
    ontology
        Terms by id; empty: labels are their words alone.
    """

    go_terms: pl.DataFrame
    programs: pl.DataFrame
    program_names: Mapping[str, str]
    vectors: tuple[Sequence[str], NDArray[np.float32]] | None
    embed: Embed | None
    ontology: Ontology
    _embedded: dict[str, NDArray[np.float32]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        properties: pl.DataFrame,
        programs: Sequence[pl.DataFrame],
        terms: Sequence[pl.DataFrame],
        vectors: tuple[Sequence[str], NDArray[np.float32]] | None,
        embed: Embed | None,
        ontology: Ontology,
    ) -> DescriptionInputs:
        """Of rows of tables `gene_properties`, and `gene_programs`, `program_terms` of a space."""
        number = pl.col("program").cast(pl.String)
        members = [pl.DataFrame(schema={"ensembl_gene_id": pl.String, "name": pl.String})]
        members += [rows.select("ensembl_gene_id", name=number) for rows in programs]
        named: dict[str, str] = {}
        for rows in terms:
            for program, term in rows.sort("program", "p", "term").select(number, "term").rows():
                named.setdefault(program, term)
        return cls(go_members(properties), pl.concat(members), named, vectors, embed, ontology)

    def vocabulary(
        self,
        collection: str,
        grouping: str,
        values: Sequence[str],
        genes: Sequence[str],
        symbols: Mapping[str, str],
    ) -> Vocabulary:
        """What the groups of one label of a collection are described in."""
        labels: list[LabelQuery] = []
        similarity = np.full((len(genes), 0), np.nan)
        if self.embed is not None and self.vectors is not None:
            queries = label_queries(collection, values, self.ontology, of_field=grouping)
            labels = Lineages(self.ontology).candidates(grouping, queries)
        if labels and self.vectors is not None:
            texts = [self._vectors(query) for query in labels]
            similarity = similarity_on_axis(*self.vectors, genes, texts)
        return Vocabulary(
            genes, symbols, self.go_terms, self.programs, self.program_names, labels, similarity
        )

    def _vectors(self, query: LabelQuery) -> NDArray[np.float32]:
        texts = query.texts(self.ontology)
        if self.embed is not None and (new := [t for t in texts if t not in self._embedded]):
            self._embedded |= dict(zip(new, self.embed(new), strict=True))
        return np.array([self._embedded[text] for text in texts])


def describing_space(of: CollectionTables) -> Space | None:
    """The space of programs and labels: `SPACE`, or the first that is of texts and no control.

    Parameters
    ----------
    of
        The collections and their tables.

    Returns
    -------
    Space or None
        None where no chosen space is of texts.
    """
    texts = [space for space in of.spaces if space.is_text and not space.is_control]
    return next((space for space in texts if space.id == SPACE), texts[0] if texts else None)


def read_description_inputs(
    of: CollectionTables,
) -> tuple[Callable[[], DescriptionInputs], dict[str, str], str]:
    """Find what groups are described in.

    Parameters
    ----------
    of
        Tables `gene_properties` and `gene_embeddings`; `gene_programs` and `program_terms` where
        programs are wanted.

    Returns
    -------
    inputs : callable
        Reads them when it is called first.
    hashes : dict of str to str
        Of their content.
    space : str
        Id of the space of programs and labels; empty if there is none.
    """
    lake, space = of.lake, describing_space(of)
    properties = lake.read(of.tables["gene_properties"])
    hashes = {
        "go_terms": sha256_of(go_members(properties).write_csv()),
        "ontology": of.ontology_version,
    }
    of_space = {
        name: of.tables[name].matching(space.id) if space and name in of.tables else []
        for name in ("gene_embeddings", "gene_programs", "program_terms")
    }
    hashes |= {name: sha256_of([it.sha256 for it in parts]) for name, parts in of_space.items()}

    @cache
    def read_once() -> DescriptionInputs:
        vectors = [
            lake.read_arrow(part, ["ensembl_gene_id", "embedding"])
            for part in of_space["gene_embeddings"]
        ]
        programs, terms = (
            [lake.read(part) for part in of_space[name]]
            for name in ("gene_programs", "program_terms")
        )
        return DescriptionInputs.of(
            properties,
            programs,
            terms,
            (vectors[0]["ensembl_gene_id"].to_pylist(), embedding_matrix(vectors[0]))
            if vectors
            else None,
            of.embed_names(space) if space else None,
            of.ontology(),
        )

    return read_once, hashes, space.id if space else ""


def go_members(properties: pl.DataFrame) -> pl.DataFrame:
    """Terms of the Gene Ontology and their genes.

    Parameters
    ----------
    properties
        Table `gene_properties`.

    Returns
    -------
    pl.DataFrame
        Columns ``name`` and ``ensembl_gene_id``, each row once, in order.
    """
    members = properties.filter(task=GO_TERMS).select("ensembl_gene_id", name="label")
    return members.drop_nulls().unique().sort("name", "ensembl_gene_id")
