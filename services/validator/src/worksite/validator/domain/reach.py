"""What of the project a test asks for: one that only runs programs of the machine's shows nothing about the project.

A word too many that counts lets a test with little in it stand; a word too few makes a right candidate ENVIRONMENT for
ever. So whatever a line names counts, unless nothing on it can run any of it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from posixpath import normpath

from worksite.validator.domain.runners import is_runner
from worksite.validator.domain.started import programs

_WORDS = (re.compile(r"[^\s;&|()<>`'\"=]+"), re.compile(r"[^\s;&|()<>`'\"=,:\[\]{}]+"))
"""Of a line for a shell or a piece of Python, the second for lists and `path:part`; a file's name may hold a comma."""
_HERE = re.compile(r"\$(?:PWD|\{PWD\}|\(pwd\))\"?/")
_ALL = frozenset((".", "./..."))
"""How go, python and others name the whole tree."""
_PYTHON = re.compile(r"\b(?:python|pypy)[\d.]*\b")
_NAME = re.compile(r"[\w./-]+")
_MODULE = re.compile(r"(?:-[A-Za-z]*?m)?([^\W\d]\w*(?:\.\w+)*)")
_AFTER_M = re.compile(r"(?<!\S)-m\s*([^\W\d][\w.]*)")
_ONLY_SHOW = frozenset(
    (*("echo", "printf", "true", "false", ":", "test", "[", "[["), *("cat", "ls", "cd", "pwd", "set", "exit"))
)
"""Programs that run nothing of what they are given."""


def runs_something_of(files: Collection[str], roots: Sequence[str], argv: Sequence[str]) -> bool:
    """Whether a command line names a file or folder of the tree, all of it (`.`), a module that Python finds in it, or
    a program such as make that obeys a file at its top, and starts more than programs that only show what they are
    given.

    Lines for a shell, or for `python -c`, are taken word by word; where a Python is started, each word may be a module.
    Nothing of the tree is ever installed, so no console script is the project's: a word without a slash in the first
    place is a program of the machine's. Raises ValueError where there is no program.
    """
    if not argv:
        raise ValueError("a command line needs a program, such as run('python', '-m', 'package'): this one is empty")
    if all(_only_shows(files, program) for program in programs(argv)):
        return False
    return (
        any(is_runner(argv, name) for name in files if "/" not in name)
        or any(is_module_of(files, roots, module) for module in _modules(argv))
        or any(word in _ALL for argument in argv[1:] for word in argument.split())
        or any(_lies_in(files, word) for word in set(_words(argv)))
    )


def is_module_of(files: Collection[str], roots: Sequence[str], module: str) -> bool:
    """Whether the module, or the package that it is in, lies in the tree."""
    top = module.partition(".")[0]
    places = [normpath(f"{root}/{top}") for root in (*roots, ".")]
    return any(f"{place}.py" in files or _is_folder(files, place) for place in places)


def _only_shows(files: Collection[str], program: str) -> bool:
    own = "/" in program and _lies_in(files, program)
    return not own and program.rpartition("/")[2] in _ONLY_SHOW


def _modules(argv: Sequence[str]) -> Iterator[str]:
    yield from _AFTER_M.findall(" ".join(argv))
    if _PYTHON.search(" ".join(argv)):
        names = (name.rstrip(".-") for argument in argv[1:] for name in _NAME.findall(argument))
        yield from (found[1] for name in names if (found := _MODULE.fullmatch(name)))


def _words(argv: Sequence[str]) -> Iterator[str]:
    program, *arguments = argv
    for part in (*([program] if "/" in program else []), *arguments):
        yield part
        for words in _WORDS:
            yield from words.findall(_HERE.sub("./", part))


def _lies_in(files: Collection[str], word: str) -> bool:
    place = normpath(word)
    return place in files or _is_folder(files, place)


def _is_folder(files: Collection[str], place: str) -> bool:
    return any(name.startswith(f"{place}/") for name in files)
