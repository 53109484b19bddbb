"""Table `ontology_terms`: the terms that labels mean, and all terms above these."""

from __future__ import annotations

from typing import Final

import polars as pl

from genept.collections.labels.label_mapping import LabelMapper, prefix_of
from genept.collections.labels.labelled_observations import Ontologies
from genept.schema.tables import TABLES
from genept.storage import Lake, NewPart, Origin, StoredTable

TABLE: Final = "ontology_terms"


def build_ontology_terms(
    lake: Lake, label_mapping: StoredTable, ontologies: Ontologies
) -> StoredTable:
    """Build table `ontology_terms`.

    Parameters
    ----------
    lake
        Where parts of tables are kept.
    label_mapping
        Table `label_mapping`.
    ontologies
        What labels were mapped to.

    Returns
    -------
    StoredTable
        One row per term; empty without ontologies.
    """
    used = lake.read(label_mapping, ["term_id", "also", "candidates"])
    ids = [*used["term_id"].drop_nulls()]
    ids += [id_ for column in ("also", "candidates") for several in used[column] for id_ in several]
    origin = Origin(
        code=("genept.collections.labels.ontology_table", "genept.schema.tables"),
        inputs={"ontologies": ontologies.version},
        settings={"terms": sorted(set(ids))},
    )

    def compute() -> list[NewPart]:
        return [NewPart(TABLE, term_rows(ontologies.mapper(), ids))]

    return lake.assemble(TABLE, lake.build(TABLE, origin, compute))


def term_rows(mapper: LabelMapper, ids: list[str]) -> pl.DataFrame:
    """Rows of terms and of all that is above them, sorted by id.

    Parameters
    ----------
    mapper
        Knows the ontologies.
    ids
        Ids of terms; unknown ones are left out.

    Returns
    -------
    pl.DataFrame
        Rows of table `ontology_terms`.
    """
    known = {id_: term for terms in mapper.ontologies.values() for id_, term in terms.items()}
    used = {id_ for id_ in ids if id_ in known}
    used |= {above for id_ in used for above in known[id_].ancestors if above in known}
    rows = [
        {
            "term_id": id_,
            "ontology": prefix_of(id_),
            "name": known[id_].name,
            "definition": known[id_].definition or None,
            "synonyms": list(known[id_].synonyms),
            "ancestors": sorted(set(known[id_].ancestors) & used),
        }
        for id_ in sorted(used)
    ]
    schema = pl.DataFrame(TABLES[TABLE].schema().empty_table()).schema
    return pl.DataFrame(rows, schema=schema, orient="row")
