"""Dates with the name of a month in them, as spreadsheets write them in seven languages.

Only recognised here. Which genes such a date may have been is looked up in `spelling`, and
nothing is ever made of it.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

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
    """Whether a name begins with a digit or like a month: cheap, and true of few names."""
    return name[0].isdigit() or _plain(name[:4]).lower()[:3] in _BEGINNINGS


def month_and_day(name: str) -> tuple[str, str] | None:
    """The month (its English beginning) and the number beside it, or None if it is no date.

    ``AGO-2`` and ``SET 2`` are no dates: in other languages than English a month that comes
    first is taken for one only if it is not in capitals and is joined by a sign.
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
