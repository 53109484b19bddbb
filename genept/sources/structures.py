"""Structures of drugs: a pickled ``{name: SMILES}`` or a table, read without running anything.

A pickle of nothing but texts needs a handful of opcodes. Their arguments are read off; no
object is ever built, and a file that asks for anything else is refused.
"""

from __future__ import annotations

import csv
import io
import pickletools
from pathlib import Path
from typing import BinaryIO, Final

from genept.sources.errors import SourceError

MAX_BYTES: Final = 10_000_000
_SILENT: Final = frozenset({"PROTO", "FRAME", "EMPTY_DICT", "MEMOIZE", "MARK", "SETITEMS", "STOP"})
_TEXT: Final = frozenset({"SHORT_BINUNICODE", "BINUNICODE"})


def read_pickled_texts(stream: BinaryIO, *, what: str) -> dict[str, str]:
    """Read a pickled dictionary from texts to texts.

    Raises
    ------
    SourceError
        The pickle uses an opcode that such a dictionary does not need, names a key twice, or
        is cut short.
    """
    data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise SourceError(f"{what}: is larger than {MAX_BYTES:,} bytes: refused")
    texts: list[str] = []
    end = 0
    try:
        for opcode, argument, position in pickletools.genops(data):
            if opcode.name in _TEXT:
                texts.append(str(argument))
            elif opcode.name not in _SILENT:
                raise SourceError(
                    f"{what}: uses the pickle opcode {opcode.name}, which no texts need: refused"
                )
            end = (position or 0) + 1
    except ValueError as error:
        raise SourceError(f"{what}: is not a pickle of texts ({error}): refused") from error
    if end != len(data):
        raise SourceError(f"{what}: has bytes behind its end: refused")
    return _paired(texts, what)


def read_structure_table(path: Path) -> dict[str, str]:
    """Read a table of one's own: columns ``drug_id`` and ``smiles``, comma separated.

    Raises
    ------
    SourceError
        A column is missing, a drug is named twice, or a row is incomplete.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: cannot be read: {error}") from error
    rows = csv.DictReader(io.StringIO(text))
    if not {"drug_id", "smiles"} <= set(rows.fieldnames or ()):
        raise SourceError(f"{path}: has the columns {rows.fieldnames}; needs drug_id and smiles")
    texts: list[str] = []
    for number, row in enumerate(rows, start=2):
        name, smiles = (row["drug_id"] or "").strip(), (row["smiles"] or "").strip()
        if not name or not smiles:
            raise SourceError(f"{path}, line {number}: needs a drug and its SMILES")
        texts += [name, smiles]
    return _paired(texts, str(path))


def _paired(texts: list[str], what: str) -> dict[str, str]:
    if len(texts) % 2:
        raise SourceError(f"{what}: holds {len(texts)} texts, which are no pairs: refused")
    names = texts[::2]
    if len(set(names)) < len(names):
        raise SourceError(f"{what}: names a drug twice: {sorted(names)[0]!r} or another")
    return dict(zip(names, texts[1::2], strict=True))
