"""The pinned archives themselves, as they come from the package index."""

from __future__ import annotations

from collections import Counter
from functools import cache

import numpy as np
import polars as pl
import pytest

from genept.datasources.download.archives import Archives
from genept.datasources.parsers import parse_collection
from genept.datasources.readers.parsed import ParsedCollection
from genept.datasources.readers.pickles import read_pickled_texts
from genept.datasources.reference_archives import (
    read_gene_records,
    read_go_annotations,
    read_go_terms,
    read_hgnc_table,
)

pytestmark = [pytest.mark.index, pytest.mark.timeout(1200)]


@cache
def parsed(archives: Archives, id_: str) -> ParsedCollection:
    return parse_collection(archives, archives.catalogue.collections[id_])


def counted(collection: ParsedCollection) -> Counter[tuple[str, str]]:
    kept_out: Counter[tuple[str, str]] = Counter()
    for item in collection.quarantined:
        kept_out[item.item, item.reason] += item.n
    return kept_out


def test_every_pinned_archive_can_be_fetched(real_archives: Archives) -> None:
    for id_, source in real_archives.catalogue.sources.items():
        if not source.is_package:
            continue
        assert real_archives.fetch(id_).stat().st_size == source.bytes


def test_pbmc(real_archives: Archives) -> None:
    pbmc = parsed(real_archives, "pbmc-hao")
    assert (pbmc.observations.height, len(pbmc.input_genes)) == (1336, 11180)
    counts = sorted(pbmc.observations["cell_type"].value_counts()["count"].to_list())
    assert counts == [13, 36, 87, *[150] * 8]
    assert pbmc.observations["group_id"].n_unique() == 13
    assert pbmc.quarantined == ()


def test_scmark(real_archives: Archives) -> None:
    cells = parsed(real_archives, "scmark")
    assert (cells.observations.height, len(cells.input_genes)) == (2000, 3000)
    counts = dict(cells.observations["cell_type"].value_counts().iter_rows())
    assert counts == {"T_cells_CD4+": 734, "T_cells_CD8+": 720, "Macrophages": 546}
    assert cells.observations["group_id"].n_unique() == 2000
    assert cells.quarantined == ()


def test_gdsc(real_archives: Archives) -> None:
    gdsc = parsed(real_archives, "gdsc")
    assert (gdsc.observations.height, len(gdsc.input_genes)) == (975, 5778)
    unlabelled = gdsc.observations.filter(pl.col("tissue").is_null())
    assert {"TT", "KMH2"} <= set(unlabelled["observation_id"])
    assert unlabelled.height == 10
    assert gdsc.observations["tissue"].drop_nulls().n_unique() == 19
    assert gdsc.observations["tissue_subtype"].drop_nulls().n_unique() == 55
    assert gdsc.responses is not None
    assert gdsc.responses.height == 225_075
    assert gdsc.responses["observation_id"].n_unique() == 919
    assert gdsc.responses["drug_id"].n_unique() == 286
    assert counted(gdsc) == {
        ("gene", "filler"): 385,
        ("observation", "no_expression"): 32,
        ("response", "no_expression"): 10_048,
        ("response", "ambiguous_line"): 798,
    }
    assert gdsc.responses["n_measured"].sum() + 10_048 + 798 == 242_036


def test_gdsc1_is_another_screen_of_the_same_lines(real_archives: Archives) -> None:
    gdsc, gdsc1 = parsed(real_archives, "gdsc"), parsed(real_archives, "gdsc1")
    assert gdsc1.observations.equals(gdsc.observations)
    assert gdsc1.responses is not None
    assert gdsc1.responses.height == 301_041
    assert gdsc1.responses["drug_id"].n_unique() == 378
    member = gdsc1_structures(real_archives)
    assert len(member) == 429
    assert sum(drug in member for drug in gdsc1.responses["drug_id"].unique()) == 305


def gdsc1_structures(archives: Archives) -> dict[str, str]:
    collection = archives.catalogue.collections["gdsc1"]
    member = collection.options["structures"]
    with archives.open_member(collection.sources[0], member) as stream:
        return read_pickled_texts(stream, what=member)


def test_gdsc_values_are_scaled_within_each_line(real_archives: Archives) -> None:
    for block in parsed(real_archives, "gdsc").expression.blocks():
        assert -1.35 < block.min() < 0 < block.max() < 4.73


def test_pam50_codes_agree_with_their_marker_genes(real_archives: Archives) -> None:
    brca = parsed(real_archives, "tcga-brca")
    assert (brca.observations.height, len(brca.input_genes)) == (769, 2500)
    diagnosis = brca.observations["diagnosis"]
    assert dict(diagnosis.value_counts().iter_rows()) == {
        "LumA": 419, "LumB": 140, "Basal": 130, "Her2": 46, "Normal-like": 34
    }  # fmt: skip
    values = np.vstack([block.toarray() for block in brca.expression.blocks()])

    def mean(symbol: str) -> dict[str, float]:
        level = values[:, brca.symbols.index(symbol)]
        return {name: level[(diagnosis == name).to_numpy()].mean() for name in diagnosis.unique()}

    esr1, erbb2, foxc1, krt5 = (mean(symbol) for symbol in ("ESR1", "ERBB2", "FOXC1", "KRT5"))
    assert min(esr1["LumA"], esr1["LumB"]) > esr1["Normal-like"] + 2
    assert max(esr1["Basal"], esr1["Her2"]) < esr1["Normal-like"] - 2
    assert erbb2["Her2"] > 2 + max(value for name, value in erbb2.items() if name != "Her2")
    assert foxc1["Basal"] > 1 + max(value for name, value in foxc1.items() if name != "Basal")
    assert min(krt5["Basal"], krt5["Normal-like"]) > 2 + max(krt5["LumA"], krt5["LumB"])


def test_pam50_luminal_a_divides_less_than_luminal_b(real_archives: Archives) -> None:
    brca = parsed(real_archives, "tcga-brca")
    aurka = np.concatenate(
        [
            block[:, brca.symbols.index("AURKA")].toarray().ravel()
            for block in brca.expression.blocks()
        ]
    )
    diagnosis = brca.observations["diagnosis"]
    luminal_a, luminal_b = (
        aurka[(diagnosis == name).to_numpy()].mean() for name in ("LumA", "LumB")
    )
    assert luminal_b > luminal_a + 1


def test_kipan(real_archives: Archives) -> None:
    kipan = parsed(real_archives, "tcga-kipan")
    assert (kipan.observations.height, len(kipan.input_genes)) == (658, 2284)
    assert dict(kipan.observations["diagnosis"].value_counts().iter_rows()) == {
        "kidney clear cell renal carcinoma": 318,
        "kidney papillary renal cell carcinoma": 274,
        "kidney chromophobe": 66,
    }
    assert kipan.quarantined == ()


def test_lower_grade_glioma(real_archives: Archives) -> None:
    glioma = parsed(real_archives, "tcga-lgg")
    assert (glioma.observations.height, len(glioma.input_genes)) == (511, 2127)
    assert dict(glioma.observations["diagnosis"].value_counts().iter_rows()) == {
        "astrocytoma": 193,
        "oligodendroglioma": 191,
        "oligoastrocytoma": 127,
    }
    assert glioma.quarantined == ()


def test_prostate(real_archives: Archives) -> None:
    prostate = parsed(real_archives, "prostate")
    assert (prostate.observations.height, len(prostate.input_genes)) == (28, 61_860)
    pairs = prostate.observations.group_by("group_id").agg(pl.col("diagnosis").sort())
    assert pairs.height == 14
    assert all(diagnoses == ["normal", "tumor"] for diagnoses in pairs["diagnosis"].to_list())


def test_references(real_archives: Archives) -> None:
    hgnc, records = read_hgnc_table(real_archives), read_gene_records(real_archives)
    assert hgnc.height == 44_997
    assert hgnc["ensembl_gene_id"].count() == 42_315
    assert records.height == 44_008
    assert records["ensembl_gene_id"].count() == 41_402
    assert (records["uniprot_ids"].list.len() > 0).sum() == 20_264
    assert hgnc.join(records, on="hgnc_id").height == 43_998


def test_gene_ontology(real_archives: Archives) -> None:
    terms, annotations = read_go_terms(real_archives), read_go_annotations(real_archives)
    assert (terms.height, terms["obsolete"].sum()) == (47_401, 2_456)
    assert terms["aspect"].n_unique() == 3
    assert (annotations.height, annotations["uniprot_id"].n_unique()) == (282_689, 19_775)
    living = terms.filter(~pl.col("obsolete"))
    assert annotations.join(living, on="go_id", how="anti").height == 0
