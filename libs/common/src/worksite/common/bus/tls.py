"""TLS towards NATS: whom we trust, and who we are."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import nats.errors
from worksite.common.errors import Permanent


class NoTls(nats.errors.Error):
    """The server speaks plain text where TLS was asked for."""

    def __str__(self) -> str:
        return "it offers no TLS, and nothing was sent to it in plain text"


@dataclass(frozen=True)
class BusTls:
    """PEM files. `authority` signed the servers' certificates (None: those that the system trusts); `certificate` and
    `key` are ours, for servers that want one. `hostname` is what theirs are for, where an address does not tell."""

    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    hostname: str | None = None

    def context(self) -> ssl.SSLContext:
        """Of the files as they are now: certificates are renewed while we run. Raises Permanent naming the setting."""
        try:
            context = ssl.create_default_context(cafile=self.authority)
        except OSError as error:  # ssl.SSLError among them
            raise Permanent(f"NATS_TLS_CA: {self.authority} cannot be used: {_why(error)}") from None
        if self.certificate:
            try:
                context.load_cert_chain(self.certificate, self.key, password="")  # never ask on a terminal
            except OSError as error:
                files = f"{self.certificate} and {self.key}"
                raise Permanent(f"NATS_TLS_CERT, NATS_TLS_KEY: {files} cannot be used: {_why(error)}") from None
        return context


def mistrust(error: Exception) -> str | None:
    """What a person has to change before TLS with this server works; None where that is not what is wrong."""
    if isinstance(error, NoTls):
        return str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message} (NATS_TLS_CA is whose word counts)"
    if isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or ""):
        return f"it refuses our certificate (NATS_TLS_CERT): {_why(error)}"
    return None


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).lower().replace("_", " ")
    return error.strerror or str(error)
