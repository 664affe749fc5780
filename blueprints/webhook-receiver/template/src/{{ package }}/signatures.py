"""Signatures of deliveries: Standard Webhooks (standardwebhooks.com), version 1 of its symmetric scheme.

A sender signs ``{id}.{timestamp}.{body}`` with HMAC-SHA256. The id is signed too: else a captured
delivery could be replayed under another one.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass

PREFIX = "whsec_"
_KEY_BYTES = range(24, 65)
_ID = re.compile(r"[A-Za-z0-9_:+=/-]{1,200}")  # no dot: it would let a body pass for a timestamp
_TIMESTAMP = re.compile(r"[0-9]{1,11}")
_VERSION = "v1"


@dataclass(frozen=True, slots=True)
class Envelope:
    """The headers of a delivery, as they came."""

    delivery_id: str
    timestamp: str
    signatures: str


def parse_secret(secret: str) -> bytes:
    """Return the key that a secret ``whsec_<base64>`` stands for.

    Raises:
        ValueError: not such a secret; the text does not quote it.
    """
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(PREFIX) or len(key) not in _KEY_BYTES:
        raise ValueError(
            "must be whsec_ and base64 of 24 to 64 bytes; try: openssl rand -base64 32"
        )
    return key


def sign(key: bytes, delivery_id: str, timestamp: str, body: bytes) -> str:
    """Return what the header ``webhook-signature`` says of a delivery that was signed with this key."""
    content = f"{delivery_id}.{timestamp}.".encode() + body
    digest = hmac.digest(key, content, hashlib.sha256)
    return f"{_VERSION},{base64.b64encode(digest).decode()}"


def is_authentic(envelope: Envelope, body: bytes, keys: Sequence[bytes]) -> bool:
    """Tell whether one of the keys made one of the signatures.

    A sender may send several signatures while it changes its secret. Takes the same time wherever
    a wrong signature begins to differ.
    """
    if not _ID.fullmatch(envelope.delivery_id) or not _TIMESTAMP.fullmatch(envelope.timestamp):
        return False
    expected = [sign(key, envelope.delivery_id, envelope.timestamp, body) for key in keys]
    presented = envelope.signatures.encode(errors="replace").split()
    matches = [hmac.compare_digest(one.encode(), each) for one in expected for each in presented]
    return any(matches)
