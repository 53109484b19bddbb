"""What publishers say of genes, in the exact layout of their files; and files that are not so."""

from __future__ import annotations

import gzip
from functools import partial
from pathlib import Path

import pytest
from sources_layouts import GAF, SWISSPROT

from genept.common.errors import SourceError
from genept.datasources.catalogue import load_catalogue
from genept.datasources.download.archives import Archives
from genept.datasources.download.available import available_files
from genept.datasources.download.mirrors import SourceLocations
from genept.datasources.download.streams import open_bytes
from genept.datasources.gene_knowledge import (
    read_gene_summary,
    read_interactions,
    read_phenotypes,
    read_reactome,
    read_swissprot,
)
from genept.datasources.gene_ontology import read_gaf

MIRROR = Path(__file__).parents[2].parent / "shared" / "mirror"

SUMMARY = (
    "#tax_id\tGeneID\tSource\tSummary\n"
    "9606\t7157\tRefSeq\tA tumor suppressor. [provided by RefSeq, Jul 2016]\n"
    "10090\t22059\tRefSeq\tOf the mouse.\n"
)
REACTOME = (
    "P04637\tR-HSA-69541\thttps://reactome.org/x\tStabilization of p53\tTAS\tHomo sapiens\n"
    "P02340\tR-MMU-69541\thttps://reactome.org/x\tStabilization of p53\tIEA\tMus musculus\n"
    "ENSG00000141510\tR-HSA-1\thttps://reactome.org/x\tApoptosis\tTAS\tHomo sapiens\n"
)
HPO = (
    "ncbi_gene_id\tgene_symbol\thpo_id\thpo_name\tfrequency\tdisease_id\n"
    "7157\tTP53\tHP:0002664\tNeoplasm\t-\tOMIM:151623\n"
    "7157\tTP53\tHP:0002664\tNeoplasm\t3/4\tORPHA:524\n"
)
BIOGRID_HEADER = (
    "#BioGRID Interaction ID", "Entrez Gene Interactor A", "Entrez Gene Interactor B",
    "BioGRID ID Interactor A", "BioGRID ID Interactor B", "Systematic Name Interactor A",
    "Systematic Name Interactor B", "Official Symbol Interactor A",
    "Official Symbol Interactor B", "Synonyms Interactor A", "Synonyms Interactor B",
    "Experimental System", "Experimental System Type", "Author", "Publication Source",
    "Organism ID Interactor A", "Organism ID Interactor B", "Throughput",
)  # fmt: skip


def interaction(a, b, kind="physical", paper="PUBMED:1", taxon="9606"):
    (id_a, symbol_a), (id_b, symbol_b) = a, b
    fields = ["1", id_a, id_b, "-", "-", "-", "-", symbol_a, symbol_b, "-", "-"]
    return "\t".join([*fields, "Two-hybrid", kind, "X", paper, "9606", taxon, "Low"])


P53, MDM2 = ("7157", "TP53"), ("4193", "MDM2")
BIOGRID = "\n".join(
    [
        "\t".join(BIOGRID_HEADER),
        interaction(P53, MDM2),
        interaction(MDM2, P53, paper="PUBMED:2"),
        interaction(P53, P53),
        interaction(P53, ("1", "A"), kind="genetic"),
        interaction(P53, ("2", "B"), taxon="10090"),
    ]
)


def opener_of(folder: Path, text: str, name: str = "file.txt"):
    path = folder / name
    content = text.encode()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return partial(open_bytes, path, None, path.name)


def test_summaries_of_human_genes(tmp_path):
    table = read_gene_summary(opener_of(tmp_path, SUMMARY, "gene_summary.gz"))
    assert table.rows() == [("7157", "A tumor suppressor. [provided by RefSeq, Jul 2016]")]


def test_pathways_by_accession_or_gene(tmp_path):
    assert read_reactome(opener_of(tmp_path, REACTOME)).rows() == [
        ("ENSG00000141510", "R-HSA-1", "Apoptosis"),
        ("P04637", "R-HSA-69541", "Stabilization of p53"),
    ]


def test_a_phenotype_of_several_diseases_is_one(tmp_path):
    table = read_phenotypes(opener_of(tmp_path, HPO))
    assert table.rows() == [("7157", "HP:0002664", "Neoplasm")]


def test_physical_interactions_both_ways_counted_by_publication(tmp_path):
    table = read_interactions(opener_of(tmp_path, BIOGRID))
    assert table.rows() == [("4193", "TP53", 2), ("7157", "MDM2", 2)]


@pytest.mark.parametrize(
    ("reader", "text", "reason"),
    [
        (read_gene_summary, "", "is empty"),
        (read_gene_summary, "<html>", "web page"),
        (read_gene_summary, SUMMARY.replace("GeneID", "Gene"), "has no column 'GeneID'"),
        (read_gene_summary, SUMMARY + "9606\t1\n", "line 4 has 2 columns, its header 4"),
        (read_gene_summary, SUMMARY + "9606\t7157\tRefSeq\tx\n", "7157 has more than one"),
        (read_gene_summary, SUMMARY.replace("9606", "10090"), "nothing about human"),
        (read_reactome, "P1,R-HSA-1\n", "line 1 is not"),
        (read_phenotypes, SUMMARY, "has no column 'ncbi_gene_id'"),
        (read_interactions, HPO, "has no column 'Entrez Gene Interactor A'"),
    ],
)
def test_what_is_not_the_format_is_refused(tmp_path, reader, text, reason):
    with pytest.raises(SourceError, match=reason):
        reader(opener_of(tmp_path, text))


def test_what_is_no_table_is_not_printed(tmp_path):
    path = tmp_path / "gene_summary"
    path.write_text("\t".join(["x" * 1_000_000] * 20), encoding="utf-8")
    with pytest.raises(SourceError, match="has no column '#tax_id'") as refused:
        list(read_gene_summary(partial(open_bytes, path, None, path.name)))
    assert len(str(refused.value)) < 1_200


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"<html>", "web page"),
        (gzip.compress(SUMMARY.encode())[:-9], "damaged or cut short"),
        (gzip.compress(bytes(2_000_000_0)), "bomb"),
        (gzip.compress(SUMMARY.encode("utf-16")), "is not UTF-8"),
    ],
)
def test_damaged_files_are_refused(tmp_path, content, reason):
    path = tmp_path / "gene_summary.gz"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=reason):
        read_gene_summary(partial(open_bytes, path, None, path.name))


def test_available_files_are_read_and_the_rest_is_not_requested(tmp_path):
    def archives(*mirrors: Path) -> Archives:
        return Archives(
            load_catalogue(), tmp_path / "copies", locations=SourceLocations(map(str, mirrors))
        )

    (tmp_path / "go").mkdir()
    (tmp_path / "go" / "goa_human.gaf.gz").write_bytes(gzip.compress(GAF.encode()))
    ids = ("goa-human", "go-basic", "biogrid")
    assert available_files(archives(), ids) == {}
    goa = available_files(archives(tmp_path), ids)["goa-human"]
    assert set(available_files(archives(tmp_path), ids)) == {"goa-human"}
    assert goa.release.startswith("goa-human-")
    assert read_gaf(goa.opener, goa.path.name)[0].height


@pytest.mark.skipif(not MIRROR.is_dir(), reason="the mirror of public sources is not here")
def test_the_real_summaries(tmp_path):
    archives = Archives(load_catalogue(), tmp_path, locations=SourceLocations([str(MIRROR)]))
    (file,) = available_files(archives, ["ncbi-gene-summary"]).values()
    table = read_gene_summary(file.opener, file.path.name)
    assert table.height == 15_149
    assert table["entrez_id"].is_unique().all()


def read_entries(folder, text):
    return read_swissprot(opener_of(folder, text, "uniprot_sprot_human.dat"))


def test_what_a_protein_does_where_and_in_which_disease(tmp_path):
    comments = read_entries(tmp_path, SWISSPROT)
    assert comments["uniprot_id"].unique().to_list() == ["P04637"]
    assert dict(comments.select("topic", "text").iter_rows()) == {
        "function": "Multifunctional transcription factor that induces cell cycle arrest. "
        "Acts as a tumor-suppressor in many tumor types.",
        "location": "Cytoplasm. Nucleus. Note=Interaction with BANP promotes nuclear localization",
        "disease": "Li-Fraumeni syndrome (LFS): An autosomal dominant familial cancer syndrome. "
        "Note=The disease is caused by variants affecting the gene",
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        (">sp|P04637\nMEEP\n", "begins with '>sp|P04637'"),
        (SWISSPROT.removesuffix("//\n"), "is cut short: 'ID   P53_MOUSE"),
        (SWISSPROT.replace("AC   P04637; Q15086;\n", ""), "has no AC line"),
        (SWISSPROT.replace("9606", "10090"), "nothing about human"),
    ],
)
def test_what_is_no_flat_file_is_refused(tmp_path, text, reason):
    with pytest.raises(SourceError, match=reason):
        read_entries(tmp_path, text)
