"""Features of a matrix that are no genes: spike-ins, viruses, antibodies, barcodes, tallies.

Judged by the name alone, and only after the reference has been asked: a name that a gene claims
never comes here. Conservative: ``N`` or ``UL83`` may be anything and stay unknown.
"""

from __future__ import annotations

import re
from typing import Final

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
    """What kind of control feature a name is, or None if it is none that is known.

    Viruses are told by their usual abbreviation, alone or before one of their genes
    (``SARS-CoV-2``, ``HIV-1_gag``), by the accession of their reference genome, or by a gene name
    that is like no human one (``EBNA1``, ``BZLF1``, ``GU280_gp01``).
    """
    return next((kind for kind, pattern in _KINDS.items() if pattern.fullmatch(name)), None)
