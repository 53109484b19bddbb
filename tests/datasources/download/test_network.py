"""Whom a download talks to: never a private address, an unnamed host or plain HTTP."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from publisher import Fault, Publisher, publisher

from genept.common.errors import SourceError
from genept.datasources.download.http import RetryPolicy, Web
from genept.datasources.download.network import Location, Network, TransientError, Version

QUICK = RetryPolicy(attempts=2, first_wait=0.001)


@pytest.fixture
def server() -> Iterator[Publisher]:
    with publisher() as running:
        running.files["a.txt"] = b"alpha\n"
        yield running


def read(location: Location, network: Network | None = None) -> str:
    return Web(network or Network(connect_timeout=2, read_timeout=2), QUICK).text(location)


def public(address: str, *hosts: str) -> Location:
    return Location(address, lambda: address, frozenset(hosts or {"data.example.org"}))


def trusted(address: str) -> Location:
    return Location(address, lambda: address, trusted=True)


def moved(server: Publisher, target: str, *, status: int = 302) -> Location:
    server.faults["moved"] = [Fault(status=status, headers={"Location": target})] * 20
    return trusted(f"{server.url}/moved")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.9", "169.254.169.254", "0.0.0.0",  # noqa: S104
        "100.64.0.1", "::1", "fe80::1", "fd00::7", "::ffff:127.0.0.1", "240.0.0.1",
    ],
)  # fmt: skip
def test_a_public_name_must_not_lead_to_a_private_address(address: str) -> None:
    network = Network(resolver=lambda host, port: ["93.184.215.14", address])
    with pytest.raises(SourceError, match="no public address: refused.*GENEPT_MIRRORS"):
        read(public("https://data.example.org/a.txt"), network)


@pytest.mark.parametrize("literal", ["127.0.0.1", "[::1]", "2130706433", "0x7f.1", "localhost"])
def test_private_addresses_as_they_are_written_are_refused(literal: str) -> None:
    address = f"https://{literal}/a.txt"
    with pytest.raises(SourceError, match="no public address"):
        read(public(address, literal.strip("[]")))


def test_the_address_that_was_checked_is_the_one_that_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = [["93.184.215.14"], ["127.0.0.1"]]  # what a rebinding name server would say
    requests: list[httpx.Request] = []

    def record(self: httpx.Client, request: httpx.Request, **_: Any) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, stream=httpx.ByteStream(b"alpha"), request=request)

    monkeypatch.setattr(httpx.Client, "send", record)
    network = Network(resolver=lambda host, port: answers.pop(0))
    assert read(public("https://data.example.org/a.txt"), network) == "alpha"
    assert len(answers) == 1
    (request,) = requests
    assert request.url.host == "93.184.215.14"
    assert request.headers["host"] == "data.example.org"
    assert request.extensions["sni_hostname"] == "data.example.org"
    assert request.headers["accept-encoding"] == "identity"


def test_the_next_address_is_tried_when_one_does_not_connect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[str] = []

    def send(self: httpx.Client, request: httpx.Request, **_: Any) -> httpx.Response:
        tried.append(request.url.host)
        if len(tried) == 1:
            raise httpx.ConnectError("network is unreachable")
        return httpx.Response(200, stream=httpx.ByteStream(b"alpha"), request=request)

    monkeypatch.setattr(httpx.Client, "send", send)
    network = Network(resolver=lambda host, port: ["2606:2800:21f::1", "93.184.215.14"])
    assert read(public("https://data.example.org/a.txt"), network) == "alpha"
    assert tried == ["2606:2800:21f::1", "93.184.215.14"]


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("http://data.example.org/a", "not https://"),
        ("https://evil.example.org/a", "leads to the host 'evil.example.org'.*allows"),
        ("https://data.example.org:8443/a", "unusual port or user"),
        ("https://user:secret@data.example.org/a", "unusual port or user"),
        ("file:///etc/passwd", "not https://"),
    ],
)
def test_only_named_hosts_over_tls(address: str, complaint: str) -> None:
    with pytest.raises(SourceError, match=complaint) as caught:
        read(Location("x", lambda: address, frozenset({"data.example.org"})))
    assert "secret" not in str(caught.value)


def test_a_redirect_at_home_is_followed(server: Publisher) -> None:
    assert read(moved(server, "/a.txt")) == "alpha\n"
    assert read(moved(server, f"{server.url}/a.txt", status=308)) == "alpha\n"


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        ("http://169.254.169.254/latest/meta-data", "not https://"),
        ("https://169.254.169.254/latest/meta-data", "the host '169.254.169.254'"),
        ("https://127.0.0.1/", "the host '127.0.0.1'"),
        ("https://elsewhere.example.org/a.txt", "the host 'elsewhere.example.org'"),
        ("file:///etc/passwd", "not https://"),
        ("//elsewhere.example.org/a.txt", "not https://"),
    ],
)
def test_a_redirect_leads_nowhere_else(server: Publisher, target: str, complaint: str) -> None:
    with pytest.raises(SourceError, match=complaint):
        read(moved(server, target))


def test_another_port_of_this_machine_is_not_home(server: Publisher) -> None:
    with publisher() as other:
        other.files["a.txt"] = b"inside"
        with pytest.raises(SourceError, match="not https://"):
            read(moved(server, f"{other.url}/a.txt"))
        assert other.seen == []


def test_a_named_host_that_resolves_inwards_is_refused_after_a_redirect(
    server: Publisher,
) -> None:
    location = moved(server, "https://cdn.example.org/a.txt")
    location = Location(location.name, location.url, frozenset({"cdn.example.org"}), trusted=True)
    network = Network(resolver=lambda host, port: ["127.0.0.1"])
    with pytest.raises(SourceError, match=r"cdn\.example\.org resolves to 127\.0\.0\.1"):
        read(location, network)


def test_redirects_in_circles_end(server: Publisher) -> None:
    with pytest.raises(SourceError, match="redirects more than 8 times"):
        read(moved(server, "/moved"))


def test_a_name_that_does_not_resolve_is_named() -> None:
    with pytest.raises(TransientError, match=r"nowhere\.invalid cannot be resolved"):
        read(public("https://nowhere.invalid/a.txt", "nowhere.invalid"))


def test_tls_is_checked_against_the_name(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", str(key)]
    command += ["-addext", "subjectAltName=DNS:localhost", "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    inside = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    inside.load_cert_chain(certificate, key)
    server = Publisher()
    server.files["a.txt"] = b"alpha"
    server.socket = inside.wrap_socket(server.socket, server_side=True)
    with publisher(server):
        network = Network(tls=ssl.create_default_context(cafile=str(certificate)))
        assert read(trusted(f"https://localhost:{server.server_port}/a.txt"), network) == "alpha"
        with pytest.raises(TransientError, match="(?i)certificate"):
            read(trusted(f"https://127.0.0.1:{server.server_port}/a.txt"), network)
        with pytest.raises(TransientError, match="(?i)certificate"):
            read(trusted(f"https://localhost:{server.server_port}/a.txt"))


def test_long_or_binary_texts_are_refused(server: Publisher) -> None:
    server.files["long"], server.files["binary"] = bytes(2 << 20), b"\xff\xfe\xfa"
    with pytest.raises(SourceError, match="longer than"):
        read(trusted(f"{server.url}/long"))
    with pytest.raises(SourceError, match="no UTF-8"):
        read(trusted(f"{server.url}/binary"))


@pytest.mark.parametrize(
    ("version", "conditions", "strong"),
    [
        (Version('"e"', "d"), {"If-None-Match": '"e"'}, '"e"'),
        (Version('W/"e"', "d"), {"If-None-Match": 'W/"e"'}, "d"),
        (Version(None, "d"), {"If-Modified-Since": "d"}, "d"),
        (Version(), {}, None),
    ],
)
def test_a_version_knows_what_to_ask(
    version: Version, conditions: dict[str, str], strong: str | None
) -> None:
    assert version.conditions() == conditions
    assert version.strong == strong
