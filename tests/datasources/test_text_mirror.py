"""TCGA of 11 cancers out of the mirror, by a catalogue entry; skipped where it is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sources_files import dense, parse_files

TCGA11 = Path(__file__).parents[3] / "shared" / "mirror" / "bulk"

pytestmark = pytest.mark.skipif(
    not TCGA11.exists(), reason="the mirror of public files is not here"
)


def test_tcga11_is_clipped_imputed_and_grouped_by_patient(tmp_path: Path) -> None:
    files = [TCGA11 / "tcga11_expression.csv.gz", TCGA11 / "tcga11_samples.csv"]
    parsed = parse_files(
        tmp_path,
        "table",
        "log2",
        files,
        metadata=[{"id": "sample"}],
        group="patient",
        labels={"diagnosis": "tissue", "tissue_subtype": "cohort"},
        allowed={"diagnosis": {"tumor": "tumor", "normal": "normal"}},
        floor=-2.0,
        missing="impute_gene_mean",
    )
    assert parsed.expression.shape == (1204, 3556)
    assert parsed.quarantined == ()
    remarks = {remark.reason: remark.n for remark in parsed.remarks}
    assert remarks["imputed"] == 944
    assert remarks["floored"] > 0
    values = dense(parsed)
    assert np.isfinite(values).all()
    assert values.min() == -2
    table = parsed.observations
    assert table["diagnosis"].value_counts(sort=True)["count"].to_list() == [602, 602]
    assert table["tissue_subtype"].n_unique() == 11
    pairs = table.group_by("group_id").agg(pl.col("diagnosis").n_unique())
    assert pairs.height == 602
    assert pairs["diagnosis"].unique().to_list() == [2]
