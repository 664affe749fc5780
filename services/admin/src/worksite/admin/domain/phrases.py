"""The words of a request, alone, in pairs, and as it begins: what the classifier sees beside meaning and cues.

Cues are what somebody thought of; which of the other turns of phrase tell a wish from a complaint, only counting tells.
"""

from __future__ import annotations

import re
from itertools import pairwise

from worksite.admin.domain.cues import folded

_WORDS = re.compile(r"[a-z]+(?:'[a-z]+)?|\d+|[?!:;,.()`\n]")
_NUMBER, _BEGIN, _END = "0", "<", ">"
_FIRST = 3
"""Words that a request is said to begin with."""


def found(request: str) -> frozenset[str]:
    """Each once; a number is any number, and `<` and `>` stand for where the request begins and ends."""
    words = [_NUMBER if word.isdigit() else word for word in _WORDS.findall(folded(request))]
    framed = [_BEGIN, *words, _END]
    pairs = (f"{one} {other}" for one, other in pairwise(framed))
    return frozenset((*words, *pairs, " ".join(framed[: _FIRST + 1])))
