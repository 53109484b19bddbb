"""From a label to the ontology term that it means: by names, never by likeness.

The first rule of `genept.collections.labels.label_rules` that finds a term decides; where it finds
several, the label is ambiguous. What is declared is in `genept.collections.labels.label_terms`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from genept.collections.labels.label_rules import means_nothing, steps
from genept.collections.labels.label_spelling import letters_and_digits, words_form
from genept.collections.labels.label_terms import AuthorHabits, author_habits, declared_labels
from genept.collections.labels.term_names import TermNames
from genept.datasources import OntologyTerm

FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "cell_type": ("CL",),
    "tissue": ("UBERON", "MONDO"),
    "tissue_subtype": ("UBERON", "MONDO"),
    "diagnosis": ("MONDO", "PATO"),
    "assay": ("EFO",),
    "sex": ("PATO",),
    "development_stage": ("HsapDv",),
    "cell_line": ("CVCL",),
}
"""Fields of labels, and the ontologies of their terms: the first that has one decides."""

_SEXES: Final = {"PATO:0000383", "PATO:0000384", "PATO:0001340"}
_NORMAL: Final = {"PATO:0000461"}
_ASSAYS: Final = {"EFO:0002772", "EFO:0010183"}
_FEWEST_LINES: Final = 5
_OF_THE_INSTITUTE: Final = re.compile(r"h\d{2,4}")
"""Lines of the National Cancer Institute, of whose names authors leave out ``NCI-``."""


@dataclass(frozen=True)
class MappedLabel:
    """What became of a label.

    Parameters
    ----------
    label
        As published.
    outcome
        One of `LABEL_OUTCOMES` of `genept.schema.tables`.
    term
        Id of the term that it means; None if it has none.
    also
        Ids of further terms that it means, of other ontologies.
    candidates
        Terms between which nothing decides.
    evidence
        Why, in words.
    """

    label: str
    outcome: str
    term: str | None = None
    also: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()
    evidence: str = ""

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of all terms that it means."""
        return (self.term, *self.also) if self.term else ()


@dataclass(frozen=True)
class LabelMapper:
    """Maps labels to the terms of ontologies.

    Parameters
    ----------
    ontologies
        Terms by id, of each ontology by its prefix; empty where their archive is not available.
    """

    ontologies: Mapping[str, Mapping[str, OntologyTerm]]
    _names: dict[tuple[str, str], TermNames] = field(default_factory=dict)

    def map_labels(
        self, collection: str, of_field: str, labels: Iterable[str]
    ) -> list[MappedLabel]:
        """Map the labels of one field of a collection.

        Parameters
        ----------
        collection
            Id of the collection: what is declared of its labels comes first.
        of_field
            Key of `FIELDS`.
        labels
            As published, each once.

        Returns
        -------
        list of MappedLabel
            One for each label, in their order.
        """
        labels = list(labels)
        declared = declared_labels().get(collection, {})
        mapped = []
        for label in labels:
            entry = declared.get(label) if of_field != "cell_line" else None
            if not any(self.ontologies.get(prefix) for prefix in FIELDS[of_field]):
                mapped.append(MappedLabel(label, "no_ontology", evidence=_WITHOUT))
            elif entry is not None and entry.because:
                mapped.append(MappedLabel(label, "explained", evidence=entry.because))
            elif entry is not None and (ids := self._known(of_field, entry.ids)):
                because = f"declared for {collection}: {entry.words or self.name_of(ids[0])}"
                mapped.append(MappedLabel(label, "declared", ids[0], ids[1:], evidence=because))
            elif of_field == "cell_line":
                mapped.append(self._line(label, labels))
            else:
                mapped.append(self._term(of_field, label))
        return mapped

    def as_published(self, of_field: str, by_name: MappedLabel, id_: str | None) -> MappedLabel:
        """Take the term that an author gives with a label, if it is one of the field's."""
        if id_ is None or not self._known(of_field, [id_]):
            return by_name
        other = (
            f"; by its name it would be {by_name.term}" if by_name.term not in (None, id_) else ""
        )
        return MappedLabel(
            by_name.label, "published", id_, evidence=f"the author gives it with the label{other}"
        )

    def name_of(self, id_: str) -> str:
        """Name of a term; its id where it is unknown."""
        term = self.ontologies.get(prefix_of(id_), {}).get(id_)
        return term.name if term else id_

    def _known(self, of_field: str, ids: Iterable[str]) -> tuple[str, ...]:
        """Those terms that the ontologies of a field have, in the order of these."""
        known = [id_ for id_ in ids if id_ in self.ontologies.get(prefix_of(id_), {})]
        order = FIELDS[of_field]
        return tuple(
            sorted(
                (id_ for id_ in known if prefix_of(id_) in order),
                key=lambda id_: order.index(prefix_of(id_)),
            )
        )

    def _term(self, of_field: str, label: str) -> MappedLabel:
        habits = author_habits(of_field)
        if why := means_nothing(label, habits):
            return MappedLabel(label, "explained", evidence=why)
        unsolved: list[MappedLabel] = []
        for prefix in FIELDS[of_field]:
            match = self._of_ontology(of_field, prefix, label, habits)
            if match.term:
                return match
            unsolved.append(match)
        if of_field.startswith("tissue") and (part := self._part(of_field, label, habits)):
            return part
        ambiguous = [match for match in unsolved if match.candidates]
        return ambiguous[0] if ambiguous else unsolved[0]

    def _part(self, of_field: str, label: str, habits: AuthorHabits) -> MappedLabel | None:
        """Of ``Brain - Cerebellum`` the second, if the ontology has it below the first."""
        whole, dash, part = label.partition(" - ")
        if not dash:
            return None
        above, below = (
            self._of_ontology(of_field, "UBERON", each, habits).term for each in (whole, part)
        )
        if above and below and above in self.ontologies["UBERON"][below].ancestors:
            because = f"{part.strip()} is below {whole.strip()} in UBERON"
            return MappedLabel(label, "spelling", below, evidence=because)
        return None

    def _of_ontology(
        self, of_field: str, prefix: str, label: str, habits: AuthorHabits
    ) -> MappedLabel:
        names = self.names(of_field, prefix)
        for outcome, what, ids in steps(of_field, label, names, habits):
            if len(ids) == 1:
                (term,) = ids
                return MappedLabel(label, outcome, term, evidence=what)
            if ids:
                several = tuple(sorted(ids))
                return MappedLabel(
                    label, "ambiguous", candidates=several, evidence=f"{what} of {len(ids)} terms"
                )
        return MappedLabel(
            label, "unmapped", evidence=f"no name or exact synonym of {prefix} has these words"
        )

    def names(self, of_field: str, prefix: str) -> TermNames:
        """Names of the terms of an ontology that a field may mean."""
        key = (of_field if of_field in ("assay", "sex", "diagnosis") else "", prefix)
        if key not in self._names:
            terms = self.ontologies.get(prefix, {})
            self._names[key] = TermNames(
                {id_: term for id_, term in terms.items() if _may_mean(key[0], id_, term)}
            )
        return self._names[key]

    def _line(self, label: str, labels: list[str]) -> MappedLabel:
        habits = author_habits("cell_line")
        if why := habits.nothing.get(words_form(label)):
            return MappedLabel(label, "explained", evidence=why)
        names = self.names("cell_line", "CVCL")
        form = letters_and_digits(label)
        if (code := habits.codes.get((form,))) in names.terms:
            return MappedLabel(label, "abbreviation", code, evidence="declared name of authors")
        ids = names.compact[0].get(form, frozenset())
        same = names.exact.get(label, frozenset())
        if not same and _OF_THE_INSTITUTE.fullmatch(form):
            ids = names.compact[0].get(f"nci{form}", ids)
        if len(ids) > 1 and len(same) == 1 and not _letters_and_digits_alone(labels):
            ids = same
        if len(ids) == 1:
            (term,) = ids
            as_it_is = names.terms[term].name == label
            outcome = "name" if as_it_is else "spelling"
            what = "name in Cellosaurus" if as_it_is else "letters and digits of its name there"
            return MappedLabel(label, outcome, term, evidence=what)
        if ids:
            several = tuple(sorted(ids))
            what = f"letters and digits of the names of {len(several)} cell lines"
            return MappedLabel(label, "ambiguous", candidates=several, evidence=what)
        return MappedLabel(label, "unmapped", evidence="no name in Cellosaurus has its letters")


_WITHOUT: Final = "the archive of the ontologies is not available here"


def prefix_of(id_: str) -> str:
    """Ontology of a term.

    Parameters
    ----------
    id_
        Such as ``CL:0000236`` or ``CVCL_0023``.

    Returns
    -------
    str
        Such as ``CL``.
    """
    return re.split("[:_]", id_)[0]


def _may_mean(of_field: str, id_: str, term: OntologyTerm) -> bool:
    if of_field == "sex":
        return id_ in _SEXES
    if of_field == "diagnosis" and prefix_of(id_) == "PATO":
        return id_ in _NORMAL
    return of_field != "assay" or bool(_ASSAYS & set(term.ancestors))


def _letters_and_digits_alone(labels: list[str]) -> bool:
    """Whether names of lines have lost their punctuation, so that equality with one says little."""
    return len(labels) >= _FEWEST_LINES and not any(re.search(r"[\W_]", label) for label in labels)
