"""Tables `gene_properties` and `gene_pairs`: labels of genes and pairs, from sources at hand.

Every published row is kept, with the gene that its name means and what becomes of it: genes
without a row, pairs of a gene with itself, contradictions and repetitions are marked here,
once. How labels are split and scored is the tasks' business.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Final

import polars as pl

from genept.nomenclature.mapping import Nomenclature
from genept.sources.at_hand import FileAtHand, files_at_hand
from genept.sources.errors import SourceError
from genept.sources.opening import text_lines
from genept.store.lake import Lake, NewPart, Part
from genept.store.provenance import Origin
from genept.text.knowledge import KnowledgeSources

PAIR_SPLITS: Final = ("train", "valid", "test")
GENE_PAIRS: Final = "gene-gene-interaction"
GO_TERMS: Final = "go-terms"
LABEL_SOURCES: Final = (
    "dosage-sensitive-tfs",
    "bivalent-genes",
    "tf-range",
    "gene-types",
    "gencode-v49-genes",
)
PAIR_SOURCES: Final = tuple(
    f"gene2vec-{split}-{what}" for split in PAIR_SPLITS for what in ("text", "label")
)
_CHROMOSOMES: Final = frozenset({*map(str, range(1, 23)), "X", "Y"})


def build_labels(
    lake: Lake, knowledge: KnowledgeSources, genes: Part, nomenclature: Callable[[], Nomenclature]
) -> list[Part]:
    """Tables `gene_properties` and `gene_pairs` of what is at hand.

    Parameters
    ----------
    knowledge
        Where Gene Ontology terms come from; its archives have the labels.
    genes
        Table `genes`.
    nomenclature
        Opens what maps names; called only if there is something new to map.

    Raises
    ------
    SourceError
        A file of labels is not what its publisher promises; names the file and the row.
    """
    files = files_at_hand(knowledge.archives, (*LABEL_SOURCES, *PAIR_SOURCES))
    terms = knowledge.inputs_of(["go"])
    origin = Origin(
        code=("genept.benchmarks.labels", "genept.nomenclature", "genept.text.knowledge"),
        inputs={file.id: file.sha256 for file in files.values()} | terms | {"genes": genes.sha256},
    )

    def compute() -> list[NewPart]:
        names = nomenclature()
        known = lake.read(genes)
        properties = [gene_properties(files, names), term_members(knowledge, known)]
        return [
            NewPart("gene_properties", pl.concat(properties)),
            NewPart("gene_pairs", gene_pairs(files, names)),
        ]

    return lake.build("benchmarks/labels", origin, compute)


def gene_properties(files: dict[str, FileAtHand], nomenclature: Nomenclature) -> pl.DataFrame:
    """Rows of table `gene_properties` from those of the files that are there."""
    rows = [row for id_ in LABEL_SOURCES if id_ in files for row in _labelled(files[id_])]
    schema = {"task": pl.String, "position": pl.Int64, "input_id": pl.String, "label": pl.String}
    read = pl.DataFrame(rows, schema=schema, orient="row")
    mapped = nomenclature.map(read["input_id"].to_list()).rows
    found = read.with_columns(mapped["ensembl_gene_id"], mapped["outcome"])
    of_gene = ["task", "ensembl_gene_id"]
    fate = (
        pl.when(pl.col("ensembl_gene_id").is_null())
        .then(pl.lit("without_gene"))
        .when(pl.col("label").n_unique().over(of_gene) > 1)
        .then(pl.lit("conflicting"))
        .when(pl.int_range(pl.len()).over(of_gene) > 0)
        .then(pl.lit("duplicate"))
        .otherwise(pl.lit("scored"))
    )
    return found.with_columns(fate.alias("fate"))


def gene_pairs(files: dict[str, FileAtHand], nomenclature: Nomenclature) -> pl.DataFrame:
    """Rows of table `gene_pairs`, from the files of the splits that are there."""
    schema = {
        "task": pl.String,
        "split": pl.String,
        "position": pl.Int64,
        "input_a": pl.String,
        "input_b": pl.String,
        "label": pl.Int64,
    }
    rows = [
        row
        for split in PAIR_SPLITS
        if f"gene2vec-{split}-text" in files and f"gene2vec-{split}-label" in files
        for row in _paired(split, files[f"gene2vec-{split}-text"], files[f"gene2vec-{split}-label"])
    ]
    read = pl.DataFrame(rows, schema=schema, orient="row")
    names = pl.concat([read["input_a"], read["input_b"]]).unique()
    genes = nomenclature.map(names.to_list()).rows
    meaning = dict(zip(genes["input_id"], genes["ensembl_gene_id"], strict=True))
    found = read.with_columns(
        pl.col(f"input_{side}")
        .replace_strict(meaning, default=None, return_dtype=pl.String)
        .alias(f"gene_{side}")
        for side in "ab"
    )
    pair = ["split", pl.min_horizontal("gene_a", "gene_b"), pl.max_horizontal("gene_a", "gene_b")]
    fate = (
        pl.when(pl.col("gene_a").is_null() | pl.col("gene_b").is_null())
        .then(pl.lit("without_gene"))
        .when(pl.col("gene_a") == pl.col("gene_b"))
        .then(pl.lit("self_pair"))
        .when(pl.col("label").n_unique().over(pair) > 1)
        .then(pl.lit("conflicting"))
        .when(pl.int_range(pl.len()).over(pair) > 0)
        .then(pl.lit("duplicate"))
        .otherwise(pl.lit("scored"))
    )
    return found.with_columns(fate.alias("fate"))


def term_members(knowledge: KnowledgeSources, genes: pl.DataFrame) -> pl.DataFrame:
    """Rows of table `gene_properties`: which genes take part in which process, by their terms."""
    terms = knowledge.read(genes, ["go"]).facts["go"].filter(aspect="process")
    members = terms.join(
        genes.filter(biotype="protein_coding").select("ensembl_gene_id"), on="ensembl_gene_id"
    )
    rows = members.select("ensembl_gene_id", label="item").unique().sort("ensembl_gene_id", "label")
    return rows.select(
        pl.lit(GO_TERMS).alias("task"),
        pl.int_range(pl.len()).alias("position"),
        pl.col("ensembl_gene_id").alias("input_id"),
        "label",
        "ensembl_gene_id",
        pl.lit("ensembl_id").alias("outcome"),
        pl.lit("scored").alias("fate"),
    )


def fates(rows: pl.DataFrame) -> dict[str, int]:
    """How many rows of a task were scored, and how many were not for which reason."""
    counted = rows.group_by("task", "fate").len().sort("task", "fate")
    return {f"{task}/{fate}": n for task, fate, n in counted.iter_rows()}


def _labelled(file: FileAtHand) -> Iterator[tuple[str, int, str, str]]:
    """Task, position, name and label of every row that has a label."""
    for position, row in enumerate(_records(file)):
        match file.id:
            case "dosage-sensitive-tfs":
                marked = [
                    label
                    for label, column in (
                        ("sensitive", "dosage_sensitive"),
                        ("insensitive", "dosage_insensitive"),
                    )
                    if _value(file, row, position, column) == "Yes"
                ]
                if len(marked) != 1:
                    raise SourceError(
                        f"{file.path.name}: data row {position + 1} is marked {marked}: expected "
                        "Yes in one of dosage_sensitive and dosage_insensitive"
                    )
                yield "dosage-sensitivity", position, row["ensembl_id"], marked[0]
            case "bivalent-genes":
                both = _value(file, row, position, "H3K27me3") == "True"
                name = _value(file, row, position, "tf")
                yield "bivalent-vs-lys4", position, name, "bivalent" if both else "lys4-only"
            case "tf-range":
                far = _value(file, row, position, "is_longrange") == "True"
                name = _value(file, row, position, "ensembl_id")
                yield "tf-range", position, name, "long" if far else "short"
            case "gene-types":
                name = _value(file, row, position, "ensembl_id")
                yield "gene-type", position, name, _value(file, row, position, "gene_type")
            case "gencode-v49-genes":
                place = _value(file, row, position, "chromosome").removeprefix("chr")
                kind = _value(file, row, position, "biotype")
                if place in _CHROMOSOMES and kind == "protein_coding":
                    name = _value(file, row, position, "gene_id")
                    yield "chromosome", position, name, place


def _records(file: FileAtHand) -> Iterator[dict[str, str]]:
    lines = (line for _, line in text_lines(file.opener, file.path.name))
    return csv.DictReader(StringIO("\n".join(lines)))


def _value(file: FileAtHand, row: dict[str, str], position: int, column: str) -> str:
    value = row.get(column)
    if value is None:
        raise SourceError(
            f"{file.path.name}: data row {position + 1} has no column {column!r}; it has "
            f"{[name for name in row if name]}"
        )
    return value


def _paired(
    split: str, text: FileAtHand, labels: FileAtHand
) -> Iterator[tuple[str, str, int, str, str, int]]:
    names = [line.split() for _, line in text_lines(text.opener, text.path.name)]
    values = [line.strip() for _, line in text_lines(labels.opener, labels.path.name)]
    if len(names) != len(values):
        raise SourceError(
            f"{text.path.name} has {len(names)} pairs, {labels.path.name} {len(values)} labels: "
            "fetch both of one release"
        )
    for position, (pair, value) in enumerate(zip(names, values, strict=True)):
        if len(pair) != 2 or value not in ("0", "1"):
            raise SourceError(
                f"{text.path.name}: line {position + 1} is {pair} with label {value!r}; expected "
                "two symbols and 0 or 1"
            )
        yield GENE_PAIRS, split, position, pair[0], pair[1], int(value)
