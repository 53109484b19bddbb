"""Evaluation of suites by Great Expectations, and the rendered pages.

Great Expectations is imported here only, when the first suite runs. Pages are self-contained, so
that a release can include them.
"""

import logging
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from html.parser import HTMLParser
from typing import Any, Final

import pandas as pd

from genept.common import NO_SCRIPTS, html_text
from genept.release import CheckEvidence
from validation.suites import Suite

_LEFT_OUT: Final = frozenset({"script", "link", "img", "footer", "iframe", "object", "embed"})

_EMPTY: Final = frozenset({"link", "img", "embed", "br", "hr", "meta", "input", "col", "wbr"})

_FETCHED: Final = re.compile(r"url\(['\"]?https?:[^)]*\)", re.IGNORECASE)

_STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; }
body { padding: 0 1rem; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; display: block; overflow-x: auto; }
td, th { border: 1px solid #8886; padding: .3rem .7rem; text-align: left; vertical-align: top; }
ol, ul { padding-left: 1.2rem; }
.failed { color: #c62828; font-weight: 600; }
.text-success::before { content: "✓"; }
.text-danger::before { content: "✗"; }
.card:has(input), .popover, .modal, .fixed-bottom, #ge-cta-footer { display: none; }
""".strip()


def standalone(page: str) -> bytes:
    """Remove scripts and references to other hosts from a data docs page.

    Values in it are escaped already; this concerns the elements of the templates.
    """
    copy = _Standalone()
    copy.feed(page)
    copy.close()
    return "".join(copy.kept).encode()


class _Standalone(HTMLParser):
    """Copies HTML without elements and attributes that load or run something."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.kept: list[str] = []
        self._within: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _LEFT_OUT and tag not in _EMPTY:
            self._within.append(tag)
        if self._within or tag in _LEFT_OUT:
            return
        written = "".join(
            f" {name}" if value is None else f' {name}="{html_text(value)}"'
            for name, value in map(_own, attrs)
            if not name.startswith("on")
        )
        self.kept.append(f"<{tag}{written}>")
        if tag == "head":
            self.kept.append(NO_SCRIPTS)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _EMPTY:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._within:
            if tag == self._within[-1]:
                self._within.pop()
            return
        if tag == "head":
            self.kept.append(
                f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
            )
        if tag not in _EMPTY:
            self.kept.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        in_style = self.kept[-1:] and self.kept[-1].startswith("<style")
        self._keep(_FETCHED.sub("", data) if in_style else data)

    def handle_entityref(self, name: str) -> None:
        self._keep(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self._keep(f"&#{name};")

    def handle_decl(self, decl: str) -> None:
        self._keep(f"<!{decl}>")

    def _keep(self, text: str) -> None:
        if not self._within:
            self.kept.append(text)


def _own(attribute: tuple[str, str | None]) -> tuple[str, str | None]:
    """A link leads within the page or to the index, and a style fetches nothing."""
    name, value = attribute
    if value is not None and name in ("href", "src", "action", "formaction", "xlink:href"):
        return name, value if value.startswith("#") else "index.html"
    if value is not None and name == "style":
        return name, _FETCHED.sub("", value)
    return name, value


def index_page(evidence: Iterable[CheckEvidence]) -> bytes:
    """What was checked of every table, what came out, and where to read more."""
    rows = "".join(
        f'<tr><td><a href="{html_text(checked.table)}.html">{html_text(checked.table)}</a></td>'
        f"<td>{checked.expectations}</td><td>{_findings(checked)}</td><td><code>{html_text(checked.data_version[:12])}</code></td></tr>"
        for checked in evidence
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{NO_SCRIPTS}'
        "<title>Checks</title>"
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        "<h1>Checks</h1><p>Every table of this release against its declaration.</p><table><tr>"
        "<th>table</th><th>expectations</th><th>findings</th><th>data version</th></tr>"
        f"{rows}</table></body></html>"
    ).encode()


def _findings(evidence: CheckEvidence) -> str:
    failed = [f'<span class="failed">{html_text(finding)}</span>' for finding in evidence.failed]
    return "<br>".join([*failed, *map(html_text, evidence.warnings)]) or "all hold"


@dataclass(frozen=True)
class SuiteResult:
    """Result of a suite; sentences name the column, the expectation and observed values."""

    expectations: int
    failed: tuple[str, ...]
    warnings: tuple[str, ...]
    page: bytes


class SuiteError(RuntimeError):
    """An expectation cannot be evaluated on the frame."""


def run_suite(suite: Suite, frame: pd.DataFrame) -> SuiteResult:
    """Evaluate a suite on a frame.

    Parameters
    ----------
    suite
        The expectations.
    frame
        The columns of the suite, as `validation.suites.narrow` returns them.

    Raises
    ------
    SuiteError
        An expectation could not be evaluated.
    """
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    import great_expectations as gx

    # This module sets its own level on import, and would log each temporary folder.
    logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.WARNING)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    batch = (
        context.data_sources.add_pandas("lake")
        .add_dataframe_asset(suite.table)
        .add_batch_definition_whole_dataframe("whole")
        .get_batch({"dataframe": frame})
    )
    expectations = [
        getattr(gx.expectations, each.type)(**each.arguments, severity=each.severity)
        for each in suite.expectations
    ]
    definition = gx.ExpectationSuite(name=suite.table, expectations=expectations)
    result = batch.validate(definition, result_format="SUMMARY")
    failed: list[str] = []
    warnings: list[str] = []
    for outcome in result.results:
        _require_evaluated(suite, outcome)
        if not outcome.success:
            (failed if outcome.expectation_config.severity == "critical" else warnings).append(
                _sentence(outcome)
            )
    return SuiteResult(len(result.results), tuple(failed), tuple(warnings), _page(result))


def _require_evaluated(suite: Suite, result: Any) -> None:
    """Raise `SuiteError` for exceptions, which Great Expectations reports as failures."""
    exceptions = result.exception_info or {}
    for exception in (exceptions, *exceptions.values()):
        if isinstance(exception, dict) and exception.get("raised_exception"):
            config = result.expectation_config
            raise SuiteError(
                f"table {suite.table!r}: {config.type} {config.kwargs} could not be evaluated: "
                f"{exception['exception_message']}"
            )


def _sentence(result: Any) -> str:
    """What was expected of which column, what was found, and the name of the expectation."""
    config = result.expectation_config
    subject = config.kwargs.get("column", "table")
    seen = result.result
    observed_value = seen.get("partial_unexpected_list") or seen.get("observed_value")
    count = seen.get("unexpected_count")
    sample = str(observed_value[:3] if isinstance(observed_value, list) else observed_value)[:200]
    observed = f"violated in {count} rows, such as {sample}" if count else f"found {sample}"
    expected = _expected(config.type, config.kwargs)
    return f"{subject}: {expected} expected; {observed} ({config.type})"


def _expected(expectation: str, arguments: dict[str, Any]) -> str:
    low, high = arguments.get("min_value"), arguments.get("max_value")
    limits = [
        *([f"at least {_number(low)}"] if low is not None else []),
        *([f"at most {_number(high)}"] if high is not None else []),
    ]
    return {
        "expect_table_row_count_to_be_between": f"{' and '.join(limits)} rows",
        "expect_column_values_to_be_between": f"values of {' and '.join(limits)}",
        "expect_column_values_to_be_unique": "unique values",
        "expect_compound_columns_to_be_unique": "unique combinations of "
        f"{', '.join(arguments.get('column_list', ()))}",
        "expect_column_values_to_not_be_null": "no missing values",
        "expect_column_values_to_be_in_set": f"values among {arguments.get('value_set')}",
        "expect_column_values_to_match_regex": f"values of the form {arguments.get('regex')}",
    }[expectation]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,}"


def _page(result: Any) -> bytes:
    from great_expectations.render.renderer import ValidationResultsPageRenderer

    page: str = _view().render(_escaped(ValidationResultsPageRenderer().render(result)))
    return standalone(page)


def _escaped(document: Any) -> Any:
    """The same document with escaped text: the templates insert it without escaping."""
    from great_expectations.render import RenderedDocumentContent

    class Escaped(RenderedDocumentContent):  # type: ignore[misc]
        def to_json_dict(self) -> dict[str, Any]:
            return dict(_as_html(document.to_json_dict()))

    return Escaped(document.sections)


def _as_html(content: Any) -> Any:
    if isinstance(content, dict):
        return {
            key: value if key == "params" else _as_html(value)  # the view escapes these
            for key, value in content.items()
        }
    if isinstance(content, list):
        return [_as_html(value) for value in content]
    return html_text(content) if isinstance(content, str) else content


@cache
def _view() -> Any:
    """The view of all pages; compiling its templates takes longer than a suite."""
    from great_expectations.render.view import DefaultJinjaPageView

    return DefaultJinjaPageView()
