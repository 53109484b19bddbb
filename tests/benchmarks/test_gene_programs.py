"""Gene programs: planted clusters are found, their terms named, their activity measured."""

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from scipy.stats import fisher_exact

from genept.benchmarks.input_tables import SpaceVectors
from genept.benchmarks.programs.gene_programs import (
    activity,
    enrichment,
    find_programs,
    is_enriched,
)
from genept.benchmarks.programs.program_task import TASK, program_activity, space_programs
from genept.benchmarks.task_base import GeneVectors

N, N_PROGRAMS = 400, 4
GENES = tuple(f"ENSG{number:011}" for number in range(N))
GROUP = np.arange(N) % N_PROGRAMS
RNG = np.random.default_rng(0)
MATRIX = (3 * np.eye(N_PROGRAMS)[GROUP] + RNG.normal(size=(N, N_PROGRAMS)) * 0.3).astype("f4")


def vectors(matrix=MATRIX):
    return GeneVectors("planted/text", GENES, matrix)


def members():
    """A term for most genes of each planted group, and some of genes at random."""
    rows = [(GENES[row], f"group-{GROUP[row]}") for row in range(N) if row % 3]
    rows += [(GENES[row], f"noise-{k}") for k in range(8) for row in RNG.choice(N, 40, False)]
    return pl.DataFrame(rows, schema=["ensembl_gene_id", "label"], orient="row")


def test_planted_programs_are_found_and_numbered_by_size():
    programs = find_programs(vectors())
    assert programs.n == N_PROGRAMS
    for number in range(N_PROGRAMS):
        assert len(set(GROUP[programs.of_gene == number])) == 1
    assert list(np.diff(np.bincount(programs.of_gene)) <= 0) == [True] * (N_PROGRAMS - 1)
    assert programs.similarity.min() > 0.8
    assert (programs.of_gene == find_programs(vectors()).of_gene).all()


def test_terms_follow_fishers_exact_test_and_random_clusters_have_none():
    programs = find_programs(vectors())
    enriched = enrichment(programs, members())
    sure = enriched.filter(pl.col("q") < 0.05)
    assert sorted(sure["term"]) == [f"group-{number}" for number in range(N_PROGRAMS)]
    row = sure.row(0, named=True)
    a, k, m = row["n_shared"], row["n_term"], row["n_program"]
    table = [[a, k - a], [m - a, N - k - m + a]]
    assert row["p"] == pytest.approx(fisher_exact(table, alternative="greater").pvalue)
    assert is_enriched(programs, enriched).all()
    shuffled = programs.dealt(1)
    assert sorted(np.bincount(shuffled.of_gene)) == sorted(np.bincount(programs.of_gene))
    assert not is_enriched(shuffled, enrichment(shuffled, members())).any()


def test_q_values_count_every_test_that_was_possible():
    from scipy.stats import false_discovery_control

    programs = find_programs(vectors())
    enriched = enrichment(programs, members())
    tests = N_PROGRAMS * 12
    assert (enriched["q"] >= enriched["p"]).all()
    best = enriched["p"].min()
    expected = false_discovery_control([*enriched["p"], *[1.0] * (tests - enriched.height)])
    assert enriched.filter(pl.col("p") == best)["q"][0] == pytest.approx(expected.min(), rel=0.5)


def test_a_program_is_active_where_its_genes_are():
    programs = find_programs(vectors())
    types = [f"type-{row % N_PROGRAMS}" for row in range(60)]
    rate = np.where(GROUP[None, :] == np.arange(60)[:, None] % N_PROGRAMS, 5.0, 1.0)
    counts = sp.csr_matrix(RNG.poisson(rate).astype(np.float32))
    rows = activity(programs, counts, list(GENES), types, "counts")
    assert set(rows["n_cells"]) == {15}
    for number in range(N_PROGRAMS):
        (group,) = set(GROUP[programs.of_gene == number])
        activities = rows.filter(program=number).sort("activity")
        assert activities["cell_type"][-1] == f"type-{group}"
        assert activities["activity"][-1] > 0.5
        assert activities["activity"][0] < 0


def test_programs_are_stored_beside_clusters_of_the_same_sizes(lake, planted_space):
    properties = members().with_columns(task=pl.lit("go-terms"))
    parts = space_programs(lake, planted_space(), properties)
    assert [part.table for part in parts] == ["gene_programs", "program_terms", "benchmark_results"]
    assert parts == space_programs(lake, planted_space(), properties)
    scores = lake.read(parts[2]).rows_by_key("representation", named=True, unique=True)
    assert scores["planted/text"]["value"] == 1.0
    assert scores["planted/text@shuffled"]["value"] < 0.2
    assert scores["planted/text@shuffled"]["is_control"]
    assert parts[2].partition == (TASK, "go-terms")
    parts = space_programs(lake, planted_space(tells={"go"}), properties)
    assert [part.table for part in parts] == ["gene_programs", "program_terms"], (
        "described, not scored"
    )


def test_activity_is_stored_by_space_and_collection(lake, planted_space, monkeypatch):
    from planted import a_collection, in_every_space, ingest_parsed, numbered_reference, parsed_of

    reference = numbered_reference(N)
    genes = reference["symbol"].to_list()
    cells = RNG.poisson(2.0, (30, N))
    labels = {"cell_type": [None, *"BT" * 14, "B"]}
    parsed = parsed_of(cells, genes, labels=labels)
    collection = a_collection("counts", kind="single_cell", id="planted-cells")
    ingested = ingest_parsed(monkeypatch, lake, parsed, reference, collection)
    read = in_every_space(lake, ingested, collection, reference["ensembl_gene_id"].to_list())
    nothing = pl.DataFrame(schema=dict.fromkeys(("task", "ensembl_gene_id", "label"), pl.String))
    (programs,) = space_programs(lake, planted_space(shift=1), nothing)
    part = program_activity(lake, programs, collection.id, "counts", read)
    assert part.partition == ("planted/text", "planted-cells")
    rows = lake.read(part)
    assert set(rows["cell_type"]) == {"B", "T"}
    assert rows.group_by("cell_type").agg(pl.first("n_cells"))["n_cells"].sum() == 29


@pytest.fixture
def planted_space(lake):
    import pyarrow as pa

    from genept.schema.tables import TABLES
    from genept.storage.provenance import NewPart, Origin
    from genept.text.embedders import space_of

    def make_space(tells=(), shift=0):
        unit = MATRIX / np.linalg.norm(MATRIX, axis=1, keepdims=True)
        names = [f"ENSG{number + shift:011}" for number in range(N)]
        schema = TABLES["gene_embeddings"].schema(N_PROGRAMS)
        column = pa.FixedSizeListArray.from_arrays(
            pa.array(unit.ravel()), type=schema.field("embedding").type
        )
        columns = [["planted/text"] * N, names, names, column, ["0" * 64] * N]
        rows = pa.table(columns, schema=schema)
        part = NewPart("gene_embeddings", rows, ("planted/text",), N_PROGRAMS)
        origin = Origin(code=(), settings={"shift": shift})
        (stored,) = lake.build("test/space", origin, lambda: [part])
        return SpaceVectors(space_of("planted/text"), stored, frozenset(tells))

    return make_space
