"""What a change does to a project's files, with the line numbers of the head, from a patch as git writes it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

MAX_SHOWN = 60_000
"""Characters of all files together: about 20,000 tokens."""
MAX_FILE = 15_000
MAX_LINE = 400
MAX_NAMED = 50
_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_NOWHERE = "/dev/null"
_QUOTED = re.compile(r"\\([0-7]{3}|.)")
_ESCAPED = dict(zip('abtnvfr"\\', '\a\b\t\n\v\f\r"\\', strict=True))
"""Of git's quotation, which writes other control characters as octal numbers."""


@dataclass
class ChangedFile:
    """A file and its changed lines, each with some lines around it. A file that is gone has no numbers."""

    path: str
    lines: list[str] = field(default_factory=list[str])

    def shown(self) -> str:
        """Within its bound."""
        text = "\n".join([f"file: {self.path}", *self.lines])
        return text if len(text) <= MAX_FILE else f"{text[:MAX_FILE]}\n… cut: {len(self.lines)} lines in all"


def shown(files: Sequence[ChangedFile]) -> str:
    """As many files as there is room for; the others are named."""
    told, left_out, room = list[str](), list[str](), MAX_SHOWN
    for file in files:
        text = file.shown()
        if len(text) <= room:
            told.append(text)
            room -= len(text)
        else:
            left_out.append(file.path)
    if left_out:
        more = f" and {len(left_out) - MAX_NAMED} more" if len(left_out) > MAX_NAMED else ""
        told.append(f"no room to show: {', '.join(left_out[:MAX_NAMED])}{more}")
    return "\n\n".join(told)


def changed_files(patch: str) -> list[ChangedFile]:
    """Of a patch that may have been cut off anywhere. Contents cannot pass for a header: git says how long they are."""
    files: list[ChangedFile] = []
    before, lines = "", iter(patch.split("\n"))
    for line in lines:
        if line.startswith("--- "):
            before = line[4:]
        elif line.startswith("+++ "):
            files.append(ChangedFile(_name(before if line[4:] == _NOWHERE else line[4:])))
        elif files and (hunk := _HUNK.match(line)):
            old, start, new = (1 if count is None else int(count) for count in hunk.groups())
            files[-1].lines.extend(_numbered(lines, old, start, new))
    return files


def _numbered(lines: Iterator[str], old: int, number: int, new: int) -> Iterator[str]:
    """The lines of one hunk: `old` of the base and `new` of the head, which begin at `number`."""
    last = number + new
    while old > 0 or number < last:
        line = next(lines, None)
        if line is None:
            return
        kind, text = line[:1], line[1:] if len(line) <= MAX_LINE else f"{line[1:MAX_LINE]}…"
        if kind == "-":
            old -= 1
            yield f"      - {text}"
        elif kind in ("+", " "):
            old -= 0 if kind == "+" else 1
            yield f"{number:>5} {kind} {text}"
            number += 1


def _name(path: str) -> str:
    """Without git's `a/` or `b/`, and without the tab that it puts behind a name with a blank. A name with a quotation
    mark, a backslash or a control character stands in quotes, as in C; `git diff -z` changes nothing about that."""
    found = path.rstrip("\t")
    return (_QUOTED.sub(_unquoted, found[1:-1]) if found.startswith('"') else found)[2:]


def _unquoted(escape: re.Match[str]) -> str:
    sign = escape[1]
    return _ESCAPED[sign] if sign in _ESCAPED else chr(int(sign, 8))
