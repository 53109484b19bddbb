"""Dagster's real webserver behind the guard: what a web page or another user could send."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from guarded_webserver import TOKEN, TOKENS, VIEWER_TOKEN, guarded_webserver
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from orchestration import webserver

MUTATION = "mutation { setNuxSeen }"
QUERY = "{ version }"
BODY = json.dumps({"query": MUTATION})
JSON = {"Content-Type": "application/json"}
BEARER = {"Authorization": f"Bearer {TOKEN}"}
PROXIED = "genept.example:8443"
SUBSCRIPTION = "subscription { locationStateChangeEvents { event { message } } }"


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("home")
    with guarded_webserver(home, GENEPT_UI_HOSTS=json.dumps([PROXIED])) as address:
        yield address


@pytest.fixture(scope="module")
def browser(ui: str) -> Iterator[httpx.Client]:
    """A client that has signed in by the link."""
    with httpx.Client(base_url=ui, timeout=30) as client:
        page = client.get("/assets?token=" + TOKEN + "&view=list")
        assert page.status_code == 200
        assert 'content="0; url=/assets?view=list"' in page.text
        yield client


def test_the_webserver_works_after_signing_in_by_the_link(browser: httpx.Client) -> None:
    response = browser.post("/graphql", json={"query": QUERY})
    assert response.status_code == 200
    assert response.json()["data"]["version"]
    changed = browser.post("/graphql", json={"query": MUTATION})
    assert changed.json() == {"data": {"setNuxSeen": True}}
    page = browser.get("/assets", headers={"Accept": "text/html", "Sec-Fetch-Site": "none"})
    assert page.status_code == 200
    assert "<div id=" in page.text


def test_a_webserver_without_keys_of_the_store_says_so_on_pages_of_releases(
    browser: httpx.Client,
) -> None:
    response = browser.get("/release-pages/20260101T000000.000Z-000000/site/index.html")
    assert response.status_code == 404
    assert "GENEPT_S3_ENDPOINT" in response.text


def test_the_cookie_is_limited_to_this_site_and_hidden_from_scripts(ui: str) -> None:
    response = httpx.get(f"{ui}/?token={TOKEN}")
    cookie = response.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    assert TOKEN not in response.text
    assert "Secure" not in cookie
    proxied = httpx.get(
        f"{ui}/?token={TOKEN}", headers={"Host": PROXIED, "X-Forwarded-Proto": "https"}
    )
    assert "Secure" in proxied.headers["set-cookie"]


CROSS_SITE: dict[str, tuple[str, str, dict[str, str], str | None]] = {
    "mutation by GET": ("GET", f"/graphql?query={MUTATION}", {}, None),
    "query by GET": ("GET", f"/graphql?query={QUERY}", {}, None),
    "mutation by HEAD": ("HEAD", f"/graphql?query={MUTATION}", {}, None),
    "by GET, escaped": ("GET", f"/%67raphql?query={MUTATION}", {}, None),
    "the playground": ("GET", "/graphql", {"Accept": "text/html"}, None),
    "text/plain": ("POST", "/graphql", {"Content-Type": "text/plain"}, BODY),
    "no content type": ("POST", f"/graphql?query={MUTATION}", {}, None),
    "application/graphql": ("POST", "/graphql", {"Content-Type": "application/graphql"}, MUTATION),
    "a form": (
        *("POST", f"/graphql?query={MUTATION}"),
        {"Content-Type": "application/x-www-form-urlencoded"},
        "a=b",
    ),
    "text/plain that names JSON": (
        *("POST", "/graphql"),
        {"Content-Type": "text/plain; application/json"},
        BODY,
    ),
    "an event by form": (
        *("POST", "/report_asset_materialization/genes"),
        {"Content-Type": "text/plain"},
        "{}",
    ),
    "foreign origin": ("POST", "/graphql", {**JSON, "Origin": "https://evil.example"}, BODY),
    "origin of another port": (
        *("POST", "/graphql"),
        {**JSON, "Origin": "http://127.0.0.1:1"},
        BODY,
    ),
    "no origin of its own": ("POST", "/graphql", {**JSON, "Origin": "null"}, BODY),
    "foreign site": ("POST", "/graphql", {**JSON, "Sec-Fetch-Site": "cross-site"}, BODY),
    "site of another port": ("POST", "/graphql", {**JSON, "Sec-Fetch-Site": "same-site"}, BODY),
    "picture of another site": (
        *("GET", "/server_info"),
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        None,
    ),
    "frame of another site": (
        *("GET", "/"),
        {
            "Sec-Fetch-Site": "cross-site",
            "Sec-Fetch-Mode": "navigate",
            "Sec-Fetch-Dest": "iframe",
        },
        None,
    ),
    "foreign host": ("POST", "/graphql", {**JSON, "Host": "evil.example"}, BODY),
    "foreign host that is read": ("GET", "/server_info", {"Host": "rebound.example:3000"}, None),
    "host with origin": (
        *("POST", "/graphql"),
        {**JSON, "Host": "evil.example", "Origin": "http://evil.example"},
        BODY,
    ),
    "origin of another own host": (
        *("POST", "/graphql"),
        {**JSON, "Origin": f"https://{PROXIED}"},
        BODY,
    ),
    "preflight": (
        *("OPTIONS", "/graphql"),
        {"Access-Control-Request-Method": "POST"},
        None,
    ),
    "another method": ("PUT", "/graphql", JSON, BODY),
}


@pytest.mark.parametrize("name", CROSS_SITE)
def test_requests_of_another_site_are_refused_even_with_the_cookie(
    browser: httpx.Client, name: str
) -> None:
    method, path, headers, body = CROSS_SITE[name]
    refused = browser.request(method, path, headers=headers, content=body)
    assert refused.status_code == 403
    assert "access-control-allow-origin" not in refused.headers
    assert browser.cookies, "the cookie was sent"


@pytest.mark.parametrize(
    ("path", "body"), [("/", None), ("/server_info", None), ("/logs/a.err", None), ("/graphql", "")]
)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Cookie": f"genept-ui-3000={TOKEN}"},
        {"Authorization": f"Bearer {VIEWER_TOKEN}"},
    ],
)
def test_without_the_token_nothing_is_shown(
    ui: str, path: str, body: str | None, headers: dict[str, str]
) -> None:
    if body is None:
        response = httpx.get(ui + path, headers=headers)
    else:
        response = httpx.post(ui + path, json={"query": QUERY}, headers=headers)
    assert response.status_code == 401
    assert "GENEPT_UI_TOKEN" in response.text
    assert "dagster" not in response.text.lower()


def test_a_wrong_token_gives_no_cookie(ui: str) -> None:
    response = httpx.get(f"{ui}/?token=wrong", headers={"Accept": "text/html"})
    assert response.status_code == 401
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize("path", ["//evil.example/x", "/\\evil.example", "/%2F/evil.example"])
def test_the_link_leads_to_this_host_only(ui: str, path: str) -> None:
    with httpx.Client() as client:
        response = client.send(
            client.build_request("GET", httpx.URL(ui + path + f"?token={TOKEN}&a=%22%3E%3Cb%3E"))
        )
    assert response.status_code == 200
    target = response.text.split("url=", 1)[1].split('"', 1)[0]
    assert target.startswith("/")
    assert not target.startswith(("//", "/\\"))
    assert "<b>" not in response.text


def test_scripts_send_the_token_as_bearer_and_a_proxy_keeps_its_host(ui: str) -> None:
    response = httpx.post(f"{ui}/graphql", json={"query": QUERY}, headers=BEARER)
    assert response.status_code == 200
    headers = {**BEARER, "Host": PROXIED, "Origin": f"https://{PROXIED}"}
    response = httpx.post(f"{ui}/graphql", json={"query": QUERY}, headers=headers)
    assert response.status_code == 200


def test_no_page_may_be_framed_or_send_requests_elsewhere(browser: httpx.Client) -> None:
    for response in (browser.get("/"), browser.get("/graphql")):
        assert response.headers["x-frame-options"] == "DENY"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in response.headers["content-security-policy"]
    own = [
        value for key, value in browser.get("/").headers.multi_items() if "security-policy" in key
    ]
    assert len(own) == 2, "both Dagster's policy and the guard's are sent"


def websocket(ui: str, headers: dict[str, str]) -> Any:
    return connect(
        ui.replace("http", "ws") + "/graphql",
        subprotocols=[Subprotocol("graphql-ws")],
        additional_headers=headers,
        proxy=None,
    )


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://evil.example", **BEARER},
        {"Origin": "null", **BEARER},
        {"Sec-Fetch-Site": "cross-site", **BEARER},
        {"Authorization": "Bearer wrong"},
    ],
)
def test_websockets_of_other_origins_are_refused(ui: str, headers: dict[str, str]) -> None:
    with pytest.raises((InvalidStatus, ConnectionClosed)) as refused, websocket(ui, headers):
        pass
    assert "403" in str(refused.value)


def test_a_websocket_of_the_ui_is_subscribed(ui: str, browser: httpx.Client) -> None:
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    with websocket(ui, {"Origin": ui, "Cookie": cookie}) as open_socket:
        open_socket.send(json.dumps({"type": "connection_init"}))
        assert json.loads(open_socket.recv(30)) == {"type": "connection_ack"}
        start = {"type": "start", "id": "1", "payload": {"query": SUBSCRIPTION}}
        open_socket.send(json.dumps(start))
        open_socket.send(json.dumps({"type": "stop", "id": "1"}))


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (["--read-only"], {"GENEPT_UI_TOKEN": TOKEN}, "GENEPT_VIEWER_TOKEN is not set"),
        ([], {"GENEPT_VIEWER_TOKEN": TOKEN}, "GENEPT_UI_TOKEN is not set"),
        ([], {"GENEPT_UI_TOKEN": "guessed"}, "at least 20"),
        (["--no-such"], {"GENEPT_UI_TOKEN": TOKEN}, "No such option"),
    ],
)
def test_the_webserver_does_not_start_without_a_strong_token(
    arguments: list[str],
    environment: dict[str, str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in TOKENS:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("uvicorn.run", None)  # put back afterwards
    with pytest.raises(SystemExit, match=message) as refused:
        webserver.main(arguments)
    assert "guessed" not in str(refused.value)


def test_the_webserver_does_not_start_where_the_guard_cannot_be_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GENEPT_UI_TOKEN", TOKEN)
    monkeypatch.setattr("uvicorn.run", None)
    monkeypatch.setattr("dagster_webserver.cli.uvicorn", object())
    with pytest.raises(SystemExit, match="the guard cannot be put"):
        webserver.main([])


@pytest.mark.slow
def test_a_viewer_signs_in_with_its_own_token_and_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    home = tmp_path_factory.mktemp("viewer")
    with guarded_webserver(home, "--read-only") as viewer:
        assert httpx.get(viewer, headers=BEARER).status_code == 401
        headers = {"Authorization": f"Bearer {VIEWER_TOKEN}"}
        reload = "mutation { reloadWorkspace { __typename } }"
        response = httpx.post(f"{viewer}/graphql", json={"query": reload}, headers=headers)
        assert response.json()["data"]["reloadWorkspace"]["__typename"] == "UnauthorizedError"
