"""JSON that a candidate, or a program in one process with it, had a hand in."""

from __future__ import annotations

import json
from typing import Any


def read_json(data: bytes) -> Any:
    """The document, with every text fit for a Report: lone surrogates become question marks.

    Raises ValueError, also where the document is nested too deeply.
    """
    try:
        document = json.loads(data)
        return json.loads(json.dumps(document, ensure_ascii=False).encode("utf-8", "replace"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
