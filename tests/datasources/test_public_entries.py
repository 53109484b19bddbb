"""Every public collection of the catalogue, through its own entry, from a publisher on loopback.

The files are small and in the exact layout that each publisher uses; nothing of an entry but
the address is replaced.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import h5py
import numpy as np
import pytest
from hdf5_layouts import cellxgene, write_archs4
from publisher import publisher
from response_layouts import GDSC, as_workbook
from scipy.sparse import vstack

from genept.datasources.catalogue import load_catalogue
from genept.datasources.download.archives import Archives
from genept.datasources.download.mirrors import SourceLocations
from genept.datasources.parsers import parse_collection
from genept.datasources.readers.parsed import ParsedCollection
from genept.datasources.readers.values import checked_blocks

ON_THIS_MACHINE = {"pbmc3k", "tcga11"}
"""Files that a mirror must hold: they have no address, and are tested with the mirror."""

IN_PACKAGES = {"gdsc1", "tcga-lgg"}
"""Of the pinned archives: tested as they are, with the index."""

Files = dict[str, bytes]


def text(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def xena(_: Path) -> Files:
    return {
        "xena-tcga-expression:BRCA": gzip.compress(
            text("sample\tTCGA-AA-0001-01\tTCGA-AA-0001-11", "TP53\t9.5\t0", "A1BG\t0.5\t1")
        ),
        "xena-tcga-clinical:BRCA": text(
            "sampleID\t_PATIENT\tsample_type",
            "TCGA-AA-0001-11\tTCGA-AA-0001\tSolid Tissue Normal",
            "TCGA-AA-0001-01\tTCGA-AA-0001\tPrimary Tumor",
            "TCGA-AA-0002-01\tTCGA-AA-0002\tPrimary Tumor",
        ),
    }


def gtex(_: Path) -> Files:
    return {
        "gtex-counts": gzip.compress(
            text(
                "#1.2",
                "2\t2",
                "Name\tDescription\tGTEX-1117F-0226-SM-5GZZ7\tGTEX-111CU-1826-SM-5GZYN",
                "ENSG00000141510.17\tTP53\t4\t1",
                "ENSG00000121410.11\tA1BG\t8\t4",
            )
        ),
        "gtex-samples": text(
            "SAMPID\tSMTS\tSMTSD",
            "GTEX-1117F-0226-SM-5GZZ7\tAdipose Tissue\tAdipose - Subcutaneous",
            "GTEX-111CU-1826-SM-5GZYN\tBrain\tBrain - Cortex",
            "GTEX-111CU-0003-SM-58Q95\tBlood\tWhole Blood",
        ),
    }


def recount3(_: Path) -> Files:
    study = "SRP009615"
    head = "rail_id\texternal_id\tstudy"
    files = {
        "recount3": text(
            "##annotation=gencode_v26",
            "##date.generated=2020-08-01",
            "gene_id\tSRR387777\tSRR387778",
            "ENSG00000141510.16\t0\t150",
            "ENSG00000121410.11\t9000\t301",
        ),
        "recount3-qc": text(
            f"{head}\tstar.average_mapped_length",
            f"1\tSRR387778\t{study}\t150",
            f"2\tSRR387777\t{study}\t90",
        ),
        "recount3-samples": text(
            f"{head}\tsample_acc", f"1\tSRR387778\t{study}\tSRS2", f"2\tSRR387777\t{study}\tSRS1"
        ),
    }
    return {f"{name}:{study}": gzip.compress(body) for name, body in files.items()}


def archs4(folder: Path) -> Files:
    path = write_archs4(folder / "a.h5", np.random.default_rng(0).poisson(9, (12, 21)) + 1)
    with h5py.File(path, "a") as file:
        series = file["meta/samples/series_id"]
        series[10:13] = ["GSE30611", "GSE30611,GSE99", "GSE30611"]
    return {"archs4-human": path.read_bytes()}


def geo(_: Path) -> Files:
    table = text(
        '!Series_title\t"Cancer Cell Line Encyclopedia"',
        '!Series_geo_accession\t"GSE36133"',
        '!Sample_title\t"1321N1"\t"22Rv1"',
        '!Sample_geo_accession\t"GSM886835"\t"GSM886836"',
        '!Sample_characteristics_ch1\t"primary site: central_nervous_system"\t'
        '"primary site: prostate"',
        '!Sample_characteristics_ch1\t"histology: glioma"\t"histology: carcinoma"',
        "!series_matrix_table_begin",
        '"ID_REF"\t"GSM886835"\t"GSM886836"',
        '"7157_at"\t9.5\t4.25',
        '"1_at"\t5.5\t6.5',
        '"AFFX-BioB-3_at"\t8\t8.25',
        "!series_matrix_table_end",
    )
    return {"geo-series:GSE36133": gzip.compress(table)}


DEPMAP: Files = {
    "depmap-expression": text(
        ",TP53 (7157),A1BG (1)", "ACH-000001,1.5,0.5", "ACH-000002,0.25,2.25"
    ),
    "depmap-models": text(
        "ModelID,PatientID,StrippedCellLineName,OncotreeLineage,OncotreePrimaryDisease",
        "ACH-000001,PT-1,NCIH460,Lung,Non-Small Cell Lung Cancer",
        "ACH-000002,PT-2,HT29,Bowel,Colorectal Adenocarcinoma",
        "ACH-000003,PT-3,TT,Thyroid,Medullary Thyroid Cancer",
    ),
}


def depmap(screen: str) -> Callable[[Path], Files]:
    return lambda folder: DEPMAP | {f"{screen}-responses": as_workbook(folder / "x.xlsx", GDSC)}


def prism(_: Path) -> Files:
    head = (
        "broad_id,depmap_id,ccle_name,screen_id,upper_limit,lower_limit,slope,r2,auc,ec50,ic50,name"
    )
    rows = (
        "BRD-K1,ACH-000001,NCIH460_LUNG,MTS010,1,0.2,1.1,0.9,0.7,0.5,0.6,vemurafenib",
        "BRD-K1,ACH-000001,NCIH460_LUNG,MTS006,1,0.1,1.3,0.8,0.5,0.4,,vemurafenib",
        "BRD-K2,ACH-000002,HT29_LARGE_INTESTINE,MTS010,1,1.2,-0.3,0.1,1.08,,,disulfiram",
        "BRD-K2,,JURKAT_FAILED_STR,MTS010,1,0.5,1,0.7,0.8,,,disulfiram",
        "BRD-K2,ACH-000009,X_SKIN,MTS010,1,0.5,1,0.7,0.8,,,disulfiram",
    )
    return DEPMAP | {"prism-responses": text(head, *rows)}


def census(folder: Path) -> Files:
    data = cellxgene(folder / "c.h5ad").read_bytes()
    return {"cellxgene:e5f58829-1a66-40b5-a624-9046778e74f5": data}


LAYOUTS: dict[str, Callable[[Path], Files]] = {
    "tcga-brca-xena": xena,
    "gtex": gtex,
    "recount3-srp009615": recount3,
    "archs4-body-map": archs4,
    "ccle": geo,
    "depmap-gdsc1": depmap("gdsc1"),
    "depmap-gdsc2": depmap("gdsc2"),
    "depmap-prism": prism,
    "tabula-sapiens": census,
}


def test_every_optional_collection_is_here_or_in_a_mirror() -> None:
    optional = {entry.id for entry in load_catalogue().collections.values() if entry.optional}
    assert optional == set(LAYOUTS) | ON_THIS_MACHINE | IN_PACKAGES


def published(collection_id: str, folder: Path) -> ParsedCollection:
    """Parse from a server that has the files at the catalogue's own paths."""
    catalogue, addresses = load_catalogue(), {}
    collection = catalogue.collections[collection_id]
    files = LAYOUTS[collection_id](folder)
    assert set(files) == set(collection.sources)
    with publisher() as server:
        for source_id, body in files.items():
            path = urlsplit(str(catalogue.source(source_id).url)).path
            server.files[path.removeprefix("/")] = body
            addresses[source_id.partition(":")[0]] = server.url + path
        archives = Archives(catalogue, folder / "cache", locations=SourceLocations((), addresses))
        parsed = parse_collection(archives, collection)
        requested = {path for path, _ in server.seen}
    assert requested == set(server.files)
    ids = parsed.observations["observation_id"].to_list()
    assert list(checked_blocks(parsed.expression, ids, collection.unit))
    return parsed


def seen(parsed: ParsedCollection, *columns: str) -> list[tuple[str, ...]]:
    return parsed.observations.select("observation_id", "group_id", *columns).rows()


def dense(parsed: ParsedCollection) -> np.ndarray:
    return vstack(list(parsed.expression.blocks())).toarray()


def test_tcga_of_xena(tmp_path: Path) -> None:
    parsed = published("tcga-brca-xena", tmp_path)
    assert seen(parsed, "diagnosis") == [
        ("TCGA-AA-0001-01", "TCGA-AA-0001", "tumor"),
        ("TCGA-AA-0001-11", "TCGA-AA-0001", "normal"),
    ]
    np.testing.assert_array_equal(dense(parsed), [[9.5, 0.5], [0, 1]])
    assert [entry.input_id for entry in parsed.quarantined] == ["TCGA-AA-0002-01"]


def test_gtex(tmp_path: Path) -> None:
    parsed = published("gtex", tmp_path)
    assert seen(parsed, "tissue", "tissue_subtype") == [
        ("GTEX-1117F-0226-SM-5GZZ7", "GTEX-1117F", "Adipose Tissue", "Adipose - Subcutaneous"),
        ("GTEX-111CU-1826-SM-5GZYN", "GTEX-111CU", "Brain", "Brain - Cortex"),
    ]
    assert [entry.input_id for entry in parsed.quarantined] == ["GTEX-111CU-0003-SM-58Q95"]


def test_recount3(tmp_path: Path) -> None:
    parsed = published("recount3-srp009615", tmp_path)
    assert seen(parsed) == [("SRR387777", "SRS1"), ("SRR387778", "SRS2")]
    np.testing.assert_array_equal(dense(parsed), [[0, 100], [1, 2]])


def test_archs4(tmp_path: Path) -> None:
    parsed = published("archs4-body-map", tmp_path)
    assert seen(parsed, "tissue") == [
        ("GSM10", "Liver", "Liver"), ("GSM11", "blood", "blood"), ("GSM12", "Liver", "Liver")
    ]  # fmt: skip
    assert dense(parsed).shape == (3, 12)


def test_geo_by_accession(tmp_path: Path) -> None:
    parsed = published("ccle", tmp_path)
    assert seen(parsed, "tissue", "diagnosis") == [
        ("GSM886835", "1321N1", "central_nervous_system", "glioma"),
        ("GSM886836", "22Rv1", "prostate", "carcinoma"),
    ]
    assert parsed.entrez_ids == ("7157", "1", None)
    assert [(entry.reason, entry.n) for entry in parsed.remarks] == [("gene_pattern", 1)]


@pytest.mark.parametrize("screen", ["gdsc1", "gdsc2"])
def test_depmap_with_gdsc(tmp_path: Path, screen: str) -> None:
    parsed = published(f"depmap-{screen}", tmp_path)
    assert seen(parsed, "tissue") == [
        ("ACH-000001", "PT-1", "Lung"), ("ACH-000002", "PT-2", "Bowel")
    ]  # fmt: skip
    assert parsed.responses is not None
    assert set(parsed.responses["observation_id"]) == {"ACH-000001", "ACH-000002"}
    assert set(parsed.responses["unit"]) == {"ln(µM)"}


def test_depmap_with_prism_may_be_passed_on(tmp_path: Path) -> None:
    parsed = published("depmap-prism", tmp_path)
    assert parsed.responses is not None
    assert parsed.responses.rows() == [
        ("ACH-000001", "vemurafenib", pytest.approx(0.6), "auc", "fraction", 2),
        ("ACH-000002", "disulfiram", pytest.approx(1.08), "auc", "fraction", 1),
    ]
    odd = {(it.item, it.input_id) for it in parsed.quarantined if it.reason == "no_expression"}
    assert odd == {("response", ""), ("response", "ACH-000009"), ("observation", "ACH-000003")}
    catalogue = load_catalogue()
    collection = catalogue.collections["depmap-prism"]
    assert collection.redistributable
    assert all(catalogue.source(id_).redistributable for id_ in collection.sources)


def test_cellxgene(tmp_path: Path) -> None:
    parsed = published("tabula-sapiens", tmp_path)
    assert seen(parsed, "cell_type", "tissue")[:2] == [
        ("c0", "d0", "T cell", "blood"), ("c1", "d1", "T cell", "blood")
    ]  # fmt: skip
    assert parsed.input_genes[0].startswith("ENSG")
