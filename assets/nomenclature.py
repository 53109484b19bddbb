"""Group `nomenclature`: the gene reference and its names. Collections are mapped at ingest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import dagster as dg

from assets.declarations import declared, described
from assets.news import NEWS
from assets.results import TableResult, table_result
from assets.sources import source_key
from genept.client import Platform
from genept.datasources import PUBLISHER_FILES, PublisherFile, find_releases
from genept.datasources.download import Archives
from genept.nomenclature import SOURCES, build_reference_table, build_snapshot
from genept.storage import Lake, sha256_of


@dg.asset(**declared("genes"), deps=[NEWS, *(source_key(source) for source in SOURCES)])
def genes(lake: dg.ResourceParam[Lake], archives: dg.ResourceParam[Archives]) -> TableResult:
    """Every gene of GENCODE, and every other HGNC gene that has an Ensembl id."""
    return table_result(build_reference_table(lake, archives, "genes"))


@dg.asset(**declared("gene_names"), deps=[NEWS, *(source_key(source) for source in SOURCES)])
def gene_names(lake: dg.ResourceParam[Lake], archives: dg.ResourceParam[Archives]) -> TableResult:
    """Every name in the reference, and what it means."""
    return table_result(build_reference_table(lake, archives, "gene_names"))


def mirror_folders(platform: Platform) -> list[Path]:
    """The folders among the configured mirrors."""
    mirrors = platform.settings.mirrors
    return [Path(mirror).expanduser() for mirror in mirrors if "://" not in mirror]


def snapshot_asset(
    file: PublisherFile, folders: Callable[[Platform], Sequence[Path]] = mirror_folders
) -> dg.AssetsDefinition:
    """The asset of one publisher's file: every release that the mirrors have, in the lake.

    No released table needs it: without a mirror it is materialised empty.
    """

    @dg.asset(
        key=["snapshots", file.id],
        deps=[NEWS],
        **described(
            "nomenclature",
            f"{file.title}. Kept as published, to compare references with.",
            "gene_snapshots",
        ),
    )
    def snapshot(
        platform: dg.ResourceParam[Platform], lake: dg.ResourceParam[Lake]
    ) -> dg.MaterializeResult[None]:
        releases = find_releases(file, folders(platform))
        stored = [
            build_snapshot(
                lake,
                f"{file.id}-{published.release}",
                published.path,
                release=published.release,
                released=published.released,
            )
            for published in releases
        ]
        newest = releases[-1] if releases else None
        return dg.MaterializeResult(
            data_version=dg.DataVersion(sha256_of([table.data_version for table in stored])),
            metadata={
                "configured": bool(releases),
                "release": newest.release if newest else "none: name a mirror that has the file",
                "released": str(newest.released or "not stated") if newest else "none",
                "snapshots": ", ".join(
                    part.partition[0] for table in stored for part in table.parts
                ),
                "dagster/row_count": sum(table.rows for table in stored),
            },
        )

    return snapshot


snapshots = [snapshot_asset(file) for file in PUBLISHER_FILES]
