"""Pages of releases behind the guard: what a manifest lists, and nothing else."""

from __future__ import annotations

import asyncio
import secrets

import httpx
import pytest
from declared_rows import candidate
from starlette.responses import PlainTextResponse

from genept.client.pages.site_pages import release_site
from genept.common.errors import UnreachableStoreError
from genept.release.publish import Releases
from orchestration.guard import Guard
from orchestration.release_pages import ReleasePages

TOKEN = "a-token-that-only-tests-know"


@pytest.fixture(scope="module")
def releases(planted_lake):
    return Releases(planted_lake, f"tests/release-pages-{secrets.token_hex(4)}")


@pytest.fixture(scope="module")
def release_id(releases):
    return releases.publish(candidate(releases.lake), pages=release_site).manifest.release_id


def fetch(open_releases, path, method="GET", **headers):
    app = Guard(
        ReleasePages(PlainTextResponse("the UI"), open_releases), TOKEN, ["genept.test"], "hint"
    )

    async def request():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://genept.test") as client:
            return await client.request(
                method, path, headers={"Authorization": f"Bearer {TOKEN}"} | headers
            )

    return asyncio.run(request())


def test_a_page_its_style_and_nothing_that_could_run(releases, release_id):
    page = fetch(lambda: releases, f"/release-pages/{release_id}/site/index.html")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert release_id in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy
    assert "script-src" not in policy
    style = fetch(lambda: releases, f"/release-pages/{release_id}/site/style.css")
    assert style.headers["content-type"].startswith("text/css")


@pytest.mark.parametrize(
    "path",
    [
        "site/nothing.html",
        "../manifest.json",
        "%2e%2e/manifest.json",
        "tables/genes/data.parquet",
        "",
    ],
)
def test_what_the_manifest_does_not_list_is_not_served(releases, release_id, path):
    response = fetch(lambda: releases, f"/release-pages/{release_id}/{path}")
    assert response.status_code == 404 or response.text == "the UI"
    assert "data_version" not in response.text


def test_a_release_that_does_not_exist_is_named(releases, release_id):
    response = fetch(lambda: releases, "/release-pages/2020-01-01-nothing/site/index.html")
    assert response.status_code == 404
    assert release_id in response.text, "the latest releases are listed"


def test_without_the_token_no_page_is_shown_and_other_paths_are_the_ui(releases, release_id):
    path = f"/release-pages/{release_id}/site/index.html"
    assert fetch(lambda: releases, path, Authorization="Bearer wrong").status_code == 401
    assert fetch(lambda: releases, "/assets").text == "the UI"
    json = {"content-type": "application/json"}
    assert fetch(lambda: releases, path, "POST", **json).status_code == 405


def test_a_store_that_does_not_answer_is_reported():
    def unreachable():
        raise UnreachableStoreError("the store does not answer")

    response = fetch(unreachable, "/release-pages/any/site/index.html")
    assert response.status_code == 503
    assert "does not answer" in response.text
