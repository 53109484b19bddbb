"""Typed settings: defaults, then `genept.toml`, then the environment (`GENEPT_…`).

Locations, credentials and resources of an installation. What is computed (collections, recipes,
spaces) is declared in the catalogue and in the packages themselves, so that a setting cannot
silently change a published number.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from genept.common.operating_system import private_folder


class Settings(BaseSettings):
    """Settings of an installation.

    Without `s3_endpoint` the embedded object store under `state_dir` is used.
    With it, credentials come from the settings or, if absent, from boto3's own chain.
    """

    model_config = SettingsConfigDict(
        env_prefix="GENEPT_",
        toml_file="genept.toml",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,  # the input holds the secret key
        use_attribute_docstrings=True,
    )

    state_dir: Path = Path(".genept")
    """Store, Dagster instance, caches."""
    s3_endpoint: str | None = None
    """S3 endpoint; none: the embedded store."""
    s3_region: str = "us-east-1"
    """Region that requests are signed for."""
    s3_access_key: str | None = None
    """Access key; none: as boto3 finds it."""
    s3_secret_key: SecretStr | None = None
    """Secret key, with `s3_access_key`."""
    s3_unsigned: bool = False
    """Read without keys, as public releases are (docs/reading.md#without-keys); without
    `s3_endpoint`, from AWS."""
    bucket: str = Field("lake", min_length=3, max_length=63)
    """Bucket in the object store."""
    product: str = Field("genept", pattern=r"^[a-z0-9][a-z0-9-]*$")
    """First segment of every key: another one is another set of releases."""
    threads: int = Field(2, ge=1)
    """Threads of text models and of the weighted sum, processes of ingest."""
    file_memory: int = Field(768 << 20, ge=64 << 20)
    """Bytes that reading a user's file may take, and 16 times its size more
    (docs/collections.md)."""
    file_seconds: int = Field(120, ge=1)
    """CPU seconds that reading a user's file may take, and one more for each MiB."""
    executor: Literal["in_process", "dask", "kubernetes"] = "in_process"
    """Where steps run: in this process, or on a cluster (docs/scale.md)."""
    executor_config: Path | None = None
    """YAML file with the configuration of the executor; see infra/."""
    instance_config: Path | None = None
    """dagster.yaml of the instance, such as one in Postgres (docs/deployment.md); none: SQLite."""
    lanes: int = Field(16, ge=1)
    """Steps over which a cluster distributes the shards to be embedded."""
    collections: tuple[str, ...] = ()
    """Collections to ingest, or +name beside the default; empty: the default."""
    spaces: tuple[str, ...] = ()
    """Embed only these spaces, such as ["minilm-l6-v2/name-go"]; empty: all."""
    approve: tuple[str, ...] = ()
    """Tables whose rows may be far fewer or more than in the last release."""
    restricted: Literal["keep", "leave_out", "refuse"] = "keep"
    """What a release does with collections that may not be redistributed: keep them (for
    private use), leave_out, or refuse to publish."""
    doi: str | None = Field(None, pattern=r"^10\.\d{4,9}/\S+$")
    """DOI by which the releases are cited (docs/metadata.md); none: by their address."""
    sentences_per_collection: int = Field(0, ge=0)
    """Cells or samples of each collection that get a sentence (GenePT-s); 0: none."""
    label_texts: tuple[Literal["CL", "UBERON", "MONDO"], ...] = ("CL",)
    """Ontologies whose names, definitions and synonyms are read as texts of labels
    (docs/text_and_expression.md)."""
    openai_api_key: SecretStr | None = None
    """Key of hosted text embedders and language models."""
    openai_base_url: str | None = None
    """Service; none: OpenAI's own."""
    embedders: Path | None = None
    """TOML file of further text embedders (docs/embedders.md)."""
    language_models: Path | None = None
    """TOML file of further language models (docs/language_models.md)."""
    embedding_budget: float | None = Field(None, ge=0)
    """Upper limit of the total cost of embedding and of chats in US$; none: no limit."""
    embedding_minutes: float = Field(10.0, gt=0)
    """Minutes that a language model of this machine may embed the genes of one space, at its
    declared speed; further genes have no vector there (docs/embedders.md#a-language-model)."""
    embedding_batch_api: bool = False
    """Embed, and have statements written, through the Batch API: half the price, up to a day's
    wait."""
    writers: tuple[str, ...] = ()
    """Language models that a run has write statements about every protein-coding gene; local ones
    for `embedding_minutes` each (docs/language_models.md#descriptions-that-a-model-writes)."""
    max_genes: int | None = Field(None, ge=1)
    """Describe only this many genes, for trials; each run reports it."""

    full_models: bool = False
    """Train and score every head and space, and drug response in four regimes: half an hour and
    more."""
    drug_structures: Path | None = None
    """CSV file with columns drug_id, smiles; takes precedence over the sources
    (docs/drug_response.md)."""
    tasks: Path | None = None
    """TOML file of user-defined diagnosis tasks (docs/models.md)."""
    mirrors: tuple[str, ...] = ()
    """Folders, s3://bucket/prefix or https:// addresses tried first for sources
    (docs/sources.md)."""
    addresses: dict[str, str] = {}
    """Address instead of the catalogue's, by source id; may be private."""
    recipes: Path | None = None
    """TOML file with user-defined recipes, masks and spaces (docs/recipes.md, docs/spaces.md)."""
    unattended: bool = False
    """Nightly and weekly schedules are on unless they are switched off (docs/operations.md)."""
    failure_webhook: SecretStr | None = None
    """https:// (or loopback) address that is notified of every failed run."""
    ui_token: SecretStr | None = Field(None, min_length=20)
    """Token of the UI; none: `genept ui` makes one per start
    (docs/deployment.md#who-may-look)."""
    viewer_token: SecretStr | None = Field(None, min_length=20)
    """Token of the read-only UI; it does not open the other one."""
    ui_hosts: tuple[str, ...] = ()
    """Further host names (with port) under which a proxy serves the UI."""

    @model_validator(mode="after")
    def _credentials_come_in_pairs(self) -> Settings:
        if (self.s3_access_key is None) != (self.s3_secret_key is None):
            raise ValueError("set both GENEPT_S3_ACCESS_KEY and GENEPT_S3_SECRET_KEY, or neither")
        if self.s3_unsigned and self.s3_access_key is not None:
            raise ValueError("GENEPT_S3_UNSIGNED reads without keys: set it, or keys, not both")
        return self

    @model_validator(mode="after")
    def _the_webhook_is_private(self) -> Settings:
        if self.failure_webhook is not None:
            address = urlsplit(self.failure_webhook.get_secret_value())
            here = address.scheme == "http" and address.hostname in ("127.0.0.1", "::1")
            if not here and not (address.scheme == "https" and address.hostname):
                raise ValueError("GENEPT_FAILURE_WEBHOOK must begin with https:// (or be loopback)")
        return self

    def with_options(self, options: Mapping[str, object]) -> Settings:
        """These settings with some values replaced; `ValueError` if one is not possible."""
        return type(self)(**{**dict(self), **options}) if options else self

    @property
    def state(self) -> Path:
        """The state folder, absolute."""
        return self.state_dir.expanduser().resolve()

    def environment(self) -> dict[str, str]:
        """The settings as environment variables, for a process in another folder."""

        def text(value: Any) -> str:
            value = value.get_secret_value() if isinstance(value, SecretStr) else value
            if isinstance(value, Path):
                return str(value.expanduser().resolve())
            return value if isinstance(value, str) else json.dumps(value)

        stated = {name: getattr(self, name) for name in {*self.model_fields_set, "state_dir"}}
        return {
            f"GENEPT_{name.upper()}": text(value)
            for name, value in stated.items()
            if value is not None
        }

    def private_state(self) -> Path:
        """The state folder, created if needed; other users have no access to its content."""
        private_folder(self.state)
        private_folder(self.state / "cache")
        for name in ("dagster", "prefect", "store", "logs", "failures"):
            if (self.state / name).is_dir():
                private_folder(self.state / name)
        return self.state

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        *_: PydanticBaseSettingsSource,
        **sources: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments first, then the environment, then `genept.toml`."""
        toml = TomlConfigSettingsSource(settings_cls)
        return sources["init_settings"], sources["env_settings"], toml
