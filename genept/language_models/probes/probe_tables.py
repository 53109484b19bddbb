"""Kept results of probes, and whether what a model writes may be released."""

from __future__ import annotations

from typing import ClassVar

import polars as pl

from genept.language_models.writer_tables import WriterTables


class ProbeTables(WriterTables):
    """Tables `language_model_probes`: how language models did on this installation."""

    table: ClassVar[str] = "language_model_probes"
    command: ClassVar[str] = "genept chat probe"

    def blocked(self, writer: str) -> str | None:
        """Why what a model wrote is not released; None if it is."""
        if why := self.missing(writer):
            return why
        failed = self.rows(writer).filter("is_blocking", ~pl.col("passes"))
        if failed.is_empty():
            return None
        shares = (
            f"{name} {value:.2f} [{low:.2f}, {high:.2f}], at most {limit:g}"
            for name, value, low, high, limit in failed.select(
                "probe", "value", "ci_low", "ci_high", "limit"
            ).iter_rows()
        )
        return f"{writer} fails blocking probes: {'; '.join(shares)}"
