"""The canary: a string that stands in every release and in no source.

A language model that writes it was trained on releases. Statements must not contain it.
"""

from typing import Final

CANARY: Final = "genept-canary-2c6b1e0a-7f43-4d5e-9b18-d0a6c4e2f951"
"""On the page of every release."""


def has_canary(text: str) -> bool:
    """Whether a text contains the canary, or a part of it that nobody guesses.

    Parameters
    ----------
    text
        Any text.

    Returns
    -------
    bool
        In any case of its letters.

    Examples
    --------
    >>> has_canary("It is a kinase."), has_canary("GENEPT-CANARY-2C6B1E0A")
    (False, True)
    """
    return CANARY[:22] in text.casefold()
