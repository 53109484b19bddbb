"""Small files in the layouts in which HGNC, NCBI Gene and GENCODE publish their genes."""

import gzip
from pathlib import Path

HGNC_HEADER = (
    "hgnc_id\tsymbol\tname\tlocus_group\tlocus_type\tstatus\tlocation\talias_symbol\t"
    "prev_symbol\tentrez_id\tensembl_gene_id\tuniprot_ids"
)
WITHDRAWN_HEADER = (
    "HGNC_ID\tSTATUS\tWITHDRAWN_SYMBOL\tMERGED_INTO_REPORT(S) (i.e HGNC_ID|SYMBOL|STATUS)"
)
INFO_HEADER = (
    "#tax_id\tGeneID\tSymbol\tLocusTag\tSynonyms\tdbXrefs\tchromosome\tmap_location\tdescription\t"
    "type_of_gene\tSymbol_from_nomenclature_authority\tFull_name_from_nomenclature_authority\t"
    "Nomenclature_status\tOther_designations\tModification_date\tFeature_type"
)
HISTORY_HEADER = "#tax_id\tGeneID\tDiscontinued_GeneID\tDiscontinued_Symbol\tDiscontinue_Date"


def ensembl(number: int) -> str:
    return f"ENSG{number:011d}"


def hgnc(number, symbol, *, alias="", prev="", entrez=None, id_=None, status="Approved"):
    entrez = str(number) if entrez is None else entrez
    id_ = ensembl(number) if id_ is None else id_
    return (
        f"HGNC:{number}\t{symbol}\tname of {symbol}\tprotein-coding gene\t"
        f"gene with protein product\t{status}\t1p1\t{alias}\t{prev}\t{entrez}\t{id_}\tP{number:05d}"
    )


def info(entrez, symbol, *, synonyms="-", xrefs="-", approved="-", tax="9606", kind=None):
    kind = kind or "protein-coding"
    return (
        f"{tax}\t{entrez}\t{symbol}\t-\t{synonyms}\t{xrefs}\t1\t1p1\tabout {symbol}\t{kind}\t"
        f"{approved}\t-\tO\t-\t20260101\t-"
    )


def gtf(id_, name, biotype="protein_coding", feature="gene"):
    text = f'gene_id "{id_}"; gene_type "{biotype}"; gene_name "{name}"; level 2;'
    return f"chrX\tHAVANA\t{feature}\t1\t9\t.\t+\t.\t{text}"


GTF_HEAD = ("##description: evidence-based annotation", "##provider: GENCODE")


def write(path: Path, *lines: str) -> Path:
    """Write lines, packed if the name says so."""
    data = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path
