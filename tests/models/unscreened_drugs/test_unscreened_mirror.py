"""The declared predictor on real GDSC2, where a mirror has the list of compounds: its bars."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from installations import PROJECT, storage_settings

from genept.client.platform import Platform
from genept.common.settings import Settings
from genept.embeddings import CollectionTables
from genept.models.drug_response import DRUGS
from genept.models.unscreened_drugs import REPORTED, UNSCREENED, build_unscreened
from genept.models.unscreened_drugs.drug_kernels import PATHWAY, TEXT, WITH_PATHWAY
from genept.models.unscreened_drugs.left_out import CHOSEN, MEAN_PROFILE
from genept.nomenclature.reference import build_reference_table
from genept.storage.provenance import StoredTable
from validation.checks import check_table

MIRROR = PROJECT.parent / "shared" / "mirror"
LIST = MIRROR / "gdsc" / "screened_compounds_rel_8.4.csv"
BARS = {"leave-drug-out": 0.36, "leave-target-out": 0.18}
"""Lowest mean correlation of the chosen predictor, by regime."""


@pytest.mark.index
@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.skipif(not LIST.is_file(), reason="needs the mirror's list of compounds")
def test_left_out_drugs_are_predicted_better_than_by_any_control(
    tmp_path: Path, object_store, store_prefix, real_archives
) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "archives").symlink_to(real_archives.folder)
    settings = Settings(
        state_dir=tmp_path,
        product=store_prefix.rpartition("-")[2],
        mirrors=(str(MIRROR),),
        **storage_settings(object_store),
    )
    platform = Platform(settings)
    lake = platform.lake
    genes = build_reference_table(lake, platform.archives, "genes").part()
    recipes = [platform.recipes[TEXT.partition("/")[2]]]
    descriptions = lake.assemble("gene_descriptions", platform.describe(genes, recipes))
    vectors = platform.available_vectors(REPORTED, descriptions, print)
    assert set(vectors) == set(REPORTED)
    gdsc = platform.catalogue.collections["gdsc"]
    parts = platform.ingest(gdsc)
    tables = {name: StoredTable.of(name, parts) for name in {part.table for part in parts}}
    made = platform.drug_parts(genes, tables["drug_responses"])
    drugs, targets = (lake.assemble(name, made) for name in DRUGS)
    of = CollectionTables(lake, tables, [gdsc], [])
    built, remarks = build_unscreened(of, drugs, targets, vectors)
    stored = {name: lake.assemble(name, built) for name in UNSCREENED}
    for name, table in stored.items():
        assert check_table(lake, table).failed == (), name
    assert remarks["gdsc"].count(": better") == 2

    scores = lake.read(stored["unscreened_drug_scores"])
    assert scores["n_drugs"].unique().to_list() == [254]
    for regime, bar in BARS.items():
        chosen = scores.filter(regime=regime, representation=CHOSEN)
        assert chosen["value"][0] >= bar, regime
        over = chosen.filter(other=MEAN_PROFILE).row(0, named=True)
        assert over["difference_low"] > 0, regime
    narrow = scores.filter(regime="leave-target-out")
    for representation, others in (
        (WITH_PATHWAY, [PATHWAY]),
        (TEXT, [f"{TEXT}@shuffled", f"{TEXT}@random"]),
    ):
        for other in others:
            row = narrow.filter(representation=representation, other=other).row(0, named=True)
            assert row["difference_low"] > 0, (representation, other)
    both = scores.filter(regime="leave-drug-and-line-out").row(0, named=True)
    assert both["ci_low"] > 0.1

    about = lake.read(stored["unscreened_drugs"])
    assert not set(about["drug_id"]) & set(lake.read(stored["left_out_drugs"])["drug_id"])
    known = about.filter(~pl.col("abstained"))
    assert known.height > 200
    assert (known["evidence"].list.len() > 0).all()
    (sotorasib,) = known.filter(drug_id="Sotorasib").rows(named=True)
    assert any(name.startswith("KRAS") for name in sotorasib["evidence"]), sotorasib
