"""Making what git said fit to show."""

from __future__ import annotations

import re
from collections.abc import Sequence

MAX_CHARACTERS = 500
_USERINFO = re.compile(r"(?<=://)[^/\s]*@")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]")


def presentable(text: str, secrets: Sequence[str] = ()) -> str:
    """One short line without credentials and control characters; remotes can make git print anything.

    What is too long loses its beginning: the reason stands at the end.
    """
    for secret in secrets:  # before anything is cut, or a part of it would be left
        text = text.replace(secret, "***")
    lines = (" ".join(_CONTROL.sub(" ", line).split()) for line in _USERINFO.sub("", text).splitlines())
    line = "; ".join(line for line in lines if line)
    return line if len(line) <= MAX_CHARACTERS else "…" + line[1 - MAX_CHARACTERS :]
