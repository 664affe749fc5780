"""Words of a model or a client, where forges would obey them: in merge requests and commit messages.

Forges call people (@all), close issues (Closes #1), run quick actions (/approve) and leave out tests ([skip ci])
because a text says so. The one character that makes each a command is replaced by its full-width form: people read
the same.
"""

from __future__ import annotations

import re

_FULL_WIDTH = 0xFF00 - 0x20
"""From a printable ASCII character to its full-width form (Unicode block FF00)."""
_COMMANDS = re.compile(
    r"""
      ^\s*/(?=\w)                                                   # quick actions
    | [@#!&%$~](?=[\w"'({*])                                        # people, and what closes or is linked
    | (?<=\b)(?:clos(?:e[sd]?|ing)|fix(?:e[sd]|ing)?|resolv(?:e[sd]?|ing)|implement(?:s|ed|ing)?):?\s+
        (?=(?:issues?\s+)?(?:https?://|gh-\d|[a-z][a-z0-9_]+-\d))   # the same by address, or by a key as in Jira
    | \[ | \*(?=\*\*no_ci) | (?<=skip-checks):                       # tests that are left out
    | <(?=[!/a-z])                                                  # HTML, a hidden mark of ours for one
    """,
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)


def inert(text: str) -> str:
    """The same to read, and nothing to obey."""
    return _COMMANDS.sub(_replaced, text)


def _replaced(found: re.Match[str]) -> str:
    """A sign by its full-width form; behind a closing word, which letters make, a dash."""
    word = found[0]
    if word[0].isalpha():
        return f"{word.rstrip().rstrip(':')} – "
    return word[:-1] + chr(ord(word[-1]) + _FULL_WIDTH)
