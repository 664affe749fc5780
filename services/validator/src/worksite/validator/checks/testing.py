"""Which files of a project are tests."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import PurePosixPath

from worksite.validator.selfreport.config import PytestConfig
from worksite.validator.selfreport.run import config_of
from worksite.validator.tree import Tree

_HAS_TESTS = re.compile(r"^[ \t]*(?:async[ \t]+)?(?:def test|class Test)", re.MULTILINE)


def test_files(tree: Tree) -> frozenset[str]:
    """Files below `tests`, and those that pytest would collect tests from.

    What is no fault in these may be one in the product, so a name like `test_core.py` is not enough.
    """
    config = config_of(tree)
    return frozenset(name for name in tree.files if is_below_tests(name) or _is_collected(tree, name, config))


def is_below_tests(name: str) -> bool:
    """Whether the file is part of a test suite by its place: helpers and data too."""
    parts = PurePosixPath(name).parts
    return "tests" in parts[:-1] or (len(parts) > 1 and parts[0] == "test") or name == "conftest.py"


def _is_collected(tree: Tree, name: str, config: PytestConfig) -> bool:
    wanted = not config.testpaths or any(PurePosixPath(name).is_relative_to(path) for path in config.testpaths)
    if not wanted or not name.endswith(".py") or not _matches(name, config.python_files):
        return False
    return bool(_HAS_TESTS.search((tree.path / name).read_text(errors="replace")))


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(name if "/" in each else PurePosixPath(name).name, each) for each in patterns)
