"""Who may do what in the bucket: the roles, their policies, and the identities of a server.

The policies are S3's own documents, one file each under `policies/` (which `infra/policies`
links to), written for bucket `lake` and product `genept`. Keys belong to `genept.store.records`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Final, Literal, get_args

Role = Literal["reader", "writer", "publisher", "gc"]
"""Reads releases; adds to the lake; stages, seals and swaps; deletes what nobody needs."""

ROLES: Final[tuple[Role, ...]] = get_args(Role)
ANY_PRODUCT: Final = "*"
_BUCKET: Final = "arn:aws:s3:::lake"


@dataclass(frozen=True)
class Keys:
    """What one identity signs with."""

    access_key: str
    secret_key: str = field(repr=False)


def policy(role: Role, bucket: str, product: str) -> dict[str, Any]:
    """The policy of a role for a bucket and a product of it, or `ANY_PRODUCT`."""
    document: dict[str, Any] = json.loads(
        files("genept.store").joinpath("policies", f"{role}.json").read_text()
    )
    for statement in document["Statement"]:
        statement["Resource"] = [
            _placed(resource, bucket, product) for resource in statement["Resource"]
        ]
    return document


def server_identities(
    operator: Keys, roles: Mapping[Role, Keys], bucket: str, product: str
) -> dict[str, Any]:
    """SeaweedFS's configuration: the operator, who may do everything, and the roles."""
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
