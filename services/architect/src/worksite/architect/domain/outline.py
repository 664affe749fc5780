"""A repository on one page: its files, and what their code defines, as far as it fits.

Lines are recognised, nothing is parsed: the code may be anyone's, in any language, and broken.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

MAX_PATHS = 400
MAX_CHARACTERS = 24_000
_MAX_LINES_PER_FILE = 40
_MAX_LINE = 160
_SIGNATURES: Mapping[str, re.Pattern[str]] = {
    ".py": re.compile(r"^ {0,4}(?:async def|def|class) \w.*$", re.MULTILINE),
    ".go": re.compile(r"^(?:func|type) .*$", re.MULTILINE),
    ".rs": re.compile(r"^ {0,4}pub (?:fn|struct|enum|trait|mod) .*$", re.MULTILINE),
    ".js": re.compile(r"^(?:export )?(?:default )?(?:async )?(?:function|class|const) \w.*$", re.MULTILINE),
    ".java": re.compile(r"^ {0,4}(?:public|protected) .*[{;]$", re.MULTILINE),
}
_SAME_AS = {".ts": ".js", ".tsx": ".js", ".jsx": ".js", ".mjs": ".js", ".kt": ".java", ".cs": ".java", ".pyi": ".py"}


def is_outlined(path: str) -> bool:
    """Is this a file whose definitions are shown?"""
    return _pattern(path) is not None


def tree_of(paths: Sequence[str]) -> str:
    """The files, one a line, those near the root first where there are too many."""
    shown = sorted(sorted(paths, key=lambda path: (path.count("/"), path))[:MAX_PATHS])
    rest = len(paths) - len(shown)
    return "\n".join([*shown, *([f"… and {rest} more files"] if rest else [])])


def signatures_of(sources: Iterable[tuple[str, str]]) -> str:
    """What each source defines, until the page is full."""
    page, left = list[str](), MAX_CHARACTERS
    for path, source in sources:
        block = "\n".join((f"{path}:", *_definitions(path, source)))
        if len(block) > left:
            page.append("… and more that does not fit here: read the files")
            break
        if "\n" in block:
            page.append(block)
            left -= len(block)
    return "\n".join(page)


def _definitions(path: str, source: str) -> Iterator[str]:
    pattern = _pattern(path)
    lines = [match[0].rstrip() for match in pattern.finditer(source)] if pattern else []
    for line in lines[:_MAX_LINES_PER_FILE]:
        yield f"    {line[:_MAX_LINE]}"
    if len(lines) > _MAX_LINES_PER_FILE:
        yield f"    … {len(lines) - _MAX_LINES_PER_FILE} more"


def _pattern(path: str) -> re.Pattern[str] | None:
    suffix = f".{path.rpartition('.')[2].lower()}"
    return _SIGNATURES.get(_SAME_AS.get(suffix, suffix))
