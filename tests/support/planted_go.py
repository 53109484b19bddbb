"""Gene Ontology in a mirror: annotations and terms in the formats of its consortium."""

import gzip
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path

from genept.datasources.catalogue import load_catalogue
from genept.datasources.download.archives import Archives
from genept.datasources.download.mirrors import SourceLocations
from genept.text.knowledge import KnowledgeSources

Annotation = tuple[str, str, str, date]
"""UniProt accession, GO id, evidence code, day."""


def gaf_of(annotations: Iterable[Annotation]) -> str:
    """A file of annotations of processes (GAF 2.2)."""
    lines = (
        f"UniProtKB\t{protein}\tX\tinvolved_in\t{term}\tPMID:1\t{evidence}\t\tP\tx\tx\tprotein\t"
        f"taxon:9606\t{day:%Y%m%d}\tUniProt\t\t\n"
        for protein, term, evidence, day in annotations
    )
    return "!gaf-version: 2.2\n!date-generated: 2025-06-10T08:11\n" + "".join(lines)


def go_mirror(
    folder: Path, annotations: Iterable[Annotation], names: Mapping[str, str]
) -> KnowledgeSources:
    """Sources of knowledge with a mirror that has these annotations and processes."""
    catalogue = load_catalogue()
    obo = "".join(
        f"[Term]\nid: {id_}\nname: {name}\nnamespace: biological_process\n\n"
        for id_, name in names.items()
    )
    for id_, content in (("goa-human", gaf_of(annotations)), ("go-basic", obo)):
        source = catalogue.source(id_)
        path = folder / "mirror" / str(source.mirror)
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content.encode()
        path.write_bytes(gzip.compress(data) if source.kind == "gzip" else data)
    locations = SourceLocations((str(folder / "mirror"),))
    (folder / "cache").mkdir()
    return KnowledgeSources(Archives(catalogue, folder / "cache", locations=locations))
