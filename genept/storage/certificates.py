"""Certificates for mutual TLS between the servers of SeaweedFS.

Each server presents a certificate and requires one of the same authority, so other clients are
refused before a request is read. In a container,
`python -m genept.storage.certificates FOLDER HOST… -- weed …` starts a server with them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import ssl
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final

from genept.common import private_folder, sync, write_privately

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate, GeneralName

VALID: Final = timedelta(days=3650)
RENEWED_BEFORE: Final = timedelta(days=365)
"""Certificates that expire sooner are renewed at the next start."""

BEGINS_BEFORE: Final = timedelta(days=1)
"""Tolerance for clocks that are set back."""

GRPC_PARTS: Final = ("MASTER", "VOLUME", "FILER", "S3", "ADMIN", "WORKER", "CLIENT")
HTTPS_PARTS: Final = ("MASTER", "VOLUME", "FILER", "ADMIN", "CLIENT")


@dataclass(frozen=True)
class Certificates:
    """The files of a store: the authority's certificate, the server certificate and its key.

    The authority's key is not stored, so no further certificate can be signed.
    """

    folder: Path

    @property
    def authority(self) -> Path:
        """The certificate of the authority."""
        return self.folder / "authority.pem"

    @property
    def certificate(self) -> Path:
        """The certificate that each server presents, as server and as client."""
        return self.folder / "store.pem"

    @property
    def key(self) -> Path:
        """The certificate's private key."""
        return self.folder / "store.key"

    def environment(self) -> dict[str, str]:
        """Return the environment with which `weed` requires mutual TLS on its internal ports."""
        pair = {"CERT": str(self.certificate), "KEY": str(self.key)}
        grpc = {
            f"WEED_GRPC_{part}_{name}": path for part in GRPC_PARTS for name, path in pair.items()
        }
        https = {
            f"WEED_HTTPS_{part}_{name}": path
            for part in HTTPS_PARTS
            for name, path in {**pair, "CA": str(self.authority)}.items()
        }
        authority = {"WEED_GRPC_CA": str(self.authority), "WEED_HTTPS_CLIENT_ENABLED": "true"}
        return authority | grpc | https

    def client(self, *, with_certificate: bool = True) -> ssl.SSLContext:
        """Return the TLS context of a client of an internal port, with or without certificate."""
        context = ssl.create_default_context(cafile=str(self.authority))
        if with_certificate:
            context.load_cert_chain(self.certificate, self.key)
        return context

    def fingerprint(self) -> str:
        """Return a hash of the certificates; empty if there are none, or they expire soon."""
        try:
            known = ssl.create_default_context(cafile=str(self.authority)).get_ca_certs()
            first, last = (
                datetime.fromtimestamp(ssl.cert_time_to_seconds(str(known[0][name])), UTC)
                for name in ("notBefore", "notAfter")
            )
            self.client()  # certificate and key belong together
            content = self.certificate.read_bytes() + self.key.read_bytes()
        except (OSError, IndexError, KeyError, ValueError):
            return ""
        if not first <= datetime.now(UTC) < last - RENEWED_BEFORE:
            return ""
        return hashlib.sha256(content).hexdigest()


def ensured(folder: Path, hosts: tuple[str, ...] = ()) -> Certificates:
    """Return the certificates in `folder`; they are created or renewed if necessary.

    Parameters
    ----------
    folder
        Gets mode 0700. Its files are replaced together.
    hosts
        Names and addresses of the server besides loopback.

    Raises
    ------
    OSError
        The folder cannot be written.
    """
    known = Certificates(folder)
    if known.fingerprint():
        private_folder(folder)
        return known
    fresh = Certificates(folder.with_name(folder.name + ".new"))
    shutil.rmtree(fresh.folder, ignore_errors=True)
    private_folder(fresh.folder)
    _make(fresh, ("localhost", "127.0.0.1", "::1", *hosts))
    shutil.rmtree(folder, ignore_errors=True)
    fresh.folder.rename(folder)
    sync(folder.parent)
    return known


def _make(files: Certificates, hosts: tuple[str, ...]) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _signed("genept store authority", authority_key, None, authority_key, [])
    key = ec.generate_private_key(ec.SECP256R1())
    names = [_general_name(host) for host in hosts]
    certificate = _signed("genept store", key, authority, authority_key, names)
    write_privately(files.authority, authority.public_bytes(Encoding.PEM))
    write_privately(files.certificate, certificate.public_bytes(Encoding.PEM))
    write_privately(files.key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _signed(
    name: str,
    key: EllipticCurvePrivateKey,
    issuer: Certificate | None,
    issuer_key: EllipticCurvePrivateKey,
    hosts: list[GeneralName],
) -> Certificate:
    """A certificate for `key`; of an authority if there is no issuer."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BEGINS_BEFORE)
        .not_valid_after(now + VALID)
        .add_extension(x509.BasicConstraints(issuer is None, None if issuer else 0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
        .add_extension(
            x509.KeyUsage(
                digital_signature=issuer is not None,
                key_cert_sign=issuer is None,
                crl_sign=issuer is None,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
    )
    if issuer:
        both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage(both), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _general_name(host: str) -> GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def main(arguments: list[str]) -> None:
    """Replace this process by a command with the certificates of `FOLDER` in its environment."""
    split = arguments.index("--")
    (folder, *hosts), command = arguments[:split], arguments[split + 1 :]
    certificates = ensured(Path(folder), tuple(hosts))
    os.umask(0o077)
    os.execvpe(command[0], command, os.environ | certificates.environment())  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
