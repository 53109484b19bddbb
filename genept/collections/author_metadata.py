"""All that an author says of observations, field by field, with bounds.

Which fields a file has is the business of its parser; which of them are labels is stated in the
catalogue, and what labels mean is `genept.collections.labels`.
"""

from typing import Final

import polars as pl

from genept.datasources.readers import MOST_VALUES, Quarantined

MOST_FIELDS: Final = 400
"""Fields of a collection; recount3 has some 280."""

LONGEST_VALUE: Final = 1_000
"""Characters of a value."""

LONGEST_NAME: Final = 200


def metadata_rows(
    fields: pl.DataFrame | None, kept: pl.DataFrame
) -> tuple[pl.DataFrame, list[Quarantined]]:
    """Rows of table `observation_metadata`, and what is beyond the bounds.

    Parameters
    ----------
    fields
        Column ``observation_id``, and one for each field of the author's; None without any.
    kept
        The observations that are kept: column ``observation_id``.

    Returns
    -------
    rows : pl.DataFrame
        Columns ``observation_id``, ``field`` and ``value``, sorted; without empty values.
    quarantined : list of Quarantined
        Fields and values that are kept out.
    """
    schema = dict.fromkeys(("observation_id", "field", "value"), pl.String)
    if fields is None:
        return pl.DataFrame(schema=schema), []
    fields = fields.join(kept.select("observation_id"), on="observation_id", how="semi")
    rows: list[pl.DataFrame] = [pl.DataFrame(schema=schema)]
    quarantined: list[Quarantined] = []
    n_values = n_fields = 0
    for name in fields.columns:
        if name == "observation_id":
            continue
        value = pl.col(name).cast(pl.String).str.strip_chars()
        of_field = fields.select("observation_id", field=pl.lit(name), value=value).filter(
            pl.col("value").is_not_null() & (pl.col("value") != "")
        )
        if why := _beyond(name, n_fields, n_values + of_field.height):
            quarantined.append(Quarantined("file", name[:LONGEST_NAME], *why, n=of_field.height))
            continue
        long = pl.col("value").str.len_chars() > LONGEST_VALUE
        if n_long := of_field.filter(long).height:
            detail = f"values of more than {LONGEST_VALUE:,} characters are left out"
            quarantined.append(Quarantined("file", name, "metadata_too_long", detail, n_long))
            of_field = of_field.filter(~long)
        n_fields, n_values = n_fields + 1, n_values + of_field.height
        rows.append(of_field)
    return pl.concat(rows).sort("observation_id", "field"), quarantined


def _beyond(name: str, n_fields: int, n_values: int) -> tuple[str, str] | None:
    """Why a field is kept out: reason and detail."""
    if len(name) > LONGEST_NAME:
        return "metadata_too_long", f"names of more than {LONGEST_NAME} characters are left out"
    if n_fields >= MOST_FIELDS:
        return "metadata_too_many", f"{MOST_FIELDS} fields before it are kept"
    if n_values > MOST_VALUES:
        return "metadata_too_many", f"at most {MOST_VALUES:,} values of a collection are kept"
    return None
