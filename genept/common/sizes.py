"""Sizes in words."""

from __future__ import annotations


def byte_size(n: float) -> str:
    """A number of bytes as a person reads it, such as 840 kB or 1.2 GB; units are powers of 1000.

    Parameters
    ----------
    n
        Number of bytes.

    Returns
    -------
    str
    """
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if n >= factor:
            return f"{n / factor:,.1f} {unit}"
    return f"{n / 1e3:,.0f} kB" if n >= 1e3 else f"{n:,.0f} bytes"
