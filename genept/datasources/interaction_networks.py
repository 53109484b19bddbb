"""Networks of interacting proteins as their publishers write them: two names and a score a link.

Names are mapped to genes, and links made of both directions, by `genept.text`. Pairs that label a
benchmark task are read by `genept.datasources.gene_labels`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

import polars as pl
import pyarrow as pa
from pyarrow import csv as arrow_csv

from genept.common import SourceError, breakage_refused
from genept.datasources.download import Archives, Opener, available_files
from genept.datasources.gene_labels import MEMBERS

NETWORKS: Final[Mapping[str, tuple[str, ...]]] = {
    "interactions": ("scnet",),
    "string": ("string-links", "string-proteins"),
}
"""The sources of each network: its links first."""

STRING_SCORE: Final = 400
"""Lowest combined score, of 1000, of a link of STRING that is read: medium confidence. Links below
it are most of the file."""

COLUMNS: Final = ("input_a", "input_b", "weight")


@dataclass(frozen=True)
class NetworkFiles:
    """The available files of one network.

    Parameters
    ----------
    openers
        By source, what opens the unpacked bytes of its table.
    sha256
        By source, the hash of its file.
    """

    openers: Mapping[str, Opener]
    sha256: Mapping[str, str]


def network_files(archives: Archives, network: str) -> NetworkFiles:
    """Return the files of a network that are available; an archive of the index always is.

    Parameters
    ----------
    archives
        Finds and opens the sources.
    network
        One of `NETWORKS`.

    Returns
    -------
    NetworkFiles
        Publishers' files are left out if they are neither cached nor in a mirror's folder.
    """
    openers: dict[str, Opener] = {}
    sha256: dict[str, str] = {}
    pinned = [id_ for id_ in NETWORKS[network] if id_ in MEMBERS]
    for id_ in pinned:
        openers[id_] = partial(archives.open_member, id_, MEMBERS[id_])
        sha256[id_] = archives.catalogue.sources[id_].sha256
    published = [id_ for id_ in NETWORKS[network] if id_ not in pinned]
    for id_, file in available_files(archives, published).items():
        openers[id_], sha256[id_] = file.opener, file.sha256
    return NetworkFiles(openers, sha256)


def read_network(network: str, files: NetworkFiles) -> pl.DataFrame:
    """Read the links of a network, as published.

    Parameters
    ----------
    network
        One of `NETWORKS`.
    files
        All of its files.

    Returns
    -------
    pl.DataFrame
        input_a, input_b (names of the two proteins), weight (the score, above 0 and at most 1).

    Raises
    ------
    SourceError
        A file lacks a column, is damaged, or has a score that is not expected.
    """
    opener, *others = (files.openers[id_] for id_ in NETWORKS[network])
    what = " and ".join(NETWORKS[network])
    links = read_string(opener, *others) if others else read_scored_pairs(opener)
    sound = pl.col("weight").is_between(0, 1, closed="right").fill_null(value=False)
    named = pl.all_horizontal(pl.col("input_a", "input_b").fill_null("") != "")
    wrong = links.with_row_index("row", offset=1).filter(~(sound & named))
    if wrong.height:
        raise SourceError(
            f"{what}: data row {wrong['row'][0]} is {wrong.row(0)[1:]}; expected two names and a "
            "score above 0 and at most 1"
        )
    return links


def read_scored_pairs(opener: Opener, what: str = "format_h_sapiens.csv") -> pl.DataFrame:
    """Read a comma-separated table of two symbols and a score.

    Parameters
    ----------
    opener, what
        Opens the unpacked bytes of the file; name of the file for messages.

    Returns
    -------
    pl.DataFrame
        input_a, input_b, weight.

    Raises
    ------
    SourceError
        It lacks a column, or is damaged.
    """
    types = {"g1_symbol": pl.String, "g2_symbol": pl.String, "conn": pl.Float64}
    with opener() as stream, breakage_refused(what):
        rows = pl.read_csv(stream.read(), schema_overrides=types)
    if lacking := [name for name in types if name not in rows.columns]:
        raise SourceError(f"{what} has no column {lacking}; it has {rows.columns}")
    return rows.select(pl.col(name).alias(to) for name, to in zip(types, COLUMNS, strict=True))


def read_string(links: Opener, proteins: Opener) -> pl.DataFrame:
    """Read STRING's links of medium confidence and above, by the proteins' gene names.

    Parameters
    ----------
    links
        Opens the unpacked bytes of ``protein.links``.
    proteins
        Opens those of ``protein.info``.

    Returns
    -------
    pl.DataFrame
        input_a, input_b (the preferred names), weight (the combined score / 1000). The file has
        every link in both directions.

    Raises
    ------
    SourceError
        A file lacks a column or is damaged, or a protein has no row in ``protein.info``.
    """
    what = "protein.info"
    with proteins() as stream, breakage_refused(what):
        named = pl.read_csv(stream.read(), separator="\t", quote_char=None, infer_schema=False)
    ids = named.columns[0].removeprefix("#")
    if ids != "string_protein_id" or "preferred_name" not in named.columns:
        raise SourceError(
            f"{what} has columns {named.columns}; expected #string_protein_id and preferred_name"
        )
    name_of = dict(named.select(named.columns[0], "preferred_name").iter_rows())
    rows = _string_links(links)
    unknown = pl.concat([rows["protein1"], rows["protein2"]]).unique()
    if lacking := sorted(set(unknown) - set(name_of)):
        raise SourceError(
            f"protein.links: {len(lacking):,} proteins have no row in {what}, such as "
            f"{lacking[0]!r}: use both files of one version"
        )
    return rows.select(
        pl.col("protein1").replace_strict(name_of, return_dtype=pl.String).alias("input_a"),
        pl.col("protein2").replace_strict(name_of, return_dtype=pl.String).alias("input_b"),
        weight=pl.col("combined_score") / 1000,
    )


def _string_links(opener: Opener) -> pl.DataFrame:
    """Rows of ``protein.links`` of a score that is read, block by block."""
    what = "protein.links"
    types = {"protein1": pa.string(), "protein2": pa.string(), "combined_score": pa.int64()}
    kept: list[pl.DataFrame] = []
    with opener() as stream, breakage_refused(what):
        blocks = arrow_csv.open_csv(
            stream,
            parse_options=arrow_csv.ParseOptions(delimiter=" "),
            convert_options=arrow_csv.ConvertOptions(
                column_types=types, include_columns=list(types)
            ),
        )
        for block in blocks:
            frame = pl.DataFrame(pa.Table.from_batches([block]))
            kept.append(frame.filter(pl.col("combined_score") >= STRING_SCORE))
    schema = {"protein1": pl.String, "protein2": pl.String, "combined_score": pl.Int64}
    return pl.concat([pl.DataFrame(schema=schema), *kept])
