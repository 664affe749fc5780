"""Material in what a model is told: named at both ends, and unable to end its own section or to begin another."""

from __future__ import annotations

import re

NAMES = (
    "request", "answer", "project", "knowledge", "example", "spec", "acceptance-test", "files", "findings", "question",
    "passage", "advice", "judgement", "change", "package", "conflicts",
)  # fmt: skip
"""Of all sections of all agents."""

_TAG = re.compile(rf"<(?=[\s/]*(?:{'|'.join(NAMES)})\b)", re.IGNORECASE)
# Control characters but tabs and ends of lines, and what is not seen or turns what is: zero width, direction, tags.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]"
    "|\r(?!\n)"
)


def section(name: str, text: str) -> str:
    """`text` between tags of this name."""
    return f"<{name}>\n{harmless(text)}\n</{name}>"


def harmless(text: str) -> str:
    """`text` with tags of ours as `&lt;request>`, and with characters that nobody sees as `\\u200b`."""
    return _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], _TAG.sub("&lt;", text))
