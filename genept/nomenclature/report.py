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

_COLOURS: Final = {
    "mapped as it stands": "#2e7d32",
    "mapped with a remark": "#9ccc65",
    "not decided": "#ffb300",
    "not a human gene": "#8d6e63",
    "unknown": "#c62828",
}
_FATE: Final = {
    "exact": "mapped as it stands",
    "ensembl_id": "mapped as it stands",
    "version_stripped": "mapped with a remark",
    "case_or_space_fixed": "mapped with a remark",
    "entrez_id": "mapped as it stands",
    "previous": "mapped with a remark",
    "alias": "mapped with a remark",
    "retired_successor": "mapped with a remark",
    "ambiguous": "not decided",
    "spreadsheet_date": "not decided",
    "spreadsheet_number": "not decided",
    "non_human": "not a human gene",
    "control_feature": "not a human gene",
    "withdrawn": "unknown",
    "without_ensembl_id": "unknown",
    "unknown": "unknown",
}


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
        bars = [
            self._bar(y, label, column)
            for y, (label, column) in enumerate(
                (("names", "share_of_names"), ("expression", "share_of_expression"))
            )
        ]
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

    def _bar(self, place: int, label: str, column: str) -> str:
        fates = self.outcomes.with_columns(pl.col("outcome").replace_strict(_FATE).alias("fate"))
        shares = dict(fates.group_by("fate").agg(pl.col(column).sum()).iter_rows())
        y, x, boxes = 8 + 26 * place, 90.0, []
        for fate, colour in _COLOURS.items():
            width = 640 * shares.get(fate, 0.0)
            boxes.append(
                f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="18" fill="{colour}">'
                f"<title>{fate}: {shares.get(fate, 0.0):.2%}</title></rect>"
            )
            x += width
        return f'<text x="4" y="{y + 13}">{label}</text>{"".join(boxes)}'


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
