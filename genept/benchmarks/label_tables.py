"""Tables `gene_properties` and `gene_pairs`: labels of genes and pairs, from available sources.

Every published row is kept, with the gene of its name and its fate: names without a gene, pairs of
a gene with itself, contradictions and repetitions are marked. How labels are split and scored is
in `genept.benchmarks.gene_tasks` and `pair_tasks`.
"""

from collections.abc import Callable, Mapping
from typing import Final

import polars as pl

from genept.benchmarks.pairs import direction_pairs, fate_of, gene_pairs
from genept.datasources import (
    ELECTRONIC,
    FOLD_SOURCES,
    NESTED_SOURCE,
    SCREENS_SOURCE,
    fold_files,
    label_files,
    labelled,
    perturbation_files,
    read_fold_labels,
)
from genept.datasources.download import Archives, AvailableFile, available_files
from genept.nomenclature import Nomenclature
from genept.schema.tables import TABLES
from genept.storage import Lake, NewPart, Origin, Part
from genept.text import KnowledgeSources, PartName

GO_TERMS: Final = "go-terms"
PATHWAYS: Final = "reactome-pathways"
DATED_TERMS: Final = "go-terms-since-2024"
MEMBERSHIPS: Final[Mapping[str, PartName]] = {GO_TERMS: "go", PATHWAYS: "pathways"}
"""Tasks of membership in many terms, and the part of descriptions that states each."""

_CODE: Final = (
    "genept.datasources.fold_labels",
    "genept.datasources.gene_labels",
    "genept.datasources.nested_folds",
    "genept.datasources.perturbation_labels",
    "genept.benchmarks.label_tables",
    "genept.benchmarks.pairs.pair_labels",
    "genept.nomenclature",
    "genept.schema.tables",
    "genept.text.knowledge",
)
_COLUMNS: Final = [column.name for column in TABLES["gene_properties"].columns]


def build_labels(
    lake: Lake, knowledge: KnowledgeSources, genes: Part, nomenclature: Callable[[], Nomenclature]
) -> list[Part]:
    """Tables `gene_properties` and `gene_pairs` from the available sources.

    Parameters
    ----------
    lake
        Where parts of tables are kept.
    knowledge
        Where Gene Ontology terms come from; its archives have the labels.
    genes
        Table `genes`.
    nomenclature
        Opens what maps names; called only if there is something new to map.

    Returns
    -------
    list of Part
        Parts of the two tables. Terms with folds, and directions of effects, have a part for each
        file: what may not be passed on is a part of its own.

    Raises
    ------
    SourceError
        A file of labels is not what its publisher promises; names the file and the row.
    """
    archives = knowledge.archives
    files = label_files(archives) | available_files(archives, [NESTED_SOURCE])
    terms = knowledge.inputs(MEMBERSHIPS.values())
    read = {file.id: file.sha256 for file in files.values()}
    origin = Origin(_CODE, read | terms | {"genes": genes.sha256})

    def compute() -> list[NewPart]:
        names = nomenclature()
        known = lake.read(genes)
        members = [term_members(knowledge, known, task) for task in MEMBERSHIPS]
        members += [dated_members(knowledge, known)] if knowledge.has_dates else []
        properties = pl.concat([gene_properties(files, names), *members])
        return [
            NewPart("gene_properties", properties),
            NewPart("gene_pairs", gene_pairs(files, names)),
        ]

    parts = lake.build("benchmarks/labels", origin, compute)
    for number, file in enumerate(fold_files(knowledge.archives).values(), start=1):
        source = knowledge.archives.catalogue.source(file.id)
        settings = {
            "redistributable": source.redistributable,
            "source": None if source.redistributable else file.id,
        }
        of_file = Origin(_CODE, {file.id: file.sha256, "genes": genes.sha256}, settings)

        def folded(file: AvailableFile = file, number: int = number) -> list[NewPart]:
            return [
                NewPart("gene_properties", fold_properties(file, nomenclature()), number=number)
            ]

        parts += lake.build(f"benchmarks/labels/{file.id}", of_file, folded)
    return parts + _directions(lake, archives, genes, nomenclature)


def _directions(
    lake: Lake, archives: Archives, genes: Part, nomenclature: Callable[[], Nomenclature]
) -> list[Part]:
    """Parts of table `gene_pairs`: directions of effects, of the cell lines that are available."""
    of_lines = [(line, file) for (line, asked), file in perturbation_files(archives).items()
             if asked == "dir"]  # fmt: skip
    parts: list[Part] = []
    for number, (line, file) in enumerate(of_lines, start=1):
        source = archives.catalogue.sources[SCREENS_SOURCE]
        settings = {"redistributable": source.redistributable, "source": file.id}
        origin = Origin(_CODE, {file.id: file.sha256, "genes": genes.sha256}, settings)

        def directed(
            line: str = line, file: AvailableFile = file, number: int = number
        ) -> list[NewPart]:
            rows = direction_pairs(line, file, nomenclature())
            return [NewPart("gene_pairs", rows, number=number)]

        parts += lake.build(f"benchmarks/labels/{file.id}", origin, directed)
    return parts


def fold_properties(file: AvailableFile, nomenclature: Nomenclature) -> pl.DataFrame:
    """Rows of table `gene_properties` from one file of terms with folds.

    Two names of one gene may be in two splits of a term: the first row is scored alone, so that
    no gene is in training and held out.
    """
    schema = {
        "label": pl.String,
        "split": pl.String,
        "input_id": pl.String,
        "is_member": pl.Boolean,
    }
    rows = list(read_fold_labels(file.opener, file.path.name))
    read = pl.DataFrame(rows, schema=schema, orient="row").with_row_index("position")
    different = read["input_id"].unique().sort()
    genes = nomenclature.map(different.to_list()).rows.select(
        "input_id", "ensembl_gene_id", "outcome"
    )
    named = read.join(genes, "input_id", "left", maintain_order="left").with_columns(
        pl.col("position").cast(pl.Int64), task=pl.lit(FOLD_SOURCES[file.id])
    )
    left_out = {"without_gene": pl.col("ensembl_gene_id").is_null()}
    fate = fate_of(left_out, ["label", "ensembl_gene_id"], pl.col("is_member"))
    return named.with_columns(fate=fate).select(_COLUMNS)


def gene_properties(files: Mapping[str, AvailableFile], nomenclature: Nomenclature) -> pl.DataFrame:
    """Rows of table `gene_properties` from those of the files that are there."""
    schema = {"task": pl.String, "position": pl.Int64, "input_id": pl.String, "label": pl.String}
    read = pl.DataFrame(list(labelled(files)), schema=schema, orient="row")
    mapped = nomenclature.map(read["input_id"].to_list()).rows
    named = read.with_columns(mapped["ensembl_gene_id"], mapped["outcome"])
    left_out = {"without_gene": pl.col("ensembl_gene_id").is_null()}
    return _without_splits(named.with_columns(fate=fate_of(left_out, ["task", "ensembl_gene_id"])))


def _without_splits(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of table `gene_properties` whose publisher split nothing, and names members alone."""
    nothing = {"split": pl.lit(None, pl.String), "is_member": pl.lit(None, pl.Boolean)}
    return rows.with_columns(**nothing).select(_COLUMNS)


def term_members(
    knowledge: KnowledgeSources, genes: pl.DataFrame, task: str = GO_TERMS
) -> pl.DataFrame:
    """Rows of table `gene_properties`: which genes take part in what; none without a source."""
    part = MEMBERSHIPS[task]
    terms = knowledge.read(genes, [part]).facts.get(part)
    if terms is None:
        terms = pl.DataFrame(schema={"ensembl_gene_id": pl.String, "item": pl.String})
    if "aspect" in terms.columns:
        terms = terms.filter(aspect="process")
    members = terms.select("ensembl_gene_id", label="item").unique()
    return _without_splits(_of_coding(members, genes, task))


def dated_members(knowledge: KnowledgeSources, genes: pl.DataFrame) -> pl.DataFrame:
    """Rows of table `gene_properties`: since which day genes are annotated with what.

    Column `split` has the first day of an annotation that is not electronic; null if all are.
    """
    terms = knowledge.read(genes, ["go"]).facts["go"].filter(aspect="process")
    curated = pl.col("made").filter(pl.col("evidence") != ELECTRONIC).min()
    members = (
        terms.group_by("ensembl_gene_id", label="item")
        .agg(split=curated.dt.to_string("%Y-%m-%d"))
        .with_columns(is_member=pl.lit(value=True))
    )
    return _of_coding(members, genes, DATED_TERMS).select(_COLUMNS)


def _of_coding(members: pl.DataFrame, genes: pl.DataFrame, task: str) -> pl.DataFrame:
    """Genes and their terms as rows of a task, of the genes that code for proteins."""
    rows = members.join(genes.filter(biotype="protein_coding"), on="ensembl_gene_id", how="semi")
    return rows.sort("ensembl_gene_id", "label").with_columns(
        task=pl.lit(task),
        position=pl.int_range(pl.len()),
        input_id=pl.col("ensembl_gene_id"),
        outcome=pl.lit("ensembl_id"),
        fate=pl.lit("scored"),
    )


def fates(rows: pl.DataFrame) -> dict[str, int]:
    """How many rows of a task were scored, and how many were not for which reason.

    Parameters
    ----------
    rows
        Table `gene_properties` or `gene_pairs`.

    Returns
    -------
    dict
        Number of rows by ``task/fate``.
    """
    counted = rows.group_by("task", "fate").len().sort("task", "fate")
    return {f"{task}/{fate}": n for task, fate, n in counted.iter_rows()}
