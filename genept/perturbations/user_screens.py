"""Screens that users added: a file and a declaration in the bucket, as of collections.

The file is stored under its hash and never rewritten; the declaration names it and is written last.
"""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from genept.datasources import ID, Source, Style
from genept.storage import ObjectStore, Registrations


class UserScreen(BaseModel):
    """The declaration of a screen of perturbations that a user added.

    Parameters
    ----------
    id, cell_line
        Of the screen.
    file
        Its file, an h5ad, with the terms under which it may be used.
    style, matrix
        As for `genept.datasources.read_screen`.
    added
        When it was added.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=ID)
    cell_line: str = Field(min_length=1)
    file: Source
    style: Style | None = None
    matrix: str | None = None
    added: datetime


def added_screens(store: ObjectStore, product: str) -> Registrations[UserScreen]:
    """Open the screens that users added.

    Parameters
    ----------
    store
        The bucket.
    product
        Key prefix of the installation.

    Returns
    -------
    Registrations of UserScreen
        By id of the screen.
    """
    return Registrations(store, f"{product}/added/screens/", UserScreen, "screen")
