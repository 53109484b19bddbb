"""Hashes of values do not depend on order, and differ where values do."""

from __future__ import annotations

import hashlib
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from genept.storage.hashes import sha256_of, sha256_of_file


@given(st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3), min_size=2))
def test_hashes_do_not_depend_on_the_order_of_names(values: dict[str, object]) -> None:
    assert sha256_of(values) == sha256_of(dict(reversed(values.items())))


@given(st.lists(st.text(max_size=2), max_size=3), st.lists(st.text(max_size=2), max_size=3))
def test_different_values_have_different_hashes(values: list[str], others: list[str]) -> None:
    assert (sha256_of(*values) == sha256_of(*others)) == (values == others)
    assert sha256_of(values, others) != sha256_of([*values, *others])


def test_a_file_and_its_bytes_have_one_hash(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    assert sha256_of_file(tmp_path / "file") == hashlib.sha256(b"content").hexdigest()
