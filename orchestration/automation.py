"""Named policies, one per group: when an asset is materialised automatically, when it is stale.

Runs start from schedules (`orchestration.schedules`). These conditions apply while the sensor
`automation` is on: every table then follows its inputs at once.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import dagster as dg

from assets import NEWS


@dataclass(frozen=True)
class Policy:
    """When the assets of a group are materialised, and after which time they count as stale."""

    name: str
    reason: str
    condition: dg.AutomationCondition[dg.AssetKey] | None
    stale_after: timedelta
    warn_after: timedelta

    @property
    def freshness(self) -> dg.FreshnessPolicy:
        """The same as a Dagster freshness policy."""
        return dg.FreshnessPolicy.time_window(
            fail_window=self.stale_after, warn_window=self.warn_after
        )


FOLLOWS_ITS_INPUTS: Final = (
    dg.AutomationCondition.eager()
    .without(~dg.AutomationCondition.any_deps_missing())
    .ignore(dg.AssetSelection.assets(NEWS))
    & dg.AutomationCondition.all_deps_blocking_checks_passed()
).with_label("follows its inputs, once their blocking checks passed")
"""`eager()` alone requests the child of a table whose blocking check failed. Missing inputs do not
delay a request: sources that this installation does not use are never materialised. `news` has no
content of its own: the sources carry the data versions."""

_DAY = timedelta(days=1)
_TABLES: Final = Policy(
    "follows its inputs",
    "A table is a pure function of its inputs, so it is rebuilt when they change. Publishers "
    "release new files every month: an older table indicates a fault.",
    FOLLOWS_ITS_INPUTS,
    stale_after=40 * _DAY,
    warn_after=33 * _DAY,
)
POLICIES: Final[Mapping[str, Policy]] = {
    "nomenclature": _TABLES,
    "collections": _TABLES,
    "text": _TABLES,
    "embeddings": _TABLES,
    "benchmarks": _TABLES,
    "perturbations": _TABLES,
    "models": Policy(
        "trained weekly",
        "Each attempt at the promotion gate uses up some of the holdout's information, so models "
        "do not follow every change; two missed Mondays indicate a fault.",
        None,
        stale_after=15 * _DAY,
        warn_after=8 * _DAY,
    ),
    "release": Policy(
        "published when all tables are ready",
        "Everything is published at once or not at all: a release waits until none of its tables "
        "is being built and all their checks have passed. Retraining makes at least one a week.",
        FOLLOWS_ITS_INPUTS,
        stale_after=15 * _DAY,
        warn_after=8 * _DAY,
    ),
}
"""Policies by group. Sources state their own cadence; `news` and `run_metrics` are of the nightly
run."""


def with_policy(asset: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """The asset with the policy of its group; partitioned assets have none."""
    return asset.map_asset_specs(_apply_policy)


def _apply_policy(spec: dg.AssetSpec) -> dg.AssetSpec:
    policy = POLICIES.get(spec.group_name or "")
    if policy is None or spec.partitions_def is not None:
        return spec
    return spec.replace_attributes(
        automation_condition=policy.condition,
        freshness_policy=policy.freshness,
        tags={**spec.tags, "genept/policy": policy.name.replace(" ", "-")},
        metadata={**spec.metadata, "policy": f"{policy.name}: {policy.reason}"},
    )


with warnings.catch_warnings():
    # Called beta in the whole of Dagster 1.13, to which we are pinned.
    warnings.simplefilter("ignore", dg.BetaWarning)
    _EVERYTHING = dg.AssetSelection.all(include_sources=True)

automation = dg.AutomationConditionSensorDefinition(
    "automation",
    target=_EVERYTHING,
    default_status=dg.DefaultSensorStatus.STOPPED,
    minimum_interval_seconds=60,
    description="Off by default: the nightly schedule does the same once a day. When it is on, "
    "tables follow their inputs by their group's policy, and sources are checked by their cadence.",
)
