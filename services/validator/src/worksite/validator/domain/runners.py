"""Files that say what a program runs as tests: a change to one of them changes what a declared command means."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatch
from itertools import dropwhile
from pathlib import PurePosixPath

_MAKE = ("Makefile", "makefile", "GNUmakefile", "*.mk")
_NODE = ("package.json", "jest.config.*", "vitest.config.*", ".mocharc.*", "karma.conf.*")
_PYTHON = ("pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg", "noxfile.py", "conftest.py")
_GRADLE = ("*.gradle", "*.gradle.kts")
_CMAKE = ("CMakeLists.txt", "*.cmake")
_PHP = ("composer.json", "phpunit.xml", "phpunit.xml.dist")
_RUNNERS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("make", "gmake"), _MAKE),
    **dict.fromkeys(("node", "npm", "npx", "yarn", "pnpm", "bun", "jest", "vitest", "mocha"), _NODE),
    **dict.fromkeys(("pytest", "tox", "nox"), _PYTHON),
    **dict.fromkeys(("gradle", "gradlew"), _GRADLE),
    **dict.fromkeys(("cmake", "ctest"), _CMAKE),
    **dict.fromkeys(("php", "composer", "phpunit"), _PHP),
    "just": ("justfile", "Justfile", ".justfile"),
    "task": ("Taskfile.yml", "Taskfile.yaml"),
    "rake": ("Rakefile",),
    "ant": ("build.xml",),
    "mvn": ("pom.xml",),
    "mvnw": ("pom.xml",),
    "cargo": ("Cargo.toml",),
    "deno": ("deno.json", "deno.jsonc"),
}
_INTERPRETERS = ("sh", "bash", "dash", "ksh", "zsh", ".", "source", "python", "python3", "node", "perl", "php", "ruby")
OF_PYTHON = sys.stdlib_module_names | {"sitecustomize", "usercustomize"}
"""Modules that come with Python, and those that it imports at its start where there are some."""
BEFORE_A_PROGRAM = ("if", "then", "else", "elif", "while", "until", "do", "!", "{", "exec", "time")
"""What may stand before a program on a shell's line."""


def is_runner(command: Iterable[str], name: str) -> bool:
    """Whether a program on this command line, a shell's `-c` included, takes what it does from a file of this name."""
    programs = {PurePosixPath(word).name for part in command for word in re.split(r"[\s;&|()]+", part) if word}
    patterns = (pattern for program in programs for pattern in _RUNNERS.get(program, ()))
    return any(fnmatch(PurePosixPath(name).name, pattern) for pattern in patterns)


def is_named(command: Iterable[str], name: str) -> bool:
    """Whether the file is a word of this command line, or a program or script that a line for a shell runs. Other words
    of such a line may as well be sources to compile, which no base's must stand in for."""
    words = [word for part in command for word in (part, *_run_by(part))]
    return PurePosixPath(name) in map(PurePosixPath, words)


def module_found_first(command: Iterable[str], name: str) -> str | None:
    """The module, if any, that a Python started by this command line finds in this file before it looks elsewhere: one
    at the top of the project, in `src`, or beside a script that is a word of the line."""
    path = PurePosixPath(name)
    module = path.parent if path.name == "__init__.py" else path.with_suffix("")
    searched = {PurePosixPath(), PurePosixPath("src"), *(PurePosixPath(word).parent for word in command)}
    return module.name if path.suffix == ".py" and module.name and module.parent in searched else None


def _run_by(line: str) -> Iterator[str]:
    for simple in re.split(r"[;&|()`\n]+", line):
        program, *given = [*dropwhile(lambda word: word in BEFORE_A_PROGRAM, simple.replace("<", " ").split()), ""]
        yield program
        if program.rpartition("/")[2] in _INTERPRETERS:
            yield from [word for word in given if not word.startswith("-")][:1]
