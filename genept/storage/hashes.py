"""Checksums of values and of files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path


def sha256_of(*values: object) -> str:
    """Return the SHA-256 of values in canonical JSON, as hex digits.

    Parameters
    ----------
    values
        JSON values; mappings are hashed in order of their keys.

    Returns
    -------
    str
        64 hex digits.

    Examples
    --------
    >>> sha256_of("genes", {"rows": 2})[:12] == sha256_of("genes", {"rows": 2})[:12]
    True
    """
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file.

    Parameters
    ----------
    path
        The file, of any size.

    Returns
    -------
    str
        64 hex digits.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
