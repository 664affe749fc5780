"""What of the project a test asks for: one that only runs programs of the machine's shows nothing about the project."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from posixpath import normpath

from worksite.validator.domain.runners import is_runner

_WORD = re.compile(r"[^\s;&|()<>`'\"=]+")
_MODULE = re.compile(r"(?:^|[\s;])(?:-m|import|from)\s+([A-Za-z_]\w*)")


def runs_something_of(files: Collection[str], roots: Sequence[str], argv: Sequence[str]) -> bool:
    """Whether a command line names a file or folder of the tree, a module that Python finds in it, or a program such as
    make that obeys a file at its top.

    Lines for a shell, or for `python -c`, are taken word by word. Nothing of the tree is ever installed, so no console
    script is the project's: a word without a slash in the first place is a program of the machine's.
    """
    if any(is_runner(argv, name) for name in files if "/" not in name):
        return True
    if any(is_module_of(files, roots, module) for module in _MODULE.findall(" ".join(argv))):
        return True
    return any(_lies_in(files, word) for word in set(_words(argv)))


def is_module_of(files: Collection[str], roots: Sequence[str], module: str) -> bool:
    """Whether the module, or the package that it is in, lies in the tree."""
    top = module.partition(".")[0]
    places = [normpath(f"{root}/{top}") for root in (*roots, ".")]
    return any(f"{place}.py" in files or _is_folder(files, place) for place in places)


def _words(argv: Sequence[str]) -> Iterator[str]:
    program, *arguments = argv
    for part in (*([program] if "/" in program else []), *arguments):
        yield from (part, *_WORD.findall(part))


def _lies_in(files: Collection[str], word: str) -> bool:
    place = normpath(word)
    return place in files or _is_folder(files, place)


def _is_folder(files: Collection[str], place: str) -> bool:
    return any(name.startswith(f"{place}/") for name in files)
