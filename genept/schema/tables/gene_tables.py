"""Tables of the gene reference: genes, what names mean, and publishers' files at a release."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

from genept.schema.columns import Column, Table
from genept.schema.tables.fields import (
    COLLECTION,
    GENE,
    HGNC_ID_OR_NONE,
    INPUT,
    MEANING,
    OUTCOME,
    OUTCOMES,
    REFERENCE,
    SYMBOL,
    TEXTS,
    count,
    flag,
    share,
    text,
)

_table = partial(Table, group="nomenclature")

GENE_TABLES: tuple[Table, ...] = (
    _table(
        name="genes",
        meaning="The gene reference: every gene of GENCODE, and every other HGNC gene that has an "
        "Ensembl id.",
        key=("ensembl_gene_id",),
        minimum_rows=78_000,
        columns=(
            GENE,
            text(
                "hgnc_id",
                "HGNC accession; empty text where HGNC does not name the gene.",
                pattern=HGNC_ID_OR_NONE,
                deprecated="from schema 2.0.0 on it will be null instead of empty text; "
                "filter by `symbol_source`",
            ),
            SYMBOL,
            text(
                "symbol_source",
                "Origin of the symbol: HGNC, GENCODE, or the Ensembl id itself.",
                allowed=("hgnc", "gencode", "ensembl_id"),
            ),
            text("name", "Approved full name.", nullable=True),
            text("biotype", "Kind of gene, such as protein_coding or lncRNA."),
            text(
                "gencode_name",
                "Name in GENCODE, not always unique; null if GENCODE gives only the id or lacks "
                "the gene.",
                nullable=True,
            ),
            text("gencode_biotype", "Biotype in GENCODE.", nullable=True),
            count(
                "gene_version", "Version of the Ensembl id in GENCODE.", nullable=True, minimum=1
            ),
            count(
                "length",
                "Median length of the gene's transcripts (sum of exons) in GENCODE.",
                unit="bp",
                nullable=True,
                minimum=1,
            ),
            text("entrez_id", "NCBI Gene id.", nullable=True, pattern=r"^\d+$"),
            Column("uniprot_ids", TEXTS, "UniProt accessions of the gene's proteins."),
            Column("aliases", TEXTS, "Other symbols in use for the gene."),
            Column("previous_symbols", TEXTS, "Symbols that were formerly approved for the gene."),
            REFERENCE,
        ),
    ),
    _table(
        name="gene_names",
        meaning="Every gene name of the reference and the gene that it stands for; join gene names "
        "to it.",
        key=("name",),
        minimum_rows=200_000,
        columns=(
            text("name", "Symbol or id, spelled exactly as it is looked up."),
            text("outcome", "What kind of name it is.", allowed=OUTCOMES),
            *MEANING,
            REFERENCE,
        ),
    ),
    _table(
        name="gene_mapping",
        meaning="How each gene name of a collection was resolved, except those in `quarantine`.",
        key=("collection_id", "input_id"),
        partition=("collection_id",),
        columns=(
            COLLECTION,
            INPUT,
            OUTCOME,
            *MEANING,
            share(
                "expression_share", "Share of the collection's total expression under this name."
            ),
            REFERENCE,
        ),
    ),
)


GENE_SNAPSHOTS: Final = _table(
    name="gene_snapshots",
    meaning="Publishers' gene files at past releases, used to compare references.",
    key=("snapshot", "record"),
    partition=("snapshot",),
    columns=(
        text("snapshot", "File and release that the row is from."),
        text("record", "Accession or id of the row in the publisher's file."),
        text("format", "Publisher's format that the row was read from."),
        text("release", "Release, as named by the publisher."),
        text(
            "released",
            "Date of the release, if known.",
            nullable=True,
            pattern=r"^\d{4}-\d{2}-\d{2}$",
        ),
        replace(SYMBOL, meaning="Symbol at that release.", nullable=True),
        text("hgnc_id", "HGNC accession.", nullable=True, pattern=r"^HGNC:\d+$"),
        replace(GENE, nullable=True),
        text("version", "Version of the Ensembl id.", nullable=True),
        flag(
            "is_par_y",
            "Whether it is the chromosome Y copy of a pseudoautosomal gene.",
            nullable=True,
        ),
        text("entrez_id", "NCBI Gene id.", nullable=True, pattern=r"^\d+$"),
        text("name", "Full name.", nullable=True),
        text("biotype", "Kind of gene.", nullable=True),
        Column("uniprot_ids", TEXTS, "UniProt accessions."),
        Column("aliases", TEXTS, "Other symbols."),
        Column("previous_symbols", TEXTS, "Former symbols."),
        Column("successors", TEXTS, "HGNC accessions that replaced a withdrawn one."),
    ),
)
"""Kept in the lake and not published: the content is the publishers', and no release needs it."""
