"""The name index: every name that the reference knows, and the gene it means.

Also patterns of features that are not genes (spike-ins, viruses, antibodies, barcodes), and ids
that no single release of the annotation has. Names that are not in the index are judged in
`genept.nomenclature.spelling`.
"""

import re
from typing import Final

import polars as pl

_CONTROL: Final = re.compile(
    r"(?:gSpikein_)?ERCC-\d{5}|(?:ADT|CITE)[_-].+|.+_TotalSeq[ABC]?|TotalSeq[-_]?[ABC][-_]?\d+.*"
    r"|(?:anti-).+|__?(?:no_feature|ambiguous|too_low_aQual|not_aligned|alignment_not_unique)"
    r"|N_(?:unmapped|multimapping|noFeature|ambiguous)|(?:EGFP|eGFP|GFP|mCherry|tdTomato|Cas9)"
)
_BARCODE: Final = re.compile(
    r"(?i:hashtag)[-_ ]?\d+.*|HTO(?:[-_].+|\d{1,2})|CMO3\d{2}|(?i:sample[-_ ]?tag)[-_ ]?\d+.*"
    r"|(?i:barcode)[-_ ]?\d+|(?i:multi-?seq)[-_ ].+|LMO[-_ ]?\d+"
)
_NAMES: Final = (
    r"SARS[-_ ]?CoV[-_ ]?[12]?|sars[-_ ]?cov[-_ ]?2|SCoV2|2019-nCoV|MERS[-_ ]?CoV|HCoV[-_]\w+"
    r"|HIV(?:[-_]?[12])?|HTLV(?:[-_]?[12])?|EBV|chrEBV|HHV[-_]?[1-8][AB]?|KSHV|H?CMV|VZV"
    r"|HSV(?:[-_]?[12])?|HPV(?:[-_]?\d{1,3})?|HBV|HCV|HDV|HEV|AAV(?:[-_]?\d)?"
    r"|HAdV(?:[-_]?[A-G0-9]{1,2})?|(?i:adenovirus)(?:[-_ ]?\w+)?|SV40|MCPyV|BKPyV|JCPyV|BKV|JCV"
    r"|ZIKV|DENV(?:[-_]?[1-4])?|WNV|YFV|RSV|IAV|IBV|EBOV"
)
_ACCESSIONS: Final = (
    "NC_045512|MN908947|NC_004718|NC_019843|NC_001802|NC_001722|K03455|AF033819|AF324493|NC_001436"
    "|NC_007605|NC_009334|NC_006273|NC_009333|NC_001806|NC_001798|NC_001348|NC_001664|NC_000898"
    "|NC_001716|NC_001526|NC_001357|NC_001405|NC_001454|AC_000007|AC_000008|NC_001401|NC_003977"
    "|NC_004102|NC_001669|NC_010277|NC_001538|NC_001699|NC_012532"
)
_GENES: Final = (
    r"GU280_gp\d\d|ORF(?:1ab|1a|3a|7a|7b)|EBNA(?:[12]|3[ABC]|-?LP)|EBER[12]|LMP2[AB]"
    r"|B[A-Z][LR]F\d(?:\.\d)?[AaBb]?|HPV\d{1,3}E[1-7]"
)
_VIRUS: Final = re.compile(
    rf"(?:{_NAMES})(?:[-_.: ].+)?|(?:{_ACCESSIONS})(?:\.\d+)?(?:[-_:].+)?|{_GENES}"
)
_KINDS: Final = {
    "a spike-in, antibody, reporter or tally": _CONTROL,
    "a barcode or hashtag": _BARCODE,
    "virus": _VIRUS,
}


def control_feature(name: str) -> str | None:
    """The kind of control feature that a name is, in words; None if it is none that is known.

    Viruses are recognised by their usual abbreviation, alone or before one of their genes
    (``SARS-CoV-2``, ``HIV-1_gag``), by the accession of their reference genome, or by a gene name
    that no human gene resembles (``EBNA1``, ``BZLF1``, ``GU280_gp01``).
    """
    return next((kind for kind, pattern in _KINDS.items() if pattern.fullmatch(name)), None)


MISSING: Final = frozenset({"", "na", "n/a", "nan", "null", "none", "-", "--", "#n/a", "#name?"})
"""What tables write where there is no name; XK was once called NA."""
_OUTCOME_OF: Final = {"gencode_name": "exact", "synonym": "alias", "older_name": "alias"}

_WORDING: Final = {
    "ensembl_id": "Ensembl id of ",
    "exact": "approved symbol of ",
    "entrez_id": "NCBI Gene id of ",
    "previous": "previous symbol of ",
    "alias": "alias of ",
    "gencode_name": "name in GENCODE of ",
    "synonym": "NCBI synonym of ",
    "retired_successor": "retired; its place took ",
    "older_name": "older name in Ensembl of ",
    "withdrawn": "withdrawn",
}
"""What evidence says of each kind of claim, the strongest kind first."""

STRENGTH: Final = {kind: rank for rank, kind in enumerate(_WORDING, start=1)}
_OR_NONE: Final = "; tables write it for a missing value, too"
_NAMELESS: Final = "a gene that has no name"


CLAIM_SCHEMA: Final = dict.fromkeys(
    ("name", "kind", "gene", "ensembl_gene_id", "source"), pl.String
)
"""A claim: `gene` (a symbol, for people) is what `name` means to `source`."""


INDEX_SCHEMA: Final = dict.fromkeys(
    ("name", "outcome", "ensembl_gene_id", "candidates", "evidence"), pl.String
) | {"candidates": pl.List(pl.String)}
"""The index: one row per name, sorted."""


def gene_claims(genes: pl.DataFrame, source: str) -> pl.DataFrame:
    """Claims of an approved gene's own record: ids, symbol, previous symbols, aliases."""
    columns = {
        "ensembl_id": "ensembl_gene_id",
        "exact": "symbol",
        "entrez_id": "entrez_id",
        "previous": "previous_symbols",
        "alias": "aliases",
    }
    return pl.concat(claims_of(genes, kind, name, source) for kind, name in columns.items())


def claims_of(rows: pl.DataFrame, kind: str | pl.Expr, names: str, source: str) -> pl.DataFrame:
    """Claims of one kind: one for every name in the column `names`, of texts or of lists.

    `rows` have symbol and ensembl_gene_id, too.
    """
    claims = rows.select(
        name=names,
        kind=pl.lit(kind) if isinstance(kind, str) else kind,
        gene="symbol",
        ensembl_gene_id="ensembl_gene_id",
        source=pl.lit(source),
    )
    if isinstance(claims.schema["name"], pl.List):
        claims = claims.explode("name", empty_as_null=True)
    return claims.filter(pl.col("name") != "")


def name_index(claims: pl.DataFrame) -> pl.DataFrame:
    """Decide which gene each name means: `INDEX_SCHEMA`, one row per name, sorted.

    The strongest kind of claim decides (`STRENGTH`); claims of that kind on several genes make the
    name ambiguous. `ensembl_gene_id` is null for ambiguous and withdrawn names, and for genes
    without an Ensembl id (outcome ``without_ensembl_id``).
    """
    strength = pl.col("kind").replace_strict(STRENGTH, return_dtype=pl.Int64)
    genes = pl.col("ensembl_gene_id").drop_nulls().unique().sort()
    several = (pl.col("ensembl_gene_id").n_unique() > 1) | (_may_be_missing() & (genes.len() > 0))
    nameless = pl.when(pl.col("kind") == "withdrawn").then(pl.lit("")).otherwise(pl.lit(_NAMELESS))
    statement = pl.col("kind").replace_strict(_WORDING) + pl.coalesce("gene", nameless)
    ranked = claims.lazy().with_columns(
        (strength == strength.min().over("name")).alias("is_strongest"),
        (statement + " (" + pl.col("source") + ")").alias("statement"),
    )
    settled = (
        ranked.filter("is_strongest")
        .group_by("name")
        .agg(
            pl.col("kind").first(),
            several.alias("several"),
            genes.alias("genes"),
            pl.col("statement").unique().sort().alias("statement"),
        )
    )
    decided = ~pl.col("several") & (pl.col("kind") != "withdrawn")
    known = pl.col("genes").list.len() > 0
    return (
        settled.join(_rivals(ranked, settled), on="name", how="left")
        .select(
            "name",
            pl.when(pl.col("several"))
            .then(pl.lit("ambiguous"))
            .when(pl.col("kind") == "withdrawn")
            .then(pl.lit("withdrawn"))
            .when(known)
            .then(pl.col("kind").replace(_OUTCOME_OF))
            .otherwise(pl.lit("without_ensembl_id"))
            .alias("outcome"),
            pl.when(decided & known).then(pl.col("genes").list.first()).alias("ensembl_gene_id"),
            pl.when(pl.col("several")).then("genes").otherwise([]).alias("candidates"),
            (
                pl.col("statement").list.join("; ")
                + pl.when(~pl.col("several")).then("also").fill_null("")
                + pl.when(_missing()).then(pl.lit(_OR_NONE)).otherwise(pl.lit(""))
            ).alias("evidence"),
        )
        .sort("name")
        .collect()
        .cast(INDEX_SCHEMA)  # type: ignore[arg-type]
    )


def _rivals(ranked: pl.LazyFrame, settled: pl.LazyFrame) -> pl.LazyFrame:
    """Weaker claims of other genes on each name, as text: name, also."""
    return (
        ranked.filter(~pl.col("is_strongest") & pl.col("ensembl_gene_id").is_not_null())
        .join(settled.select("name", "genes"), on="name")
        .filter(~pl.col("genes").list.contains(pl.col("ensembl_gene_id")))
        .group_by("name")
        .agg(pl.col("statement").unique().sort())
        .select("name", ("; also " + pl.col("statement").list.join("; also ")).alias("also"))
    )


def _missing() -> pl.Expr:
    return pl.col("name").str.to_lowercase().is_in(list(MISSING))


def _may_be_missing() -> pl.Expr:
    """Whether a name marks a missing value in tables and no gene has it as its name today."""
    of_today = pl.col("kind").is_in(["ensembl_id", "exact", "entrez_id"])
    return (_missing() & ~of_today).any()


MIN_VERSION_CLASHES: Final = 5
"""Ids in two versions from which a matrix is refused; fewer may be slips of the publisher."""

MIN_REPLACED: Final = 20

MIN_REPLACED_LATER: Final = 0.1
"""Releases are mixed if of at least so many retired ids less than this share was replaced later
than the matrix was annotated; see `mixed_releases`."""

_NEWEST: Final = 0.99
"""Ids beyond this quantile may be strays: they do not say how new an annotation is."""

VERSIONED_ID: Final = r"^(ENSG\d{11})(?:\.(\d+))?$"
"""An Ensembl gene id and, if it is there, its version."""


def mixed_releases(rows: pl.DataFrame) -> str | None:
    """Why the Ensembl ids of a matrix cannot be of one release of the annotation.

    No release holds an id in two versions. And Ensembl numbers ids in the order in which they are
    assigned: a release that still has a retired id has no id as new as many of the ids that
    replaced such ids later. A matrix that has both was put together from an old and a newer
    release. (59 % of those successors are newer than all ids of 10x's hg19 annotation; beside
    GENCODE 49, none.)

    `rows` are `MappingResult.rows`. None if there is no reason, or too few retired ids to tell.
    """
    ids = rows.select(
        "outcome",
        "ensembl_gene_id",
        pl.col("input_id").str.extract(VERSIONED_ID, 1).alias("id"),
        pl.col("input_id").str.extract(VERSIONED_ID, 2).alias("version"),
    ).drop_nulls("id")
    clashes = ids.filter(pl.col("version").n_unique().over("id") > 1)["id"].unique().sort()
    if len(clashes) >= MIN_VERSION_CLASHES:
        return f"{len(clashes):,} of them occur in two versions, such as {clashes[0]}"
    number = pl.col("id").str.slice(4).cast(pl.Int64)
    heir = pl.col("ensembl_gene_id").str.slice(4).cast(pl.Int64)
    replaced = ids.filter(pl.col("outcome") == "retired_successor", heir > number)
    if replaced.height < MIN_REPLACED:
        return None
    newest = ids.select(number.quantile(_NEWEST)).item()
    later = replaced.filter(heir > newest).height
    if later >= MIN_REPLACED_LATER * replaced.height:
        return None
    retired, successor = replaced.select("id", "ensembl_gene_id").row(0)
    return (
        f"{replaced.height:,} of them were retired and replaced, such as {retired} by {successor}, "
        f"yet it has ids as new as ENSG{int(newest):011d}, when all but {later} of those were gone"
    )
