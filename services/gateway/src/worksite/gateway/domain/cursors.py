"""Cursors: where a page ended, as a text that a client hands back and does not look into.

They are checked against accidents, not sealed: a forged one is only another place in what its tenant may see anyway.
"""

from __future__ import annotations

import base64
import binascii
import zlib

MAX_LENGTH = 100


def encode(kind: str, position: str) -> str:
    """`kind` keeps the cursors of different lists apart."""
    data = f"{kind}:{position}".encode()
    return base64.urlsafe_b64encode(data + _check(data)).decode().rstrip("=")


def decode(kind: str, cursor: str) -> str | None:
    """The position; None for what `encode` never made."""
    try:
        data = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        position = data[:-4].decode().removeprefix(f"{kind}:")
    except (binascii.Error, ValueError):
        return None
    return position if encode(kind, position) == cursor else None


def _check(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "big")
