"""What publishers call their fields of labels and groups, however they spell it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from genept.sources.matrix_options import Label

LABEL_NAMES: Final[dict[Label, tuple[str, ...]]] = {
    "cell_type": ("celltype", "celltypes", "annotation", "cellannotation", "celllabel"),
    "diagnosis": ("diagnosis", "disease", "diseasestate", "condition"),
    "tissue": ("tissue", "organ", "sourcename", "sourcenamech1"),
    "tissue_subtype": ("tissuesubtype", "subtissue", "cohort", "tissuetype"),
    "batch": ("batch", "plate", "lane", "library"),
}
GROUP_NAMES: Final = (
    *("donor", "donorid", "patient", "patientid", "subject", "subjectid"),
    *("individual", "individualid", "sampleid", "cellline", "modelid"),
)


def named_fields(
    fields: Sequence[str], labels: Mapping[Label, str], group: str | None
) -> tuple[dict[Label, str], str | None]:
    """Our labels to the publisher's fields, and the field of the group.

    Parameters
    ----------
    labels, group
        What is said already; only the rest is looked for.
    """
    found = dict(labels)
    taken = {*found.values(), group}
    free = [name for name in fields if name not in taken]
    for label, names in LABEL_NAMES.items():
        if label not in found and (name := _called(free, (label.replace("_", ""), *names))):
            found[label] = name
            free.remove(name)
    return found, group or _called(free, GROUP_NAMES)


def _called(fields: Sequence[str], names: Sequence[str]) -> str | None:
    plain = {re.sub(r"[^a-z0-9]", "", one.rpartition(": ")[2].lower()): one for one in fields[::-1]}
    return next((plain[name] for name in names if name in plain), None)
