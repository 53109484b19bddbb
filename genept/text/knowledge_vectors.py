"""Spaces of knowledge beyond texts: a network of proteins, Gene Ontology, and fused spaces.

Those of texts are `genept.text.gene_vectors`; of collections, `genept.embeddings.coexpression`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from genept.datasources import NETWORKS, network_files, read_network
from genept.nomenclature import Nomenclature, Reference
from genept.release import is_restricted
from genept.storage import Lake, NewPart, Origin, Part
from genept.text.embedders import EmbeddingError, Space, embedding_column
from genept.text.fusion import GeneMatrix, fused
from genept.text.gene_vectors import gene_embedding_rows
from genept.text.knowledge import KnowledgeSources, remedy
from genept.text.local import shuffled
from genept.text.recipes import PartName
from genept.text.spectral import co_annotation_vectors, spectral_vectors

CO_ANNOTATION: Final = "co-annotation"
"""Second half of the id of a space of Gene Ontology."""

STATED: Final[Mapping[str, PartName]] = {"network": "interactions", "go": "go"}
"""The part of descriptions that states the same as a space, by what the space is made of."""

_BASELINES: Final = "genept.text.local.baselines"
_CODE: Final = ("genept.text.knowledge_vectors", _BASELINES, "genept.schema.tables")
_LINKS: Final = ("gene_a", "gene_b", "weight")
_SIDES: Final = {"a": ("input_a", "gene_a"), "b": ("input_b", "gene_b")}


@dataclass(frozen=True)
class GeneFacts:
    """What spaces beyond texts are made of.

    Parameters
    ----------
    sources
        The sources of knowledge of the installation.
    reference
        Opens the gene reference; called only if there is something new to make.
    reference_version
        Changes with what the reference is made from.
    """

    sources: KnowledgeSources
    reference: Callable[[], Reference]
    reference_version: str

    def unavailable(self, space: Space) -> str | None:
        """Why a space of a network or of Gene Ontology cannot be made here; None if it can."""
        known = {"network": sorted(NETWORKS), "go": [CO_ANNOTATION]}[space.made_of or ""]
        if space.recipe not in known:
            listed = ", ".join(f"{space.embedder}/{name}" for name in known)
            return f"there is no space {space.id!r}; there is {listed}"
        if space.made_of == "go":
            return None
        here = network_files(self.sources.archives, space.recipe).sha256
        lacking = [id_ for id_ in NETWORKS[space.recipe] if id_ not in here]
        return f"no source: {remedy(lacking)}" if lacking else None


def embed_facts(lake: Lake, space: Space, facts: GeneFacts) -> Part:
    """Build the gene vectors of a space of a network or of Gene Ontology, unless the lake has them.

    Parameters
    ----------
    lake
        Where the table is stored.
    space
        The space.
    facts
        What it is made of.

    Returns
    -------
    Part
        Of table `gene_embeddings`.

    Raises
    ------
    SourceError
        A source is missing, or not what it should be.
    EmbeddingError
        The source has too few genes for so many dimensions.
    """
    if space.made_of == "network":
        links = network_links(lake, space.recipe, facts)
        inputs = {"network_links": links.sha256}

        def vectors_of(genes: pl.DataFrame) -> GeneMatrix:
            rows = lake.read(links, ["fate", *_LINKS]).filter(fate="used")
            return spectral_vectors(
                rows.join(genes, left_on="gene_a", right_on="ensembl_gene_id", how="semi").join(
                    genes, left_on="gene_b", right_on="ensembl_gene_id", how="semi"
                ),
                space.size,
            )
    else:
        inputs = facts.sources.inputs(["go"])

        def vectors_of(genes: pl.DataFrame) -> GeneMatrix:
            return co_annotation_vectors(facts.sources.read(genes, ["go"]).facts["go"], space.size)

    origin = Origin(
        code=(*_CODE, "genept.text.knowledge", "genept.text.spectral"),
        inputs=inputs | {"reference": facts.reference_version},
        settings={"space": space.id},
        libraries=("numpy", "scikit-learn", "scipy"),
    )

    def compute() -> list[NewPart]:
        genes = facts.reference().published
        ids, vectors = vectors_of(genes)
        symbol_of = dict(genes.select("ensembl_gene_id", "symbol").iter_rows())
        return [_rows(space, ids, [symbol_of[id_] for id_ in ids], vectors)]

    (part,) = lake.build(f"gene_embeddings/{space.id}", origin, compute)
    return part


def embed_fused(lake: Lake, space: Space, members: Mapping[str, Part]) -> Part:
    """Build the gene vectors of a fused space, unless the lake has them.

    Parameters
    ----------
    lake
        Where the table is stored.
    space
        The space, with its fusion.
    members
        Their parts of `gene_embeddings`, by space; if one may not be passed on, neither may this.

    Returns
    -------
    Part
        Of table `gene_embeddings`.

    Raises
    ------
    EmbeddingError
        The members share too few genes.
    """
    if space.fusion is None:
        raise EmbeddingError(f"space {space.id!r} does not say what it is made of")
    fusion = space.fusion
    terms = {"redistributable": False} if any(map(is_restricted, members.values())) else {}
    origin = Origin(
        code=(*_CODE, "genept.text.fusion"),
        inputs={member: members[member].sha256 for member in fusion.members},
        settings={"space": space.id, "weights": fusion.weights, "missing": fusion.missing} | terms,
        libraries=("numpy",),
    )

    def compute() -> list[NewPart]:
        symbol_of: dict[str, str] = {}
        matrices: dict[str, GeneMatrix] = {}
        for member, part in members.items():
            rows = lake.read_arrow(part, ["ensembl_gene_id", "symbol", "embedding"])
            ids, symbols, vectors = rows.columns
            symbol_of |= dict(zip(ids.to_pylist(), symbols.to_pylist(), strict=True))
            values = vectors.combine_chunks().flatten().to_numpy()
            matrices[member] = ids.to_pylist(), values.reshape(len(ids), -1)
        try:
            genes, joined = fused(matrices, fusion)
        except ValueError as error:
            raise EmbeddingError(f"space {space.id!r}: {error}") from error
        return [_rows(space, genes, [symbol_of[gene] for gene in genes], joined)]

    (part,) = lake.build(f"gene_embeddings/{space.id}", origin, compute)
    return part


def network_links(lake: Lake, network: str, facts: GeneFacts) -> Part:
    """Build the working table of a network's links between genes, unless the lake has it.

    Parameters
    ----------
    lake
        Where the table is stored.
    network
        Name of the network.
    facts
        Its sources, and the gene reference.

    Returns
    -------
    Part
        Of table `network_links`: every row of the publisher's file, with its fate.

    Raises
    ------
    SourceError
        A source is missing, or not what it should be.
    """
    files = network_files(facts.sources.archives, network)
    origin = Origin(
        code=(
            "genept.datasources.interaction_networks",
            "genept.nomenclature",
            "genept.schema.tables",
            "genept.text.knowledge_vectors",
        ),
        inputs=dict(files.sha256) | {"reference": facts.reference_version},
        settings={"network": network},
    )

    def compute() -> list[NewPart]:
        names = Nomenclature(facts.reference().index)
        rows = mapped_links(read_network(network, files), names)
        named = rows.select(pl.lit(network).alias("network"), pl.all())
        return [NewPart("network_links", named, (network,))]

    (part,) = lake.build(f"network_links/{network}", origin, compute)
    return part


def link_fates(lake: Lake, network: str, facts: GeneFacts) -> dict[str, int]:
    """Count the links of a network by fate, and the names that stand for no gene.

    Parameters
    ----------
    lake, network, facts
        As in `network_links`.

    Returns
    -------
    dict of str to int
        Number of links by fate, and ``names without gene``.
    """
    rows = lake.read(network_links(lake, network, facts), ["fate", *_SIDES["a"], *_SIDES["b"]])
    sides = [rows.select(name=name, gene=gene) for name, gene in _SIDES.values()]
    unknown = pl.concat(sides).filter(pl.col("gene").is_null())["name"].n_unique()
    fates = rows["fate"].value_counts().sort("fate")
    return dict(fates.iter_rows()) | {"names without gene": unknown}


def mapped_links(links: pl.DataFrame, nomenclature: Nomenclature) -> pl.DataFrame:
    """Map the names of links to genes, and say which links are used.

    Parameters
    ----------
    links
        input_a, input_b, weight.
    nomenclature
        What names mean.

    Returns
    -------
    pl.DataFrame
        Columns of table `network_links`, but the network. Of links between the same two genes, in
        whatever direction, the one with the highest weight is used.
    """
    names = pl.concat([links["input_a"], links["input_b"]]).unique().sort().to_list()
    meaning = dict(nomenclature.map(names).rows.select("input_id", "ensembl_gene_id").iter_rows())
    rows = links.select(
        pl.int_range(pl.len(), dtype=pl.Int64).alias("position"),
        "input_a",
        "input_b",
        *(
            pl.col(f"input_{side}")
            .replace_strict(meaning, default=None, return_dtype=pl.String)
            .alias(f"gene_{side}")
            for side in "ab"
        ),
        "weight",
    )
    ends = pl.min_horizontal("gene_a", "gene_b"), pl.max_horizontal("gene_a", "gene_b")
    rank = pl.col("weight").rank("ordinal", descending=True).over(ends)
    fate = (
        pl.when(pl.col("gene_a").is_null() | pl.col("gene_b").is_null())
        .then(pl.lit("without_gene"))
        .when(pl.col("gene_a") == pl.col("gene_b"))
        .then(pl.lit("self_pair"))
        .when(rank > 1)
        .then(pl.lit("duplicate"))
        .otherwise(pl.lit("used"))
    )
    return rows.with_columns(fate=fate)


def _rows(
    space: Space, ids: Sequence[str], symbols: list[str], vectors: npt.NDArray[np.float32]
) -> NewPart:
    """Rows of table `gene_embeddings`; in a shuffled variant, each gene has another's vector."""
    if space.variant == "shuffled":
        vectors = vectors[shuffled(ids)]
    texts = pa.nulls(len(ids), pa.string())
    return gene_embedding_rows(
        space, pa.array(ids), pa.array(symbols), embedding_column(vectors), texts
    )
