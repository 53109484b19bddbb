"""A small collection of typed cells, with the tables that its groups are described in."""

import numpy as np
import polars as pl
from planted import MINILM, a_collection, ingest_parsed, numbered_reference, parsed_of
from planted import embedded as random_vectors

from genept.embeddings.collection_tables import CollectionTables
from genept.embeddings.text_readings.description_inputs import GO_TERMS
from genept.schema.tables import TABLES
from genept.storage import NewPart, Origin

N_CELLS, N_GENES = 120, 90
REFERENCE = numbered_reference(N_GENES)
IDS = REFERENCE["ensembl_gene_id"].to_list()
COLLECTION = a_collection("counts", kind="single_cell", id="planted-cells")
TYPES = ("B cell", "T cell", "neuron")


def stored(lake, name, columns, partition=()):
    schema = TABLES[name].schema()
    rows = pl.DataFrame(columns).sort(*TABLES[name].key).to_arrow()
    rows = rows.select(schema.names).cast(schema)
    origin = Origin((), {"rows": str(columns)})
    return lake.assemble(
        name, lake.build(f"test/{name}", origin, lambda: [NewPart(name, rows, partition)])
    )


def described_cells(lake, monkeypatch, terms=None):
    """Cells of three types, each of which expresses ten genes more; terms and programs of them.

    `terms`: names of some terms by number, which is that of the type for the first three.
    """
    rng = np.random.default_rng(0)
    types = np.arange(N_CELLS) % 3
    own = (np.arange(N_GENES)[None, :] // 10) == types[:, None]
    parsed = parsed_of(
        rng.poisson(np.where(own, 6.0, 1.0)),
        REFERENCE["symbol"].to_list(),
        [f"cell-{row:03d}" for row in range(N_CELLS)],
        groups=[f"lane-{row % 4}" for row in range(N_CELLS)],
        labels={"cell_type": [TYPES[kind] if at else None for at, kind in enumerate(types)],
                "tissue": ["blood"] * N_CELLS},
    )  # fmt: skip
    parts = ingest_parsed(monkeypatch, lake, parsed, REFERENCE, COLLECTION)
    members = [((terms or {}).get(number, f"process {number}"), IDS[gene]) for number in range(9)
               for gene in range(10 * number, 10 * number + 10)]  # fmt: skip
    rows = [
        {"task": GO_TERMS, "position": at, "input_id": gene, "ensembl_gene_id": gene,
         "outcome": "ensembl_id", "label": name, "split": None, "is_member": None,
         "fate": "scored"}
        for at, (name, gene) in enumerate(members)
    ]  # fmt: skip
    programs = {
        "space": MINILM.id, "program": [at // 10 for at in range(N_GENES)],
        "ensembl_gene_id": IDS, "symbol": REFERENCE["symbol"].to_list(), "similarity": 1.0,
    }  # fmt: skip
    program_terms = {
        "space": [MINILM.id], "program": [1], "kind": [GO_TERMS], "term": ["process 1"],
        "n_program": [10], "n_term": [10], "n_shared": [10], "p": [0.0], "q": [0.0],
    }  # fmt: skip
    tables = {
        name: lake.assemble(name, [parts[name]])
        for name in ("collections", "observations", "gene_axis", "expression")
    }
    vectors = random_vectors(lake, MINILM, IDS)
    tables |= {
        "gene_embeddings": lake.assemble("gene_embeddings", [vectors]),
        "gene_properties": stored(lake, "gene_properties", rows),
        "gene_programs": stored(lake, "gene_programs", programs, (MINILM.id,)),
        "program_terms": stored(lake, "program_terms", program_terms, (MINILM.id,)),
    }
    return CollectionTables(lake, tables, [COLLECTION], [MINILM])


def text_vectors(of: CollectionTables) -> dict[str, np.ndarray]:
    """A vector of each type's name: the mean of the genes of the type."""
    table = of.lake.read_arrow(of.tables["gene_embeddings"].part(MINILM.id))
    at = {gene: row for row, gene in enumerate(table["ensembl_gene_id"].to_pylist())}
    matrix = np.array(table["embedding"].to_pylist(), np.float32)
    return {
        name: matrix[[at[gene] for gene in IDS[10 * kind : 10 * kind + 10]]].mean(axis=0)
        for kind, name in enumerate(TYPES)
    }
