"""A small Census in TileDB-SOMA, as a program: made at an address, then queried, and written.

    soma_census.py ADDRESS SETTINGS FILE

It runs where the extra `census` is installed; what it read goes to standard output, as JSON.
"""

import json
import sys
from collections import Counter

import numpy as np
import pyarrow as pa
import tiledbsoma

from genept.client.census import CensusQuery, drawn_cells, open_census
from genept.common.errors import SourceError

GENES = [
    67445,
    67533,
    67560,
    67596,
    67606,
    67646,
    67704,
    67715,
    67798,
    67829,
    67836,
    67840,
    67842,
    67900,
    67955,
    67992,
    68001,
    68024,
    68028,
    68078,
    68079,
    68097,
    68120,
    68137,
    68305,
    68308,
    68323,
    68354,
    68366,
    68383,
]
"""Numbers of Ensembl ids of human genes."""
N_CELLS, N_GENES = 120, len(GENES)
TYPES = [
    ("T cell", "CL:0000084"),
    ("B cell", "CL:0000236"),
    ("CD4-positive, alpha-beta T cell", "CL:0000624"),
]


def counts() -> np.ndarray:
    return np.random.default_rng(0).poisson(1.0, (N_CELLS, N_GENES)).astype(np.float32)


def make(address: str, settings: dict[str, str]) -> None:
    """Cells of three types in two tissues; every tenth repeats a cell of another data set."""
    numbers = list(range(N_CELLS))
    obs = pa.table(
        {
            "soma_joinid": pa.array(numbers, pa.int64()),
            "dataset_id": [f"d{n % 2}" for n in numbers],
            "donor_id": [f"p{n % 5}" for n in numbers],
            "cell_type": [TYPES[n % 3][0] for n in numbers],
            "cell_type_ontology_term_id": [TYPES[n % 3][1] for n in numbers],
            "tissue": ["lung" if n % 2 else "blood" for n in numbers],
            "tissue_ontology_term_id": [
                "UBERON:0002048" if n % 2 else "UBERON:0000178" for n in numbers
            ],
            "disease": ["normal"] * N_CELLS,
            "disease_ontology_term_id": ["PATO:0000461"] * N_CELLS,
            "assay": ["10x 3' v3"] * N_CELLS,
            "assay_ontology_term_id": ["EFO:0009922"] * N_CELLS,
            "is_primary_data": [n % 10 != 9 for n in numbers],
        }
    )
    var = pa.table(
        {
            "soma_joinid": pa.array(range(N_GENES), pa.int64()),
            "feature_id": [f"ENSG{n:011d}" for n in GENES],
            "feature_name": [f"G{n + 1}" for n in range(N_GENES)],
        }
    )
    context = tiledbsoma.SOMATileDBContext(tiledb_config=settings)
    with tiledbsoma.Collection.create(address, context=context) as top:
        data = top.add_new_collection("census_data")
        experiment = data.add_new_collection("homo_sapiens", tiledbsoma.Experiment)
        measurements = experiment.add_new_collection("ms")
        measured = measurements.add_new_collection("RNA", tiledbsoma.Measurement)
        for owner, name, rows in ((experiment, "obs", obs), (measured, "var", var)):
            table = owner.add_new_dataframe(
                name, schema=rows.schema, index_column_names=["soma_joinid"],
                domain=[[0, rows.num_rows - 1]],
            )  # fmt: skip
            table.write(rows)
        matrices = measured.add_new_collection("X")
        stored = matrices.add_new_sparse_ndarray("raw", type=pa.float32(), shape=(N_CELLS, N_GENES))
        places = np.nonzero(counts())
        stored.write(
            pa.SparseCOOTensor.from_numpy(
                counts()[places], np.stack(places, axis=1), shape=(N_CELLS, N_GENES)
            )
        )


def main(address: str, settings: dict[str, str], file: str) -> None:
    make(address, settings)
    query = CensusQuery({"cell_type": ("CL:0000084", "CL:0000624"), "tissue": ("UBERON:0002048",)})
    with open_census("of-tests", address=address, settings=settings) as census:
        found = census.find(query)
        everything = census.find(CensusQuery({"tissue": ("UBERON:0002048",)}, primary=False))
        chosen = drawn_cells(found, 20, 0)
        data = census.counts(chosen, query)
    expected = counts()[chosen["soma_joinid"].to_numpy()]
    data.write_h5ad(file)
    refused = ""
    try:
        with open_census("of-tests", address=f"{address}nothing/", settings=settings):
            pass
    except SourceError as error:
        refused = str(error)
    report = {
        "refused": refused,
        "found": found.height,
        "types": Counter(found["cell_type"].to_list()),
        "repeated": everything.height,
        "chosen": chosen.height,
        "equal": bool((data.X.toarray() == expected).all()),
        "query": data.uns["census"]["query"],
    }
    sys.stdout.write(json.dumps(report))


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]), sys.argv[3])
