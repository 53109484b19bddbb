"""Every page that is rendered from data, with hostile names, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest
from chromium import SECONDS, chromium
from hostile_text import HOSTILE, PERMISSIVE
from playwright.sync_api import Browser

from genept.client.pages.templates import PlottedScore, interval_plot, part
from genept.common.display import visible
from genept.models.cards import card_markdown, card_page
from genept.models.evidence import Cohort, Interval, ModelEvidence, ModelManifest, Predictions
from genept.models.retraining_reports import ForgettingMatrix, forgetting_picture
from genept.nomenclature.mapping import mapping_report
from genept.release.approval_records import Approval, approval_page
from genept.release.manifest import CheckEvidence as Checked
from genept.release.run_records import shown_pictures
from validation.engine import index_page, run_suite
from validation.suites import Expectation, Suite

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(SECONDS),
    pytest.mark.filterwarnings("ignore:Glyph .* missing from font"),
]

ALL = " ".join(HOSTILE)
NAMES = (*HOSTILE, r"a $\frac$ b")
"""With a name that a plot would render as mathematics."""


def evidence() -> ModelEvidence:
    n = len(NAMES)
    ids = tuple(f"s{row}" for row in range(n))
    shares = np.full((n, n), 0.1 / n) + 0.9 * np.eye(n)
    drawn = Predictions(
        ids=ids, groups=ids, cohorts=NAMES, labels=NAMES, classes=NAMES,
        probabilities=tuple(map(tuple, shares)),
    )  # fmt: skip
    score = Interval(value=0.5, low=0.4, high=0.6, n=n)
    return ModelEvidence(
        out_of_fold=drawn.model_copy(update={"folds": (0,) * n}), holdout=drawn, baselines={},
        n_features_checked=1, label_like_features=(), sentinels_right=0, n_sentinels=1,
        permuted=score, scores={ALL: score}, contenders=dict.fromkeys(NAMES, score),
        refit_difference=0.0, reload_difference=0.0, embedding_gain=score,
    )  # fmt: skip


def manifest(cohorts: tuple[Cohort, ...] = ()) -> ModelManifest:
    return ModelManifest(
        model=ALL, version=ALL, collection=ALL, label=ALL, representation=ALL, head=ALL, steps=(),
        classes=NAMES, temperature=1, abstain_below=0.5, space=ALL, unit=ALL, genes=(), seed=0,
        cohorts=cohorts, label_counts={}, left_out=dict.fromkeys(NAMES, 1), caveats=NAMES,
        holdout_sha256="", libraries={}, pipeline_sha256="", types=(), probe_sha256="",
        evidence_sha256="", card_sha256="",
    )  # fmt: skip


def check_page() -> str:
    frame = pd.DataFrame({"a": NAMES, "b": range(len(NAMES))})
    suite = Suite(
        "t",
        (
            Expectation("ExpectColumnValuesToBeInSet", {"column": "a", "value_set": [ALL, "b"]}),
            Expectation("ExpectColumnValuesToMatchRegex", {"column": "a", "regex": "^<u>o"}),
            Expectation("ExpectColumnValuesToBeBetween", {"column": "b", "max_value": 2}),
        ),
    )
    return run_suite(suite, frame).page.decode()


def markdown_pages() -> dict[str, str]:
    cohorts = tuple(Cohort(id=name, n=1, data_sha256="d" * 64) for name in NAMES)
    rows = [(name, "unknown", None, name, 1 / len(NAMES)) for name in NAMES]
    columns = ["input_id", "outcome", "ensembl_gene_id", "evidence", "expression_share"]
    mapping = pl.DataFrame(rows, schema=columns, orient="row")
    matrix = ForgettingMatrix(
        "m", NAMES, NAMES, (False,) * len(NAMES), np.full((len(NAMES), len(NAMES)), 0.5)
    )
    forgetting_picture(matrix)
    approvals = [
        Approval.model_construct(
            table="genes",
            against="r",
            by=name,
            at=datetime.now(UTC),
            reason=name,
            changes=(name,),
        )
        for name in NAMES
    ]
    return {
        "card": card_markdown(manifest(cohorts), evidence()),
        "mapping": mapping_report(mapping.with_columns(collection_id=pl.lit(ALL)), worst=99)
        .markdown(),
        "forgetting": matrix.markdown(),
        "approvals": approval_page(approvals)["approvals.md"].decode(),
        "pictures": shown_pictures(dict.fromkeys(NAMES, ("elsewhere", b"x"))),
    }  # fmt: skip


@pytest.fixture(scope="module")
def html_pages() -> dict[str, str]:
    checked = Checked(
        table="genes", data_version="0" * 16, suite="s", passed=False, expectations=1,
        failed=NAMES, warnings=NAMES, page="p",
    )  # fmt: skip
    scores = [PlottedScore(name, 0.5, 0.4, 0.6, is_control=False) for name in NAMES]
    figures = interval_plot(scores) + "".join(part("share_bar", name, 0.5) for name in NAMES)
    return {
        "checks": check_page(),
        "check index": index_page([checked]).decode(),
        "card": card_page(manifest(), evidence()),
        "figures": f"<!doctype html><body>{figures}</body>",
    }


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


def test_hostile_names_run_and_fetch_nothing_and_are_shown_completely(
    browser: Browser, html_pages: dict[str, str]
) -> None:
    pages = {name: PERMISSIVE.render(text) for name, text in markdown_pages().items()}
    pages = {f"{name}.md": page for name, page in pages.items()} | html_pages
    for name, content in pages.items():
        context = browser.new_context()
        page = context.new_page()
        events: list[str] = []
        page.on("dialog", lambda dialog: (events.append("dialog"), dialog.dismiss()))  # noqa: B023
        page.on("request", lambda request: events.append(request.url))  # noqa: B023
        # Without the policy of our pages: escaping alone must be sufficient.
        unprotected = content.replace('http-equiv="Content-Security-Policy"', 'name="none"')
        page.set_content(f"<script>window.marker = 1</script>{unprotected}", wait_until="load")
        assert page.evaluate("window.marker") == 1, "scripts may run in this page"
        assert [url for url in events if not url.startswith("data:")] == [], name
        active = page.evaluate(
            """() => [...document.querySelectorAll('*')].flatMap(tag => [
                ...[...tag.attributes].filter(a => a.name.startsWith('on')).map(a => a.name),
                ...(/^javascript:/i.test(tag.getAttribute('href') || '') ? ['javascript:'] : []),
                ...(tag.tagName === 'SCRIPT' && !tag.text.includes('marker') ? ['script'] : [])])"""
        )
        assert active == [], name
        text = " ".join(page.evaluate("document.documentElement.textContent").split())
        if name != "pictures.md":  # there, the texts are names of pictures
            for hostile in HOSTILE:
                assert " ".join(visible(hostile).split()) in text, f"{name} shows {hostile!r}"
        context.close()


def test_our_pages_forbid_scripts(browser: Browser, html_pages: dict[str, str]) -> None:
    for name, content in html_pages.items():
        if name == "figures":  # a part of the release page
            continue
        page = browser.new_page()
        page.set_content(content.replace("</body>", "<script>window.ran = 1</script></body>"))
        assert page.evaluate("window.ran") is None, name
        page.close()
