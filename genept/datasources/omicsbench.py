"""Parser `omicsbench`: Expression Atlas counts, genes × samples, with a sample sheet.

The layout of OpenOmicsBench's bulk RNA studies. Genes are Ensembl ids. What the
sheet calls `batch` is the individual the samples were taken from.
"""

from __future__ import annotations

from typing import BinaryIO

from pydantic import BaseModel, TypeAdapter, ValidationError

from genept.common.errors import SourceError
from genept.datasources.catalog.entries import Collection
from genept.datasources.catalog.format_options import OmicsbenchOptions
from genept.datasources.download.archives import Archives
from genept.datasources.readers.parsed import (
    ParsedCollection,
    from_matrix,
    observation_frame,
    refuse_repeats,
)
from genept.datasources.readers.text.delimited import read_matrix


class _Sample(BaseModel):
    sample_id: str
    condition: str
    batch: str


def parse(archives: Archives, collection: Collection) -> ParsedCollection:
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
