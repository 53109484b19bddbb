"""`croissant.json` of a release: Croissant 1.1 of MLCommons.

One record set per table, whose fields are made from the declaration of the table. Its records are
read from a file set, the files of the table by pattern; every file is listed with its SHA-256, too.
"""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa

from genept.release.manifest import ReleasedFile, ReleasedTable
from genept.release.metadata.citations import bibtex
from genept.release.metadata.release_description import (
    CREATOR,
    KEYWORDS,
    SUMMARY,
    TITLE,
    DescribedRelease,
)
from genept.release.metadata.usage_terms import UsageTerms
from genept.schema import Column, Table

CONFORMS_TO: Final = "http://mlcommons.org/croissant/1.1"

PARQUET: Final = "application/x-parquet"
"""Encoding format by which Croissant's readers know parquet."""

TYPES: Final = {
    pa.string(): "sc:Text", pa.bool_(): "sc:Boolean", pa.int64(): "cr:Int64",
    pa.uint32(): "cr:UInt32", pa.float64(): "cr:Float64", pa.float32(): "cr:Float32",
}  # fmt: skip
"""Data type of a field, by the type of a single value of the column."""

_OWN: Final = (
    "arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field",
    "fileObject", "fileProperty", "fileSet", "format", "includes", "isArray", "isLiveDataset",
    "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references", "regex",
    "repeated", "replace", "samplingRate", "separator", "source", "subField", "transform",
)  # fmt: skip

CONTEXT: Final = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "description": {"@container": "@language"},
    "name": {"@container": "@language"},
    **{name: f"cr:{name}" for name in _OWN},
}
"""The context of JSON-LD that the specification prescribes."""


def croissant(release: DescribedRelease) -> dict[str, Any]:
    """Describe a release as a Croissant data set.

    Parameters
    ----------
    release
        The release.

    Returns
    -------
    dict
        JSON-LD, to be stored in the folder of the release.
    """
    tables = list(release.tables)
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": TITLE,
        "description": SUMMARY,
        "url": release.url,
        "version": release.version,
        "datePublished": release.manifest.created_at,
        "keywords": list(KEYWORDS),
        "inLanguage": "en",
        "creator": {"@type": "Organization", "name": CREATOR},
        "citeAs": bibtex(release),
        "license": [_licence(terms) for terms in release.terms.all],
        "distribution": [
            node
            for table, released in tables
            for node in (_file_set(release, table), *map(_file_object, released.files))
        ],
        "recordSet": [record_set(table, released) for table, released in tables],
    }


def record_set(table: Table, released: ReleasedTable) -> dict[str, Any]:
    """Describe a table as a record set.

    Parameters
    ----------
    table
        Declaration of the table.
    released
        The table in a release, which has files.

    Returns
    -------
    dict
        JSON-LD of the record set, with a field for each column.
    """
    return {
        "@type": "cr:RecordSet",
        "@id": table.name,
        "name": table.name,
        "description": table.meaning,
        "key": [{"@id": f"{table.name}/{name}"} for name in table.key],
        "field": [_field(table, column, released) for column in table.columns],
    }


def _field(table: Table, column: Column, released: ReleasedTable) -> dict[str, Any]:
    unit = f" Unit: {column.unit}." if column.unit else ""
    field: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"{table.name}/{column.name}",
        "name": column.name,
        "description": f"{column.meaning}{unit}",
        "dataType": TYPES[column.element],
        "source": {
            "fileSet": {"@id": f"{table.name}-files"},
            "extract": {"column": column.name},
        },
    }
    if column.is_list:
        lengths = {file.dimension for file in released.files} if column.is_vector else set()
        known = len(lengths) == 1 and None not in lengths
        field |= {"isArray": True, "arrayShape": str(lengths.pop()) if known else "-1"}
    return field


def _file_set(release: DescribedRelease, table: Table) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": f"{table.name}-files",
        "name": f"{table.name}-files",
        "description": f"All files of table {table.name}.",
        "encodingFormat": PARQUET,
        "includes": release.patterns(table),
    }


def _file_object(file: ReleasedFile) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": file.path,
        "name": file.path,
        "contentUrl": file.path,
        "contentSize": f"{file.bytes} B",
        "encodingFormat": PARQUET,
        "sha256": file.sha256,
    }


def _licence(terms: UsageTerms) -> dict[str, Any]:
    (known, *_) = (*terms.licence_urls, None)
    work = {"@type": "sc:CreativeWork", "name": f"{terms.id}: {terms.licence}"}
    return work | ({"url": known} if known else {})
