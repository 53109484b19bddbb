"""From gene vectors in the Dagster UI to their flow run in the Prefect UI, in a browser.

Screenshots of the test are kept under `.genept/screenshots/`.
"""

import json
import re

import pytest
from chromium import SECONDS, chromium
from installations import PROJECT
from loopback_openai import LoopbackService, hashed, serving
from playwright.sync_api import expect
from prefect_server import prefect_server
from served_ui import served_ui

pytestmark = [pytest.mark.browser, pytest.mark.soak, pytest.mark.index, pytest.mark.timeout(1500)]

DECLARED = """
[embedders.loopback]
model = "loopback-48"
dimensions = 48
max_tokens = 100
dollars_per_million_tokens = 1
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with prefect_server(tmp_path_factory.mktemp("prefect-server"), with_ui=True) as served:
        yield served


@pytest.fixture
def hosted(installation):
    """Variables of an installation whose hosted embedder is a service on loopback."""
    declared = installation.state / "embedders.toml"
    declared.write_text(DECLARED)
    with serving(LoopbackService(hashed(48))) as url:
        yield {
            "GENEPT_EMBEDDERS": str(declared),
            "GENEPT_OPENAI_BASE_URL": url,
            "GENEPT_OPENAI_API_KEY": "sk-planted-marker-key",
            "GENEPT_COLLECTIONS": '["pbmc-hao"]',
            "GENEPT_SPACES": json.dumps(["loopback/name"]),
            "GENEPT_MAX_GENES": "900",
        }


def test_the_link_of_the_vectors_opens_their_flow_run(installation, hosted, server):
    variables = installation.environment(**hosted)
    settings = {k: v for k, v in variables.items() if k.startswith("GENEPT_")}
    with (
        server.worker(settings),
        served_ui(installation, env=hosted | server.environment) as ui,
        chromium() as browser,
    ):
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        page.set_default_timeout(SECONDS * 1000)
        expect.set_options(timeout=SECONDS * 1000)
        page.goto(ui.link)
        page.wait_for_url(lambda url: "token" not in url)

        page.goto(f"{ui.address}/locations/orchestration.definitions/jobs/release/playground")
        page.get_by_role("button", name="Launch Run").click()
        page.wait_for_url(re.compile("/runs/"))
        expect(page.get_by_text("Success", exact=True).first).to_be_visible()

        page.goto(f"{ui.address}/assets/gene_embeddings")
        link = page.locator('a[href*="/runs/flow-run/"]').first
        link.scroll_into_view_if_needed()
        screenshots = PROJECT / ".genept" / "screenshots"
        screenshots.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=screenshots / "13-link-to-the-flow-run.png")
        with page.context.expect_page() as opened:
            link.click()
        flow = opened.value
        flow.set_default_timeout(SECONDS * 1000)
        password = flow.locator('input[type="password"]')
        password.fill(server.key)  # nobody sees the page without the key of the server
        password.press("Enter")
        expect(flow.get_by_text("embed-texts").first).to_be_visible()
        expect(flow.get_by_text("Completed").first).to_be_visible()
        flow.screenshot(path=screenshots / "14-flow-run.png")
