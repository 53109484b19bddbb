"""Which servers a download may contact: named hosts, over TLS, at public addresses only.

The address that was checked is the one that is connected to (the name goes along for TLS
and `Host`), so a name that resolves differently a moment later leads nowhere else. Also what an
answer's status and headers mean; what is requested, and what is kept, is in `http`.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Final
from urllib.request import getproxies, proxy_bypass

import httpx

from genept.common import SourceError

MAX_REDIRECTS: Final = 8
_KEPT_ALIVE: Final = 8
_TEMPORARY: Final = {408, 425, 429, *range(500, 600)}
_AGENT: Final = "genept-platform (public data, conditional requests)"


class TransientError(SourceError):
    """The server or the way to it failed: worth another try."""

    def __init__(self, message: str, *, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait, self.progressed = wait, False


class AbsentError(SourceError):
    """The server answers, but does not have the file."""


@dataclass(frozen=True)
class Location:
    """Address of one file, and what its redirects may lead to.

    Parameters
    ----------
    name
        What messages call it: an address without credentials or signature.
    url
        The address itself, made when it is needed, since a signature expires.
    hosts
        Hosts that it, and its redirects, may lead to.
    trusted
        The operator named this address (a mirror, an override, the own store): it may be
        private. Where it redirects to may not.
    """

    name: str
    url: Callable[[], str]
    hosts: frozenset[str] = field(default_factory=frozenset)
    trusted: bool = False


def resolve(host: str, port: int) -> list[str]:
    """Addresses of a host, in the order in which to try them."""
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise TransientError(
            f"the name {host} cannot be resolved ({error}); check the network"
        ) from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in entries))


class Network:
    """Opens answers to GET requests, redirect by redirect, each one checked.

    Parameters
    ----------
    connect_timeout, read_timeout
        Seconds until a connection, and between two pieces of an answer.
    tls
        Certificates to believe; by default the usual ones, or SSL_CERT_FILE's.
    resolver
        Turns a host and port into addresses.
    """

    def __init__(
        self,
        *,
        connect_timeout: float = 10.0,
        read_timeout: float = 60.0,
        tls: ssl.SSLContext | None = None,
        resolver: Callable[[str, int], list[str]] = resolve,
    ) -> None:
        self.timeout = httpx.Timeout(read_timeout, connect=connect_timeout)
        self.resolver = resolver
        self._tls = tls
        self._keep, self._lock = 0, threading.Lock()
        self._clients: dict[tuple[str | None, str], httpx.Client] = {}

    @contextmanager
    def kept_alive(self) -> Iterator[Network]:
        """The same for many small requests: connections stay open as long as the context."""
        self._tls = self._tls or httpx.create_ssl_context()
        other = copy(self)
        other._keep, other._clients = _KEPT_ALIVE, {}
        try:
            yield other
        finally:
            for client in other._clients.values():
                client.close()

    @contextmanager
    def open(self, location: Location, headers: dict[str, str]) -> Iterator[httpx.Response]:
        """The answer to a GET, its body not yet read.

        Raises
        ------
        TransientError
            No server could be reached.
        SourceError
            It leads to where nothing may be asked for, or in circles.
        """
        origin = url = httpx.URL(location.url())
        for _ in range(MAX_REDIRECTS + 1):
            with self._ask(
                url, location, headers, same_origin=_origin(url) == _origin(origin)
            ) as answer:
                if not answer.has_redirect_location:
                    yield answer
                    return
                url = url.join(answer.headers["location"])
        raise SourceError(f"{location.name} redirects more than {MAX_REDIRECTS} times: refused")

    @contextmanager
    def _ask(
        self, url: httpx.URL, location: Location, headers: dict[str, str], *, same_origin: bool
    ) -> Iterator[httpx.Response]:
        trusted = location.trusted and same_origin
        _check(url, location, trusted=trusted)
        proxy = None if trusted else _proxy(url)
        # A proxy, which the operator chose, resolves names itself.
        targets = [url.host] if trusted or proxy else self._public(url)
        answer = self._first(url, targets, headers, proxy, location.name)
        try:
            yield answer
        finally:
            answer.close()

    def _public(self, url: httpx.URL) -> list[str]:
        addresses = self.resolver(url.host, url.port or 443)
        if hidden := [address for address in addresses if not ip_address(address).is_global]:
            raise SourceError(
                f"{url.host} resolves to {hidden[0]}, which is no public address: refused. If that "
                "is meant, name it as a mirror (GENEPT_MIRRORS) or in GENEPT_ADDRESSES"
            )
        return addresses

    def _first(
        self, url: httpx.URL, targets: list[str], headers: dict[str, str], proxy: str | None,
        name: str,
    ) -> httpx.Response:  # fmt: skip
        failure = f"{url.host} has no address"
        client = self._client(proxy, url.host)
        for target in targets:
            request = client.build_request(
                "GET",
                url.copy_with(host=target),
                headers={"Host": url.netloc.decode("ascii"), **headers},
                extensions={"sni_hostname": url.host},
            )
            try:
                return client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = str(error) or "no connection in time"
            except httpx.TransportError as error:
                failure = f"{type(error).__name__} {error}".strip()
                break
        raise TransientError(
            f"{name} does not answer ({failure}); check the network, or name a mirror"
        )

    def _client(self, proxy: str | None, host: str) -> httpx.Client:
        """One for each host: two at the same address must not share a connection."""
        with self._lock:
            if (proxy, host) not in self._clients:
                self._tls = self._tls or httpx.create_ssl_context()
                self._clients[proxy, host] = httpx.Client(
                    verify=self._tls,
                    trust_env=False,
                    proxy=proxy,
                    timeout=self.timeout,
                    # Whole files are few and large: their connections end with the answer.
                    limits=httpx.Limits(max_keepalive_connections=self._keep),
                    # As stored: what is hashed must be what was published.
                    headers={"User-Agent": _AGENT, "Accept-Encoding": "identity"},
                )
        return self._clients[proxy, host]


@dataclass(frozen=True)
class Version:
    """By what a server tells one version of a file from another."""

    etag: str | None = None
    modified: str | None = None

    @property
    def tag(self) -> str | None:
        """The one value that changes with the file, if the server gives any."""
        return self.etag or self.modified

    @property
    def strong(self) -> str | None:
        """What a resumed transfer may be tied to: it changes with every byte."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.modified

    def conditions(self) -> dict[str, str]:
        """Headers that ask for the file only if it is another version."""
        if self.etag:
            return {"If-None-Match": self.etag}
        return {"If-Modified-Since": self.modified} if self.modified else {}

    @classmethod
    def of(cls, answer: httpx.Response) -> Version:
        """The version that an answer speaks of."""
        return cls(answer.headers.get("etag"), answer.headers.get("last-modified"))


def refuse_status(answer: httpx.Response, location: Location, longest_wait: float) -> None:
    """Turn an answer that is no file into an error.

    Raises
    ------
    TransientError
        It may be another one soon (429, 5xx).
    AbsentError
        The file is not there.
    SourceError
        It is refused, or the server asks for a wait of more than `longest_wait` seconds.
    """
    status, name = answer.status_code, location.name
    if status in (200, 206, 304):
        return
    if status in (404, 410):
        raise AbsentError(f"{name} is not there ({status}): it may have moved")
    if status in _TEMPORARY:
        wait = _retry_after(answer.headers.get("retry-after", ""))
        if wait > longest_wait:
            raise SourceError(f"{name} answered {status}: it asks to come back in {wait:.0f} s")
        raise TransientError(f"{name} answered {status}", wait=wait)
    raise SourceError(f"{name} answered {status} {answer.reason_phrase}: refused")


def _retry_after(value: str) -> float:
    """Seconds that a server asks for, as a number or as a date; 0 for none."""
    if value.isdigit():
        return float(value)
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    return max(0.0, (when.astimezone(UTC) - datetime.now(UTC)).total_seconds())


def _check(url: httpx.URL, location: Location, *, trusted: bool) -> None:
    if trusted and url.scheme in ("http", "https"):
        return
    name, leads_to = location.name, f"{url.scheme}://{url.host}"
    if url.scheme != "https":
        raise SourceError(f"{name} leads to {leads_to}, which is not https://: refused")
    if url.host not in location.hosts:
        raise SourceError(
            f"{name} leads to the host {url.host!r}; its catalogue entry allows "
            f"{sorted(location.hosts)}: refused. If the publisher moved there, add it to `hosts`"
        )
    if url.port not in (None, 443) or url.userinfo:
        raise SourceError(f"{name} leads to {leads_to}, an unusual port or user: refused")


def _proxy(url: httpx.URL) -> str | None:
    proxy = getproxies().get("https")
    return None if proxy is None or proxy_bypass(url.host) else proxy


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
