"""The UI in a browser: its groups, the materialisation of a table, its checks and its picture.

Screenshots of the test are kept under `.genept/screenshots/`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from chromium import SECONDS, chromium
from installations import PROJECT, Installation
from playwright.sync_api import Browser, Page, expect
from served_ui import ServedUI, served_ui

pytestmark = [pytest.mark.browser, pytest.mark.soak, pytest.mark.index, pytest.mark.timeout(1500)]

GROUPS = (
    *("sources", "nomenclature", "collections", "text"),
    *("embeddings", "benchmarks", "models", "release"),
)
LIMITS = {
    "GENEPT_COLLECTIONS": '["pbmc-hao"]',
    "GENEPT_SPACES": '["random-384/name-go"]',
    "GENEPT_MAX_GENES": "900",
}
"""A small release that has a picture; the graph is complete."""

OPTIONS = "max_genes: 900\ncollections: [pbmc-hao]\n"
"""What a user types into the launchpad."""

SCREENSHOTS = PROJECT / ".genept" / "screenshots"


@pytest.fixture
def ui(installation: Installation) -> Iterator[ServedUI]:
    """The UI that `make ui` serves, over an installation with a release."""
    result = installation.genept("run", env=LIMITS, timeout=1200)
    assert result.returncode == 0, result.stderr[-2000:]
    with served_ui(installation, env=LIMITS) as served:
        yield served


@pytest.fixture
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


def screenshot(page: Page, name: str) -> None:
    """Save a screenshot of the page."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")


def test_a_user_materialises_a_table_and_sees_its_checks_and_picture(
    browser: Browser, ui: ServedUI
) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    page.set_default_timeout(SECONDS * 1000)
    expect.set_options(timeout=SECONDS * 1000)

    unauthenticated = browser.new_context().new_page()
    refused = unauthenticated.goto(f"{ui.address}/asset-groups")
    assert refused is not None
    assert refused.status == 401
    expect(unauthenticated.get_by_text("A token is needed")).to_be_visible()

    page.goto(ui.link)
    page.wait_for_url(lambda url: "token" not in url)
    page.goto(f"{ui.address}/asset-groups")
    page.reload()
    for group in GROUPS:
        expect(page.get_by_text(re.compile(rf"^{group}$")).first).to_be_visible()
    screenshot(page, "1-groups")

    page.goto(f"{ui.address}/overview/activity/timeline")
    expect(page.get_by_text("release", exact=True).first).to_be_visible()
    screenshot(page, "2-timeline")

    page.goto(f"{ui.address}/runs")
    finished = page.get_by_text("Success", exact=True)
    finished.first.wait_for()
    before = finished.count()
    page.goto(f"{ui.address}/assets/cell_embeddings")
    page.get_by_text("Materialize", exact=True).first.click()
    page.get_by_text(re.compile("^Launched run")).first.wait_for()
    screenshot(page, "3-launched")

    page.goto(f"{ui.address}/runs")
    expect(finished).to_have_count(before + 1)
    expect(page.get_by_text("cell_embeddings").first).to_be_visible()
    screenshot(page, "4-run-finished")

    page.goto(f"{ui.address}/assets/cell_embeddings?view=checks")
    page.get_by_text("keeps_its_declaration").first.click()
    expect(page.get_by_text("Passed", exact=True).first).to_be_visible()
    expect(page.get_by_text(re.compile(r"^\d+ expectations hold$")).first).to_be_visible()
    screenshot(page, "5-checks")

    page.goto(f"{ui.address}/assets/cell_embeddings")
    expect(page.get_by_text("Show schema").first).to_be_visible()
    page.get_by_text("Show schema").first.scroll_into_view_if_needed()
    screenshot(page, "6-metadata")
    page.get_by_text("Show Markdown", exact=False).first.click()
    picture = page.get_by_role("dialog").locator("img").first
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.complete && image.naturalWidth") > 300
    screenshot(page, "7-picture")


def test_a_user_sets_options_materialises_one_collection_and_opens_the_release_page(
    browser: Browser, ui: ServedUI
) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    page.set_default_timeout(SECONDS * 1000)
    expect.set_options(timeout=SECONDS * 1000)
    page.goto(ui.link)
    page.wait_for_url(lambda url: "token" not in url)

    page.goto(f"{ui.address}/locations/orchestration.definitions/jobs/release/playground")
    expect(page.get_by_text(re.compile("Unset: as GENEPT_COLLECTIONS says")).first).to_be_visible()
    editor = page.locator(".CodeMirror").first
    editor.evaluate("(element, text) => element.CodeMirror.setValue(text)", OPTIONS)
    screenshot(page, "8-launchpad")
    page.get_by_role("button", name="Launch Run").click()
    page.wait_for_url(re.compile("/runs/"))
    expect(page.get_by_text("Success", exact=True).first).to_be_visible()
    page.get_by_role("button", name="View tags and config").click()
    expect(page.get_by_text(re.compile("max_genes: 900")).first).to_be_visible()
    screenshot(page, "9-run-with-options")

    page.goto(f"{ui.address}/assets/ingested_collection?view=partitions")
    page.get_by_role("button", name=re.compile("Materialize")).first.click()
    page.get_by_role("button", name="Confirm").click()  # nothing came through the inbox
    page.get_by_text("Select a partition or create one").click()
    choice = page.locator(".dagster-popover")
    choice.get_by_text("pbmc-hao", exact=True).first.click()
    page.get_by_text("Launch runs to materialize").click()  # closes the choice
    page.get_by_role("button", name="Launch 1 run").click()
    screenshot(page, "10-partition")
    page.goto(f"{ui.address}/runs")
    expect(page.get_by_text("Success", exact=True)).to_have_count(3)
    page.goto(f"{ui.address}/assets/ingested_collection?view=checks")
    page.get_by_text("keeps_its_declaration").first.click()
    expect(page.get_by_text(re.compile(r"^[\d,]+ rows of \d+ tables keep")).first).to_be_visible()
    screenshot(page, "11-checks-of-the-partition")

    page.goto(f"{ui.address}/assets/published_release")
    link = page.locator('a[href*="/release-pages/"]').first
    with page.context.expect_page() as opened:
        link.click()
    release = opened.value
    expect(release.get_by_role("heading", name="Gene, cell and sample embeddings")).to_be_visible()
    style = "element => getComputedStyle(element).maxWidth"
    assert release.locator("body").evaluate(style) != "none", "the style sheet is applied"
    screenshot(release, "12-release-page")
