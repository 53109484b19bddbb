"""Ranges of remote files for the process that reads them: it asks, its parent fetches.

The child has no network. Its parent knows which files may be read and where they are; what the
child asks for is not trusted, and can only be bytes of those files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from genept.common import SourceError
from genept.datasources.download import N_THREADS, Archives, Ranged, RangedCopy, Span
from genept.datasources.readers import Parent

_MOST_SPANS: Final = 1 << 18


@dataclass(frozen=True)
class AskedRanges:
    """A file of which the parent process fetches ranges.

    Parameters
    ----------
    copy
        What of it is here.
    source
        Id of its source.
    parent
        The parent process.
    """

    copy: RangedCopy
    source: str
    parent: Parent

    def ensure(self, spans: Sequence[Span], /, *, n_threads: int = N_THREADS) -> None:
        """Have ranges here."""
        self.parent.ask(ranges_of=self.source, spans=[*spans], several=n_threads > 1)


def ranged_sources(archives: Archives, source_ids: Sequence[str]) -> dict[str, Ranged]:
    """Open those of several sources that are read by ranges.

    Parameters
    ----------
    archives
        Knows where they are.
    source_ids
        Their ids.

    Returns
    -------
    dict of str to Ranged
        By source id; those that are fetched whole are left out.
    """
    opened = {id_: archives.ranged(id_) for id_ in source_ids}
    return {id_: ranged for id_, ranged in opened.items() if ranged is not None}


def bytes_of(ranged: Mapping[str, Ranged]) -> int:
    """Size of whole files that are read by ranges: their readers may take what it allows."""
    return sum(opened.copy.size for opened in ranged.values())


def fetch_for_child(ranged: Mapping[str, Ranged], question: Mapping[str, Any]) -> None:
    """Fetch what a child asks for: the handler's answer to `AskedRanges`.

    Parameters
    ----------
    ranged
        The files that the child may read, by source id.
    question
        Of the child, which is not trusted.

    Raises
    ------
    SourceError
        The question is none that an unmodified child asks; or the bytes cannot be had.
    """
    opened, spans = ranged.get(str(question.get("ranges_of"))), question.get("spans")
    if opened is None or not isinstance(spans, list) or len(spans) > _MOST_SPANS:
        raise _nonsense(ranged)
    checked = [
        (span[0], span[1])
        for span in spans
        if isinstance(span, list)
        and len(span) == 2
        and all(type(end) is int for end in span)
        and 0 <= span[0] <= span[1] <= opened.copy.size
    ]
    if len(checked) != len(spans):
        raise _nonsense(ranged)
    opened.ensure(checked, n_threads=N_THREADS if question.get("several") is True else 1)


def _nonsense(ranged: Mapping[str, Ranged]) -> SourceError:
    names = ", ".join(opened.copy.name for opened in ranged.values()) or "its file"
    return SourceError(
        f"the process that reads {names} asked for bytes that cannot be: the file may be made to "
        "attack its readers"
    )
