"""What the mapping of gene names shows: reports, changes that concern it, and mixed annotations.

Reports are figures, largest losses and a small picture, made from rows of table `gene_mapping`;
where a report is shown is decided elsewhere. Refusing a matrix is `genept.nomenclature.screening`.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Final

import polars as pl

from genept.common import markdown_text
from genept.storage import Lake, StoredTable

MIN_VERSION_CLASHES: Final = 5
"""Ids in two versions from which a matrix is refused; fewer may be slips of the publisher."""

MIN_REPLACED: Final = 20

MIN_REPLACED_LATER: Final = 0.1
"""Releases are mixed if of at least so many retired ids less than this share was replaced later
than the matrix was annotated; see `mixed_releases`."""

_NEWEST: Final = 0.99
"""Ids beyond this quantile may be strays: they do not say how new an annotation is."""

VERSIONED_ID: Final = r"^(ENSG\d{11})(?:\.(\d+))?$"
"""An Ensembl gene id and, if it is there, its version."""

_FATES: Final = {
    "mapped as it stands": ("#2e7d32", "exact", "ensembl_id", "entrez_id"),
    "mapped with a remark": (
        *("#9ccc65", "version_stripped", "case_or_space_fixed"),
        *("previous", "alias", "retired_successor"),
    ),
    "not decided": ("#ffb300", "ambiguous", "spreadsheet_date", "spreadsheet_number"),
    "not a human gene": ("#8d6e63", "non_human", "control_feature"),
    "unknown": ("#c62828", "withdrawn", "without_ensembl_id", "unknown"),
}
"""What becomes of names: its colour, and the outcomes that it stands for."""

_COLOURS: Final = {fate: colour for fate, (colour, *_) in _FATES.items()}
_FATE: Final = {outcome: fate for fate, (_, *outcomes) in _FATES.items() for outcome in outcomes}


@dataclass(frozen=True)
class MappingReport:
    """The mapping of one collection's names, summarised.

    Parameters
    ----------
    collection
        Its id.
    outcomes
        outcome, n, n_mapped, share_of_names, share_of_expression; largest share of expression
        first.
    lost
        The unmapped names with the largest share of expression: input_id, outcome, evidence,
        expression_share.
    """

    collection: str
    outcomes: pl.DataFrame
    lost: pl.DataFrame

    @property
    def coverage(self) -> tuple[float, float]:
        """Shares of names, and of expression, that map to a gene."""
        reached = self.outcomes.filter(pl.col("n_mapped") > 0)
        n_mapped, n = int(reached["n_mapped"].sum()), int(self.outcomes["n"].sum())
        return n_mapped / n, float(reached["share_of_expression"].sum())

    def picture(self) -> str:
        """Draw two bars, by names and by expression, as SVG for light and dark pages."""
        bars = [self._bar(place, label) for place, label in enumerate(("names", "expression"))]
        keys = [
            f'<rect x="{90 + 128 * place}" y="64" width="10" height="10" fill="{colour}"/>'
            f'<text x="{104 + 128 * place}" y="73">{fate}</text>'
            for place, (fate, colour) in enumerate(_COLOURS.items())
        ]
        return (
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 740 82" width="740" '
            'font-family="sans-serif" font-size="11" fill="#888">'
            f"{''.join(bars)}{''.join(keys)}</svg>"
        )

    def markdown(self) -> str:
        """Render the report as Markdown, picture included."""
        names, expression = self.coverage
        encoded = base64.b64encode(self.picture().encode()).decode()
        return "\n".join(
            [
                (
                    f"**{markdown_text(self.collection)}**: {names:.1%} of names, "
                    f"{expression:.2%} of expression"
                ),
                "",
                f"![outcomes](data:image/svg+xml;base64,{encoded})",
                "",
                "| outcome | names | of names | of expression |",
                "|---|--:|--:|--:|",
                *(
                    f"| {row['outcome']} | {row['n']:,} | {row['share_of_names']:.2%} "
                    f"| {row['share_of_expression']:.3%} |"
                    for row in self.outcomes.iter_rows(named=True)
                ),
                "",
                "| lost | why | of expression |",
                "|---|---|--:|",
                *(
                    f"| {markdown_text(row['input_id'])} | {row['outcome']}: "
                    f"{markdown_text(row['evidence'])} | {row['expression_share']:.4%} |"
                    for row in self.lost.iter_rows(named=True)
                ),
            ]
        )

    def _bar(self, place: int, label: str) -> str:
        shares = self.outcomes.group_by(pl.col("outcome").replace_strict(_FATE)).agg(
            pl.col(f"share_of_{label}").sum()
        )
        share_of, y, x = dict(shares.iter_rows()), 8 + 26 * place, 90.0
        bar = f'<text x="4" y="{y + 13}">{label}</text>'
        for fate, colour in _COLOURS.items():
            share = share_of.get(fate, 0.0)
            bar += (
                f'<rect x="{x:.1f}" y="{y}" width="{640 * share:.1f}" height="18" fill="{colour}">'
                f"<title>{fate}: {share:.2%}</title></rect>"
            )
            x += 640 * share
        return bar


def mapping_pages(lake: Lake, mapping: StoredTable) -> dict[str, str]:
    """Render the report of every collection.

    Parameters
    ----------
    lake
        Where the table is stored.
    mapping
        Table `gene_mapping`.

    Returns
    -------
    dict of str to str
        Markdown by collection.
    """
    return {part.partition[0]: mapping_report(lake.read(part)).markdown() for part in mapping.parts}


def mapping_report(mapping: pl.DataFrame, *, worst: int = 10) -> MappingReport:
    """Summarise the mapping of one collection.

    Parameters
    ----------
    mapping
        Its rows of table `gene_mapping`.
    worst
        Number of unmapped names to list.

    Returns
    -------
    MappingReport
        Figures and the largest losses.
    """
    outcomes = (
        mapping.group_by("outcome")
        .agg(
            pl.len().alias("n"),
            pl.col("ensembl_gene_id").count().alias("n_mapped"),
            pl.col("expression_share").sum().alias("share_of_expression"),
        )
        .with_columns((pl.col("n") / mapping.height).alias("share_of_names"))
        .sort("share_of_expression", "outcome", descending=[True, False])
    )
    lost = mapping.filter(pl.col("ensembl_gene_id").is_null()).select(
        "input_id", "outcome", "evidence", "expression_share"
    )
    return MappingReport(
        mapping["collection_id"][0],
        outcomes,
        lost.sort("expression_share", "input_id", descending=[True, False]).head(worst),
    )


def touched_collections(differences: pl.DataFrame, mapping: pl.DataFrame) -> pl.DataFrame:
    """Return the collections that changes of the reference concern.

    Parameters
    ----------
    differences
        As `reference_differences` returns them.
    mapping
        Table `gene_mapping`.

    Returns
    -------
    polars.DataFrame
        collection_id, change, n_inputs, and expression_share of those inputs.
    """
    ids = differences.select(
        "change", ensembl_gene_id=pl.concat_list("ensembl_before", "ensembl_after")
    ).explode("ensembl_gene_id", empty_as_null=True)
    return (
        mapping.join(ids.drop_nulls().unique(), on="ensembl_gene_id")
        .group_by("collection_id", "change")
        .agg(pl.len().alias("n_inputs"), pl.col("expression_share").sum())
        .sort("collection_id", "change")
    )


def mixed_releases(rows: pl.DataFrame) -> str | None:
    """Return why the Ensembl ids of a matrix cannot be of one release of the annotation.

    No release holds an id in two versions. And Ensembl numbers ids in the order in which they are
    assigned: a release that still has a retired id has no id as new as many of the ids that
    replaced such ids later. A matrix that has both was put together from an old and a newer
    release. (59 % of those successors are newer than all ids of 10x's hg19 annotation; beside
    GENCODE 49, none.)

    Parameters
    ----------
    rows
        `MappingResult.rows`.

    Returns
    -------
    str or None
        The reason; None if there is none, or the reference knows too few retired ids to tell.
    """
    ids = rows.select(
        "outcome",
        "ensembl_gene_id",
        pl.col("input_id").str.extract(VERSIONED_ID, 1).alias("id"),
        pl.col("input_id").str.extract(VERSIONED_ID, 2).alias("version"),
    ).drop_nulls("id")
    clashes = ids.filter(pl.col("version").n_unique().over("id") > 1)["id"].unique().sort()
    if len(clashes) >= MIN_VERSION_CLASHES:
        return f"{len(clashes):,} of them occur in two versions, such as {clashes[0]}"
    number = pl.col("id").str.slice(4).cast(pl.Int64)
    heir = pl.col("ensembl_gene_id").str.slice(4).cast(pl.Int64)
    replaced = ids.filter(pl.col("outcome") == "retired_successor", heir > number)
    if replaced.height < MIN_REPLACED:
        return None
    newest = ids.select(number.quantile(_NEWEST)).item()
    later = replaced.filter(heir > newest).height
    if later >= MIN_REPLACED_LATER * replaced.height:
        return None
    retired, successor = replaced.select("id", "ensembl_gene_id").row(0)
    return (
        f"{replaced.height:,} of them were retired and replaced, such as {retired} by {successor}, "
        f"yet it has ids as new as ENSG{int(newest):011d}, when all but {later} of those were gone"
    )
