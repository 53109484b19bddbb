"""The guarded UI in a real browser: it works by its link, and runs nothing that comes from data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import SECONDS, chromium
from guarded_webserver import TOKEN, guarded_webserver
from hostile_text import HOSTILE
from playwright.sync_api import Browser, expect

pytestmark = [pytest.mark.browser, pytest.mark.soak, pytest.mark.timeout(SECONDS)]

CODE = f"""
import dagster as dg
from genept.common.display import markdown_text

HOSTILE = {HOSTILE!r}

@dg.asset
def hostile():
    return dg.MaterializeResult(metadata={{
        "raw": dg.MetadataValue.md("\\n\\n".join(HOSTILE)),
        "escaped": dg.MetadataValue.md("\\n".join("- x " + markdown_text(t) for t in HOSTILE)),
    }})

defs = dg.Definitions(assets=[hostile])
"""


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home: Path = tmp_path_factory.mktemp("home")
    (home / "code.py").write_text(CODE)
    with guarded_webserver(home, "--python-file", str(home / "code.py")) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


def test_the_ui_works_by_its_link_and_markdown_from_data_runs_no_script(
    browser: Browser, ui: str
) -> None:
    expect.set_options(timeout=SECONDS * 1000)
    unauthenticated = browser.new_context().new_page()
    refused = unauthenticated.goto(f"{ui}/assets")
    assert refused is not None
    assert refused.status == 401
    expect(unauthenticated.get_by_text("A token is needed")).to_be_visible()

    page = browser.new_context(viewport={"width": 1440, "height": 1000}).new_page()
    page.set_default_timeout(SECONDS * 1000)
    events: list[str] = []
    page.on("dialog", lambda dialog: (events.append("dialog"), dialog.dismiss()))
    page.goto(f"{ui}/?token={TOKEN}")
    page.wait_for_url(lambda url: "token" not in url)
    page.goto(f"{ui}/assets/hostile")
    page.reload()
    page.get_by_text("Materialize", exact=True).first.click()
    page.get_by_text(re.compile("^Launched run")).first.wait_for()
    page.goto(f"{ui}/runs")
    expect(page.get_by_text("Success", exact=True).first).to_be_visible()
    page.goto(f"{ui}/assets/hostile")
    for entry in ("raw", "escaped"):
        expect(page.get_by_text(entry, exact=True).first).to_be_visible()
    expect(page.get_by_text("x - item").first).to_be_visible()
    for button in page.get_by_text(re.compile("^Show Markdown")).all():
        button.click()
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
    links = page.locator("a").evaluate_all("links => links.map(link => link.href)")
    # Dagster's UI replaces an address that it refuses by one that does nothing.
    scripts = {link for link in links if link.lower().startswith("javascript")}
    assert scripts <= {"javascript:void(0)"}
    assert "dialog" not in events
