"""Kept tables of edits and of forgetting, by the name of the edited descriptions."""

from __future__ import annotations

from typing import ClassVar

from genept.language_models.writer_tables import WriterTables


class EditTables(WriterTables):
    """Tables `description_edits`: every edit that was tried."""

    table: ClassVar[str] = "description_edits"
    command: ClassVar[str] = "genept genes edit"


class ForgettingTables(WriterTables):
    """Tables `edit_forgetting`: scores of every task after every round."""

    table: ClassVar[str] = "edit_forgetting"
    command: ClassVar[str] = "genept genes edit"
