"""Whether the ports beside S3 let nobody in who has no certificate of the store.

`weed` serves a port in plain text when it cannot use the certificates that it was given, and
says so in its log at most; therefore a server that was just started is asked.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from typing import Final

from genept.store.certificates import Certificates
from genept.store.server import GRPC_OFFSET, LOOPBACK

SECONDS: Final = 5.0


def inner_ports(ports: Mapping[str, int]) -> dict[str, int]:
    """Every port of a server but S3's own, by a name for people."""
    http = {service: port for service, port in ports.items() if service != "s3"}
    grpc = {f"{service}'s gRPC": port + GRPC_OFFSET for service, port in ports.items()}
    return http | grpc


def open_ports(ports: Mapping[str, int], certificates: Certificates) -> list[str]:
    """Names of the inner ports that do not ask for a certificate, or do not show the right one.

    Raises
    ------
    OSError
        Nobody answers at a port.
    """
    known = certificates.client()
    stranger = certificates.client(with_certificate=False)
    return [
        name
        for name, port in inner_ports(ports).items()
        if not _shakes_hands(port, known) or _lets_in(port, stranger)
    ]


def _shakes_hands(port: int, context: ssl.SSLContext) -> bool:
    """Whether the port speaks TLS, with the certificate of this store."""
    with socket.create_connection((LOOPBACK, port), SECONDS) as connection:
        try:
            context.wrap_socket(connection, server_hostname=LOOPBACK).close()
        except ssl.SSLError:
            return False
    return True


def _lets_in(port: int, context: ssl.SSLContext) -> bool:
    """Whether anything but a refusal follows the handshake.

    In TLS 1.3 a client learns only from the first read that its certificate was asked for.
    """
    with socket.create_connection((LOOPBACK, port), SECONDS) as connection:
        try:
            with context.wrap_socket(connection, server_hostname=LOOPBACK) as channel:
                channel.sendall(b"GET / HTTP/1.0\r\n\r\n")
                channel.recv(1)
        except (ssl.SSLError, ConnectionError):
            return False
    return True
