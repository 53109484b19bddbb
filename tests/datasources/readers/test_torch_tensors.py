from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sources_layouts import Call, pickled, torch_pickle, torch_storage, torch_tensor

from genept.common.errors import SourceError
from genept.datasources.readers.pickles import read_float_tensors

THREE = np.array([1.5, -2.0, 0.25], np.float32)


def read(data: bytes) -> dict[str, Any]:
    return read_float_tensors(io.BytesIO(data), what="EXP.pkl")


@settings(deadline=None)
@given(
    st.dictionaries(
        st.text(min_size=1, max_size=8),
        st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=6),
        max_size=5,
    )
)
def test_tensors_come_back_bit_for_bit(rows: dict[str, list[float]]) -> None:
    tensors = read(torch_pickle(rows))
    assert list(tensors) == list(rows)
    for name, row in rows.items():
        assert tensors[name].dtype == np.float32
        np.testing.assert_array_equal(tensors[name], np.array(row, np.float32))


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("posix", "system"),
        ("builtins", "eval"),
        ("torch", "load"),
        ("collections", "OrderedDict.fromkeys"),
        ("torch.storage", "_load_from_bytes.__globals__"),
        ("numpy", "load"),
    ],
)
def test_no_other_callable_is_reached(tmp_path: Path, module: str, name: str) -> None:
    proof = tmp_path / "proof"
    with pytest.raises(SourceError, match=r"EXP\.pkl: asks for .*, which no tensor needs"):
        read(pickled({"line": Call(module, name, f"touch {proof}")}))
    assert not proof.exists()


def test_an_ordinary_malicious_pickle_runs_nothing(tmp_path: Path) -> None:
    proof = tmp_path / "proof"

    class Malicious:
        def __reduce__(self) -> Any:
            import os

            return os.system, (f"touch {proof}",)

    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(SourceError, match="refused"):
            read(pickle.dumps({"line": Malicious()}, protocol=protocol))
    assert not proof.exists()


def test_a_malicious_pickle_inside_a_storage_runs_nothing(tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    inner = b"\x80\x02cos\nsystem\nq\x00X\x05\x00\x00\x00touchq\x01\x85q\x02R."
    for position in range(3):
        storage = b"".join(pickle.dumps(0, protocol=2) for _ in range(position)) + inner
        with pytest.raises(SourceError, match="refused"):
            read(pickled({"line": torch_tensor(storage, 3)}))
    assert not proof.exists()


@pytest.mark.parametrize("kind", ["DoubleStorage", "LongStorage", "UntypedStorage"])
def test_only_float_storages_are_read(kind: str) -> None:
    with pytest.raises(SourceError, match=kind):
        read(pickled({"line": torch_tensor(torch_storage(THREE, kind=kind), 3)}))


@pytest.mark.parametrize("lie", [{"count": 4}, {"count": 2}, {"count": -1}, {"count": 2**62}])
def test_a_count_that_lies_is_refused(lie: dict[str, int]) -> None:
    with pytest.raises(SourceError, match="holds a storage of 3 numbers that gives"):
        read(pickled({"line": torch_tensor(torch_storage(THREE, **lie), 3)}))


def test_a_size_that_lies_is_refused() -> None:
    with pytest.raises(SourceError, match="a storage of 1000000 numbers"):
        read(pickled({"line": torch_tensor(torch_storage(THREE, size=1_000_000), 3)}))


@pytest.mark.parametrize(
    "layout",
    [
        (0, (4,), (1,), False, OrderedDict()),
        (1, (3,), (1,), False, OrderedDict()),
        (0, (3,), (0,), False, OrderedDict()),
        (0, (1, 3), (3, 1), False, OrderedDict()),
        (0, (3,)),
    ],
)
def test_only_whole_one_dimensional_tensors_are_read(layout: tuple[Any, ...]) -> None:
    loaded = Call("torch.storage", "_load_from_bytes", torch_storage(THREE))
    with pytest.raises(SourceError, match="laid out as"):
        read(pickled({"line": Call("torch._utils", "_rebuild_tensor_v2", loaded, *layout)}))


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "pickle exhausted|not a pickle"),
        (b"<html></html>", "refused"),
        (pickled(["no", "names"]), "opcode"),
        (pickled({1: 2}), "not a named tensor"),
        (pickled("text"), "holds a str"),
        (pickled({"line": Call("torch.storage", "_load_from_bytes", "text")}), "not bytes"),
        (pickled({"line": Call("torch._utils", "_rebuild_tensor_v2", 1)}), "without a storage"),
        (torch_pickle({"a": [1.0]}) + b"x", "bytes behind its end"),
        # A memo slot or a length far beyond the file must not be allocated.
        (b"\x80\x04]r\xff\xff\xff\x7f.", "opcode"),
        (b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.", "refused"),
        (b"\x80\x04B\xff\xff\xff\x7f.", "refused"),
    ],
)
def test_anything_else_is_refused(data: bytes, complaint: str) -> None:
    with pytest.raises(SourceError, match=complaint) as caught:
        read(data)
    assert str(caught.value).startswith("EXP.pkl: ")


def test_every_truncation_is_refused() -> None:
    data = torch_pickle({"A": [1.0, 2.0], "B": [3.0, 4.0]})
    for end in range(len(data)):
        with pytest.raises(SourceError, match="refused"):
            read(data[:end])


@settings(deadline=None)
@given(st.binary(max_size=64))
def test_noise_is_refused_and_never_run(noise: bytes) -> None:
    with pytest.raises(SourceError):
        read(b"\x80\x04" + noise + b"(")


def test_the_other_byte_order_is_refused() -> None:
    wrong = torch_storage(THREE).replace(b"little_endianq\x02\x88", b"little_endianq\x02\x89")
    with pytest.raises(SourceError, match="little-endian"):
        read(pickled({"line": torch_tensor(wrong, 3)}))
