"""Checks of descriptions: whether every labelled group has one, of all its observations."""

import polars as pl

from genept.embeddings import LABELS
from genept.storage import Lake, StoredTable

KEY = ("collection_id", "grouping", "group_label")


def undescribed_groups(
    lake: Lake, descriptions: StoredTable, observations: StoredTable
) -> list[str]:
    """Find labelled groups without a paragraph, and paragraphs of other groups or sizes.

    Parameters
    ----------
    lake
        The lake of the tables.
    descriptions
        Table `observation_descriptions`.
    observations
        Table `observations`.

    Returns
    -------
    list of str
        One sentence per collection with such groups.
    """
    findings = []
    described = {part.partition: part for part in descriptions.parts}
    for part in observations.parts:
        rows = lake.read(part, ["collection_id", *LABELS])
        compared = [label for label in LABELS if rows[label].n_unique() > 1]
        groups = rows.unpivot(compared, index="collection_id", variable_name="grouping")
        groups = groups.rename({"value": "group_label"}).drop_nulls("group_label")
        expected = groups.group_by(KEY).len("n_observations") if compared else None
        stored = described.pop(part.partition, None)
        if expected is None:
            if stored is not None:
                findings.append(f"{part.partition[0]}: has descriptions and no labels")
            continue
        columns = [*KEY, "n_observations"]
        paragraphs = (
            lake.read(stored).filter(kind="paragraph").select(columns)
            if stored is not None
            else expected.clear().cast({"n_observations": pl.Int64})
        )  # fmt: skip
        sizes = expected.cast({"n_observations": pl.Int64}).select(columns)
        for what, odd in (
            ("groups without a paragraph", sizes.join(paragraphs, on=columns, how="anti")),
            ("paragraphs of no group", paragraphs.join(sizes, on=columns, how="anti")),
        ):
            if odd.height:
                first = odd.sort(columns).row(0)
                findings.append(f"{part.partition[0]}: {odd.height} {what}, such as {first[1:]}")
    findings += [f"{id_}: has descriptions and no observations" for (id_,) in described]
    return findings
