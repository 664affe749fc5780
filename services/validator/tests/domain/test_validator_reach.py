"""Which command lines and modules have to do with the project."""

from __future__ import annotations

import pytest
from worksite.validator.domain.reach import is_module_of, runs_something_of

FILES = (
    *("Makefile", "README.md", "a,b", "bin/tool", "cmd/app/main.go", "data file.json"),
    *("src/shop/cli.py", "top.py", "true"),
)
ROOTS = ("src", "lib/../src")
REACHING = [
    ("sh", "./bin/tool"),
    ("./bin/tool",),
    ("bin/../top.py",),
    ("wc", "data file.json"),
    ("go", "run", "./cmd/app"),
    ("go", "test", "./..."),
    ("go", "run", "."),
    ("make", "check"),
    ("python", "-m", "shop.cli", "price"),
    ("python", "-m", "top"),
    ("python", "-mtop"),
    ("python3.11", "-Imtop"),
    ("coverage", "run", "-m", "shop"),
    ("python", "-c", "import sys; from shop import cli; cli.main(sys.argv)"),
    ("python", "-c", "from top import x"),
    ("python", "-c", "import json, top; print(top.x)"),
    ("python", "-c", "import sys,top"),
    ("python", "-c", "import sys, shop.cli as c"),
    ("python", "-c", "import sys as s, json as j, top as t"),
    ("python", "-c", "if True:\n\tfrom shop.cli import (a,\n b)"),
    ("python", "-c", "import importlib; importlib.import_module('top').x()"),
    ("python", "-c", "__import__('shop.cli')"),
    ("python", "-c", "exec(open('top.py').read())"),
    ("python", "-c", "print(open('a,b').read())"),
    ("python", "-c", "import subprocess; subprocess.run(['sh',\"bin/tool\",'x'])"),
    ("python", "-m", "unittest", "top"),
    ("python", "-m", "pytest", "src/shop/cli.py::test_it"),
    ("sh", "-c", "cd bin && ./tool --data=x"),
    ("sh", "-c", "cd src/shop && python -c 'import cli'"),
    ("sh", "-c", "MODE=1 python3 -m shop | grep x"),
    ("sh", "-c", "exec python3 -mtop"),
    ("sh", "-c", '"$PWD"/bin/tool'),
    ("sh", "-c", "$(pwd)/bin/tool"),
    ("sh", "-c", "PATH=bin:$PATH tool"),
    ("sh", "-c", "echo 1 | ./bin/tool"),
    ("sh", "-c", "echo 'import top' | python3 -"),
    ("sh", "-c", "python3 - <<EOF\nimport json, top\nEOF"),
    ("sh", "-c", "cat bin/tool | sh"),
    ("sh", "-c", 'echo "$(./bin/tool)"'),
    ("sh", "-c", "echo `bin/tool`"),
    ("sh", "-c", "test -f top.py && python -m top"),
    ("sh", "-c", "if test -x bin/tool; then bin/tool; fi"),
    ("sh", "-c", "for x in 1 2; do ./bin/tool $x; done"),
    ("sh", "-c", '"$@"', "sh", "bin/tool"),
    ("sh", "bin/tool", "-c", "echo"),
    ("bash", "-eu", "-o", "pipefail", "-c", "bin/tool 2>&1 | cat"),
    ("env", "-i", "MODE=1", "./bin/tool"),
    ("./true",),
]
ELSEWHERE = [
    ("true",),
    ("true", "top.py"),
    ("false", "bin"),
    ("echo", "README.md"),
    ("echo", "make"),
    ("/bin/echo", "top.py"),
    ("printf", "%s", "bin/tool"),
    (":", "bin/tool"),
    ("test", "-f", "bin/tool"),
    ("[", "-f", "bin/tool", "]"),
    ("cat", "data file.json"),
    ("ls", "src"),
    ("ls", "."),
    ("ls", "/"),
    ("env", "A=1", "echo", "top.py"),
    ("echo", "python", "top"),
    ("sh", "-c", "echo done"),
    ("sh", "-c", "echo top.py"),
    ("sh", "-c", "MODE=1 echo python -m top >&2"),
    ("sh", "-c", "! [ -d src ] || exit 1"),
    ("sh", "-c", "if test -f top.py; then echo yes 2>&1; fi"),
    ("sh", "-c", "cd bin && ls; cat <tool"),
    ("env", "bash", "-lc", "cat README.md | cat"),
    ("sh", "-c", 'echo "$1"', "sh", "top.py"),
    ("sh", "-c", ""),
    ("echo", "shop"),
    ("python", "-m", "json.tool"),
    ("python", "-mjson.tool"),
    ("python", "-c", "import json; print(json.dumps(1))"),
    ("python", "-c", "import json, sys as s; from os import path"),
    ("python", "-c", "print('.')"),
    ("python", "shop/cli.py"),
    ("python", "--version"),
    ("npm", "test"),
    ("shop", "--help"),
    ("date", "shop"),
]


@pytest.mark.parametrize("argv", REACHING, ids=" ".join)
def test_a_line_that_names_what_lies_in_the_tree_reaches_the_project(argv: tuple[str, ...]) -> None:
    assert runs_something_of(FILES, ROOTS, argv)


@pytest.mark.parametrize("argv", ELSEWHERE, ids=" ".join)
def test_a_line_that_only_runs_what_the_machine_has_does_not_reach_the_project(argv: tuple[str, ...]) -> None:
    assert not runs_something_of(FILES, ROOTS, argv)


def test_an_empty_command_line_is_refused_with_what_it_needs() -> None:
    with pytest.raises(ValueError, match="needs a program, such as run"):
        runs_something_of(FILES, ROOTS, ())


def test_a_module_is_the_projects_where_its_package_lies_below_an_import_root() -> None:
    found = [module for module in ("shop.cart", "top", "src", "json", "sho") if is_module_of(FILES, ROOTS, module)]

    assert found == ["shop.cart", "top", "src"]
