"""Cursors: where a page ended, as a text that a client hands back and does not look into.

They are checked against accidents, not sealed: a forged one is only another place in what its tenant may see anyway.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from typing import Literal

MAX_LENGTH = 100
Kind = Literal["task", "document", "letter"]
_POSITIONS: dict[Kind, re.Pattern[str]] = {
    "task": re.compile(r"[0-9a-f]{32}"),
    "document": re.compile(r"[0-9]{1,18}"),  # the bus counts in 63 bits
    "letter": re.compile(r"[0-9]{1,18}"),
}


def encode(kind: Kind, position: str) -> str:
    """The kind keeps the cursors of different lists apart."""
    data = f"{kind}:{position}".encode()
    return base64.urlsafe_b64encode(data + zlib.crc32(data).to_bytes(4, "big")).decode().rstrip("=")


def decode(kind: Kind, cursor: str) -> str | None:
    """The position: an id or a number. None for what `encode` never made."""
    try:
        data = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        position = data[:-4].decode().removeprefix(f"{kind}:")
    except (binascii.Error, ValueError):
        return None
    is_ours = _POSITIONS[kind].fullmatch(position) and encode(kind, position) == cursor
    return position if is_ours else None
