"""Which lock a project has, and what it pins (DESIGN section 7, "Environment first")."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from packaging.pylock import Pylock, PylockSelectError, PylockValidationError
from worksite.validator.domain import requirements, uv_lock
from worksite.validator.domain.pins import LockUnusable, Pin


@dataclass(frozen=True)
class Lock:
    """`name` is the file (or files) it was read from."""

    name: str
    pins: tuple[Pin, ...]

    @property
    def hashed(self) -> bool:
        """Whether every pin has a hash."""
        return bool(self.pins) and all(pin.hashes for pin in self.pins)

    def requirements(self) -> str:
        """The pins as a requirements file."""
        return "".join(f"{pin.line()}\n" for pin in sorted(self.pins))


def is_lock_input(name: str) -> bool:
    """Whether `find_lock` looks at a file of this name."""
    return name in {"pylock.toml", "uv.lock", "pyproject.toml"} or requirements.is_requirements_file(name)


def find_lock(files: Mapping[str, str]) -> Lock | None:
    """The lock among the texts at the top of a project: pylock.toml, uv.lock, requirements with hashes, pinned
    requirements. None when the project needs nothing. Raises LockUnusable."""
    if "pylock.toml" in files:
        return Lock("pylock.toml", tuple(_pylock(files["pylock.toml"])))
    if "uv.lock" in files:
        return Lock("uv.lock", uv_lock.parse(files["uv.lock"]))
    chosen = requirements.choose({name: files[name] for name in files if requirements.is_requirements_file(name)})
    if chosen:
        return Lock(*chosen)
    if named := _declared(files.get("pyproject.toml", "")):
        raise LockUnusable(f"pyproject.toml needs {', '.join(named)} and there is no lock file to install them from")
    return None


def _pylock(text: str) -> Iterator[Pin]:
    """PEP 751, by the reference implementation; every extra and group, because tests need theirs."""
    try:
        lock = Pylock.from_dict(tomllib.loads(text))
        selected = list(lock.select(extras=lock.extras or (), dependency_groups=lock.dependency_groups or ()))
    except (tomllib.TOMLDecodeError, PylockValidationError, PylockSelectError) as error:
        raise LockUnusable(f"pylock.toml: {error}") from error
    for package, _ in selected:
        wheels = package.wheels or ()
        if package.version is None or not wheels:
            raise LockUnusable(f"pylock.toml: {package.name} has no wheels, and only wheels are installed")
        hashes = (f"{name}:{value}" for wheel in wheels for name, value in wheel.hashes.items())
        yield Pin(package.name, str(package.version), tuple(hashes))


def _declared(pyproject: str) -> list[str]:
    """What the project says that it needs at run time."""
    try:
        project = cast("dict[str, Any]", tomllib.loads(pyproject).get("project", {}))
        return [str(each) for each in project.get("dependencies", [])]
    except (tomllib.TOMLDecodeError, AttributeError, TypeError):
        return []
