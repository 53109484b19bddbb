"""The dataset card of a release: `README.md` with the front matter that Hugging Face reads."""

from __future__ import annotations

import json
from typing import Any, Final

from genept.common import markdown_block, markdown_code, markdown_text
from genept.release.metadata.citations import citation_text
from genept.release.metadata.release_description import KEYWORDS, SUMMARY, TITLE, DescribedRelease
from genept.release.metadata.usage_terms import LICENCES
from genept.schema import CANARY

SIZES: Final = (
    (10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"),
    (10**7, "1M<n<10M"), (10**8, "10M<n<100M"), (10**9, "100M<n<1B"),
    (10**10, "1B<n<10B"), (10**11, "10B<n<100B"), (10**12, "100B<n<1T"),
)  # fmt: skip
"""Categories of size, each with the number of rows that is too many for it."""


def dataset_card(release: DescribedRelease) -> str:
    """Describe a release as a dataset card, with one configuration per table.

    Parameters
    ----------
    release
        The release.

    Returns
    -------
    str
        Markdown with front matter in YAML.
    """
    manifest = release.manifest
    tables = [
        {
            "name": table.name,
            "meaning": table.meaning,
            "patterns": release.patterns(table),
            "rows": released.rows,
            "n_files": len(released.files),
            "sources": [terms.id for terms in release.terms.of_table(table.name)],
            "redistributable": _passed_on([file.redistributable for file in released.files]),
        }
        for table, released in release.tables
    ]
    card: str = _template().render(
        title=TITLE, summary=SUMMARY, keywords=KEYWORDS, canary=CANARY, licences=LICENCES,
        size=size_category(release.rows), tables=tables, terms=release.terms.all,
        release_id=manifest.release_id, date=release.date, complete=manifest.complete,
        schema_version=manifest.schema_version, data_version=manifest.data_version[:12],
        left_out=manifest.left_out, citation=citation_text(release),
    )  # fmt: skip
    return card


def size_category(rows: int) -> str:
    """The Hub's category of size for a number of rows, such as ``1M<n<10M``."""
    return next((category for limit, category in SIZES if rows < limit), "n>1T")


def _passed_on(marks: list[bool]) -> str:
    return "yes" if all(marks) else "in part" if any(marks) else "no"


def _template() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(  # noqa: S701 - Markdown is escaped by filters
        loader=PackageLoader("genept.release.metadata"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "yaml": json.dumps,  # JSON is YAML
        "text": markdown_text,
        "code": markdown_code,
        "block": markdown_block,
    }
    return environment.get_template("dataset_card.md.jinja")
