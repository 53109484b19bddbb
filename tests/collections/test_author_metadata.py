"""All that an author says of observations, with bounds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from planted import ingest_parsed, numbered_reference, parsed_of

from genept.collections import author_metadata
from genept.collections.author_metadata import LONGEST_VALUE, metadata_rows
from genept.storage.lake import Lake

KEPT = pl.DataFrame({"observation_id": ["a", "b"]})


def test_fields_become_rows_without_empty_values() -> None:
    fields = pl.DataFrame(
        {"observation_id": ["b", "a", "gone"], "age": ["61", " ", "3"], "site": ["x", "y", "z"]}
    )
    rows, quarantined = metadata_rows(fields, KEPT)
    assert rows.rows() == [("a", "site", "y"), ("b", "age", "61"), ("b", "site", "x")]
    assert quarantined == []
    assert metadata_rows(None, KEPT)[0].height == 0


def test_what_is_beyond_the_bounds_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(author_metadata, "MOST_FIELDS", 3)
    monkeypatch.setattr(author_metadata, "MOST_VALUES", 4)
    long = "x" * (LONGEST_VALUE + 1)
    fields = pl.DataFrame(
        {
            "observation_id": ["a", "b"], "n" * 300: ["1", "2"], "first": ["1", long],
            "second": ["1", "2"], "third": ["1", "2"], "fourth": ["1", None], "fifth": ["1", None],
        }
    )  # fmt: skip
    rows, quarantined = metadata_rows(fields, KEPT)
    assert rows["field"].unique().sort().to_list() == ["first", "fourth", "second"]
    assert [(it.input_id, it.reason, it.n) for it in quarantined] == [
        ("n" * 200, "metadata_too_long", 2),
        ("first", "metadata_too_long", 1),
        ("third", "metadata_too_many", 2),
        ("fifth", "metadata_too_many", 1),
    ]


def test_an_ingest_keeps_them(monkeypatch: pytest.MonkeyPatch, lake: Lake) -> None:
    genes = ["G1", "G2"]
    parsed = parsed_of(
        np.ones((2, 2)), genes, ids=["s1", "s2"],
        metadata=pl.DataFrame({"observation_id": ["s1", "s2"], "sex": ["M", "F"]}),
    )  # fmt: skip
    parts = ingest_parsed(monkeypatch, lake, parsed, numbered_reference(2))
    assert lake.read(parts["observation_metadata"]).select("field", "value").rows() == [
        ("sex", "M"),
        ("sex", "F"),
    ]
    assert lake.read(parts["observations"])["sex"].to_list() == ["M", "F"]
    assert set(lake.read(parts["label_mapping"])["outcome"]) == {"no_ontology"}
    assert "read_observations" not in parts


def test_code_that_decides_what_is_read_is_in_the_origin() -> None:
    """Modules that the ingest imports of its own package, apart from those of labels."""
    import ast

    from genept.collections import ingestion

    folder = Path(ingestion.__file__).parent
    todo, seen = ["ingestion"], set()
    while todo:
        module = todo.pop()
        seen.add(module)
        for node in ast.walk(ast.parse((folder / f"{module}.py").read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
                "genept.collections"
            ):
                names = (
                    [node.module.rpartition(".")[2]]
                    if node.module.count(".") > 1
                    else [alias.name for alias in node.names]
                )
                todo += [name for name in names if name not in (*seen, "labels")]
    assert seen == set(ingestion._OWN)
