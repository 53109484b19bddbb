"""The address of a bucket, its credentials and its roles, in the form that each library expects.

The policy of each role is in `policies/`; the embedded server's identities are made from them.
Requests belong to `genept.storage.requests`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, Literal, get_args
from urllib.parse import urlsplit

from genept.common import StoreError
from genept.storage.requests import ATTEMPTS, CONNECT_TIMEOUT, READ_TIMEOUT

if TYPE_CHECKING:
    import boto3
    from botocore.loaders import Loader
    from pyarrow.fs import S3FileSystem


Role = Literal["reader", "writer", "publisher", "gc"]
"""Reads releases; writes to the lake; publishes releases; deletes garbage."""


ROLES: Final[tuple[Role, ...]] = get_args(Role)

ANY_PRODUCT: Final = "*"

_BUCKET: Final = "arn:aws:s3:::lake"


@cache
def _descriptions() -> Loader:
    """The reader of botocore's descriptions of services, which keeps what it has read.

    A session with a reader of its own parses a megabyte of JSON for its first client: a tenth of a
    second, many times in a run.
    """
    from botocore.loaders import create_loader

    return create_loader()


@dataclass(frozen=True)
class Keys:
    """The access key and the secret key of one identity."""

    access_key: str
    secret_key: str = field(repr=False)


def policy(role: Role, bucket: str, product: str) -> dict[str, Any]:
    """Return the S3 policy of a role.

    Parameters
    ----------
    role
        One of `ROLES`.
    bucket
        Name of the bucket.
    product
        First segment of the keys that the policy covers; `ANY_PRODUCT` covers all.

    Returns
    -------
    dict
        The policy document, with ``Statement`` and ``Resource`` as in AWS IAM.
    """
    document: dict[str, Any] = json.loads(
        files("genept.storage").joinpath("policies", f"{role}.json").read_text()
    )
    for statement in document["Statement"]:
        statement["Resource"] = [
            _placed(resource, bucket, product) for resource in statement["Resource"]
        ]
    return document


def server_identities(
    operator: Keys, roles: Mapping[Role, Keys], bucket: str, product: str
) -> dict[str, Any]:
    """Return SeaweedFS's identity configuration: an operator with all rights, and the roles."""
    everything = ["Admin", "Read", "Write", "List", "Tagging"]
    return {
        "identities": [
            {"name": "operator", "credentials": [_credential(operator)], "actions": everything},
            *(
                {"name": role, "credentials": [_credential(keys)], "policyNames": [role]}
                for role, keys in roles.items()
            ),
        ],
        "policies": [
            {"name": role, "content": json.dumps(policy(role, bucket, product))} for role in roles
        ],
    }


def _placed(resource: str, bucket: str, product: str) -> str:
    path = resource.removeprefix(_BUCKET).replace("/genept/", f"/{product}/", 1)
    return f"arn:aws:s3:::{bucket}{path}"


def _credential(keys: Keys) -> dict[str, str]:
    return {"accessKey": keys.access_key, "secretKey": keys.secret_key}


@dataclass(frozen=True)
class Access:
    """Address and credentials of a bucket; without keys, each library uses its defaults."""

    endpoint_url: str | None
    access_key: str | None
    secret_key: str | None = field(repr=False)
    region: str
    bucket: str

    def session(self) -> boto3.Session:
        """Return the boto3 session that signs with these credentials."""
        import boto3  # a third of the import time of `genept.client`
        from botocore.session import Session

        session = Session()
        session.register_component("data_loader", _descriptions())
        return boto3.Session(
            botocore_session=session,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
        )

    def storage_options(self) -> dict[str, str]:
        """Return the `storage_options` argument of polars' readers and writers."""
        has_endpoint = self.endpoint_url is not None
        options = {
            "aws_region": self.region,
            "aws_endpoint_url": self.endpoint_url,
            "aws_virtual_hosted_style_request": "false" if has_endpoint else None,
            "aws_allow_http": str(not self._is_encrypted).lower() if has_endpoint else None,
            "aws_access_key_id": self.access_key,
            "aws_secret_access_key": self.secret_key,
        }
        return {name: value for name, value in options.items() if value}

    def filesystem(self) -> S3FileSystem:
        """Return the pyarrow filesystem."""
        from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem

        return S3FileSystem(
            access_key=self.access_key,
            secret_key=self.secret_key,
            region=self.region,
            endpoint_override=self._host,
            scheme="https" if self._is_encrypted else "http",
            connect_timeout=CONNECT_TIMEOUT,
            request_timeout=READ_TIMEOUT,
            retry_strategy=AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
        )

    def duckdb_secret(self) -> str:
        """Return the DuckDB statement that creates the secret.

        Without configured keys, the statement holds the credentials that boto3 finds.

        Raises
        ------
        StoreError
            There are neither configured keys nor credentials that boto3 finds.
        """
        credentials = self.session().get_credentials()
        if credentials is None:
            raise StoreError(
                "DuckDB needs credentials and none were found: set GENEPT_S3_ACCESS_KEY and "
                "GENEPT_S3_SECRET_KEY, or give boto3 a profile"
            )
        frozen = credentials.get_frozen_credentials()
        options = {
            "KEY_ID": frozen.access_key,
            "SECRET": frozen.secret_key,
            "SESSION_TOKEN": frozen.token,
            "REGION": self.region,
            "ENDPOINT": self._host,
            "URL_STYLE": "path" if self.endpoint_url else None,
            "SCOPE": f"s3://{self.bucket}",
        }
        given = "".join(f"{name} {_quoted(value)}, " for name, value in options.items() if value)
        return (
            "CREATE OR REPLACE SECRET genept (TYPE s3, PROVIDER config, "
            f"{given}USE_SSL {str(self._is_encrypted).lower()})"
        )

    @property
    def _host(self) -> str | None:
        """Host and port of the endpoint."""
        return urlsplit(self.endpoint_url).netloc if self.endpoint_url else None

    @property
    def _is_encrypted(self) -> bool:
        return self.endpoint_url is None or urlsplit(self.endpoint_url).scheme == "https"


def _quoted(value: str) -> str:
    """A string literal of SQL."""
    return "'" + value.replace("'", "''") + "'"
