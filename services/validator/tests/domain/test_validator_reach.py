"""Which command lines and modules have to do with the project."""

from __future__ import annotations

import pytest
from worksite.validator.domain.reach import is_module_of, runs_something_of

FILES = ("Makefile", "bin/tool", "cmd/app/main.go", "data file.json", "src/shop/cli.py", "top.py", "true")
ROOTS = ("src", "lib/../src")
REACHING = [
    ("sh", "./bin/tool"),
    ("./bin/tool",),
    ("bin/../top.py",),
    ("cat", "data file.json"),
    ("go", "run", "./cmd/app"),
    ("python", "-m", "shop.cli", "price"),
    ("python", "-m", "top"),
    ("python", "-c", "import sys; from shop import cli; cli.main(sys.argv)"),
    ("sh", "-c", "cd bin && ./tool --data=x"),
    ("sh", "-c", "MODE=1 python3 -m shop | grep x"),
    ("make", "check"),
]
ELSEWHERE = [
    ("true",),
    ("sh", "-c", "echo done"),
    ("echo", "shop"),
    ("python", "-m", "json.tool"),
    ("python", "-c", "import json; print(json.dumps(1))"),
    ("python", "shop/cli.py"),
    ("ls", "."),
    ("ls", "/"),
    ("npm", "test"),
    ("shop", "--help"),
]


@pytest.mark.parametrize("argv", REACHING, ids=" ".join)
def test_a_line_that_names_what_lies_in_the_tree_reaches_the_project(argv: tuple[str, ...]) -> None:
    assert runs_something_of(FILES, ROOTS, argv)


@pytest.mark.parametrize("argv", ELSEWHERE, ids=" ".join)
def test_a_line_that_only_runs_what_the_machine_has_does_not_reach_the_project(argv: tuple[str, ...]) -> None:
    assert not runs_something_of(FILES, ROOTS, argv)


def test_a_module_is_the_projects_where_its_package_lies_below_an_import_root() -> None:
    found = [module for module in ("shop.cart", "top", "src", "json", "sho") if is_module_of(FILES, ROOTS, module)]

    assert found == ["shop.cart", "top", "src"]
