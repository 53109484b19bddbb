"""Addresses on a network: which of them are on this machine."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit


def is_loopback(url: str) -> bool:
    """Return whether an address is on the loopback of this machine.

    Parameters
    ----------
    url
        Of host names only ``localhost`` counts; none is resolved.

    Returns
    -------
    bool
    """
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
