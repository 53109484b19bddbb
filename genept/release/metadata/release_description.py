"""What every format says of a release: title, version, date, tables with their declarations.

Each format is in a module of its own, which writes this down in the words of the format.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Final

from genept.release.manifest import Manifest, ReleasedTable
from genept.release.metadata.usage_terms import ReleaseTerms
from genept.schema import Table
from genept.schema.tables import TABLES

NAME: Final = "genept"
TITLE: Final = "GenePT: gene, cell and sample embeddings"
SUMMARY: Final = (
    "What is known about each human gene, as text and as vectors of several text models; single "
    "cells and bulk samples of public collections as expression and as embeddings; gene programs, "
    "drug responses, effects of perturbations; predictions of models; and every score beside the "
    "controls it has to beat. One parquet table per subject. Research use only: nothing here "
    "diagnoses people."
)
CREATOR: Final = "GenePT platform contributors"
KEYWORDS: Final = (
    *("gene embeddings", "cell embeddings", "gene expression", "single-cell RNA-seq"),
    *("bulk RNA-seq", "text embeddings", "drug response", "cancer", "Homo sapiens"),
)
METHOD: Final = (
    "Chen Y, Zou J. Simple and effective embedding model for single-cell biology built from "
    "ChatGPT. Nat Biomed Eng. 2025. doi:10.1038/s41551-024-01284-6"
)
"""The publication of the method."""

PARQUET: Final = "application/vnd.apache.parquet"
"""Media type of the files."""


@dataclass(frozen=True)
class DescribedRelease:
    """A release to be described, with the declarations of its tables.

    Parameters
    ----------
    manifest
        Manifest of the release.
    address
        Where the folder of the release is, such as ``s3://lake/genept/releases/ID/``.
    doi
        DOI of the product, if it has one.
    """

    manifest: Manifest
    address: str
    doi: str | None = None

    @cached_property
    def terms(self) -> ReleaseTerms:
        """Licences and citations of its tables and files."""
        return ReleaseTerms(self.manifest)

    @property
    def url(self) -> str:
        """What the release is found by: its DOI, else its address."""
        return f"https://doi.org/{self.doi}" if self.doi else self.address

    @property
    def date(self) -> str:
        """Day of publication, as in ``2026-11-30``."""
        return self.manifest.created_at[:10]

    @property
    def rows(self) -> int:
        """Number of rows of all tables."""
        return sum(table.rows for table in self.manifest.tables.values())

    @property
    def tables(self) -> Iterator[tuple[Table, ReleasedTable]]:
        """Declaration and files of every table that has files, in the order of declaration."""
        for name, table in TABLES.items():
            released = self.manifest.tables.get(name)
            if released is not None and released.files:
                yield table, released

    @property
    def version(self) -> str:
        """Versions of the declarations and of the content, as in ``1.10.0+690e5bc797d3``."""
        return f"{self.manifest.schema_version or '0.0.0'}+{self.manifest.data_version[:12]}"

    def patterns(self, table: Table) -> list[str]:
        """Patterns that match the files of a table, and no others: ``data/genes/*.parquet``."""
        files = self.manifest.tables[table.name].files
        folder = _folder_of(table, [file.path for file in files])
        depths = {file.path.removeprefix(folder).count("/") for file in files}
        return [f"{folder}{'/*' * (depth - 1)}/*.parquet" for depth in sorted(depths)]

    def licences(self) -> dict[str, Any]:
        """Which terms apply to which files: content of ``licences.json``."""
        return {
            "release": self.manifest.release_id,
            "terms": {terms.id: asdict(terms) for terms in self.terms.all},
            "tables": {
                table.name: [
                    {
                        "partition": dict(zip(table.partition, file.partition, strict=True)),
                        "path": file.path,
                        "terms": [terms.id for terms in self.terms.of_file(table.name, file)],
                        "redistributable": file.redistributable,
                    }
                    for file in released.files
                ]
                for table, released in self.tables
            },
        }


def _folder_of(table: Table, paths: Sequence[str]) -> str:
    """The folder that all files of a table are in; that of its name, if there is one."""
    shared = posixpath.commonpath([posixpath.dirname(path) for path in paths])
    before, name, _ = f"{shared}/".partition(f"/{table.name}/")
    return f"{before}{name.rstrip('/')}" if name else shared
