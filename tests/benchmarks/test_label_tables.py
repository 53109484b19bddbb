"""Labels from publishers' files: names are mapped, contradictions and duplicates are marked."""

from functools import partial
from pathlib import Path

import polars as pl
import pytest

from genept.benchmarks.label_tables import fates, gene_properties
from genept.benchmarks.pairs.pair_labels import gene_pairs
from genept.common.errors import SourceError
from genept.datasources.download.available import AvailableFile
from genept.datasources.download.streams import open_bytes
from genept.nomenclature.mapping import Nomenclature
from genept.schema.tables import TABLES

MIRROR = Path(__file__).resolve().parents[3] / "shared" / "mirror"
GENES = pl.DataFrame(
    {
        "hgnc_id": ["HGNC:1", "HGNC:2", "HGNC:3"],
        "symbol": ["TP53", "MYC", "GATA1"],
        "ensembl_gene_id": ["ENSG00000000001", "ENSG00000000002", "ENSG00000000003"],
        "entrez_id": ["1", "2", "3"],
        "aliases": [["P53"], [], []],
        "previous_symbols": [[], [], []],
    }
)
NAMES = Nomenclature.of(GENES)


def available_file(folder: Path, id_: str, text: str) -> AvailableFile:
    path = folder / f"{id_}.txt"
    path.write_text(text, encoding="utf-8")
    return AvailableFile(id_, path, "0" * 64, id_, partial(open_bytes, path, None, path.name))


def pair_files(folder: Path, text: str, labels: str):
    files = (("text", text), ("label", labels))
    return {f"gene2vec-test-{kind}": available_file(folder, f"gene2vec-test-{kind}", body)
            for kind, body in files}  # fmt: skip


def test_pairs_keep_every_row_with_its_fate(tmp_path):
    text = "TP53 MYC\nMYC P53\nTP53 GATA1\nGATA1 TP53\nTP53 P53\nTP53 NOPE\n"
    pairs = gene_pairs(pair_files(tmp_path, text, "1\n1\n1\n0\n1\n0\n"), NAMES)
    assert pairs["fate"].to_list() == [
        "scored", "duplicate", "conflicting", "conflicting", "self_pair", "without_gene",
    ]  # fmt: skip
    assert fates(pairs)["gene-gene-interaction/conflicting"] == 2
    assert set(pairs.columns) == {column.name for column in TABLES["gene_pairs"].columns}


@pytest.mark.parametrize(
    ("text", "labels", "complaint"),
    [
        ("TP53 MYC\n", "1\n0\n", "1 pairs.*2 labels"),
        ("TP53 MYC GATA1\n", "1\n", "line 1"),
        ("TP53 MYC\nMYC GATA1\n", "1\nyes\n", "line 2.*'yes'"),
    ],
)
def test_invalid_pairs_are_refused_by_line(tmp_path, text, labels, complaint):
    with pytest.raises(SourceError, match=complaint):
        gene_pairs(pair_files(tmp_path, text, labels), NAMES)


def test_properties_are_labelled_as_published(tmp_path):
    rows = (
        "ensembl_id,gene_name,dosage_insensitive,dosage_sensitive\n"
        "ENSG00000000001,TP53,Yes,\nENSG00000000002,MYC,,Yes\nENSG00000000002,MYC,,Yes\n"
    )
    id_ = "dosage-sensitive-tfs"
    properties = gene_properties({id_: available_file(tmp_path, id_, rows)}, NAMES)
    assert properties["label"].to_list() == ["insensitive", "sensitive", "sensitive"]
    assert properties["fate"].to_list() == ["scored", "scored", "duplicate"]
    both = rows.replace("TP53,Yes,", "TP53,Yes,Yes")
    with pytest.raises(SourceError, match="data row 1"):
        gene_properties({id_: available_file(tmp_path, id_, both)}, NAMES)
    with pytest.raises(SourceError, match="no column 'is_longrange'"):
        gene_properties({"tf-range": available_file(tmp_path, "tf-range", rows)}, NAMES)


def test_lists_of_promoters_label_a_task_only_together(tmp_path):
    bivalent = available_file(
        tmp_path, "bivalent-promoters", "ENSG00000000001\nENSG00000000002\n\n"
    )
    without = available_file(
        tmp_path, "unmethylated-promoters", "ENSG00000000003\r\nENSG00000000002\n"
    )
    files = {file.id: file for file in (bivalent, without)}
    properties = gene_properties(files, NAMES)
    assert properties.select("task", "position", "label", "fate").rows() == [
        ("bivalent-vs-unmethylated", 0, "bivalent", "scored"),
        ("bivalent-vs-unmethylated", 1, "bivalent", "conflicting"),
        ("bivalent-vs-unmethylated", 2, "unmethylated", "scored"),
        ("bivalent-vs-unmethylated", 3, "unmethylated", "conflicting"),
    ]
    assert gene_properties({bivalent.id: bivalent}, NAMES).is_empty()
    page = available_file(tmp_path, "unmethylated-promoters", "ENSG00000000003\n<html>\n")
    with pytest.raises(SourceError, match=r"unmethylated-promoters.txt: line 2 is '<html>'"):
        gene_properties(files | {page.id: page}, NAMES)


def test_essential_genes_and_others_label_a_task_only_together(tmp_path):
    head = "GENE\tHGNC_ID\tENTREZ_ID\n"
    core = available_file(tmp_path, "core-essential-genes", head + "TP53\tNA\t\nMYC\tHGNC:2\t2\n")
    others = available_file(
        tmp_path, "non-essential-genes", head + "GATA1\tHGNC:3\t3\nNOPE\tNA\t\n\t\t\n"
    )
    files = {file.id: file for file in (core, others)}
    properties = gene_properties(files, NAMES)
    assert properties.select("task", "position", "label", "input_id", "fate").rows() == [
        ("essential-genes", 0, "essential", "TP53", "scored"),
        ("essential-genes", 1, "essential", "MYC", "scored"),
        ("essential-genes", 2, "non-essential", "GATA1", "scored"),
        ("essential-genes", 3, "non-essential", "NOPE", "without_gene"),
    ]
    assert gene_properties({core.id: core}, NAMES).is_empty()
    for text, complaint in (
        ("GENE\n", "line 1 is"),
        (head + "\tHGNC:2\t2\n", "line 2 is"),
    ):
        wrong = available_file(tmp_path, "core-essential-genes", text)
        with pytest.raises(SourceError, match=f"core-essential-genes.txt: {complaint}"):
            gene_properties(files | {wrong.id: wrong}, NAMES)


def test_clingen_labels_genes_by_scores_that_decide(tmp_path):
    rows = (
        ',Gene/Region,"HI Score"\nR,1q21 region,3 (Sufficient Evidence)\n'
        'G,TP53,3 (Sufficient Evidence)\nG,MYC,"30 (Autosomal Recessive)"\n'
        'G,GATA1,"0 (No Evidence)"\n'
    )
    properties = gene_properties(
        {"cnvoyant": available_file(tmp_path, "cnvoyant", "\ufeff" + rows)}, NAMES
    )
    assert properties.select("input_id", "label", "position").rows() == [
        ("TP53", "haploinsufficient", 1), ("MYC", "not", 2),
    ]  # fmt: skip


def test_missing_gene_types_label_nothing(tmp_path):
    rows = "ensembl_id,gene_type\nENSG00000000001,miRNA\nENSG00000000002,nan\n"
    properties = gene_properties(
        {"gene-types": available_file(tmp_path, "gene-types", rows)}, NAMES
    )
    assert properties["label"].to_list() == ["miRNA"]


def test_interactions_have_high_confidence_and_ligands_are_the_consensus(tmp_path):
    partners = ",g1_symbol,g2_symbol,conn\n0,TP53,MYC,0.95\n1,MYC,GATA1,0.2\n2,MYC,P53,1\n"
    ligands = (
        '"","source_genesymbol","target_genesymbol","resource"\n'
        '"1","TP53","MYC","consensus"\n"2","MYC_GATA1","TP53","consensus"\n'
        '"3","TP53","GATA1","lrdb"\n'
    )
    files = {id_: available_file(tmp_path, id_, text) for id_, text in
             (("scnet", partners), ("liana", ligands))}  # fmt: skip
    pairs = gene_pairs(files, NAMES)
    assert pairs.select("task", "split", "position", "fate", "label").rows() == [
        ("protein-interaction", "all", 0, "scored", 1),
        ("protein-interaction", "all", 2, "duplicate", 1),
        ("ligand-receptor", "all", 0, "scored", 1),
        ("ligand-receptor", "all", 1, "without_gene", 1),
    ]
    wrong = available_file(tmp_path, "scnet", partners.replace("0.95", "high"))
    with pytest.raises(SourceError, match="data row 1: .*'high'"):
        gene_pairs({"scnet": wrong}, NAMES)


def test_without_sources_the_tables_are_empty():
    assert gene_properties({}, NAMES).is_empty()
    assert gene_pairs({}, NAMES).is_empty()


@pytest.mark.skipif(not MIRROR.is_dir(), reason="needs the mirror beside the project")
def test_labels_of_the_mirror_have_the_published_counts():
    files = {
        "dosage-sensitive-tfs": "gene_properties/dosage_sensitive_tfs.csv",
        "bivalent-genes": "gene_properties/bivalent_vs_lys4_only.csv",
        "tf-range": "gene_properties/long_vs_short_range_tfs.csv",
        "core-essential-genes": "essential/CEGv2.txt",
        "non-essential-genes": "essential/NEGv1.txt",
    }
    available = {
        id_: AvailableFile(id_, path, "0" * 64, id_, partial(open_bytes, path, None, path.name))
        for id_, name in files.items()
        if (path := MIRROR / name)
    }
    counted = gene_properties(available, NAMES).group_by("task", "label").len().sort("len").rows()
    assert sorted(counted) == [
        ("bivalent-vs-lys4", "bivalent", 96),
        ("bivalent-vs-lys4", "lys4-only", 77),
        ("dosage-sensitivity", "insensitive", 368),
        ("dosage-sensitivity", "sensitive", 122),
        ("essential-genes", "essential", 684),
        ("essential-genes", "non-essential", 927),
        ("tf-range", "long", 46),
        ("tf-range", "short", 130),
    ]
