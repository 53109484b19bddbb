"""Drugs of an installation: of its screens, with the structures that it has."""

import secrets
from pathlib import Path

import polars as pl
import pytest
from declared_rows import declared_frame, store_table
from own_files import REFERENCE

import genept.client.installation
from genept.client.platform import Platform
from genept.common.settings import Settings
from genept.models.drug_response.drug_tables import DRUGS
from genept.schema.tables import TABLES
from genept.storage.object_store import ObjectStore


@pytest.fixture
def platform(
    object_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Platform:
    monkeypatch.setattr(genept.client.installation, "starter_reference", lambda _: REFERENCE)
    access = object_store.access
    structures = tmp_path / "structures.csv"
    structures.write_text("drug_id,smiles\nSotorasib,CCO\nX-1,CCN\n")
    return Platform(
        Settings(
            state_dir=tmp_path / "state",
            s3_endpoint=access.endpoint_url,
            s3_access_key=access.access_key,
            s3_secret_key=access.secret_key,
            bucket=access.bucket,
            product=f"drugs-{secrets.token_hex(4)}",
            drug_structures=structures,
        )
    )


def drugs_of(platform: Platform, collection: str) -> pl.DataFrame:
    rows = declared_frame(TABLES["drug_responses"], 1, partition=(collection,))
    rows = rows.with_columns(drug_id=pl.lit("X-1"))
    responses = store_table(platform.lake, "drug_responses", rows.to_arrow())
    genes = store_table(platform.lake, "genes").part()
    parts = platform.drug_parts(genes, responses)
    return platform.lake.read(platform.lake.assemble(DRUGS[0], parts))


def test_structures_of_a_users_own_table_are_not_passed_on(platform: Platform) -> None:
    rows = drugs_of(platform, "pbmc-hao").filter(pl.col("smiles").is_not_null())
    assert dict(rows.select("drug_id", "smiles").iter_rows()) == {
        "X-1": "CCN",
        "Sotorasib": "CCO",
    }
    assert platform.catalogue.collections["pbmc-hao"].redistributable
    assert not rows["redistributable"].any()


def test_responses_of_a_collection_that_was_removed_are_still_listed(platform: Platform) -> None:
    (row,) = drugs_of(platform, "removed").filter(pl.col("drug_id") == "X-1").rows(named=True)
    assert (row["screens"], row["smiles"], row["redistributable"]) == (["removed"], None, False)
