"""Published text layouts: plain tables, GCT, GEO series matrix, Xena, recount3, DepMap."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sources_files import column, dense, local_files, numbers, odd, parse_files
from sources_layouts import tarred, zipped

from genept.common.errors import SourceError
from genept.datasources.parsers import parse_collection
from genept.datasources.readers import spool, text_numbers
from genept.datasources.readers.orientation import gene_axis, gene_like, has_ensembl_form
from genept.datasources.readers.parsed import ParsedCollection
from genept.datasources.readers.spool import discard_spool


def parse(
    folder: Path, format_: str, unit: str, *texts: str | bytes, **options: Any
) -> ParsedCollection:
    files = []
    for at, text in enumerate(texts):
        file = folder / f"file-{at}"
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        files.append(file)
    return parse_files(folder / "cache", format_, unit, files, **options)


# --- plain tables ------------------------------------------------------------


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 40), st.integers(1, 12), st.booleans(), st.integers(0, 99))
def test_both_ways_up_are_the_same_in_chunks_and_panels_of_any_size(
    tmp_path_factory: pytest.TempPathFactory, rows: int, genes: int, small: bool, seed: int
) -> None:
    values = numbers((rows, genes), seed) + 0.25
    frame = [["", *(f"RPL{g}" for g in range(genes))]]
    frame += [[f"s{r}", *map(str, values[r])] for r in range(rows)]
    with pytest.MonkeyPatch.context() as patch:
        if small:
            patch.setattr(text_numbers, "CHUNK", 20)
            patch.setattr(spool, "PANEL_BYTES", 64)
        for name, table in (("up", frame), ("over", list(zip(*frame, strict=True)))):
            folder = tmp_path_factory.mktemp(name)
            text = "\n".join("\t".join(row) for row in table)
            parsed = parse(folder, "table", "log2", text)
            assert column(parsed, "observation_id") == [f"s{r}" for r in range(rows)]
            assert parsed.input_genes == tuple(f"RPL{g}" for g in range(genes))
            np.testing.assert_array_equal(dense(parsed), values)
            np.testing.assert_array_equal(dense(parsed, 1, 3), values[1:3])


def test_labels_and_numbers_may_be_in_one_table(tmp_path: Path) -> None:
    text = (
        'cell,ZNF12,"type, fine",RPL3,note,donor\n'
        'a,1,"T, CD8",2,first,d1\nb,3,B,4,"second, ""odd""",d1\nc,5,T,6,,\n'
    )
    parsed = parse(
        tmp_path,
        "table",
        "counts",
        text,
        group="donor",
        labels={"cell_type": "type, fine"},
        ignore=["note"],
        constants={"tissue": "blood"},
    )
    assert parsed.input_genes == ("ZNF12", "RPL3")
    assert column(parsed, "cell_type") == ["T, CD8", "B"]
    assert column(parsed, "tissue") == ["blood", "blood"]
    assert odd(parsed) == {("c", "no_group", 1)}
    np.testing.assert_array_equal(dense(parsed), [[1, 2], [3, 4]])


@pytest.mark.parametrize("pack", [zipped, tarred], ids=["zip", "tar"])
def test_members_of_archives_are_read(tmp_path: Path, pack: Any) -> None:
    packed = pack({"x/t.csv.gz": gzip.compress(b"g,a\nRPL3,1\n"), "x/m.csv": b"id,d\na,1\n"})
    parsed = parse(
        tmp_path,
        "table",
        "counts",
        packed,
        member="t.csv.gz",
        metadata=[{"source": 0, "member": "m.csv"}],
        group="d",
        genes_in="rows",
    )
    assert column(parsed, "group_id") == ["1"]


def test_repeated_genes_stay_apart(tmp_path: Path) -> None:
    parsed = parse(tmp_path, "table", "counts", "g,a,b\nRPL3,1,0\nRPL3,0,2\n")
    assert parsed.input_genes == ("RPL3", "RPL3#2")
    assert parsed.symbols == ("RPL3", "RPL3")


def test_what_was_parsed_is_not_parsed_again(tmp_path: Path) -> None:
    text = "g,a,b\nRPL3,1,0\nRPL4,0,2\n"
    first = parse(tmp_path, "table", "counts", text)
    kept = list((tmp_path / "cache" / "spools" / "c").iterdir())
    again = parse(tmp_path, "table", "counts", text)
    assert list((tmp_path / "cache" / "spools" / "c").iterdir()) == kept
    assert again.observations.equals(first.observations)
    np.testing.assert_array_equal(dense(again), dense(first))
    parse(tmp_path, "table", "counts", text.replace("2", "3"))
    assert len(list((tmp_path / "cache" / "spools" / "c").iterdir())) == 2


def test_what_was_kept_can_be_removed(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("g,a,b\nRPL3,1,0\nRPL4,0,2\n")
    archives, collection = local_files(tmp_path / "cache", "table", "counts", [file])
    parse_collection(archives, collection)
    discard_spool(archives, collection)
    assert not (tmp_path / "cache" / "spools" / "c").exists()
    np.testing.assert_array_equal(dense(parse_collection(archives, collection)), [[1, 0], [0, 2]])


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"group_pattern": "("}, "is no regular expression"),
        ({"group_pattern": "GTEX-.*"}, "has no group"),
        ({"metadata": [{}]}, "takes 2 sources, not 1"),
        ({"metadata": [{"source": 3}]}, "takes 4 sources, not 1"),
        ({"labels": {"kind": "x"}}, "labels"),
        ({"missing": "zero"}, "missing"),
    ],
)
def test_an_entry_that_cannot_work_is_refused_on_load(
    tmp_path: Path, options: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValidationError, match=complaint):
        local_files(tmp_path, "table", "counts", [tmp_path / "x"], **options)


def test_a_table_of_fields_that_are_nowhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"has no field 'typ'; found \['id'"):
        parse(tmp_path, "table", "counts", "id,RPL3\na,1\n", labels={"cell_type": "typ"})


@pytest.mark.parametrize(
    "name",
    ["ENSG00000141510.12", "RPL13A", "ZNF12", "SLC2A1", "C9orf72", "HLA-A", "MT-CO1", "TP53"],
)
def test_names_that_only_genes_bear(name: str) -> None:
    assert gene_like(name)
    assert gene_like(f"{name} (123)")


@pytest.mark.parametrize(
    ("name", "has_form"),
    [
        *((id_, True) for id_ in ("ENSG00000141510", "ENSG99999999999.3", "ENSG00000002586_PAR_Y")),
        *(
            (id_, True)
            for id_ in ("ENSG00000002586.18_PAR_Y", "ENSMUSG00000000001", " ENSG00000141510")
        ),
        *(
            (id_, False)
            for id_ in ("ENSG1", "ENSG000001415101", "ENST00000269305", "TP53", "B10", "")
        ),
    ],
)
def test_any_id_with_the_form_of_an_ensembl_gene_id_looks_like_a_gene(
    name: str, has_form: bool
) -> None:
    assert has_ensembl_form(name) is has_form


@pytest.mark.parametrize(
    "name",
    ["GSM12345", "TCGA-A7-A0CE", "GTEX-1117F", "ACH-000001", "SRR123", "AAACCTGA-1", "S1", "", "1"],
)
def test_names_of_samples_are_no_genes(name: str) -> None:
    assert not gene_like(name)


def test_who_knows_genes_may_be_asked() -> None:
    known = {"x", "y"}.__contains__
    assert gene_axis(["a"], ["x", "y"], known, declared=None, what="f") == "columns"
    with pytest.raises(SourceError, match="f: is transposed"):
        gene_axis(["x"], ["a"], known, declared="columns", what="f")


# --- GCT ---------------------------------------------------------------------

GCT = (
    "#1.2\n2\t2\nName\tDescription\tGTEX-1117F-0226-SM-5GZZ7\tGTEX-111CU-1826-SM-5GZYN\n"
    "ENSG00000223972.5\tDDX11L1\t0\t1.5\nENSG00000227232.5\tWASH7P\t8.25\t4\n"
)


def test_gtex_is_grouped_by_donor(tmp_path: Path) -> None:
    meta = (
        "SAMPID\tSMTS\tSMTSD\nGTEX-1117F-0226-SM-5GZZ7\tAdipose Tissue\tAdipose - Subcut\n"
        'GTEX-111CU-1826-SM-5GZYN\tBrain\tBrain - Cortex\nGTEX-OTHER\tBlood\tWhole "Blood"\n'
    )
    parsed = parse(
        tmp_path,
        "gct",
        "log2",
        gzip.compress(GCT.encode()),
        meta,
        metadata=[{"id": "SAMPID"}],
        unmatched="quarantine",
        group_pattern="(GTEX-[^-]+)",
        labels={"tissue": "SMTS", "tissue_subtype": "SMTSD"},
        genes="Description",
    )
    assert parsed.input_genes == ("ENSG00000223972.5", "ENSG00000227232.5")
    assert parsed.symbols == ("DDX11L1", "WASH7P")
    assert column(parsed, "group_id") == ["GTEX-1117F", "GTEX-111CU"]
    assert column(parsed, "tissue") == ["Adipose Tissue", "Brain"]
    np.testing.assert_array_equal(dense(parsed), [[0, 8.25], [1.5, 4]])
    assert odd(parsed) == {("GTEX-OTHER", "no_expression", 1)}


def test_gtex_files_of_one_tissue_number_their_rows(tmp_path: Path) -> None:
    lines = GCT.splitlines()
    numbered = [*lines[:2], "id\t" + lines[2], *(f"{n}\t{it}" for n, it in enumerate(lines[3:]))]
    parsed = parse(tmp_path, "gct", "log2", "\n".join(numbered))
    assert parsed.input_genes == ("ENSG00000223972.5", "ENSG00000227232.5")
    np.testing.assert_array_equal(dense(parsed), [[0, 8.25], [1.5, 4]])


def test_gct_1_3_describes_its_samples(tmp_path: Path) -> None:
    text = (
        "#1.3\n2\t2\t1\t2\nid\tsymbol\ts1\ts2\ncell\tna\tA375\tMCF7\ndose\tna\t10\tNA\n"
        "7157\tTP53\t1\t2\n1956\tEGFR\t-3\t4\n"
    )
    options = {"labels": {"cell_type": "cell"}, "genes": "symbol"}
    parsed = parse(tmp_path, "gct", "log2", text, **options)
    assert column(parsed, "cell_type") == ["A375", "MCF7"]
    assert parsed.symbols == ("TP53", "EGFR")
    np.testing.assert_array_equal(dense(parsed), [[1, -3], [2, 4]])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (GCT.replace("#1.2", "#2"), "is no GCT"),
        (GCT.replace("2\t2\n", "2\n", 1), "dimensions of a GCT"),
        (GCT.replace("2\t2\n", "3\t2\n", 1), "declares 3 rows, but has 2: was it cut short"),
        (GCT.replace("2\t2\n", "2\t4\n", 1), "declares 4 samples, but its header has 4 columns"),
        ("#1.2\n", "ends before the dimensions"),
    ],
)
def test_gct_that_contradicts_itself_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(SourceError, match=complaint):
        parse(tmp_path, "gct", "log2", text)


# --- GEO ---------------------------------------------------------------------

GEO = (
    '!Series_title\t"A ""study"""\n!Series_geo_accession\t"GSE1"\n\n'
    '!Sample_title\t"one"\t"two"\n!Sample_geo_accession\t"GSM1"\t"GSM2"\n'
    '!Sample_characteristics_ch1\t"tissue: brain"\t"age: 5"\n'
    '!Sample_characteristics_ch1\t"age: 4"\t"tissue: liver"\n'
    "!series_matrix_table_begin\n"
    '"ID_REF"\t"GSM2"\t"GSM1"\n"TP53"\t1.5\t-2\n"EGFR"\tnull\t4\n'
    "!series_matrix_table_end\n"
)


def test_geo_characteristics_are_fields_by_key(tmp_path: Path) -> None:
    parsed = parse(
        tmp_path,
        "geo_series",
        "log2",
        gzip.compress(GEO.replace("\n", "\r\n").encode()),
        labels={"tissue": "characteristics: tissue"},
        group="title",
        missing="impute_gene_mean",
    )
    assert column(parsed, "observation_id") == ["GSM2", "GSM1"]
    assert column(parsed, "group_id") == ["two", "one"]
    assert column(parsed, "tissue") == ["liver", "brain"]
    np.testing.assert_array_equal(dense(parsed), [[1.5, 4], [-2, 4]])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (GEO.replace("!series_matrix_table_end\n", ""), "ends without '!series_matrix_table_end'"),
        (GEO.partition("!series_matrix_table_begin")[0], "has no line !series_matrix_table_begin"),
        (GEO.partition('"TP53"')[0] + "!series_matrix_table_end\n", "supplementary file"),
        (GEO.replace('"GSM1"\t"GSM2"', '"GSM1"\t"GSM3"'), "they must be the same"),
        ("gene,a\nTP53,1\n", "is no GEO series matrix: line 1"),
    ],
)
def test_geo_that_is_not_whole_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(SourceError, match=complaint):
        parse(tmp_path, "geo_series", "log2", text, missing="impute_gene_mean")


# --- Xena, DepMap, recount3 --------------------------------------------------


def test_xena_joins_its_phenotype(tmp_path: Path) -> None:
    parsed = parse(
        tmp_path,
        "xena",
        "log2",
        gzip.compress(b"sample\tTCGA-AA-0001-01\tTCGA-AA-0001-11\nTP53\t9.5\t0\nA1BG\t0\t1\n"),
        "sampleID\t_PATIENT\tsample_type\nTCGA-AA-0001-11\tP1\tSolid Tissue Normal\n"
        "TCGA-AA-0001-01\tP1\tPrimary Tumor\n",
        metadata=[{}],
        group="_PATIENT",
        labels={"diagnosis": "sample_type"},
        allowed={"diagnosis": {"Primary Tumor": "tumor", "Solid Tissue Normal": "normal"}},
    )
    assert column(parsed, "diagnosis") == ["tumor", "normal"]
    assert column(parsed, "group_id") == ["P1", "P1"]
    np.testing.assert_array_equal(dense(parsed), [[9.5, 0], [0, 1]])


DEPMAP = (
    ",SequencingID,ModelID,IsDefaultEntryForModel,TSPAN6 (7105),TNMD (64102),ODD\n"
    "0,CDS-1,ACH-1,Yes,1.5,0,1\n1,CDS-2,ACH-1,No,9,9,9\n2,CDS-3,ACH-2,Yes,0,2.25,0\n"
)


def test_depmap_takes_default_entries_and_reads_entrez_ids(tmp_path: Path) -> None:
    parsed = parse(
        tmp_path,
        "depmap",
        "log2",
        DEPMAP,
        "ModelID,CellLineName,OncotreeLineage\nACH-1,NCI-H460,Lung\nACH-2,TT,Thyroid\n",
        "broad_id,depmap_id,name,auc,passed\nB1,ACH-1,drug-1,0.5,TRUE\nB1,ACH-1,drug-1,0.9,FALSE\n",
        observations="ModelID",
        only={"IsDefaultEntryForModel": "Yes"},
        ignore=["SequencingID"],
        metadata=[{"id": "ModelID"}],
        labels={"tissue": "OncotreeLineage"},
        responses={
            "source": 2,
            "line": "depmap_id",
            "drug": "name",
            "value": "auc",
            "measure": "auc",
            "unit": "fraction",
            "only": {"passed": "TRUE"},
        },
    )
    assert column(parsed, "observation_id") == ["ACH-1", "ACH-2"]
    assert parsed.symbols == ("TSPAN6", "TNMD", "ODD")
    assert parsed.entrez_ids == ("7105", "64102", None)
    assert parsed.responses is not None
    assert parsed.responses.rows() == [("ACH-1", "drug-1", 0.5, "auc", "fraction", 1)]
    assert odd(parsed) == {("ACH-1", "not_selected", 1), ("passed", "not_selected", 1)}
    assert [(it.reason, it.n) for it in parsed.remarks] == [
        ("ignored_columns", 1),
        ("gene_pattern", 1),
    ]
    np.testing.assert_array_equal(dense(parsed), [[1.5, 0, 1], [0, 2.25, 0]])


RECOUNT = (
    "##annotation=gencode_v26\n##date.generated=2020-08-01\ngene_id\tSRR1\tSRR2\n"
    "ENSG00000278704.1\t0\t150\nENSG00000277400.1\t90000000\t301\n"
)
QC = "rail_id\texternal_id\tstudy\tstar.average_mapped_length\n1\tSRR2\tX\t150\n2\tSRR1\tX\t90\n"
PROJECT = "rail_id\texternal_id\tstudy\n1\tSRR2\tX\n2\tSRR1\tX\n"
TABLES = [
    {"source": 1, "id": "external_id", "name": "recount_qc"},
    {"source": 2, "id": "external_id"},
]


def test_recount3_coverage_becomes_counts(tmp_path: Path) -> None:
    parsed = parse(
        tmp_path,
        "recount3",
        "counts",
        *(gzip.compress(text.encode()) for text in (RECOUNT, QC, PROJECT)),
        metadata=TABLES,
        group="study",
    )
    assert column(parsed, "group_id") == ["X", "X"]
    np.testing.assert_array_equal(dense(parsed), [[0, 1_000_000], [1, 2]])


def of_project(text: str, number: int) -> bytes:
    """The same table of another project."""
    return gzip.compress(text.replace("SRR", f"SRR{number}").encode())


def test_projects_of_recount3_are_put_below_one_another(tmp_path: Path) -> None:
    described = PROJECT.replace("study\n", "study\tsample_attributes\n")
    first = described.replace("\tX\n", "\tX\ttissue;;liver|sex;;F\n")
    second = described.replace("\tX\n", "\tY\tOrgan;;lung\n")
    parsed = parse(
        tmp_path,
        "recount3",
        "counts",
        *(of_project(text, 7) for text in (RECOUNT, QC, first)),
        *(of_project(text, 8) for text in (RECOUNT, QC, second)),
        metadata=TABLES,
        group="study",
        n_projects=2,
        labels={"tissue": "sample_attributes/tissue|organ"},
    )
    assert column(parsed, "observation_id") == ["SRR71", "SRR72", "SRR81", "SRR82"]
    assert column(parsed, "group_id") == ["X", "X", "Y", "Y"]
    assert column(parsed, "tissue") == ["liver", "liver", "lung", "lung"]
    values = [[0, 1_000_000], [1, 2]] * 2
    np.testing.assert_array_equal(dense(parsed), values)
    for start, stop in ((0, 1), (1, 3), (2, 4), (3, 9), (4, 4)):
        rows = [block.toarray() for block in parsed.expression.blocks(start, stop)]
        assert [row for block in rows for row in block.tolist()] == values[start:stop]
    assert parsed.metadata is not None
    fields = parsed.metadata.sort("observation_id")
    assert fields["sex"].to_list() == ["F", "F", None, None]
    assert fields["organ"].to_list() == [None, None, "lung", "lung"]


@pytest.mark.parametrize(
    ("matrix", "number", "complaint"),
    [
        (
            RECOUNT.replace("ENSG00000277400.1", "ENSG1.1"),
            8,
            "other genes than .*'ENSG1.1' instead",
        ),
        (RECOUNT, 7, "observations"),
    ],
)
def test_projects_that_do_not_fit_are_refused(tmp_path, matrix, number, complaint) -> None:
    with pytest.raises(SourceError, match=complaint):
        parse(
            tmp_path,
            "recount3",
            "counts",
            *(of_project(text, 7) for text in (RECOUNT, QC, PROJECT)),
            *(of_project(text, number) for text in (matrix, QC, PROJECT)),
            metadata=TABLES,
            group="study",
            n_projects=2,
        )


@pytest.mark.parametrize(
    ("qc", "options", "complaint"),
    [
        (QC.replace("\t90\n", "\t\n"), {}, "1 samples have no recount_qc.star.*, such as 'SRR1'"),
        (QC.replace("star", "moon"), {}, "no metadata table has the field 'recount_qc.star"),
        (QC, {"scale": "coverage"}, "coverage summed over bases, not counts"),
    ],
)
def test_recount3_coverage_is_never_taken_for_counts(
    tmp_path: Path, qc: str, options: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(SourceError, match=complaint):
        parse(tmp_path, "recount3", "counts", RECOUNT, qc, PROJECT, metadata=TABLES, **options)
