"""Halves of surrogate pairs: JSON can spell them (`\\ud800`), UTF-8 cannot. No journal and no request may hold one."""

from __future__ import annotations

import json
import re
from typing import Any

_HALF = re.compile("[\ud800-\udfff]")
_REPLACEMENT = "\ufffd"


def whole(value: Any) -> tuple[Any, bool]:
    """A JSON value in which pairs that came in two pieces are joined, and U+FFFD stands for what is half of none. Was
    there any such half?"""
    joined = json.dumps(json.loads(json.dumps(value)), ensure_ascii=False)
    text, halves = _HALF.subn(_REPLACEMENT, joined)
    return json.loads(text), halves > 0


def holds_half(text: str) -> bool:
    """Can the text not be written as UTF-8?"""
    return _HALF.search(text) is not None


def spelled(text: str) -> str:
    """What cannot be written is spelled with a backslash."""
    return text.encode(errors="backslashreplace").decode()
