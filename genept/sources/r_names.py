"""Names as R spells them where it makes them valid: `make.names`, which `data.frame` applies.

What a changed name stands for is decided by whoever compares it with the original ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_RESERVED: Final = frozenset(
    {"if", "else", "repeat", "while", "function", "for", "next", "break", "in", "TRUE", "FALSE"}
    | {"NULL", "Inf", "NaN", "NA", "NA_integer_", "NA_real_", "NA_character_", "NA_complex_"}
)


def r_names(names: Iterable[str]) -> list[str]:
    """Return names as R's `make.names` writes them: ``X1`` for ``1``, ``s.1`` for ``s-1``."""
    return [_r_name(name) for name in names]


def _r_name(name: str) -> str:
    valid = re.sub(r"[^\w.]", ".", name)
    if not re.match(r"[^\W\d_]|\.(?!\d)", name):
        valid = f"X{valid}"
    return f"{valid}." if valid in _RESERVED else valid
