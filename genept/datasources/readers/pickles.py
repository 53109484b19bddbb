"""Pickles read without running anything: torch's legacy tensors, and structures of drugs.

Tables of structures are read here too.
"""

import csv
import io
import pickle
import pickletools
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from genept.common import SourceError

_MAGIC: Final = 0x1950A86A20F9469CFC6C

_PROTOCOL: Final = 1001

# Protocol 4, as Python writes a dict of tensors.
_OUTER_OPCODES: Final[set[str]] = {
    "PROTO", "FRAME", "EMPTY_DICT", "MEMOIZE", "MARK", "SHORT_BINUNICODE", "BINUNICODE",
    "STACK_GLOBAL", "BINBYTES", "SHORT_BINBYTES", "BININT", "BININT1", "BININT2", "TUPLE",
    "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_TUPLE", "REDUCE", "NEWFALSE", "BINGET", "LONG_BINGET",
    "SETITEM", "SETITEMS", "STOP",
}  # fmt: skip

# Protocol 2, as torch writes its headers and its storage record.
_INNER_OPCODES: Final[set[str]] = {
    "PROTO", "LONG1", "BININT", "BININT1", "BININT2", "EMPTY_DICT", "EMPTY_LIST", "MARK",
    "BINPUT", "BINUNICODE", "NEWTRUE", "NEWFALSE", "NONE", "SETITEM", "SETITEMS", "APPEND",
    "APPENDS", "GLOBAL", "TUPLE", "BINPERSID", "STOP",
}  # fmt: skip


class _FloatStorage:
    """Stands for `torch.FloatStorage`, the only kind of storage that is read."""


@dataclass(frozen=True)
class _Storage:
    key: str
    size: int


def _no_hooks() -> None:
    """Stands for the empty `OrderedDict` of backward hooks."""


class _Restricted(pickle.Unpickler):
    allowed: ClassVar[dict[tuple[str, str], Any]] = {}

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self.allowed[module, name]
        except KeyError:
            raise SourceError(f"asks for {module}.{name}, which no tensor needs") from None

    def persistent_load(self, pid: Any) -> Any:
        raise SourceError(f"refers to {pid!r} outside of itself")


class _StorageReader(_Restricted):
    allowed: ClassVar = {("torch", "FloatStorage"): _FloatStorage}

    def persistent_load(self, pid: Any) -> _Storage:
        match pid:
            case ("storage", kind, str(key), str(), int(size), None) if kind is _FloatStorage:
                return _Storage(key, size)
        raise SourceError(f"holds the storage record {pid!r}, expected a FloatStorage")


def _load(stream: io.BytesIO, reader: type[_Restricted], opcodes: set[str]) -> Any:
    start = stream.tell()
    for opcode, _, _ in pickletools.genops(stream):
        if opcode.name not in opcodes:
            raise SourceError(f"uses the pickle opcode {opcode.name}, which no tensor needs")
    end = stream.tell()
    stream.seek(start)
    value = reader(stream).load()
    stream.seek(end)
    return value


def _load_from_bytes(data: Any) -> NDArray[np.float32]:
    """What `torch.storage._load_from_bytes` does, for one float storage."""
    if not isinstance(data, bytes):
        raise SourceError("holds a storage that is not bytes")
    stream = io.BytesIO(data)
    magic, protocol, system = (_load(stream, _Restricted, _INNER_OPCODES) for _ in range(3))
    if magic != _MAGIC or protocol != _PROTOCOL:
        raise SourceError(f"holds a storage of protocol {protocol!r}, expected {_PROTOCOL}")
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise SourceError("holds a storage that is not little-endian")
    storage = _load(stream, _StorageReader, _INNER_OPCODES)
    keys = _load(stream, _Restricted, _INNER_OPCODES)
    if not isinstance(storage, _Storage) or keys != [storage.key]:
        raise SourceError(f"holds the storage keys {keys!r}, expected exactly one")
    raw = stream.read()
    count = struct.unpack_from("<q", raw)[0] if len(raw) >= 8 else -1
    if count != storage.size or len(raw) != 8 + 4 * count:
        raise SourceError(
            f"holds a storage of {storage.size} numbers that gives {count} in {len(raw)} bytes"
        )
    return np.frombuffer(raw, "<f4", offset=8).astype(np.float32, copy=False)


def _rebuild_tensor(storage: Any, *layout: Any) -> NDArray[np.float32]:
    """What `torch._utils._rebuild_tensor_v2` does, for a whole one-dimensional storage.

    `layout` is offset, shape, stride, whether a gradient is needed, and hooks.
    """
    if not isinstance(storage, np.ndarray):
        raise SourceError("holds a tensor without a storage")
    if layout != (0, storage.shape, (1,), False, None):
        raise SourceError(
            f"holds a tensor laid out as {layout!r} on {storage.size} numbers; "
            "expected one dimension over all of them"
        )
    return storage


class _TensorReader(_Restricted):
    allowed: ClassVar = {
        ("collections", "OrderedDict"): _no_hooks,
        ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
        ("torch.storage", "_load_from_bytes"): _load_from_bytes,
    }


def read_float_tensors(stream: BinaryIO, *, what: str) -> dict[str, NDArray[np.float32]]:
    """Read a pickled ``{name: one-dimensional float32 tensor}`` in torch's legacy format.

    Parameters
    ----------
    stream
        The pickle; it is read into memory, and none of its code is run.
    what
        Name of the file for messages.

    Returns
    -------
    dict of str to ndarray
        Name to float32 array of one dimension.

    Raises
    ------
    SourceError
        The pickle asks for anything but such tensors, is cut short, or lies about sizes.
    """
    data = io.BytesIO(stream.read())
    try:
        tensors = _load(data, _TensorReader, _OUTER_OPCODES)
        if data.read(1):
            raise SourceError("has bytes behind its end")
        if not isinstance(tensors, dict):
            raise SourceError(f"holds a {type(tensors).__name__}, expected names and tensors")
        for name, tensor in tensors.items():
            if not isinstance(name, str) or not isinstance(tensor, np.ndarray):
                raise SourceError(f"holds {name!r}, which is not a named tensor")
    except SourceError as error:
        raise SourceError(f"{what}: {error}: refused") from error
    # Whatever else a hostile or cut pickle provokes in the machine is a refusal too.
    except Exception as error:
        raise SourceError(f"{what}: is not a pickle of float tensors ({error}): refused") from error
    return tensors


MAX_BYTES: Final = 10_000_000

_SILENT: Final = frozenset({"PROTO", "FRAME", "EMPTY_DICT", "MEMOIZE", "MARK", "SETITEMS", "STOP"})

_TEXT: Final = frozenset({"SHORT_BINUNICODE", "BINUNICODE"})


def read_pickled_texts(stream: BinaryIO, *, what: str) -> dict[str, str]:
    """Read a pickled dictionary from texts to texts.

    Parameters
    ----------
    stream
        The pickle, `MAX_BYTES` at most; its opcodes are read, never run.
    what
        Name of the file for messages.

    Returns
    -------
    dict of str to str
        Keys to values, such as drugs to SMILES.

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
    """Read a user's table of drugs: columns ``drug_id`` and ``smiles``, comma separated.

    Parameters
    ----------
    path
        Local file in UTF-8.

    Returns
    -------
    dict of str to str
        Drug id to SMILES, both without spaces around them.

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
