"""Checks of texts that language models wrote: whether each writer passed what blocks a release."""

import polars as pl

from genept.schema import has_canary
from genept.storage import Lake, StoredTable


def unprobed_writers(
    lake: Lake, statements: StoredTable, probes: StoredTable, models: list[str]
) -> list[str]:
    """Find models that wrote statements and did not pass the probes, and canaries in statements.

    Parameters
    ----------
    lake
        The lake of the tables.
    statements
        Table `written_statements`.
    probes
        Table `language_model_probes`.
    models
        Ids of language models; other writers are edits of descriptions.

    Returns
    -------
    list of str
        One sentence per model that was not probed, or failed, and per writer with canaries.
    """
    writers = sorted({part.partition[0] for part in statements.parts} & set(models))
    results = lake.read(probes) if probes.parts else None
    findings = [
        f"{part.partition[0]}: {n} statements have the canary of releases"
        for part in statements.parts
        if (n := sum(map(has_canary, lake.read(part, ["statement"])["statement"])))
    ]
    for writer in writers:
        own = None if results is None else results.filter(writer=writer)
        if own is None or own.is_empty():
            findings.append(f"{writer} wrote statements and was never probed")
        elif failed := own.filter("is_blocking", ~pl.col("passes"))["probe"].to_list():
            findings.append(f"{writer} wrote statements and fails {', '.join(failed)}")
    return findings
