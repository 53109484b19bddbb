"""What groups of observations are described in: terms, programs, vectors and labels, of the lake.

Where descriptions are built of them is `genept.embeddings.text_readings.collection_descriptions`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genept.embeddings.collection_tables import CollectionTables
from genept.embeddings.expression import embedding_matrix
from genept.embeddings.text_readings.group_statements import Vocabulary
from genept.embeddings.text_readings.label_meanings import LabelQuery, Ontology, label_queries
from genept.embeddings.text_readings.lineages import Lineages
from genept.embeddings.text_readings.readings import text_similarity
from genept.storage import Lake, Part, sha256_of
from genept.text import Space

SPACE: Final = "minilm-l6-v2/name-go"
"""Space of programs and labels, where it is chosen; the settings of descriptions are of it."""

GO_TERMS: Final = "go-terms"
"""Task of table `gene_properties` whose labels are terms of the Gene Ontology."""

Embed = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass
class DescriptionInputs:
    """What is known of genes and of names, for collections and groups of any kind.

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
            queries = label_queries(collection, values, self.ontology)
            labels = Lineages(self.ontology).candidates(grouping, queries)
        if labels and self.vectors is not None:
            ids, matrix = self.vectors
            place = {id_: row for row, id_ in enumerate(ids)}
            rows = np.array([place.get(gene, -1) for gene in genes], np.intp)
            similarity = np.full((len(genes), len(labels)), np.nan)
            similar = text_similarity(matrix, [self._vectors(query) for query in labels])
            similarity[rows >= 0] = similar[rows[rows >= 0]]
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


def description_inputs(
    of: CollectionTables,
) -> tuple[Callable[[], DescriptionInputs], dict[str, str], str]:
    """What groups are described in: read once it is needed, content hashes, id of the space."""
    lake, space = of.lake, describing_space(of)
    properties = lake.read(of.tables["gene_properties"]).filter(task=GO_TERMS)
    go_terms = properties.select(name="label", ensembl_gene_id="ensembl_gene_id").drop_nulls()
    go_terms = go_terms.unique().sort(pl.all())
    of_space = {
        name: of.tables[name].matching(space.id) if space else []
        for name in ("gene_embeddings", "gene_programs", "program_terms")
    }
    inputs = {name: sha256_of([it.sha256 for it in parts]) for name, parts in of_space.items()}
    inputs |= {"go_terms": sha256_of(go_terms.write_csv()), "ontology": of.ontology_version}
    read: list[DescriptionInputs] = []

    def read_once() -> DescriptionInputs:
        if not read:
            read.append(
                DescriptionInputs(
                    go_terms,
                    *_programs(lake, of_space["gene_programs"], of_space["program_terms"]),
                    _vectors(lake, of_space["gene_embeddings"]),
                    of.embed_names(space) if space else None,
                    of.ontology(),
                )
            )
        return read[0]

    return read_once, inputs, space.id if space else ""


def _programs(
    lake: Lake, members: Sequence[Part], terms: Sequence[Part]
) -> tuple[pl.DataFrame, dict[str, str]]:
    """Genes of each program, and the term that most surely describes it."""
    number = pl.col("program").cast(pl.String)
    empty = pl.DataFrame(schema={"name": pl.String, "ensembl_gene_id": pl.String})
    frames = [lake.read(part).select("ensembl_gene_id", name=number) for part in members]
    genes = pl.concat([empty, *(it.select(empty.columns) for it in frames)])
    named: dict[str, str] = {}
    for part in terms:
        rows = lake.read(part).sort("program", "p", "term").select(number, "term")
        for program, term in rows.iter_rows():
            named.setdefault(program, term)
    return genes, named


def _vectors(lake: Lake, parts: Sequence[Part]) -> tuple[list[str], NDArray[np.float32]] | None:
    if not parts:
        return None
    table = lake.read_arrow(parts[0], ["ensembl_gene_id", "embedding"])
    return table["ensembl_gene_id"].to_pylist(), embedding_matrix(table)
