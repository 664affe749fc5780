"""Which lock a project has, and what it pins (DESIGN section 7, "Environment first")."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from packaging.pylock import Package, Pylock, PylockSelectError, PylockValidationError
from worksite.validator.domain import requirements, uv_lock
from worksite.validator.domain.pins import UNREADABLE, LockUnusable, Pin, said

_STRONG = ("sha256", "sha384", "sha512")
_MAX_NAMED = 500


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
        return Lock("pylock.toml", _pylock(files["pylock.toml"]))
    if "uv.lock" in files:
        return Lock("uv.lock", uv_lock.parse(files["uv.lock"]))
    chosen = requirements.choose({name: files[name] for name in files if requirements.is_requirements_file(name)})
    if chosen:
        return Lock(*chosen)
    if named := _declared(files.get("pyproject.toml", "")):
        needed = ", ".join(map(said, named))[:_MAX_NAMED]
        raise LockUnusable(f"pyproject.toml needs {needed} and there is no lock file to install that from")
    return None


def _pylock(text: str) -> tuple[Pin, ...]:
    """PEP 751, by the reference implementation; every extra and group, because tests need theirs."""
    try:
        lock = Pylock.from_dict(tomllib.loads(text))
        selected = lock.select(extras=lock.extras or (), dependency_groups=lock.dependency_groups or ())
        return tuple(_pylock_pin(package) for package, _ in selected)
    except LockUnusable as error:
        raise LockUnusable(f"pylock.toml: {error}") from error
    except (*UNREADABLE, PylockValidationError, PylockSelectError) as error:
        raise LockUnusable(f"pylock.toml: cannot be read ({said(str(error))})") from error


def _pylock_pin(package: Package) -> Pin:
    hashes = [wheel.hashes for wheel in package.wheels or ()]
    strong = tuple(f"{kind}:{each[kind]}" for each in hashes for kind in _STRONG if kind in each)
    if package.version is None or not strong:
        raise LockUnusable(f"{said(package.name)} has no wheels with hashes, and only those are installed")
    return Pin(package.name, str(package.version), strong)


def _declared(pyproject: str) -> list[str]:
    """What the project says that it needs at run time."""
    try:
        project = cast("dict[str, Any]", tomllib.loads(pyproject).get("project", {}))
        return [str(each) for each in project.get("dependencies", [])]
    except UNREADABLE:
        return []
