"""Making what git said fit to show."""

from __future__ import annotations

import re

MAX_CHARACTERS = 500
_USERINFO = re.compile(r"(?<=://)[^/\s]*@")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]")


def presentable(text: str) -> str:
    """One short line without credentials and control characters; remotes can make git print anything.

    What is too long loses its beginning: the reason stands at the end.
    """
    lines = (" ".join(_CONTROL.sub(" ", line).split()) for line in _USERINFO.sub("", text).splitlines())
    line = "; ".join(line for line in lines if line)
    return line if len(line) <= MAX_CHARACTERS else "…" + line[1 - MAX_CHARACTERS :]
