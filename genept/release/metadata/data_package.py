"""`datapackage.json` of a release: Data Package of Frictionless Data, version 2.

One resource per table, whose schema is made from the declaration of the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa

from genept.release.manifest import ReleasedTable
from genept.release.metadata.release_description import (
    CREATOR,
    KEYWORDS,
    NAME,
    PARQUET,
    SUMMARY,
    TITLE,
    DescribedRelease,
)
from genept.release.metadata.usage_terms import LICENCES, UsageTerms
from genept.schema import Column, Table, foreign_keys

PROFILE: Final = "https://datapackage.org/profiles/2.0/"

TYPES: Final = {
    pa.string(): "string", pa.bool_(): "boolean", pa.int64(): "integer", pa.uint32(): "integer",
    pa.float64(): "number", pa.float32(): "number",
}  # fmt: skip
"""Type of a field, by the type of the column."""


def data_package(release: DescribedRelease) -> dict[str, Any]:
    """Describe a release as a Data Package.

    Parameters
    ----------
    release
        The release.

    Returns
    -------
    dict
        Content of ``datapackage.json``, which lies in the folder of the release.
    """
    manifest, terms = release.manifest, release.terms
    tables = list(release.tables)
    n_files = {table.name: len(released.files) for table, released in tables}
    return {
        "$schema": f"{PROFILE}datapackage.json",
        "name": NAME,
        "id": release.url,
        "title": TITLE,
        "description": SUMMARY,
        "version": manifest.release_id,
        "created": manifest.created_at,
        "keywords": list(KEYWORDS),
        "contributors": [{"title": CREATOR, "roles": ["creator"]}],
        "licenses": [_licence(each) for each in terms.all],
        "sources": [_source(each) for each in terms.all if each.sha256],
        "resources": [_resource(release, *each, n_files) for each in tables],
    }


def table_schema(table: Table, n_files: Mapping[str, int]) -> dict[str, Any]:
    """The declaration of a table as a Table Schema.

    Validators read the first file of a resource alone, and would not find keys that are in another.
    Therefore keys of tables of several files are listed apart, under a name of our own.

    Parameters
    ----------
    table
        A published table.
    n_files
        Number of files of each table that the package has, by name.

    Returns
    -------
    dict
        Fields with types, units and constraints; primary key, and foreign keys to these tables.
    """
    keys: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
    for key in foreign_keys(table):
        if key.table in n_files:
            reference = {"resource": key.table, "fields": list(key.referenced)}
            is_single = n_files[key.table] == 1
            keys[is_single].append({"fields": list(key.columns), "reference": reference})
    return {
        "$schema": f"{PROFILE}tableschema.json",
        "fieldsMatch": "equal",
        "fields": [_field(column) for column in table.columns],
        "missingValues": [],  # null is null, and an empty text is a text
        "primaryKey": list(table.key),
        "foreignKeys": keys[True],
        "foreignKeysToSplitTables": keys[False],
    }


def _resource(
    release: DescribedRelease, table: Table, released: ReleasedTable, n_files: Mapping[str, int]
) -> dict[str, Any]:
    files = [
        {"path": file.path, "bytes": file.bytes, "hash": f"sha256:{file.sha256}", "rows": file.rows}
        for file in released.files
    ]
    (first, *further) = files
    return {
        "name": table.name,
        "type": "table",
        "title": table.meaning,
        "format": "parquet",
        "mediatype": PARQUET,
        "path": [file["path"] for file in files] if further else first["path"],
        "files": files,
        "licenses": [_licence(terms) for terms in release.terms.of_table(table.name)],
        "schema": table_schema(table, n_files),
    }


def _field(column: Column) -> dict[str, Any]:
    bounds = {"minimum": column.minimum, "maximum": column.maximum}
    rules: dict[str, Any] = {"required": True if not column.nullable else None}
    if not column.is_list:  # there are no words for rules of each element
        rules |= {"enum": column.allowed and list(column.allowed), "pattern": column.pattern}
        rules |= {} if column.nullable else bounds
    field = {
        "name": column.name,
        "type": _type(column),
        "description": column.meaning,
        "unit": column.unit,
        "arrowType": column.type_name,
        "constraints": _stated(rules),
        "bounds": _stated(bounds),
    }
    return {name: value for name, value in field.items() if value}


def _type(column: Column) -> str:
    """The type as which validators find the values: they read parquet by pandas.

    pandas has an array of numpy for a list, and floating-point numbers for integers of which some
    are null, with NaN in place of null, which holds to no bounds.
    """
    if column.is_list:
        return "any"
    return "number" if column.nullable and TYPES[column.type] == "integer" else TYPES[column.type]


def _stated(rules: Mapping[str, Any]) -> dict[str, Any]:
    return {name: rule for name, rule in rules.items() if rule is not None}


def _licence(terms: UsageTerms) -> dict[str, str]:
    known = terms.licence_urls if terms.spdx_ids == (terms.licence,) else (LICENCES,)
    return {"path": known[0], "title": f"{terms.id}: {terms.licence}"}


def _source(terms: UsageTerms) -> dict[str, str]:
    return {
        "title": terms.title,
        "version": f"{terms.version} ({terms.released})",
        "hash": f"sha256:{terms.sha256}",
        "citation": terms.citation,
    }
