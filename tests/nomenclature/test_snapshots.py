"""References made of publishers' own files, alone and together."""

import pytest
from gene_layouts import (
    GTF_HEAD,
    HGNC_HEADER,
    HISTORY_HEADER,
    INFO_HEADER,
    WITHDRAWN_HEADER,
    ensembl,
    gtf,
    hgnc,
    info,
    write,
)

from genept.common.errors import SourceError
from genept.nomenclature.mapping import Nomenclature
from genept.nomenclature.snapshots import read_snapshot

HGNC = (
    HGNC_HEADER,
    hgnc(1, "TP53", alias='"P53|LFS1"', prev="OLD53"),
    hgnc(2, "SHOX", alias='"PHOG"'),
    hgnc(3, "NOID", id_="", entrez=""),
    hgnc(4, "PARNOID", id_=""),
    hgnc(5, "GONE~withdrawn", status="Entry Withdrawn"),
)


@pytest.fixture(params=["", ".gz"])
def files(tmp_path, request):
    """Writes a file whose name tells nothing of its format, plain or packed."""

    def make(name, *lines):
        return write(tmp_path / f"{name}{request.param}", *lines)

    return make


def names(*paths):
    return Nomenclature(read_snapshot(paths).index)


def test_the_complete_set_alone(files):
    reference = read_snapshot([files("complete.txt", *HGNC)])
    assert reference.release == "complete"
    assert reference.genes["symbol"].to_list() == ["TP53", "SHOX", "NOID", "PARNOID"]
    known = Nomenclature(reference.index)
    for name, outcome in {
        "P53": "alias",
        "LFS1": "alias",
        "OLD53": "previous",
        "1": "entrez_id",
    }.items():
        assert known.map_name(name)[:2] == (outcome, ensembl(1))
    assert known.map_name("P53").evidence == "alias of TP53 (complete)"
    assert known.map_name("NOID").outcome == "without_ensembl_id"
    assert known.map_name("GONE~withdrawn").outcome == "unknown"


def test_withdrawn_symbols(files):
    withdrawn = files(
        "gone.txt",
        WITHDRAWN_HEADER,
        "HGNC:90\tMerged/Split\tMERGED\tHGNC:1|TP53|Approved",
        "HGNC:91\tMerged/Split\tSPLIT\tHGNC:1|TP53|Approved, HGNC:2|SHOX|Approved",
        "HGNC:92\tEntry Withdrawn\tNEVER\t",
        "HGNC:93\tEntry Withdrawn\tOLD53\t",
    )
    known = names(withdrawn, files("complete.txt", *HGNC))
    assert known.map_name("MERGED")[:2] == ("retired_successor", ensembl(1))
    assert known.map_name("MERGED").evidence.startswith("retired; its place took TP53 (gone.txt")
    assert known.map_name("SPLIT")[:3] == ("ambiguous", None, (ensembl(1), ensembl(2)))
    assert known.map_name("NEVER")[:3] == ("withdrawn", None, ())
    assert known.map_name("OLD53").outcome == "previous", "a living gene's claim is stronger"


def test_what_became_of_ncbi_ids(files):
    history = files(
        "history",
        HISTORY_HEADER,
        "9606\t1\t900\tLOC900\t20200101",
        "9606\t-\t901\tLOC901\t20200101",
        "9606\t-\t902\t-\t20200101",
        "10090\t1\t903\tMouse\t20200101",
    )
    known = names(files("complete.txt", *HGNC), history)
    assert known.map_name("900")[:2] == known.map_name("LOC900")[:2]
    assert known.map_name("900")[:2] == ("retired_successor", ensembl(1))
    assert known.map_name("901")[:2] == known.map_name("LOC901")[:2] == ("withdrawn", None)
    assert known.map_name("902").outcome == "withdrawn"
    assert known.map_name("-").evidence == "no name", "a dash is no symbol"
    assert known.map_name("903").outcome == known.map_name("Mouse").outcome == "unknown"


INFO = (
    INFO_HEADER,
    info(1, "TP53", synonyms="P53|NCBI53", xrefs=f"HGNC:HGNC:1|Ensembl:{ensembl(1)}"),
    info(2, "SHOXNCBI", xrefs="MIM:1|HGNC:HGNC:2", approved="SHOX"),
    info(7, "TWOIDS", xrefs=f"Ensembl:{ensembl(7)}|Ensembl:{ensembl(8)}", synonyms="T7"),
    info(8, "LOC8", xrefs=f"Ensembl:{ensembl(9)}"),
    info(9, "REGION", kind="biological-region"),
    info(10, "Trp53", tax="10090"),
)


def test_synonyms_of_genes_that_hgnc_knows(files):
    known = names(files("complete.txt", *HGNC), files("info", *INFO))
    assert known.map_name("NCBI53")[:2] == ("alias", ensembl(1))
    assert known.map_name("NCBI53").evidence.startswith("NCBI synonym of TP53 (info")
    assert known.map_name("P53").evidence == "alias of TP53 (complete+info)"
    assert "T7" not in known


def test_ncbi_alone_is_a_reference_too(files):
    reference = read_snapshot([files("info", *INFO)])
    rows = reference.genes.select("symbol", "hgnc_id", "ensembl_gene_id", "entrez_id").rows()
    assert rows == [
        ("TP53", "HGNC:1", ensembl(1), "1"),
        ("SHOX", "HGNC:2", None, "2"),
        ("TWOIDS", None, None, "7"),
        ("LOC8", None, ensembl(9), "8"),
    ]


GENCODE = {
    "gencode.gtf": (
        *GTF_HEAD,
        gtf(f"{ensembl(1)}.18", "TP53"),
        gtf(f"{ensembl(1)}.18", "TP53", feature="transcript"),
        gtf(f"{ensembl(2)}.3", "SHOX"),
        gtf(f"{ensembl(22)}.1", "SHOX"),
        gtf(f"{ensembl(4)}.3", "PARNOID"),
        gtf(f"{ensembl(4)}.3_PAR_Y", "PARNOID"),
        gtf(f"{ensembl(30)}.1", ensembl(30), "lncRNA"),
        gtf(f"{ensembl(31)}.1", "Y_RNA", "misc_RNA"),
        gtf(f"{ensembl(32)}.1", "Y_RNA", "misc_RNA"),
        gtf(f"{ensembl(33)}.1", "OLD53", "lncRNA"),
    ),
    "gencode.csv": (
        "gene_id,gene_name,biotype,chromosome",
        f"{ensembl(1)}.18,TP53,protein_coding,17",
        f'"{ensembl(2)}.3","SHOX","protein_coding",X',
        f"{ensembl(22)}.1,SHOX,protein_coding,Y",
        f"{ensembl(4)}.3,PARNOID,protein_coding,X",
        f"{ensembl(4)}.3_PAR_Y,PARNOID,protein_coding,Y",
        f"{ensembl(30)}.1,{ensembl(30)},lncRNA,1",
        f"{ensembl(31)}.1,Y_RNA,misc_RNA,1",
        f"{ensembl(32)}.1,Y_RNA,misc_RNA,2",
        f"{ensembl(33)}.1,OLD53,lncRNA,2",
    ),
}


@pytest.mark.parametrize("name", GENCODE)
def test_gencode_adds_ids_and_says_what_is_ambiguous(files, name):
    known = names(files("complete.txt", *HGNC), files(name, *GENCODE[name]))
    assert known.map_name("TP53")[:2] == ("exact", ensembl(1))
    assert known.map_name("SHOX")[:3] == ("ambiguous", None, (ensembl(2), ensembl(22)))
    assert known.map_name("PHOG")[:2] == ("alias", ensembl(2))
    assert known.map_name("PARNOID")[:2] == ("exact", ensembl(4)), "the Y copy is no second gene"
    assert known.map_name("NOID").outcome == "without_ensembl_id"
    nameless = known.map_name(f"{ensembl(30)}.1")
    assert nameless[:2] == ("version_stripped", ensembl(30))
    assert "a gene that has no name (gencode." in nameless.evidence
    assert known.map_name("Y_RNA")[:3] == ("ambiguous", None, (ensembl(31), ensembl(32)))
    assert known.map_name("OLD53")[:2] == ("previous", ensembl(1)), "HGNC's word is stronger"
    assert f"also name in GENCODE of {ensembl(33)}" in known.map_name("OLD53").evidence


def test_gencode_fills_only_ids_that_are_free_and_unique(files):
    lines = (
        gtf(f"{ensembl(1)}.1", "NOID"),
        gtf(f"{ensembl(40)}.1", "PARNOID", "lncRNA"),
        gtf(f"{ensembl(41)}.1", "PARNOID", "lncRNA"),
    )
    genes = read_snapshot([files("a.txt", *HGNC), files("g.gtf", *lines)]).genes
    filled = genes.filter(genes["symbol"].is_in(["NOID", "PARNOID"]))["ensembl_gene_id"]
    assert filled.to_list() == [None, None]


def test_an_older_complete_set_tells_which_ids_were_retired(files):
    older = files("older.txt", HGNC_HEADER, hgnc(1, "OLD53", id_=ensembl(50)), hgnc(2, "SHOX"))
    newer = files("newer.txt", *HGNC)
    known = names(newer, older)
    assert known.map_name(ensembl(50))[:2] == ("retired_successor", ensembl(1))
    assert "TP53 (older.txt" in known.map_name(ensembl(50)).evidence
    assert known.map_name(f"{ensembl(50)}.3")[:2] == ("retired_successor", ensembl(1))
    assert names(older, newer).map_name(ensembl(1))[:2] == ("retired_successor", ensembl(50))


TYPES = (
    "ensembl_id,gene_name,gene_type",
    f"{ensembl(60)},TP53,protein_coding",  # its symbol today
    f"{ensembl(61)},OLD53,protein_coding",  # a previous symbol, but TP53 has a retired id already
    f"{ensembl(62)},PHOG,protein_coding",  # only an alias
    f"{ensembl(63)},TWICE,protein_coding",
    f"{ensembl(64)},TWICE,protein_coding",
    f"{ensembl(65)},{ensembl(65)},lncRNA",
    f"{ensembl(1)},RP1-2A3.4,lncRNA",
    f"{ensembl(2)},AC1.1,lncRNA",
    f"{ensembl(66)},AC1.1,lncRNA",
)


def test_an_older_table_tells_by_which_name_a_retired_id_went(files):
    older = files("types.csv", *TYPES)
    known = names(files("complete.txt", *HGNC, hgnc(6, "ONCE", prev="TWICE")), older)
    assert known.map_name(ensembl(60))[:2] == ("retired_successor", ensembl(1))
    assert known.map_name(f"{ensembl(60)}.4")[:2] == ("retired_successor", ensembl(1))
    assert "TP53 (types.csv" in known.map_name(ensembl(60)).evidence
    for not_one_to_one in (61, 62, 63, 64, 65, 66):
        assert known.map_name(ensembl(not_one_to_one)).outcome == "unknown", not_one_to_one
    assert known.map_name("RP1-2A3.4")[:2] == ("alias", ensembl(1))
    assert known.map_name("RP1-2A3.4").evidence.startswith("older name in Ensembl of TP53 (types")
    assert known.map_name("AC1.1").outcome == "unknown", "two ids had the name"
    alone = files("alone.csv", TYPES[0], f"{ensembl(61)},OLD53,protein_coding")
    assert names(files("complete.txt", *HGNC), alone).map_name(ensembl(61))[:2] == (
        "retired_successor",
        ensembl(1),
    )


def test_only_the_first_gencode_table_is_of_today(files):
    older = files("older.gtf", gtf(f"{ensembl(60)}.1", "TP53"), gtf(f"{ensembl(2)}.1", "WAS2"))
    newer = files("newer.gtf", gtf(f"{ensembl(1)}.1", "TP53"), gtf(f"{ensembl(2)}.2", "SHOX"))
    known = names(files("complete.txt", *HGNC), newer, older)
    assert known.map_name(ensembl(60))[:2] == ("retired_successor", ensembl(1))
    assert known.map_name("WAS2")[:2] == ("alias", ensembl(2))
    assert known.map_name("TP53")[:2] == ("exact", ensembl(1))


def test_an_id_that_the_annotation_has_is_not_retired(files):
    alive = files("now.gtf", gtf(f"{ensembl(60)}.1", "OTHER"))
    known = names(files("complete.txt", *HGNC), alive, files("types.csv", *TYPES))
    assert known.map_name(ensembl(60)).outcome == "ensembl_id"


def test_without_approved_genes_there_is_no_reference(files):
    history = files("history", HISTORY_HEADER, "9606\t1\t900\tLOC900\t20200101")
    gencode = files("g.gtf", *GENCODE["gencode.gtf"])
    with pytest.raises(SourceError, match=r"history.*g\.gtf.*none of them lists approved genes"):
        read_snapshot([history, gencode])


def test_another_file_is_refused_by_name(files):
    other = files("other.tsv", "a\tb", "1\t2")
    with pytest.raises(SourceError, match=r"other\.tsv.*is neither HGNC's.*\['a', 'b'\]"):
        read_snapshot([files("complete.txt", *HGNC), other])
