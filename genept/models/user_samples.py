"""A user's samples: read as in an ingest, and arranged over the genes of a model; not stored.

Whether a model may predict a sample is decided in `genept.models.confidence`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import compress
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from genept.collections import (
    Detected,
    GeneAxis,
    Sidecar,
    column_totals,
    coverage_of,
    detect,
    local_archives,
    mapped_names,
    mapping_rows,
    merge_rows,
    named_by_owner,
)
from genept.common import SourceError, breakage_refused
from genept.datasources import parse_collection
from genept.datasources.download import Archives
from genept.datasources.readers import Limits, Parent, checked_blocks, limited
from genept.embeddings import expression_weights, pool
from genept.models.evidence import ModelManifest
from genept.nomenclature import Nomenclature, Reference
from genept.schema import LINEAR, Unit

Features = NDArray[np.float32]


class OtherUnitError(ValueError):
    """Samples are in a unit that cannot be turned into the one that a model reads."""


@dataclass(frozen=True)
class Samples:
    """Expression of some samples over Ensembl genes, in the unit in which it was published.

    Parameters
    ----------
    ids
        Name of each sample.
    genes
        Ensembl ids of the columns.
    expression
        Samples × genes.
    unit, per_kilobase
        As of `genept.datasources.Collection`, such as ``log2``.
    """

    ids: tuple[str, ...]
    genes: tuple[str, ...]
    expression: sp.csr_matrix
    unit: str
    per_kilobase: bool = False

    def without(self, ids: Collection[str]) -> Samples:
        """The samples that have none of these ids."""
        kept = ~np.isin(self.ids, list(ids))
        return replace(self, ids=tuple(compress(self.ids, kept)), expression=self.expression[kept])


@dataclass(frozen=True)
class UserSamples:
    """Samples of a user's file.

    Parameters
    ----------
    samples, coverage
        The samples, and the share of their expression that reaches a gene.
    seen, warnings
        Sentences on what was detected, and warnings about the gene names.
    """

    samples: Samples
    coverage: float
    seen: tuple[str, ...]
    warnings: tuple[str, ...]


def read_user_samples(file: Path, sidecar: Sidecar, reference: Reference) -> UserSamples:
    """Read a file of bulk samples; format, unit and genes are detected as in an ingest.

    Raises
    ------
    SourceError
        It cannot be read, holds no sample, or its unit must be stated.
    CollectionRefusedError, GeneNamesRefusedError
        Its values do not fit the declared unit, or too few of its genes are known.
    """
    names = Nomenclature(reference.index)
    detected = detect(file, None, sidecar, names, bucket="own", product="own")
    if detected.open_questions:
        raise SourceError(f"{file.name}: {'; '.join(detected.open_questions)}")
    with tempfile.TemporaryDirectory(prefix="genept-") as folder, named_by_owner(detected.sources):
        archives = local_archives(detected.files, detected.sources, Path(folder))
        return _read(archives, detected, reference)


def read_user_samples_limited(
    file: Path, sidecar: Sidecar, reference: Reference, limits: Limits
) -> UserSamples:
    """Read a file of bulk samples as `read_user_samples` does, in a process with limits.

    Parameters
    ----------
    file, sidecar, reference, limits
        The file, the user's statements about it, the genes to map its names to, and the memory,
        time and disk that the process may take.

    Returns
    -------
    UserSamples
        The samples over Ensembl genes, in the unit of the file.

    Raises
    ------
    SourceError
        As for `read_user_samples`; or the process that read the file died or went beyond a limit.
    """
    file = file.absolute()
    with limited(_read_in_child, file, sidecar, reference, what=file.name, limits=limits) as answer:
        try:
            described = _Description.model_validate(answer.values)
        except ValidationError as error:
            raise SourceError(f"{file.name}: the process that read it left no samples") from error
        rows = answer.table("rows", _ROWS)
    lengths, n_genes = rows["genes"].list.len(), len(described.genes)
    indices, values = (rows[name].explode(empty_as_null=False).to_numpy() for name in _ROWS)
    if (
        not lengths.equals(rows["values"].list.len())
        or rows.null_count().sum_horizontal().item()
        or len(described.ids) != rows.height
        or (indices.size and (indices.min() < 0 or indices.max() >= n_genes))
        or not np.isfinite(values).all()
    ):
        raise SourceError(f"{file.name}: the process that read it left samples that cannot be")
    indptr = np.concatenate([[0], np.cumsum(lengths.to_numpy(), dtype=np.int64)])
    matrix = sp.csr_matrix((values, indices, indptr), shape=(rows.height, n_genes))
    samples = Samples(
        described.ids, described.genes, matrix, described.unit, described.per_kilobase
    )
    return UserSamples(samples, described.coverage, described.seen, described.warnings)


_ROWS: Final = {"genes": pl.List(pl.Int32), "values": pl.List(pl.Float32)}


class _Description(BaseModel):
    """Description of samples from the child process, beside their expression."""

    model_config = ConfigDict(extra="forbid")

    ids: tuple[str, ...]
    genes: tuple[str, ...]
    unit: Unit
    per_kilobase: bool
    coverage: float
    seen: tuple[str, ...]
    warnings: tuple[str, ...]


def _read_in_child(
    parent: Parent, file: Path, sidecar: Sidecar, reference: Reference
) -> dict[str, Any]:
    with breakage_refused(file.name):
        own = read_user_samples(file, sidecar, reference)
    matrix = own.samples.expression
    lists = partial(pa.LargeListArray.from_arrays, pa.array(matrix.indptr, pa.int64()))
    columns = {
        "genes": lists(pa.array(matrix.indices, pa.int32())),
        "values": lists(pa.array(matrix.data, pa.float32())),
    }
    parent.write_table("rows", pl.DataFrame(pl.from_arrow(pa.table(columns))))
    described = vars(own.samples) | vars(own)
    return {name: described[name] for name in _Description.model_fields}


def _read(archives: Archives, detected: Detected, reference: Reference) -> UserSamples:
    collection = detected.entry
    parsed = parse_collection(archives, collection)
    names, screening = mapped_names(collection, parsed, reference)
    ids = parsed.observations["observation_id"].to_list()
    parts = list(checked_blocks(parsed.expression, ids, collection.unit, inputs=parsed.input_genes))
    if not ids:
        raise SourceError(f"{collection.title} holds no sample with a value other than zero")
    totals = column_totals(parts, len(parsed.input_genes)).signed
    axis = GeneAxis.of(screening.genes).by_policy(collection.duplicate_policy, totals)
    merged = merge_rows(sp.csr_matrix(sp.vstack(parts, format="csr")), axis, np.arange(len(ids)))
    absolute = pl.DataFrame({"input_id": parsed.input_genes, "absolute": merged.inputs.absolute})
    mapping = mapping_rows(collection, parsed, names, absolute, reference.release)
    genes, unit = axis.ensembl_gene_ids, collection.unit
    samples = Samples(tuple(ids), genes, merged.matrix, unit, collection.per_kilobase)
    return UserSamples(samples, coverage_of(collection, mapping), detected.seen, screening.warnings)


@dataclass(frozen=True)
class LaidOut:
    """Samples over the genes of a model, in its order.

    Parameters
    ----------
    expression
        Samples × genes, as `expression_features` makes it; 0 for a gene that was not measured.
    unit, per_kilobase
        Unit of the expression, and whether reads are to be divided by the lengths of genes.
    measured
        Which of the model's genes were, shape (genes,).
    """

    expression: sp.csr_matrix
    unit: str
    per_kilobase: bool
    measured: NDArray[np.bool_]

    @property
    def features(self) -> Features:
        """What a model that reads expression reads."""
        return expression_features(self.expression, self.unit)

    def embedded(
        self, gene_ids: Sequence[str], vectors: Features, model: ModelManifest
    ) -> Features:
        """GenePT-w of the samples, pooled over the genes of the model alone.

        Parameters
        ----------
        gene_ids, vectors
            Gene vectors of the space, genes × dimensions.
        model
            Its genes are the columns of `expression`; their lengths divide reads.
        """
        rows = positions(model.genes, gene_ids)
        aligned = np.where((rows >= 0)[:, None], vectors[rows], np.float32(0))
        kilobases = model.kilobases if self.per_kilobase else None
        weights = expression_weights(self.expression, self.unit, kilobases)
        return pool(weights, np.ascontiguousarray(aligned), rows >= 0)[0]


def lay_out(samples: Samples, genes: Sequence[str], unit: str) -> LaidOut:
    """The samples over the genes of a model, in its unit.

    Raises
    ------
    OtherUnitError
        If their unit cannot be turned into the model's; says what to do.
    """
    columns = positions(genes, samples.genes)
    measured = columns >= 0
    dense = np.zeros((len(samples.ids), len(genes)), dtype=np.float32)
    dense[:, measured] = samples.expression[:, columns[measured]].toarray()
    values = sp.csr_matrix(_in_unit(dense, measured, samples.unit, unit))
    return LaidOut(values, unit, samples.per_kilobase, measured)


def positions(genes: Sequence[str], among: Sequence[str]) -> NDArray[np.intp]:
    """Where each gene is `among` others; -1 for one that is not."""
    place = {gene: row for row, gene in enumerate(among)}
    return np.array([place.get(gene, -1) for gene in genes], dtype=np.intp)


def expression_features(expression: sp.csr_matrix, unit: str) -> Features:
    """Expression as models read it: abundances log-normalised, the rest as it is; dense."""
    values = expression_weights(expression, unit) if unit in LINEAR else expression
    return values.toarray().astype(np.float32, copy=False)


def _in_unit(values: Features, measured: NDArray[np.bool_], have: str, want: str) -> Features:
    """Counts and TPM are both abundances; z-scores across genes can be made of any of them."""
    if have == want or {have, want} == LINEAR:
        return values
    if want == "zscore":
        logs = expression_features(sp.csr_matrix(values), have)[:, measured].astype(np.float64)
        spread = logs.std(axis=1, keepdims=True)
        values = np.zeros_like(values)
        values[:, measured] = (logs - logs.mean(axis=1, keepdims=True)) / np.where(
            spread > 0, spread, 1
        )
        return values
    raise OtherUnitError(
        f"it reads {want}, and these samples are {have}: bring them to the {want} of its "
        "collection, or correct their unit with --unit"
    )
