"""Files that say what a program runs as tests: a change to one of them changes what a declared command means."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatch
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


def is_runner(command: Iterable[str], name: str) -> bool:
    """Whether a program on this command line, a shell's `-c` included, takes what it does from a file of this name."""
    programs = {PurePosixPath(word).name for part in command for word in re.split(r"[\s;&|()]+", part) if word}
    patterns = (pattern for program in programs for pattern in _RUNNERS.get(program, ()))
    return any(fnmatch(PurePosixPath(name).name, pattern) for pattern in patterns)
