"""Judge names that no source claims, by their spelling.

Recognised are changed letters, versions, other species, control features, and what spreadsheets
make of symbols: dates with names of months in seven languages, and numbers. Only what can be meant
in one way is repaired.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from genept.nomenclature.names import MISSING, control_feature

STEMS: Final = {"mar": ("MARCH", "MARC"), "sep": ("SEPT",), "dec": ("DEC",), "oct": ("OCT",),
                "feb": ("FEB",), "nov": ("NOV",), "apr": ("APR",)}  # fmt: skip
"""What symbols began with that spreadsheets took for a date, by the month."""

_ENGLISH: Final = (
    *("jan", "feb", "mar", "apr", "may", "jun"),
    *("jul", "aug", "sep", "oct", "nov", "dec"),
)
_OTHER: Final = {
    "jan": "ene enero gen gennaio",
    "feb": "fev fevr fevrier fevereiro",
    "mar": "mrz maerz mrt maart",
    "apr": "avr avril abr abril",
    "may": "mai maio mei mag maggio",
    "jun": "juin giu giugno",
    "jul": "juil juillet lug luglio",
    "aug": "aou aout ago agosto",
    "sep": "set setembro settembre",
    "oct": "okt oktober ott ottobre out outubro",
    "nov": "",
    "dec": "dez dezember dezembro dic dicembre diciembre",
}
"""German, French, Spanish, Italian, Dutch, Portuguese, without accents, where they do not begin
like the English name."""

_MONTH_OF: Final = {name: month for month, names in _OTHER.items() for name in names.split()}
_BEGINNINGS: Final = frozenset((*_ENGLISH, *(name[:3] for name in _MONTH_OF)))
_DAY: Final = r"(\d{1,2})(?:[-/ .]|\. )"
_YEAR: Final = r"(?:[-/ .]\d{2,4})?"
_MONTH: Final = rf"(?P<english>{'|'.join(_ENGLISH)})[a-z]*|(?P<other>{'|'.join(_MONTH_OF)})"
_DAY_MONTH: Final = re.compile(rf"{_DAY}(?:{_MONTH})\.?{_YEAR}", re.IGNORECASE)
_MONTH_DAY: Final = re.compile(
    rf"(?:{_MONTH})\.?(?P<by>[-/ .])(\d{{4}}|\d{{1,2}}(?:(?:, ?|[-/ .])\d{{2,4}})?)", re.IGNORECASE
)


def may_be_date(name: str) -> bool:
    """Whether a name begins with a digit or like a month; a cheap test that few names pass."""
    return name[0].isdigit() or _plain(name[:4]).lower()[:3] in _BEGINNINGS


def month_and_day(name: str) -> tuple[str, str] | None:
    """Return the month (first three letters of its English name) and the number beside it.

    None if the name is not a date. ``AGO-2`` and ``SET 2`` are not dates: in languages other than
    English, a month that comes first counts only if it is not in capitals and is joined by a sign.
    """
    plain = _plain(name)
    if match := _DAY_MONTH.fullmatch(plain):
        return _month(match), match.group(1)
    match = _MONTH_DAY.fullmatch(plain)
    if match is None:
        return None
    other = match["other"]
    if other is not None and (other.isupper() or match["by"] == " "):
        return None
    return _month(match), re.split(r"\D", match.group(4))[0]


def _month(match: re.Match[str]) -> str:
    english: str | None = match["english"]
    return english.lower() if english else _MONTH_OF[match["other"].lower()]


def _plain(name: str) -> str:
    """Without accents, with ä as Excel writes it in März left as a."""
    if name.isascii():
        return name
    return "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))


VERSION_LEFT_OUT: Final = "version left out; "
_ENSEMBL: Final = re.compile(r"(ENSG\d{11})(?:\.\d+)?")
_PAR_Y: Final = re.compile(r"(ENSG\d{11})(?:\.\d+)?_PAR_Y")
_OTHER_ENSEMBL: Final = re.compile(r"(?:ENS(?!G\d)[A-Z]{3,6}G|WBGene|FBgn)\d{7,11}(?:\.\d+)?")
_OTHER_GENOME: Final = re.compile(r"(?:mm10|mm39|GRCm3[89]|mRatBN7|danRer11)_+.+")
_OTHER_CASE: Final = re.compile(r"(?:mt-)?[A-Z]?[a-z][a-z0-9-]*(?:\.\d+)?")
_MOUSE: Final = re.compile(r"\d{6,7}[A-Z]\d{2}Rik|Gm\d{3,5}")
_NUMERIC_DATE: Final = re.compile(
    r"(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d{2}))"
    r"(?:[T ]\d{1,2}:\d{2}(?::\d{2})?(?:\.\d+)?Z?)?"
)
_SERIAL: Final = re.compile(r"(\d{5})(?:\.0+)?")
_SERIALS: Final = range(25_569, 47_848)
"""Days that a spreadsheet counts for 1970 to 2030; no human gene has such an NCBI Gene id."""
_SCIENTIFIC: Final = re.compile(r"\d(?:[.,]\d+)?E\+?\d+", re.IGNORECASE)
_LOC: Final = re.compile(r"LOC(\d+)")
_MADE_UNIQUE: Final = re.compile(r"(.+)[.-]\d{1,2}")
_CLONE: Final = re.compile(r"[A-Z]{1,3}\d{5,6}\.\d+|(?:RP\d+|CT[ABCD]|KB|XX\w*|GS\d)-[\w-]*\.\d+")


class Meaning(NamedTuple):
    """What a name means, and why.

    Parameters
    ----------
    outcome
        One of the outcomes of table `gene_mapping`.
    ensembl_gene_id
        The gene; None if it could not be decided, or has no Ensembl id.
    candidates
        Ensembl ids that the name may mean, where it was not decided.
    evidence
        The reason, in words.
    """

    outcome: str
    ensembl_gene_id: str | None = None
    candidates: tuple[str, ...] = ()
    evidence: str = ""

    @property
    def reached(self) -> tuple[str, ...]:
        """The gene, or the candidates."""
        return (self.ensembl_gene_id,) if self.ensembl_gene_id else self.candidates


Known = Callable[[str], Meaning | None]
"""What the reference says of a name, spelled exactly so."""


def meaning_by_spelling(
    name: str, known: Known, in_capitals: Mapping[str, str], newest_id: str = ""
) -> Meaning:
    """Judge a name that the reference does not have in this spelling.

    Parameters
    ----------
    name
        As published.
    known
        Returns the meaning of an exact spelling in the reference, or None.
    in_capitals
        All-capital spelling of every approved or previous symbol with small letters, such as
        ``C1ORF112`` for ``C1orf112``, where exactly one symbol has that spelling.
    newest_id
        An Ensembl gene id that hardly any id of the reference is newer than. Ids are numbered in
        the order of assignment, so a higher one is of a newer annotation.

    Returns
    -------
    Meaning
        Outcome ``unknown`` if no rule applies.
    """
    if (cleaned := _clean_spaces(name)) != name and (meaning := known(cleaned)) is not None:
        return _fixed(meaning, f"white space or invisible characters left out: {cleaned!r}")
    name = cleaned
    if name.casefold() in MISSING:
        return Meaning("unknown", evidence="no name")
    return (
        _ensembl(name, known, newest_id)
        or _other_species(name, known)
        or _control(name)
        or _spreadsheet(name, known)
        or _in_capitals(in_capitals.get(name), known)
        or _dotted(name, known)
        or _unknown(name, known)
    )


def _in_capitals(symbol: str | None, known: Known) -> Meaning | None:
    meaning = known(symbol) if symbol is not None else None
    return _fixed(meaning, f"{symbol} written in capitals") if meaning is not None else None


def _control(name: str) -> Meaning | None:
    kind = control_feature(name)
    return None if kind is None else Meaning("control_feature", evidence=kind)


def _dotted(name: str, known: Known) -> Meaning | None:
    """A name in which R's `make.names` replaced hyphens by points: ``HLA.A``."""
    if "." not in name or known(name.rpartition(".")[0]) is not None:  # R's make.unique, perhaps
        return None
    spelled = dict.fromkeys((name.replace(".", "-"), name.replace(".", "-", 1)))
    meanings = [(symbol, meaning) for symbol in spelled if (meaning := known(symbol)) is not None]
    if len(meanings) != 1:
        return None
    ((symbol, meaning),) = meanings
    return _fixed(meaning, f"{symbol} with R's points in place of hyphens")


def _clean_spaces(name: str) -> str:
    if name.isascii() and name.isprintable() and " " not in name:
        return name
    visible = "".join(c for c in name if unicodedata.category(c) not in ("Cf", "Cc") or c == "\t")
    return " ".join(visible.split())


def _fixed(meaning: Meaning, how: str) -> Meaning:
    fixed = meaning._replace(evidence=f"{how}; {meaning.evidence}")
    if meaning.ensembl_gene_id is None:
        return fixed
    return fixed._replace(outcome="case_or_space_fixed", candidates=())


def _ensembl(name: str, known: Known, newest_id: str) -> Meaning | None:
    if not name.startswith("ENSG"):
        return None
    if match := _PAR_Y.fullmatch(name):
        x_copy = known(match.group(1))
        candidates = x_copy.reached if x_copy is not None else ()
        why = "the Y copy of a pseudoautosomal gene; adding it to the X copy is not decided here"
        return Meaning("ambiguous", None, candidates, why)
    if match := _ENSEMBL.fullmatch(name):
        unversioned = known(match.group(1))
        if unversioned is None:
            return Meaning("unknown", evidence=_why_not_here(match.group(1), newest_id))
        outcome = "version_stripped" if unversioned.outcome == "ensembl_id" else unversioned.outcome
        return unversioned._replace(
            outcome=outcome, evidence=VERSION_LEFT_OUT + unversioned.evidence
        )
    return None


def _why_not_here(id_: str, newest_id: str) -> str:
    if newest_id and id_ > newest_id:
        return "an Ensembl id of a newer annotation than the reference's"
    return (
        "an Ensembl id that the reference does not have: it was retired without one successor, "
        "or is of a sequence outside the primary assembly"
    )


def _other_species(name: str, known: Known) -> Meaning | None:
    if name.isupper() and not name.startswith(("ENS", "FB")):
        return None
    if _OTHER_ENSEMBL.fullmatch(name):
        return Meaning("non_human", evidence="a gene id of another species")
    if _OTHER_GENOME.fullmatch(name):
        return Meaning("non_human", evidence="prefixed with the genome of another species")
    if _MOUSE.fullmatch(name):
        return Meaning("non_human", evidence="a name that only mouse genes have")
    if _OTHER_CASE.fullmatch(name) and (human := known(name.upper())) is not None:
        why = f"spelled as in mouse or fish; human would be {name.upper()}, which is not guessed"
        return Meaning("non_human", None, human.reached, why)
    return None


def _spreadsheet(name: str, known: Known) -> Meaning | None:
    if may_be_date(name):  # few names may: the others are spared the patterns
        if (date := month_and_day(name)) is not None:
            return _date(*date, known)
        if _NUMERIC_DATE.fullmatch(name):
            return Meaning("spreadsheet_date", evidence="a date; what it was before is not guessed")
    return _number(name) if name[0].isdigit() else None


def _number(name: str) -> Meaning | None:
    if (match := _SERIAL.fullmatch(name)) and int(match.group(1)) in _SERIALS:
        return Meaning("spreadsheet_number", evidence="the serial number of a date")
    if _SCIENTIFIC.fullmatch(name):
        return Meaning("spreadsheet_number", evidence="an id that became a number, digits lost")
    return None


def _date(month: str, day: str, known: Known) -> Meaning:
    names = [f"{stem}{int(day)}" for stem in STEMS.get(month, ())]
    meanings = {name: meaning for name in names if (meaning := known(name)) is not None}
    ids = {id_ for meaning in meanings.values() for id_ in meaning.reached}
    why = f"a date; it may have been {' or '.join(meanings)}" if meanings else "a date"
    return Meaning("spreadsheet_date", None, tuple(sorted(ids)), why)


def _unknown(name: str, known: Known) -> Meaning:
    if (match := _LOC.fullmatch(name)) and (meaning := known(match.group(1))) is not None:
        return meaning._replace(
            evidence=f"a provisional name that holds its id; {meaning.evidence}"
        )
    if _CLONE.fullmatch(name):
        return Meaning("unknown", evidence="a clone-based name of an older Ensembl release")
    if (match := _MADE_UNIQUE.fullmatch(name)) and (original := known(match.group(1))) is not None:
        why = f"may be a further column of {match.group(1)}, numbered to be unique"
        return Meaning("unknown", None, original.reached, why)
    return Meaning("unknown", evidence="no source knows it")
