"""Reports on the mapping of a collection's gene names: figures, largest losses, a small picture.

Made from rows of table `gene_mapping`; where a report is shown is decided elsewhere.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Final

import polars as pl

from genept.common import markdown_text
from genept.storage import Lake, StoredTable

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
