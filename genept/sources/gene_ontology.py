"""Gene Ontology: terms, and which proteins are annotated with them.

As packaged by PyIOmica (releases of July 2019); `read_obo` reads any release of the ontology,
and its annotation file is `genept.sources.knowledge_files`'. Turning terms into text is the
business of `genept.text`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import polars as pl
from pydantic import TypeAdapter, ValidationError

from genept.sources.archives import Archives
from genept.sources.errors import SourceError
from genept.sources.opening import Opener, text_lines

_TERMS: Final = "data/goBasicObo.txt.gz"
_ANNOTATIONS: Final = "data/humanIdentifierAssoc.json.gz"
_TERM_SCHEMA: Final = pl.Schema(
    {"go_id": pl.String, "name": pl.String, "aspect": pl.String, "obsolete": pl.Boolean}
)


def read_go_terms(archives: Archives) -> pl.DataFrame:
    """Read the ontology's terms, one row each.

    Returns
    -------
    pl.DataFrame
        go_id, name, aspect (``biological_process``, ``molecular_function`` or
        ``cellular_component``), obsolete. 47,401 rows at the pinned release.

    Raises
    ------
    SourceError
        The file is damaged, or a term lacks its id, name or aspect.
    """
    return read_obo(lambda: archives.open_gzip_member("pyiomica", _TERMS), _TERMS)


def read_obo(opener: Opener, what: str) -> pl.DataFrame:
    """Read the terms of any OBO file, such as ``go-basic.obo``; see `read_go_terms`."""
    rows = [_term(stanza, what) for stanza in _term_stanzas(text_lines(opener, what))]
    if not rows:
        raise SourceError(f"{what}: holds no [Term] stanza; expected OBO text")
    return pl.DataFrame(rows, schema=_TERM_SCHEMA, orient="row")


def read_go_annotations(archives: Archives) -> pl.DataFrame:
    """Read which UniProt accession is annotated with which term.

    Returns
    -------
    pl.DataFrame
        uniprot_id, go_id; 282,689 rows at the pinned release.

    Raises
    ------
    SourceError
        The file is damaged or not of the expected shape.
    """
    with archives.open_gzip_member("pyiomica", _ANNOTATIONS) as stream:
        data = stream.read()
    try:
        _, terms_of = TypeAdapter(tuple[str, dict[str, list[str]]]).validate_json(data)
    except ValidationError as error:
        problem = error.errors()[0]
        raise SourceError(f"{_ANNOTATIONS}: at {problem['loc']}: {problem['msg']}") from error
    return pl.DataFrame(
        {"uniprot_id": list(terms_of), "go_id": list(terms_of.values())},
        schema={"uniprot_id": pl.String, "go_id": pl.List(pl.String)},
    ).explode("go_id", empty_as_null=False)


def _term_stanzas(lines: Iterable[tuple[int, str]]) -> Iterator[dict[str, str]]:
    """The first value of every tag, stanza by stanza; other stanzas than terms are passed over."""
    stanza: dict[str, str] | None = None
    for _, line in lines:
        if line.startswith("["):
            if stanza is not None:
                yield stanza
            stanza = {} if line.strip() == "[Term]" else None
        elif stanza is not None:
            tag, separator, value = line.partition(": ")
            if separator:
                stanza.setdefault(tag, value.strip())
    if stanza is not None:
        yield stanza


def _term(stanza: dict[str, str], what: str) -> tuple[str, str, str, bool]:
    try:
        return (
            stanza["id"],
            stanza["name"],
            stanza["namespace"],
            stanza.get("is_obsolete") == "true",
        )
    except KeyError as error:
        raise SourceError(
            f"{what}: the term {stanza.get('id', '(no id)')} has no {error}"
        ) from error
