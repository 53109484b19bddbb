"""Great Expectations, imported when the first suite runs, and nowhere else.

Turns a suite into GX objects, validates one pandas frame and renders the data
docs page of the result.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from functools import cache
from typing import Any

import pandas as pd

from genept.escaping import html_text
from validation.pages import standalone
from validation.suites import Expectation, Suite


@dataclass(frozen=True)
class SuiteResult:
    """What a suite found; sentences name column, expectation and what was seen."""

    expectations: int
    failed: tuple[str, ...]
    warnings: tuple[str, ...]
    page: bytes


class SuiteError(RuntimeError):
    """An expectation and the frame do not fit each other."""


def run_suite(suite: Suite, frame: pd.DataFrame) -> SuiteResult:
    """Validate a frame.

    Parameters
    ----------
    frame
        The columns that the suite speaks of; lists already summed up per row.

    Raises
    ------
    SuiteError
        If an expectation could not be evaluated: nothing is known of the frame then.
    """
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    import great_expectations as gx

    # This module sets a level of its own when it is imported, and tells of each temporary folder.
    logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.WARNING)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    batch = (
        context.data_sources.add_pandas("lake")
        .add_dataframe_asset(suite.table)
        .add_batch_definition_whole_dataframe("whole")
        .get_batch({"dataframe": frame})
    )
    expectations = [_build(gx, one) for one in suite.expectations]
    definition = gx.ExpectationSuite(name=suite.table, expectations=expectations)
    result = batch.validate(definition, result_format="SUMMARY")
    failed: list[str] = []
    warnings: list[str] = []
    for one in result.results:
        _require_evaluated(suite, one)
        if not one.success:
            (failed if one.expectation_config.severity == "critical" else warnings).append(
                _sentence(one)
            )
    return SuiteResult(len(result.results), tuple(failed), tuple(warnings), _page(result))


def _build(gx: Any, expectation: Expectation) -> Any:
    return getattr(gx.expectations, expectation.type)(
        **expectation.arguments, severity=expectation.severity
    )


def _require_evaluated(suite: Suite, result: Any) -> None:
    """Great Expectations calls an exception a failure; it tells one per metric, or one in all."""
    told = result.exception_info or {}
    for one in (told, *told.values()):
        if isinstance(one, dict) and one.get("raised_exception"):
            config = result.expectation_config
            raise SuiteError(
                f"table {suite.table!r}: {config.type} {config.kwargs} could not be evaluated: "
                f"{one['exception_message']}"
            )


def _sentence(result: Any) -> str:
    config = result.expectation_config
    arguments = {
        name: value
        for name, value in config.kwargs.items()
        if name not in ("batch_id", "column") and value is not None
    }
    subject = config.kwargs.get("column", "table")
    seen = result.result.get("partial_unexpected_list") or result.result.get("observed_value")
    count = result.result.get("unexpected_count")
    shown = str(seen[:3] if isinstance(seen, list) else seen)[:200]
    found = f"{count} rows, such as {shown}" if count else f"found {shown}"
    return f"{subject}: {config.type} {arguments} does not hold: {found}"


def _page(result: Any) -> bytes:
    from great_expectations.render.renderer import ValidationResultsPageRenderer

    page: str = _view().render(_escaped(ValidationResultsPageRenderer().render(result)))
    return standalone(page)


def _escaped(document: Any) -> Any:
    """The same document, whose text is HTML: the templates of pages put it in as it stands."""
    from great_expectations.render import RenderedDocumentContent

    class Escaped(RenderedDocumentContent):  # type: ignore[misc]
        def to_json_dict(self) -> dict[str, Any]:
            content = _as_html(document.to_json_dict())
            return dict(content)

    return Escaped(document.sections)


def _as_html(content: Any) -> Any:
    if isinstance(content, dict):
        return {
            key: value if key == "params" else _as_html(value)  # those the view escapes itself
            for key, value in content.items()
        }
    if isinstance(content, list):
        return [_as_html(value) for value in content]
    return html_text(content) if isinstance(content, str) else content


@cache
def _view() -> Any:
    """One for all pages: a new one compiles its templates anew, which takes longer than a suite."""
    from great_expectations.render.view import DefaultJinjaPageView

    return DefaultJinjaPageView()
