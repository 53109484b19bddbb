"""The bucket and its roles: read by an HCL parser, and by Terraform as far as it works offline.

Commands that need the provider, and so the network (`init`, `validate`, `plan`), are not run.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import hcl2
import pytest

INFRA = Path(__file__).parents[2] / "infra"
TERRAFORM = INFRA / "terraform"
ROLES = {path.stem for path in (INFRA / "policies").glob("*.json")}


@pytest.fixture(scope="module")
def module() -> dict[str, list[Any]]:
    """Blocks of all files, by kind."""
    blocks: dict[str, list[Any]] = {}
    for path in sorted(TERRAFORM.glob("*.tf")):
        with path.open() as file:
            for kind, items in hcl2.load(file).items():
                if kind != "__comments__":
                    blocks.setdefault(kind, []).extend(items)
    return blocks


def named(blocks: list[Any]) -> dict[str, Any]:
    """Blocks by their label."""
    return {label.strip('"'): body for block in blocks for label, body in block.items()}


def addresses(blocks: list[Any]) -> set[str]:
    """Blocks of two labels as they are referred to."""
    return {
        ".".join(label.strip('"') for label in (kind, name))
        for block in blocks
        for kind, bodies in block.items()
        for name in bodies
    }


def terraform(*arguments: str, folder: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not installed")
    return subprocess.run(
        ["terraform", *arguments],
        cwd=folder,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "CHECKPOINT_DISABLE": "1"},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_reference_has_its_block(module: dict[str, list[Any]]) -> None:
    text = "\n".join(path.read_text() for path in TERRAFORM.glob("*.tf"))
    used = set(re.findall(r"\bvar\.(\w+)", text))
    assert used == set(named(module["variable"])), "declared and used are the same"
    locals_ = {name for block in module["locals"] for name in block} - {"__is_block__"}
    assert set(re.findall(r"\blocal\.(\w+)", text)) == locals_
    resources = addresses(module["resource"])
    data = addresses(module["data"])
    assert set(re.findall(r"\bdata\.(aws_\w+\.\w+)", text)) == data
    assert set(re.findall(r"(?<!data\.)\b(aws_\w+\.\w+)", text)) <= resources


def test_the_bucket_keeps_and_locks_versions_and_blocks_public_access(
    module: dict[str, list[Any]],
) -> None:
    kinds = {address.partition(".")[0] for address in addresses(module["resource"])}
    assert {
        "aws_s3_bucket_versioning",
        "aws_s3_bucket_object_lock_configuration",
        "aws_s3_bucket_lifecycle_configuration",
        "aws_s3_bucket_public_access_block",
        "aws_s3_bucket_server_side_encryption_configuration",
    } <= kinds
    resources = {
        kind.strip('"'): body for block in module["resource"] for kind, body in block.items()
    }
    (bucket,) = resources["aws_s3_bucket"].values()
    assert bucket["object_lock_enabled"] is True
    (blocked,) = resources["aws_s3_bucket_public_access_block"].values()
    always = ("block_public_acls", "ignore_public_acls")
    assert [blocked[name] for name in always] == [True, True]
    unless_public = ("block_public_policy", "restrict_public_buckets")
    assert {blocked[name] for name in unless_public} == {"${!var.public_read}"}
    assert named(module["variable"])["public_read"]["default"] is False
    (lifecycle,) = resources["aws_s3_bucket_lifecycle_configuration"].values()
    assert {rule["id"].strip('"') for rule in lifecycle["rule"]} == {
        "unfinished-uploads",
        "old-versions",
    }
    assert not [rule for rule in lifecycle["rule"] if "days" in str(rule.get("expiration", ""))]


def test_the_files_are_formatted() -> None:
    checked = terraform("fmt", "-check", "-diff", "-recursive", folder=TERRAFORM)
    assert checked.returncode == 0, checked.stdout


def test_the_roles_have_the_rights_of_the_policies_on_the_named_bucket(
    tmp_path: Path,
) -> None:
    """Terraform itself evaluates the policies, which needs no provider."""
    shutil.copytree(INFRA / "policies", tmp_path / "policies")
    text = (TERRAFORM / "roles.tf").read_text()
    (tmp_path / "module").mkdir()
    (tmp_path / "module" / "main.tf").write_text(
        text[text.index("locals {") : text.index('\ndata "')]
        + 'variable "bucket" { default = "our-bucket" }\n'
        + 'variable "product" { default = "trial" }\n'
    )
    result = terraform("console", folder=tmp_path / "module", stdin="jsonencode(local.policies)\n")
    assert result.returncode == 0, result.stderr
    policies = json.loads(json.loads(result.stdout))
    assert set(policies) == ROLES
    for role, policy in policies.items():
        original = json.loads((INFRA / "policies" / f"{role}.json").read_text())
        assert "arn:aws:s3:::lake" not in policy
        assert "arn:aws:s3:::our-bucket" in policy
        here = json.loads(policy)
        assert [statement["Sid"] for statement in here["Statement"]] == [
            statement["Sid"] for statement in original["Statement"]
        ]


def test_the_variable_accepts_only_roles_that_exist() -> None:
    text = (TERRAFORM / "variables.tf").read_text()
    (listed,) = re.findall(r"contains\(\[([^\]]+)\]", text)
    assert set(re.findall(r"\w+", listed)) == ROLES
