"""A collection on its way into the lake: all of it is accounted for, and only once."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from planted import a_collection, gene, ingest_parsed, numbered_reference, parsed_of, reference_of

import genept.collections.ingestion
import genept.collections.shards
from genept.collections.ingestion import TABLES_OF_A_COLLECTION, ingest
from genept.collections.preflight import CollectionRefusedError
from genept.common.errors import SourceError
from genept.datasources.catalogue import load_catalogue
from genept.datasources.download.archives import Archives
from genept.datasources.readers.parsed import InMemory, Quarantined
from genept.embeddings.expression import csr_of, expression_matrix
from genept.nomenclature.reference import Reference
from genept.nomenclature.screening import GeneNamesRefusedError
from genept.storage.lake import Lake

REFERENCE = reference_of(
    gene(1, "A", previous_symbols=["OLDA"]),
    gene(2, "B"),
    gene(3, "C", aliases=["X"]),
    gene(4, "D", aliases=["X"]),
    gene(5, "E", ensembl_gene_id=None),
)
GENES = ["B", "OLDA", "A", "X", "E", "clone.1"]
# Not in order of their ids; the third expresses only what has no gene.
IDS = ["s3", "s1", "s4", "s2"]
VALUES = [[5, 1, 2, 0, 0, 1], [0, 4, 0, 1, 1, 0], [0, 0, 0, 2, 1, 1], [7, 0, 3, 0, 0, 0]]


def responses_of(*rows):
    columns = ["observation_id", "drug_id", "value", "n_measured"]
    frame = pl.DataFrame(rows, schema=columns, orient="row").with_columns(
        pl.col("value").cast(pl.Float64), measure=pl.lit("ln_ic50"), unit=pl.lit("ln(µM)")
    )
    return frame.select("observation_id", "drug_id", "value", "measure", "unit", "n_measured")


def test_every_gene_observation_and_response_is_accounted_for(lake: Lake, monkeypatch):
    parsed = parsed_of(
        VALUES,
        GENES,
        IDS,
        groups=["p2", "p1", "p4", "p1"],
        labels={"diagnosis": ["tumor", "normal", "tumor", None]},
        responses=responses_of(
            ("s1", "drug", 1.5, 1), ("s4", "drug", 2.5, 2), ("s4", "other", 0.5, 3)
        ),
        quarantined=[Quarantined("gene", "FILLER", "filler", "never measured")],
    )
    parts = ingest_parsed(monkeypatch, lake, parsed, REFERENCE)
    assert set(parts) == set(TABLES_OF_A_COLLECTION)
    tables = {name: lake.read(part) for name, part in parts.items()}

    mapping = tables["gene_mapping"].rows_by_key("input_id", named=True, unique=True)
    assert set(mapping) == set(GENES)
    assert {name: row["outcome"] for name, row in mapping.items()} == {
        "B": "exact",
        "OLDA": "previous",
        "A": "exact",
        "X": "ambiguous",
        "E": "without_ensembl_id",
        "clone.1": "unknown",
    }
    assert mapping["X"]["candidates"] == ["ENSG00000000003", "ENSG00000000004"]
    total = sum(map(sum, VALUES))
    assert mapping["B"]["expression_share"] == pytest.approx(12 / total)
    assert sum(row["expression_share"] for row in mapping.values()) == pytest.approx(1)

    assert tables["gene_axis"].select("gene_index", "symbol", "n_inputs").rows() == [
        (0, "A", 2),
        (1, "B", 1),
    ]
    kept = tables["observations"].select(
        "observation_id", "group_id", "diagnosis", "n_genes", "total"
    )
    assert kept.rows() == [
        ("s1", "p1", "normal", 1, 4.0),
        ("s2", "p1", None, 2, 10.0),
        ("s3", "p2", "tumor", 2, 8.0),
    ]
    assert tables["expression"].select("observation_id", "gene_index", "value").rows() == [
        ("s1", [0], [4.0]),
        ("s2", [0, 1], [3.0, 7.0]),
        ("s3", [0, 1], [3.0, 5.0]),
    ]
    assert tables["drug_responses"].select("observation_id", "drug_id", "value").rows() == [
        ("s1", "drug", 1.5)
    ]
    kept_out = tables["quarantine"].select("item", "input_id", "reason", "n")
    assert kept_out.rows() == [
        ("gene", "FILLER", "filler", 1),
        ("observation", "s4", "empty", 1),
        ("response", "s4", "empty", 5),
    ]
    (summary,) = tables["collections"].rows(named=True)
    assert (summary["n_observations"], summary["n_genes"], summary["n_quarantined"]) == (3, 2, 3)
    assert summary["mapped_expression"] == pytest.approx(22 / total)


def test_an_input_that_gives_way_to_another_of_its_gene_is_quarantined(lake: Lake, monkeypatch):
    values = [[1.0, 3.0, 2.5, 0.5], [2.0, -1.0, 2.5, 0.5]]
    parts = ingest_parsed(
        monkeypatch,
        lake,
        parsed_of(values, ["B", "OLDA", "A", "C"]),
        REFERENCE,
        a_collection("log2"),
    )
    assert lake.read(parts["expression"])["value"].to_list() == [[2.5, 1.0, 0.5], [2.5, 2.0, 0.5]]
    (row,) = lake.read(parts["quarantine"]).rows(named=True)
    assert (row["item"], row["input_id"], row["reason"]) == ("gene", "OLDA", "lower_mean")
    assert "same gene as A" in row["detail"]
    assert lake.read(parts["gene_axis"])["n_inputs"].to_list() == [2, 1, 1]


def test_too_little_coverage_is_refused_and_nothing_shows(lake: Lake, monkeypatch):
    mouse = parsed_of([[5, 5, 1], [5, 4, 1]], ["Trp53", "Actb", "A"])
    with pytest.raises(GeneNamesRefusedError, match=r"'planted': only 10% of its expression"):
        ingest_parsed(monkeypatch, lake, mouse, REFERENCE)
    assert not list(lake.store.list(f"{lake.prefix}/tables"))
    (record,) = lake.store.list(f"{lake.prefix}/records")
    assert "/collections/planted/shards/00000/" in record.key, "what a corrected entry may use"
    enough = parsed_of([[4, 6], [2, 3]], ["Trp53", "A"])
    human = a_collection(id="human")
    assert ingest_parsed(monkeypatch, lake, enough, REFERENCE, human)["collections"].rows == 1


def test_the_second_ingest_reads_nothing(lake: Lake, monkeypatch, tmp_path):
    first = ingest_parsed(monkeypatch, lake, parsed_of(VALUES, GENES, IDS), REFERENCE)
    assert "drug_responses" not in first

    def refuse(*_):
        raise AssertionError("neither the parser nor the reference is needed any more")

    monkeypatch.setattr(genept.collections.ingestion, "parse_collection", refuse)
    archives = Archives(load_catalogue(), tmp_path / "none")

    def again(collection, reference_version):
        return ingest(lake, archives, collection, refuse, reference_version)

    assert {part.table: part for part in again(a_collection(), "reference-1")} == first
    with pytest.raises(AssertionError, match="needed"):
        again(a_collection(), "reference-2")
    with pytest.raises(AssertionError, match="needed"):
        again(a_collection(title="another title"), "reference-1")


def large(n_observations=1300, n_genes=40):
    """Counts in several batches, observations in no order, two inputs a gene."""
    rng = np.random.default_rng(0)
    values = rng.poisson(0.4, (n_observations, 2 * n_genes)).astype(np.float32)
    values[:, 0] += 1
    names = [f"G{number}" for number in range(1, n_genes + 1)]
    reference = reference_of(
        *(gene(number, f"G{number}", aliases=[f"old{number}"]) for number in range(1, n_genes + 1))
    )
    ids = [f"cell-{number}" for number in rng.permutation(n_observations)]
    parsed = parsed_of(values, [*names, *(f"old{name[1:]}" for name in names)], ids)
    expected = dict(zip(ids, values[:, :n_genes] + values[:, n_genes:], strict=True))
    return parsed, reference, expected


def test_expression_comes_back_as_it_was_merged(lake: Lake, monkeypatch):
    parsed, reference, expected = large()
    parts = ingest_parsed(monkeypatch, lake, parsed, reference)
    ids, matrix = expression_matrix(lake, [parts["expression"]], parts["gene_axis"].rows)
    assert ids == sorted(expected) == lake.read(parts["observations"])["observation_id"].to_list()
    np.testing.assert_array_equal(matrix.toarray(), np.stack([expected[id_] for id_ in ids]))
    axis = lake.read(parts["gene_axis"])
    assert axis["gene_index"].to_list() == list(range(40))
    assert axis["ensembl_gene_id"].to_list() == sorted(axis["ensembl_gene_id"])
    observations = lake.read(parts["observations"])
    np.testing.assert_array_equal(observations["total"], matrix.sum(axis=1).A1)
    np.testing.assert_array_equal(observations["n_genes"], np.diff(matrix.indptr))


def test_no_number_is_copied_on_the_way_to_a_matrix(lake: Lake, monkeypatch):
    parsed, reference, _ = large()
    parts = ingest_parsed(monkeypatch, lake, parsed, reference)
    groups = list(lake.row_groups(parts["expression"], ["gene_index", "value"]))
    assert len(groups) > 1
    for rows in groups:
        matrix = csr_of(rows, 40)
        value, index = rows["value"].chunk(0), rows["gene_index"].chunk(0)
        assert np.shares_memory(matrix.data, value.values.to_numpy())
        assert np.shares_memory(matrix.indices, index.values.to_numpy())
        assert matrix.dtype == np.float32


def test_the_same_input_gives_the_same_bytes_in_whatever_order(
    lake: Lake, object_store, store_prefix, tmp_path, monkeypatch
):
    parsed, reference, _ = large(n_observations=600)
    other = Lake(object_store, f"{store_prefix}-other", tmp_path / "other")
    names = parsed.input_genes
    dense = np.vstack([block.toarray() for block in parsed.expression.blocks()])
    order = np.argsort(parsed.observations["observation_id"].to_numpy())
    ids = parsed.observations["observation_id"].gather(order).to_list()
    ordered = parsed_of(dense[order], names, ids)
    first = ingest_parsed(monkeypatch, lake, parsed, reference)
    second = ingest_parsed(monkeypatch, other, ordered, reference)
    assert {name: part.sha256 for name, part in first.items()} == {
        name: part.sha256 for name, part in second.items()
    }


def test_the_total_of_a_large_library_is_exact(lake: Lake, monkeypatch):
    counts = [[2**24, 1, 1, 1]]
    parts = ingest_parsed(
        monkeypatch, lake, parsed_of(counts, ["G1", "G2", "G3", "G4"]), numbered_reference(4)
    )
    assert lake.read(parts["observations"])["total"].item() == 2**24 + 3


def test_a_gene_with_a_shared_ensembl_id_is_shown_under_its_published_symbol(
    lake: Lake, monkeypatch
):
    reference = reference_of(gene(1, "OLDEST"), gene(2, "YOUNG", ensembl_gene_id="ENSG00000000001"))
    parts = ingest_parsed(monkeypatch, lake, parsed_of([[1, 2]], ["OLDEST", "YOUNG"]), reference)
    assert lake.read(parts["gene_axis"]).select("symbol", "n_inputs").rows() == [("OLDEST", 2)]
    assert lake.read(parts["expression"])["value"].to_list() == [[3.0]]


def test_tables_are_ingested_under_the_collections_own_name(lake: Lake, monkeypatch):
    for id_ in ("one", "two"):
        parts = ingest_parsed(
            monkeypatch,
            lake,
            parsed_of([[1, 2]], ["G1", "G2"]),
            numbered_reference(2),
            a_collection(id=id_),
        )
        for part in parts.values():
            assert part.partition == (id_,)
            assert set(lake.read(part)["collection_id"]) <= {id_}


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(genept.collections.shards, "SHARD_OBSERVATIONS", 100)


def test_a_large_collection_is_stored_in_shards_and_is_the_same(
    lake: Lake, monkeypatch, small_shards
):
    parsed, reference, expected = large(n_observations=250)
    monkeypatch.setattr(genept.collections.ingestion, "parse_collection", lambda *_: parsed)
    archives = Archives(load_catalogue(), lake.cache / "none")
    reference = Reference("hgnc-test", reference)
    parts = ingest(lake, archives, a_collection(), lambda: reference, "reference-1", processes=2)
    expression = lake.assemble("expression", parts)
    assert [part.number for part in expression.parts] == [0, 1, 2]
    ids, matrix = expression_matrix(lake, expression.parts, 40)
    assert ids == sorted(expected)
    np.testing.assert_array_equal(matrix.toarray(), np.stack([expected[id_] for id_ in ids]))
    (observations,) = (part for part in parts if part.table == "observations")
    assert lake.read(observations)["observation_id"].to_list() == ids


def test_an_ingest_that_was_stopped_goes_on_at_the_next_shard(
    lake: Lake, monkeypatch, small_shards
):
    parsed, reference, expected = large(n_observations=250)

    class StoppedOnce(InMemory):
        fails = True

        def blocks(self, start=0, stop=None):
            read.append(start)
            if start == 100 and self.fails:
                raise KeyboardInterrupt
            return super().blocks(start, stop)

    read = []
    parsed = replace(parsed, expression=StoppedOnce(parsed.expression.matrix))
    with pytest.raises(KeyboardInterrupt):
        ingest_parsed(monkeypatch, lake, parsed, reference)
    assert not list(lake.store.list(f"{lake.prefix}/tables"))
    read.clear()
    monkeypatch.setattr(StoppedOnce, "fails", False)
    parts = ingest_parsed(monkeypatch, lake, parsed, reference)
    assert sorted(read) == [0, 100, 200], "the sample of units, and the two shards that lacked"
    assert lake.read(parts["observations"]).height == len(expected)


@pytest.mark.parametrize(
    ("unit", "values", "complaint"),
    [
        pytest.param("counts", [[0.7, 1.1], [2.3, 0.7]], "look like log2 or log1p", id="19"),
        pytest.param("counts", [[9e5, 1e5], [2e5, 8e5], [5e5, 5e5]], "look like tpm", id="20"),
        pytest.param("counts", [[-1, 1], [2, 0]], "look like .*1 to 2, 33% negative", id="21"),
        pytest.param("log2", [[3, 1], [2, 4]], "look like counts", id="counts-as-log2"),
        pytest.param("tpm", [[-0.5, 1.5], [0.5, 0.25]], "look like", id="21-tpm"),
    ],
)
def test_values_that_contradict_their_unit_are_refused(
    unit, values, complaint, lake: Lake, monkeypatch
):
    collection = a_collection(unit, duplicate_policy="refuse")
    parsed = parsed_of(values, ["G1", "G2"])
    with pytest.raises(CollectionRefusedError, match=f"is declared as {unit}.*{complaint}"):
        ingest_parsed(monkeypatch, lake, parsed, numbered_reference(2), collection)
    assert not list(lake.store.list(lake.prefix))


def test_a_value_far_from_the_sample_names_its_observation(lake: Lake, monkeypatch):
    values = np.ones((600, 2))
    values[550, 0] = 2**25
    parsed = parsed_of(values, ["G1", "G2"])
    with pytest.raises(SourceError, match=r"counts above .* 33554432 for 'G1' in .*'o550'"):
        ingest_parsed(monkeypatch, lake, parsed, numbered_reference(2))


def test_a_matrix_on_its_side_is_refused_before_it_is_read(lake: Lake, monkeypatch):
    parsed = parsed_of([[1, 2], [3, 4], [5, 6]], ["sample-1", "sample-2"], ["G1", "G2", "G3"])
    with pytest.raises(CollectionRefusedError, match="of its observation ids 100% are: it lies"):
        ingest_parsed(monkeypatch, lake, parsed, numbered_reference(3))


def test_one_sample_under_two_ids_is_one_group(lake: Lake, monkeypatch):
    values = np.arange(1, 241, dtype=np.float32).reshape(4, 60)
    values[3] = values[1]
    parsed = parsed_of(
        values,
        [f"G{n}" for n in range(1, 61)],
        ["a", "b", "c", "d"],
        groups=["g1", "g2", "g3", "g3"],
    )
    parts = ingest_parsed(monkeypatch, lake, parsed, numbered_reference(60))
    assert lake.read(parts["observations"])["group_id"].to_list() == ["g1", "g2", "g2", "g2"]
    (warning,) = lake.read(parts["quarantine"]).rows(named=True)
    assert (warning["input_id"], warning["reason"], warning["action"]) == (
        "d", "same_profile", "warned",
    )  # fmt: skip
    assert lake.read(parts["collections"])["n_quarantined"].item() == 0


def test_a_library_far_from_the_others_is_warned_of_and_kept(lake: Lake, monkeypatch):
    rng = np.random.default_rng(0)
    values = rng.integers(50, 70, (40, 5))
    values[7] *= 1000
    parsed = parsed_of(values, [f"G{n}" for n in range(1, 6)])
    parts = ingest_parsed(monkeypatch, lake, parsed, numbered_reference(5))
    (warning,) = lake.read(parts["quarantine"]).rows(named=True)
    assert (warning["input_id"], warning["reason"]) == ("o007", "odd_total")
    assert parts["observations"].rows == 40


def test_a_gene_that_is_zero_everywhere_is_kept_and_warned_of(lake: Lake, monkeypatch):
    parsed = parsed_of([[5, 0, 1], [2, 0, 4]], ["G1", "G2", "G3"])
    parts = ingest_parsed(monkeypatch, lake, parsed, numbered_reference(3))
    assert parts["gene_axis"].rows == 3
    (warning,) = lake.read(parts["quarantine"]).rows(named=True)
    assert (warning["item"], warning["reason"], warning["action"], warning["n"]) == (
        "file", "all_zero_genes", "warned", 1,
    )  # fmt: skip
    assert warning["detail"].endswith("such as G2")
