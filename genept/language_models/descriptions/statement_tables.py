"""Kept statements of each language model, as descriptions use them."""

from __future__ import annotations

from typing import ClassVar

import polars as pl

from genept.language_models.writer_tables import WriterTables


class StatementTables(WriterTables):
    """Tables `written_statements`: what language models wrote of genes on this installation."""

    table: ClassVar[str] = "written_statements"
    command: ClassVar[str] = "genept genes write"

    def read(self, writer: str) -> pl.DataFrame:
        """Kept statements: ensembl_gene_id and item, in the order of writing."""
        kept = self.rows(writer).filter(fate="kept").sort("ensembl_gene_id", "position")
        return kept.select("ensembl_gene_id", item="statement")
