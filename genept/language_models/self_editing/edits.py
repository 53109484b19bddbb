"""The grammar of edits: what may be done to the drafts of one kind of genes.

Every edit chooses among lines of the gene's own evidence, so none can write what no source says.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from genept.language_models.self_editing.drafts import Draft, Drafts, Library, place
from genept.text.recipes import load_dimensions

Action = Literal["choose", "order", "drop", "cut", "add", "restate"]
LINES: Final = (1, 2, 3, 5)
"""Numbers of lines to cut texts to."""

ADDED: Final = ("go", "pathways", "interactions", "phenotypes", "function")
"""Parts of the evidence that may be added."""

KEPT_ALWAYS: Final = "functions"
"""What `choose` keeps besides its dimension."""


@dataclass(frozen=True, order=True)
class Edit:
    """An edit of the drafts of one kind of genes.

    Parameters
    ----------
    gene_class
        The kind of genes.
    action
        ``choose``: keep what speaks of a dimension, and functions; ``order``: what speaks of it
        first; ``drop``: leave it out; ``cut``: the first lines alone; ``add``: the lines of a part
        behind the others; ``restate``: what a language model wrote in place of the lines that it
        cites.
    of
        The dimension, number of lines, part or, for ``restate``, ``model``.
    """

    gene_class: str
    action: Action
    of: str

    @property
    def kind(self) -> str:
        """The edit without the kind of genes, such as ``drop drugs``."""
        return f"{self.action} {self.of}"

    def apply(self, library: Library, drafts: Drafts) -> dict[str, Draft]:
        """The drafts of all genes after the edit; no draft becomes empty."""
        return {
            id_: (self._edited(library, id_, draft) or draft)
            if library.classes[id_] == self.gene_class
            else draft
            for id_, draft in drafts.items()
        }

    def _edited(self, library: Library, id_: str, draft: Draft) -> Draft:
        speaks = library.dimensions[id_]
        match self.action:
            case "choose":
                wanted = {self.of, KEPT_ALWAYS}
                return tuple(n for n in draft if speaks[place(n)] & wanted)
            case "order":
                return tuple(sorted(draft, key=lambda n: self.of not in speaks[place(n)]))
            case "drop":
                return tuple(n for n in draft if self.of not in speaks[place(n)])
            case "cut":
                return draft[: int(self.of)]
            case "add":
                parts = library.parts[id_]
                used = {place(n) for n in draft}
                more = (n for n, part in enumerate(parts) if part == self.of and n not in used)
                return (*draft, *more)
            case "restate":
                lines = library.evidence[id_].lines
                written = library.restated.get(id_, {})
                return tuple(~n if n >= 0 and lines[n] in written else n for n in draft)


def every_edit(library: Library) -> list[Edit]:
    """Every edit of the grammar for the kinds of genes that there are.

    Parameters
    ----------
    library
        The evidence.

    Returns
    -------
    list of Edit
        Sorted.
    """
    dimensions = list(load_dimensions())
    parts = {part for parts in library.parts.values() for part in parts}
    kinds: Iterable[tuple[Action, str]] = [
        *(("choose", each) for each in dimensions if each != KEPT_ALWAYS),
        *(("order", each) for each in dimensions),
        *(("drop", each) for each in dimensions),
        *(("cut", str(n)) for n in LINES),
        *(("add", part) for part in ADDED if part in parts),
        *(("restate", model) for model in ("model",) if library.restated),
    ]
    classes = sorted(set(library.classes.values()))
    return sorted(Edit(name, action, of) for name in classes for action, of in kinds)
