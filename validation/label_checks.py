"""Checks of labels: whether each has an outcome, and every id of a term is described."""

import polars as pl

from genept.schema.tables import LABEL_FIELDS
from genept.storage import Lake, StoredTable

WITH_TERM = ("declared", "published", "name", "synonym", "spelling", "abbreviation")


def unmapped_labels(
    lake: Lake, terms: StoredTable, observations: StoredTable, label_mapping: StoredTable
) -> list[str]:
    """Find labels without an outcome, outcomes that do not fit, and ids that are not described.

    Parameters
    ----------
    lake
        The lake of the tables.
    terms
        Table `ontology_terms`.
    observations, label_mapping
        Tables of these names.

    Returns
    -------
    list of str
        One sentence per collection and kind of finding.
    """
    known = set(lake.read(terms, ["term_id"])["term_id"])
    mappings = {part.partition: part for part in label_mapping.parts}
    findings = []
    for part in observations.parts:
        (collection,) = part.partition
        rows = lake.read(part)
        labels = rows.unpivot(LABEL_FIELDS, variable_name="field", value_name="label_text")
        counted = labels.drop_nulls("label_text").group_by("field", "label_text").len()
        counted = counted.select("field", "label_text", n_observations=pl.col("len").cast(pl.Int64))
        mapping = mappings.pop(part.partition, None)
        mapped = lake.read(mapping) if mapping else None
        stored = counted.clear() if mapped is None else mapped.select(counted.columns)
        if missing := counted.join(stored, on=counted.columns, how="anti").height:
            findings.append(
                f"{collection}: {missing} labels are not in label_mapping, or not so often"
            )
        if further := stored.join(counted, on=counted.columns, how="anti").height:
            findings.append(f"{collection}: {further} rows of label_mapping are of no label")
        if mapped is not None:
            has_term = pl.col("outcome").is_in(WITH_TERM)
            if odd := mapped.filter(has_term != pl.col("term_id").is_not_null()).height:
                findings.append(f"{collection}: {odd} labels whose outcome and term do not agree")
        ids = {id_ for name in rows.columns if name.endswith("_term_id") for id_ in rows[name]}
        if unknown := sorted(ids - known - {None}):
            findings.append(
                f"{collection}: {len(unknown)} ids are not in ontology_terms, such as {unknown[0]}"
            )
    findings += [f"{id_}: has labels and no observations" for (id_,) in mappings]
    return findings
