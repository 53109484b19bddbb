"""Tables of vectors as spaces of their own: mapped, counted, stored once, released."""

from __future__ import annotations

import numpy as np
import pytest
from planted import gene, reference_of

from genept.common.errors import SourceError, StoreError
from genept.datasources.readers.vector_tables import VectorTable
from genept.embeddings.expression import embedding_matrix
from genept.nomenclature.mapping import Nomenclature
from genept.storage.lake import Lake
from genept.storage.registrations import VectorFile
from genept.text.registered_gene_vectors import (
    map_vectors,
    register_space,
    registered_spaces,
    release_registered_space,
)

GENES = reference_of(
    gene(1, "A", aliases=["A-OLD"]),
    gene(2, "B", aliases=["B1", "B2"]),
    gene(3, "C", aliases=["C1", "C2"]),
)
NOMENCLATURE = Nomenclature.of(GENES)
IDS = GENES["ensembl_gene_id"].to_list()


def mapped_of(**vectors):
    """What becomes of a table that holds these vectors by name (`_` stands for `-`)."""
    names = [name.replace("_", "-") for name in vectors]
    table = VectorTable(names, np.array(list(vectors.values()), dtype=np.float32))
    return map_vectors(table, NOMENCLATURE, GENES)


def registered(store, prefix, id_="scgpt/human", mapped=None):
    return register_space(
        store,
        prefix,
        id_,
        mapped or mapped_of(A=[3, 4], B=[0, 2]),
        file=VectorFile(file="vectors.npz", file_sha256="0" * 64, citation="somebody"),
        reference_release="hgnc-test",
    )


def test_names_are_mapped_and_vectors_scaled():
    mapped = mapped_of(B=[0, 2], ENSG00000000001=[3, 4], nix=[1, 1])
    assert mapped.genes["symbol"].to_list() == ["A", "B"]
    np.testing.assert_allclose(mapped.vectors, [[0.6, 0.8], [0, 1]], rtol=1e-6)
    assert mapped.outcomes == {"exact": 1, "ensembl_id": 1, "unknown": 1}
    assert mapped.lengths == (pytest.approx(2**0.5), 5)


def test_several_names_of_one_gene():
    mapped = mapped_of(A_OLD=[1, 1], A=[1, 0], B1=[0, 3], B2=[0, 3], C1=[1, 0], C2=[0, 1])
    assert mapped.genes["symbol"].to_list() == ["A", "B"], "C's names contradict each other"
    np.testing.assert_array_equal(mapped.vectors, [[1, 0], [0, 1]])
    used = dict(mapped.names.select("input_id", "used").iter_rows())
    assert used == {
        "A-OLD": False, "A": True, "B1": True, "B2": False, "C1": False, "C2": False
    }  # fmt: skip
    assert mapped.superseded == 4


@pytest.mark.parametrize(
    ("names", "vectors", "reason"),
    [
        (["A", "B", "A"], [[1, 0]] * 3, r"2 of 3 names occur more than once, such as 'A'"),
        (["A", "B"], [[1, 0], [np.nan, 1]], r"1 of 2 names have a vector that is not finite.*'B'"),
        (["A", "B"], [[1, np.inf], [0, 1]], r"not finite, such as 'A'"),
        (["A", "B"], [[1, 0], [0, 0]], r"all zero, such as 'B'"),
        (["x", "y"], [[1, 0], [0, 1]], r"none of 2 names means a gene; such as 'x', 'y'"),
    ],
)
def test_unusable_tables_are_refused(names, vectors, reason):
    with pytest.raises(SourceError, match=reason):
        map_vectors(VectorTable(names, np.array(vectors, np.float32)), NOMENCLATURE, GENES)


def test_a_registered_space_is_listed_released_and_removed(lake: Lake, store_prefix: str):
    declared = registered(lake.store, store_prefix)
    (listed,) = registered_spaces(lake.store, store_prefix).all()
    assert listed == declared
    assert (listed.genes, listed.dimensions, listed.citation) == (2, 2, "somebody")

    part = release_registered_space(lake, listed.space, product=store_prefix)
    rows = lake.read_arrow(part)
    assert part.partition == ("scgpt/human",)
    assert rows["ensembl_gene_id"].to_pylist() == IDS[:2]
    assert rows["text_sha256"].to_pylist() == [None, None]
    np.testing.assert_allclose(embedding_matrix(rows), [[0.6, 0.8], [0, 1]], rtol=1e-6)
    assert release_registered_space(lake, listed.space, product=store_prefix) == part

    registered_spaces(lake.store, store_prefix).remove("scgpt/human")
    assert registered_spaces(lake.store, store_prefix).all() == []
    with pytest.raises(StoreError, match="no space 'scgpt/human' is registered; there are none"):
        registered_spaces(lake.store, store_prefix).remove("scgpt/human")


def test_what_is_registered_is_not_rewritten(lake: Lake, store_prefix: str):
    first = registered(lake.store, store_prefix)
    with pytest.raises(StoreError, match="'scgpt/human' is registered already"):
        registered(lake.store, store_prefix, mapped=mapped_of(A=[1, 0]))
    assert registered_spaces(lake.store, store_prefix).all() == [first]
    with pytest.raises(ValueError, match="is no space"):
        registered(lake.store, store_prefix, id_="ScGPT")
    assert len(list(lake.store.list(f"{store_prefix}/spaces/tables/"))) == 2
