"""Rows of the tables of one collection: mapping, axis, summary, and quarantine.

What a parser quarantines is in `genept.datasources`; what is merged, in
`genept.collections.merging`.
"""

from dataclasses import asdict
from typing import Final

import numpy as np
import polars as pl

from genept.collections.merging import GeneAxis, column_fingerprints
from genept.collections.preflight import refuse_other_axis, refuse_other_unit
from genept.datasources import Collection
from genept.datasources.download import Archives
from genept.datasources.readers import ParsedCollection, Quarantined
from genept.nomenclature import (
    DuplicatePolicy,
    NamePolicy,
    Nomenclature,
    Reference,
    Screening,
    refuse_low_coverage,
    screen_names,
)

FAR = 6.0

ENOUGH = 30
"""With fewer observations nothing is reported as odd."""


_GAVE_WAY: Final = {
    "highest_mean": ("lower_mean", "whose mean is not lower"),
    "first": ("not_first", "which stands before it"),
}

_KEPT_OUT: Final = {
    "par_y": "the Y copy of a pseudoautosomal gene; the collection's `par_y` policy is to leave "
    "it out, `merge` would have taken it in",
    "copy": "another column of the same Ensembl id has the same values and is kept",
}


def passed_over(
    parsed: ParsedCollection,
    mapped: GeneAxis,
    axis: GeneAxis,
    policy: DuplicatePolicy = "highest_mean",
) -> list[Quarantined]:
    """Inputs that have a gene, but of which another input of that gene is kept."""
    reason, why = _GAVE_WAY.get(policy, _GAVE_WAY["highest_mean"])
    chosen = {axis.target[column]: column for column in np.flatnonzero(axis.target >= 0)}
    return [
        Quarantined(
            "gene",
            parsed.input_genes[column],
            reason,
            f"is the same gene as {parsed.input_genes[chosen[mapped.target[column]]]}, {why}",
        )
        for column in np.flatnonzero((mapped.target >= 0) & (axis.target < 0))
    ]


def screened_out(parsed: ParsedCollection, screening: Screening) -> list[Quarantined]:
    """Inputs whose name means a gene, but which the checks of the whole matrix left out.

    Names without a gene are in `gene_mapping`, with their outcome.
    """
    rows = screening.rows.with_columns(pl.Series("column", parsed.input_genes))
    return [
        Quarantined("gene", column, reason, _KEPT_OUT[reason])
        for column, reason in rows.select("column", "reason").iter_rows()
        if reason in _KEPT_OUT
    ]


def empty_observations(parsed: ParsedCollection, empty: pl.DataFrame) -> list[Quarantined]:
    """Observations without any value, and their responses."""
    quarantined = [
        Quarantined("observation", id_, "empty", "no gene of it has a value")
        for id_ in empty["observation_id"]
    ]
    if parsed.responses is not None:
        lost = parsed.responses.join(empty, on="observation_id", how="semi")
        counted = lost.group_by("observation_id", maintain_order=True).agg(
            pl.col("n_measured").sum()
        )
        detail = "the observation has responses, but no gene of it has a value"
        quarantined += [
            Quarantined("response", id_, "empty", detail, n) for id_, n in counted.iter_rows()
        ]
    return quarantined


def silent_genes(collection: str, mapping: pl.DataFrame) -> list[Quarantined]:
    """Inputs that have a gene and are zero in every observation: kept, with one warning."""
    zero = mapping.filter(pl.col("ensembl_gene_id").is_not_null(), expression_share=0)["input_id"]
    if not zero.len():
        return []
    detail = f"zero in every observation, and kept: such as {', '.join(zero.head(4))}"
    return [Quarantined("file", collection, "all_zero_genes", detail, zero.len(), action="warned")]


def odd_libraries(observations: pl.DataFrame) -> list[Quarantined]:
    """Observations whose total or number of genes is far from the others'.

    Far is more than `FAR` times the median distance from the median, in logarithms. They are kept:
    a failed library in one experiment is a large cell in another.
    """
    if observations.height < ENOUGH:
        return []
    odd = []
    for column, what in (("total", "a sum"), ("n_genes", "a number of genes")):
        values = np.log10(observations[column].to_numpy().clip(min=1e-9))
        away = np.abs(values - np.median(values))
        far = away > FAR * max(float(np.median(away)), 0.05)
        odd += [
            Quarantined(
                "observation", id_, f"odd_{column}", f"{what} of {value:,.6g}", action="warned"
            )
            for id_, value in observations.select("observation_id", column)
            .filter(pl.Series(far))
            .iter_rows()
        ]
    return odd


def quarantine_rows(quarantined: list[Quarantined]) -> pl.DataFrame:
    """Rows of table `quarantine`, but for the collection they belong to."""
    texts = ("item", "input_id", "reason", "action", "detail")
    schema = {**dict.fromkeys(texts, pl.String), "n": pl.Int64}
    return pl.DataFrame([asdict(record) for record in quarantined], schema=schema)


def mapped_names(
    collection: Collection, parsed: ParsedCollection, reference: Reference
) -> tuple[pl.DataFrame, Screening]:
    """Map and screen the gene names of a parsed collection; its axis and unit are checked first.

    Parameters
    ----------
    collection
        Its catalogue entry, which states the policies.
    parsed
        Its contents.
    reference
        The gene reference.

    Returns
    -------
    names, screening
        `MappingResult.rows` of its input columns; and a verdict on every one of them.

    Raises
    ------
    CollectionRefusedError
        Its columns are not human genes, or its values contradict its unit.
    GeneNamesRefusedError
        Its gene names contradict the policies.
    """
    names = Nomenclature(reference.index).map(parsed.symbols, parsed.entrez_ids).rows
    refuse_other_axis(collection, parsed, names, reference)
    refuse_other_unit(collection, parsed)
    screening = screen_names(
        names.with_columns(pl.Series("input_id", parsed.symbols)),
        NamePolicy(collection.duplicate_policy, collection.par_y, collection.annotation_release),
        collection=collection.id,
        # A pass over all values, taken only if an id occurs twice.
        fingerprints=lambda: column_fingerprints(
            parsed.expression.blocks(), len(parsed.input_genes)
        ),
    )
    return names, screening


def mapping_rows(
    collection: Collection,
    parsed: ParsedCollection,
    names: pl.DataFrame,
    absolute: pl.DataFrame,
    release: str,
) -> pl.DataFrame:
    """Build the rows of table `gene_mapping`.

    Parameters
    ----------
    collection
        Its catalogue entry.
    parsed
        Its contents.
    names
        `MappingResult.rows` of its input columns.
    absolute
        input_id and `absolute`, the sum of its absolute values.
    release
        Name of the reference.

    Returns
    -------
    polars.DataFrame
        One row per input, in order.
    """
    inputs = pl.DataFrame({"input_id": parsed.input_genes}, schema={"input_id": pl.String})
    sums = inputs.join(absolute, on="input_id", how="left", maintain_order="left")["absolute"]
    return names.with_columns(
        pl.lit(collection.id).alias("collection_id"),
        inputs["input_id"],
        (sums.fill_null(0) / (sums.sum() or 1.0)).alias("expression_share"),
        pl.lit(release).alias("reference_release"),
    )


def coverage_of(collection: Collection, mapping: pl.DataFrame) -> float:
    """Return the share of the expression that maps to a gene.

    Parameters
    ----------
    collection
        Its catalogue entry.
    mapping
        Its rows of table `gene_mapping`.

    Returns
    -------
    float
        0 to 1.

    Raises
    ------
    GeneNamesRefusedError
        The share is below `screening.MINIMUM_COVERAGE`.
    """
    reached = mapping.filter(pl.col("ensembl_gene_id").is_not_null())
    coverage = float(reached["expression_share"].sum())
    lost = mapping.filter(pl.col("ensembl_gene_id").is_null()).top_k(3, by="expression_share")
    largest = list(lost.select("input_id", "expression_share").iter_rows())
    refuse_low_coverage(coverage, collection=collection.id, largest=largest)
    return min(coverage, 1.0)


def axis_rows(
    collection: Collection, axis: GeneAxis, genes: pl.DataFrame, seen: pl.DataFrame
) -> pl.DataFrame:
    """Rows of table `gene_axis`."""
    rows = pl.DataFrame(
        {
            "gene_index": np.arange(len(axis.ensembl_gene_ids), dtype=np.uint32),
            "ensembl_gene_id": axis.ensembl_gene_ids,
            "n_inputs": axis.n_inputs,
            "policy": pl.Series(axis.policies(collection.duplicate_policy), dtype=pl.String),
        }
    )
    known = genes.select("ensembl_gene_id", "symbol", "length")
    rows = rows.join(known, on="ensembl_gene_id", how="left")
    rows = rows.join(seen, on="gene_index", how="left")
    return labelled(collection, rows.with_columns(pl.col("n_observations").fill_null(0)))


def summary_of(
    archives: Archives,
    collection: Collection,
    n_observations: int,
    n_genes: int,
    quarantined: list[Quarantined],
    coverage: float,
    n_without_length: int,
) -> pl.DataFrame:
    """The row of table `collections`."""
    sources = [archives.catalogue.source(source).released_as for source in collection.sources]
    stated = {"title", "kind", "unit", "group_axis", "licence", "redistributable", "citation"}
    row = collection.model_dump(include={*stated, "caveat"}) | {
        "weights": collection.weights,
        "n_without_length": n_without_length,
        "sources": sources,
        "n_observations": n_observations,
        "n_genes": n_genes,
        "n_quarantined": sum(record.action == "kept_out" for record in quarantined),
        "mapped_expression": coverage,
    }
    return labelled(collection, pl.DataFrame([row], schema_overrides={"caveat": pl.String}))


def labelled(collection: Collection, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with the collection's id."""
    return rows.with_columns(pl.lit(collection.id).alias("collection_id"))
