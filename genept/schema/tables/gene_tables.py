"""Tables of the gene reference: genes, what names mean, and publishers' files at a release."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from genept.schema.columns import Column, Table
from genept.schema.tables.fields import (
    COLLECTION,
    FLAG,
    GENE,
    HGNC_ID_OR_NONE,
    INT,
    MEANING,
    OUTCOMES,
    REFERENCE,
    SYMBOL,
    TEXT,
    TEXTS,
    share,
)

GENE_TABLES: tuple[Table, ...] = (
    Table(
        name="genes",
        meaning="The gene reference: every gene of GENCODE, and every other HGNC gene that has an "
        "Ensembl id.",
        group="nomenclature",
        key=("ensembl_gene_id",),
        minimum_rows=78_000,
        columns=(
            GENE,
            Column(
                "hgnc_id",
                TEXT,
                "HGNC accession; empty text where HGNC does not name the gene.",
                pattern=HGNC_ID_OR_NONE,
                deprecated="from schema 2.0.0 on it will be null instead of empty text; "
                "filter by `symbol_source`",
            ),
            SYMBOL,
            Column(
                "symbol_source",
                TEXT,
                "Origin of the symbol: HGNC, GENCODE, or the Ensembl id itself.",
                allowed=("hgnc", "gencode", "ensembl_id"),
            ),
            Column("name", TEXT, "Approved full name.", nullable=True),
            Column("biotype", TEXT, "Kind of gene, such as protein_coding or lncRNA."),
            Column(
                "gencode_name",
                TEXT,
                "Name in GENCODE, not always unique; null if GENCODE gives only the id or lacks "
                "the gene.",
                nullable=True,
            ),
            Column("gencode_biotype", TEXT, "Biotype in GENCODE.", nullable=True),
            Column(
                "gene_version",
                INT,
                "Version of the Ensembl id in GENCODE.",
                nullable=True,
                minimum=1,
            ),
            Column(
                "length",
                INT,
                "Median length of the gene's transcripts (sum of exons) in GENCODE.",
                unit="bp",
                nullable=True,
                minimum=1,
            ),
            Column("entrez_id", TEXT, "NCBI Gene id.", nullable=True, pattern=r"^\d+$"),
            Column("uniprot_ids", TEXTS, "UniProt accessions of the gene's proteins."),
            Column("aliases", TEXTS, "Other symbols in use for the gene."),
            Column("previous_symbols", TEXTS, "Symbols that were formerly approved for the gene."),
            REFERENCE,
        ),
    ),
    Table(
        name="gene_names",
        meaning="Every gene name of the reference and the gene that it stands for; join gene names "
        "to it.",
        group="nomenclature",
        key=("name",),
        minimum_rows=200_000,
        columns=(
            Column("name", TEXT, "Symbol or id, spelled exactly as it is looked up."),
            Column("outcome", TEXT, "What kind of name it is.", allowed=OUTCOMES),
            *MEANING,
            REFERENCE,
        ),
    ),
    Table(
        name="gene_mapping",
        meaning="How each gene name of a collection was resolved, except those in `quarantine`.",
        group="nomenclature",
        key=("collection_id", "input_id"),
        partition=("collection_id",),
        columns=(
            COLLECTION,
            Column("input_id", TEXT, "The gene as the publisher wrote it."),
            Column(
                "outcome", TEXT, "How the name was resolved, or why it was not.", allowed=OUTCOMES
            ),
            *MEANING,
            share(
                "expression_share", "Share of the collection's total expression under this name."
            ),
            REFERENCE,
        ),
    ),
)


GENE_SNAPSHOTS: Final = Table(
    name="gene_snapshots",
    meaning="Publishers' gene files at past releases, used to compare references.",
    group="nomenclature",
    key=("snapshot", "record"),
    partition=("snapshot",),
    columns=(
        Column("snapshot", TEXT, "File and release that the row is from."),
        Column("record", TEXT, "Accession or id of the row in the publisher's file."),
        Column("format", TEXT, "Publisher's format that the row was read from."),
        Column("release", TEXT, "Release, as named by the publisher."),
        Column(
            "released",
            TEXT,
            "Date of the release, if known.",
            nullable=True,
            pattern=r"^\d{4}-\d{2}-\d{2}$",
        ),
        replace(SYMBOL, meaning="Symbol at that release.", nullable=True),
        Column("hgnc_id", TEXT, "HGNC accession.", nullable=True, pattern=r"^HGNC:\d+$"),
        replace(GENE, nullable=True),
        Column("version", TEXT, "Version of the Ensembl id.", nullable=True),
        Column(
            "is_par_y",
            FLAG,
            "Whether it is the chromosome Y copy of a pseudoautosomal gene.",
            nullable=True,
        ),
        Column("entrez_id", TEXT, "NCBI Gene id.", nullable=True, pattern=r"^\d+$"),
        Column("name", TEXT, "Full name.", nullable=True),
        Column("biotype", TEXT, "Kind of gene.", nullable=True),
        Column("uniprot_ids", TEXTS, "UniProt accessions."),
        Column("aliases", TEXTS, "Other symbols."),
        Column("previous_symbols", TEXTS, "Former symbols."),
        Column("successors", TEXTS, "HGNC accessions that replaced a withdrawn one."),
    ),
)
"""Kept in the lake and not published: the content is the publishers', and no release needs it."""
