"""An authority for tests, and certificates of its making."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Pem:
    """Where a certificate and its key are."""

    certificate: Path
    key: Path


class Authority:
    """Everybody who has its certificate trusts what it issues."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, _named(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._written(name, self._signed(self._name, self._key, 30, authority=True), self._key)

    def issue(self, name: str, address: str = "127.0.0.1", days: float = 1) -> Pem:
        """For a server at that address, or a client; with negative `days` it ended so long ago."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = self._signed(_named(name), key, days, address=address)
        return Pem(self._written(name, made, key), self._folder / f"{name}.key")

    def _signed(
        self,
        name: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        days: float,
        *,
        address: str = "",
        authority: bool = False,
    ) -> x509.Certificate:
        end = datetime.now(UTC) + timedelta(days=days)
        made = x509.CertificateBuilder(
            self._name, name, key.public_key(), x509.random_serial_number(), end - timedelta(days=60), end
        ).add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        if address:
            names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
            made = made.add_extension(names, critical=False)
        return made.sign(self._key, hashes.SHA256())

    def _written(self, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Path:
        path = self._folder / f"{name}.pem"
        path.write_bytes(certificate.public_bytes(Encoding.PEM))
        (self._folder / f"{name}.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return path


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
