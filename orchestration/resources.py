"""Resources of every run, and the options with which it is launched.

The installation is opened once per run from the settings and the options; what an asset asks
for by itself (store, lake, archives, registry of models, releases) belongs to that installation.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import dagster as dg  # reads annotations at run time: no `from __future__ import annotations`
from pydantic import Field, ValidationError

from genept.client import Platform
from genept.common import Settings

LOGGERS: Final[dict[str, Any]] = {"loggers": {"console": {"config": {}}, "records": {"config": {}}}}
"""Configuration by which a run writes its events to the console and to a file."""

OpenPlatform = Callable[[Mapping[str, Any]], Platform]
"""Opens the installation with these settings in place of its own."""


def _option(name: str) -> Any:
    """A field that takes the place of a setting; it is described as the setting is."""
    description = f"{Settings.model_fields[name].description} Unset: as GENEPT_{name.upper()} says."
    return Field(None, description=description)


class BuildOptions(dg.Config):
    """What a run builds and may publish; an option that is unset is as the settings say."""

    collections: list[str] | None = _option("collections")
    spaces: list[str] | None = _option("spaces")
    writers: list[str] | None = _option("writers")
    max_genes: int | None = _option("max_genes")
    sentences_per_collection: int | None = _option("sentences_per_collection")
    full_models: bool | None = _option("full_models")
    approve: list[str] | None = _option("approve")
    restricted: str | None = _option("restricted")


def platform_resource(open_platform: OpenPlatform) -> dg.ResourceDefinition:
    """The installation as a resource that is configured by `BuildOptions`."""

    def opened(context: dg.InitResourceContext) -> Platform:
        return _open(open_platform, context.resource_config)

    return dg.ResourceDefinition(
        opened,
        config_schema=BuildOptions.to_config_schema(),
        description="The installation: what its settings and the options of the run choose.",
    )


def _open(open_platform: OpenPlatform, config: Mapping[str, Any]) -> Platform:
    """Open the installation; a run whose options are not possible fails with the reason."""
    options = {name: value for name, value in config.items() if value is not None}
    try:
        platform = open_platform(options)
        if options:
            platform.limits, platform.writers  # noqa: B018 - names what is unknown
    except ValidationError as error:
        reasons = "; ".join(f"{fault['loc'][0]}: {fault['msg']}" for fault in error.errors())
        raise dg.Failure(f"option {reasons}", allow_retries=False) from None
    except ValueError as error:
        raise dg.Failure(str(error), allow_retries=False) from None
    return platform


PARTS: Final[Mapping[str, str]] = {
    "store": "The object store (S3), opened to write.",
    "lake": "Everything that was ever built: tables and their parts, by the hash of their content.",
    "archives": "Verified copies of the public sources.",
    "registry": "Every trained model, and which one is champion.",
}
"""Resources that are attributes of the installation."""


def resources_of(platform: dg.ResourceDefinition | Platform) -> dict[str, Any]:
    """The installation, and its parts as resources of their own."""
    return {"platform": platform, **{name: _part(name, text) for name, text in PARTS.items()}}


def _part(name: str, meaning: str) -> dg.ResourceDefinition:
    def part(context: dg.InitResourceContext) -> Any:
        return getattr(context.resources.platform, name)

    return dg.ResourceDefinition(part, required_resource_keys={"platform"}, description=meaning)


@dg.config_mapping
def run_config(options: BuildOptions) -> dict[str, Any]:
    """Configuration of a run of the jobs: the options of the launchpad, and where events go."""
    chosen = options.model_dump(exclude_none=True)
    return {"resources": {"platform": {"config": chosen}}, **LOGGERS}
