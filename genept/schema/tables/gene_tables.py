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
                "Who gave the symbol: HGNC, GENCODE, or nobody (it is the Ensembl id).",
                allowed=("hgnc", "gencode", "ensembl_id"),
            ),
            Column("name", TEXT, "Approved full name.", nullable=True),
            Column("biotype", TEXT, "Kind of gene, such as protein_coding or lncRNA."),
            Column(
                "gencode_name",
                TEXT,
                "Name in GENCODE, which several genes may share; empty if it is the id, or if "
                "GENCODE lacks the gene.",
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
                "Median of the lengths of its transcripts (sums of exons) in GENCODE.",
                unit="bp",
                nullable=True,
                minimum=1,
            ),
            Column("entrez_id", TEXT, "NCBI Gene id.", nullable=True, pattern=r"^\d+$"),
            Column("uniprot_ids", TEXTS, "UniProt accessions of its proteins."),
            Column("aliases", TEXTS, "Other symbols in use for the gene."),
            Column("previous_symbols", TEXTS, "Symbols that were once approved for it."),
            REFERENCE,
        ),
    ),
    Table(
        name="gene_names",
        meaning="Every name that the reference knows, and what it means: join your genes to it.",
        group="nomenclature",
        key=("name",),
        minimum_rows=200_000,
        columns=(
            Column("name", TEXT, "A symbol or an id, spelled exactly so."),
            Column("outcome", TEXT, "What kind of name it is.", allowed=OUTCOMES),
            *MEANING,
            REFERENCE,
        ),
    ),
    Table(
        name="gene_mapping",
        meaning="What became of every gene name of a collection, but for what is in `quarantine`.",
        group="nomenclature",
        key=("collection_id", "input_id"),
        partition=("collection_id",),
        columns=(
            COLLECTION,
            Column("input_id", TEXT, "The gene as the publisher wrote it."),
            Column("outcome", TEXT, "How it was resolved.", allowed=OUTCOMES),
            *MEANING,
            share("expression_share", "Share of the collection's expression."),
            REFERENCE,
        ),
    ),
)


GENE_SNAPSHOTS: Final = Table(
    name="gene_snapshots",
    meaning="Publishers' gene files as they were at a release, to compare references with.",
    group="nomenclature",
    key=("snapshot", "record"),
    partition=("snapshot",),
    columns=(
        Column("snapshot", TEXT, "Which file: its name and release."),
        Column("record", TEXT, "What the publisher calls the row: an accession or an id."),
        Column("format", TEXT, "Which format of which publisher it was read from."),
        Column("release", TEXT, "Release, as the publisher calls it."),
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
        Column("is_par_y", FLAG, "Whether it is the Y copy of a gene.", nullable=True),
        Column("entrez_id", TEXT, "NCBI Gene id.", nullable=True, pattern=r"^\d+$"),
        Column("name", TEXT, "Full name.", nullable=True),
        Column("biotype", TEXT, "Kind of gene.", nullable=True),
        Column("uniprot_ids", TEXTS, "UniProt accessions."),
        Column("aliases", TEXTS, "Other symbols."),
        Column("previous_symbols", TEXTS, "Former symbols."),
        Column("successors", TEXTS, "HGNC accessions that took the place of a withdrawn one."),
    ),
)
"""Kept in the lake and not published: it is the publishers', and a release needs none of it."""
