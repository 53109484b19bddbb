"""Where a mirror keeps the publishers' files that descriptions draw on, beyond the archives.

The one place that knows their paths. A file that is not there is no error: what needs it is
listed as unavailable, with the path that was looked for.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from genept.sources.errors import SourceError
from genept.sources.opening import Opener, file_opener

PATHS: Final = {
    "ncbi-summary": "ncbi/gene_summary.gz",
    "swissprot": "uniprot/uniprot_sprot_human.dat.gz",
    "goa": "go/goa_human.gaf.gz",
    "go-basic": "go/go-basic.obo",
    "reactome": "reactome/UniProt2Reactome.txt",
    "hpo": "hpo/genes_to_phenotype.txt",
    "biogrid": "biogrid/BIOGRID-ORGANISM-Homo_sapiens.tab3.txt",
}
"""Path of each source below the mirror; gzipped or not, whatever is there."""


@dataclass(frozen=True)
class MirroredFile:
    """One publisher's file, as it lies in the mirror."""

    id: str
    path: Path
    sha256: str

    @property
    def opener(self) -> Opener:
        """Opens its unpacked bytes."""
        return file_opener(self.path)

    @property
    def release(self) -> str:
        """What it is recorded as where the file states no release of its own: its content."""
        return f"{self.id}-sha256-{self.sha256[:12]}"


def mirrored_files(mirror: Path | None) -> dict[str, MirroredFile]:
    """The files of `PATHS` that the mirror holds, by source id.

    Raises
    ------
    SourceError
        The mirror is not a folder.
    """
    if mirror is None:
        return {}
    folder = mirror.expanduser().resolve()
    if not folder.is_dir():
        raise SourceError(f"the mirror {folder} is not a folder; mend GENEPT_MIRROR")
    found = {}
    for id_, name in PATHS.items():
        plain = name.removesuffix(".gz")
        for path in (folder / plain, folder / f"{plain}.gz"):
            if path.is_file():
                with path.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                found[id_] = MirroredFile(id_, path, digest)
    return found
