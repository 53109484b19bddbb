"""What is offered for publication, and what came of it.

How it is published is in `genept.release.publish`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from genept.release.manifest import CheckEvidence, Manifest, ReleasedSource
from genept.storage import StoredTable, sha256_of


@dataclass(frozen=True)
class ReleaseCandidate:
    """The content of a release before it is published.

    Parameters
    ----------
    tables
        All declared tables, by name.
    evidence
        Evidence of passed checks, by table.
    sources
        Public sources that the tables were computed from, by name.
    platform_version
        Version of the platform.
    requirements_sha256
        SHA-256 of the locked requirements, if known.
    limits
        Settings that limited what was built; empty for a complete release.
    left_out
        Names of what may not be redistributed and was left out.
    audit
        Renders pages of the audit, by path; called only if the candidate is published.
    approved
        Names of tables whose declarations may change without notice.
    """

    tables: Mapping[str, StoredTable]
    evidence: Mapping[str, CheckEvidence]
    sources: Mapping[str, ReleasedSource]
    platform_version: str
    requirements_sha256: str | None = None
    limits: Mapping[str, Any] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    audit: Callable[[], Mapping[str, bytes]] = dict
    approved: Collection[str] = ()

    @property
    def complete(self) -> bool:
        """False if settings limited what was built."""
        return not self.limits

    @property
    def data_version(self) -> str:
        """Hash of the content; releases with the same data version are the same."""
        versions = {name: table.data_version for name, table in self.tables.items()}
        return sha256_of(versions, self.complete, dict(self.limits))


@dataclass(frozen=True)
class Published:
    """The outcome of publishing.

    Parameters
    ----------
    manifest
        Of the release that is current afterwards.
    is_new
        Whether this call published it; false if the content did not change.
    """

    manifest: Manifest
    is_new: bool
