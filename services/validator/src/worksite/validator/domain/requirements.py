"""The pinned subset of pip's requirements format."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from packaging.requirements import Requirement
from worksite.validator.domain.pins import UNREADABLE, LockUnusable, Pin, holds, said

_HASH = re.compile(r"\s--hash[= ](sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})(?=\s|$)")
_HARMLESS = {"--only-binary :all:", "--only-binary=:all:", "--require-hashes"}


def is_requirements_file(name: str) -> bool:
    """By name: `requirements*.txt` and `requirements*.lock`."""
    return name.startswith("requirements") and name.endswith((".txt", ".lock"))


def choose(files: Mapping[str, str]) -> tuple[str, tuple[Pin, ...]] | None:
    """The union of the files with hashes, else of all; their names and pins. None where there are no requirements.

    Raises LockUnusable when a file that is needed does not pin everything.
    """
    read: dict[str, tuple[Pin, ...]] = {}
    faults: list[LockUnusable] = []
    for name in sorted(files):
        try:
            read[name] = tuple(parse(name, files[name]))
        except LockUnusable as fault:
            faults.append(fault)
    hashed = {name: pins for name, pins in read.items() if pins and all(pin.hashes for pin in pins)}
    if faults and not hashed:
        raise faults[0]
    chosen = hashed or {name: pins for name, pins in read.items() if pins}
    pins = dict.fromkeys(pin for each in chosen.values() for pin in each)
    return (" + ".join(chosen), tuple(pins)) if chosen else None


def parse(name: str, text: str) -> Iterator[Pin]:
    """The pins of one file. Raises LockUnusable at the first line that is anything else."""
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        bare = re.sub(r"(^|\s)#.*$", "", line).strip()
        if bare and bare not in _HARMLESS and (pin := _pin(name, bare)):
            yield pin


def _pin(name: str, line: str) -> Pin | None:
    try:
        requirement = Requirement(_HASH.sub("", line).strip())
    except UNREADABLE as error:
        raise LockUnusable(f"{name}: only pinned requirements can be installed, not {said(line)}") from error
    specifiers = list(requirement.specifier)
    exact = [each.version for each in specifiers if each.operator in ("==", "===") and not each.version.endswith("*")]
    if requirement.url or len(specifiers) != 1 or not exact:
        raise LockUnusable(f"{name}: {said(line)} is not pinned to one version with ==")
    try:
        needed = requirement.marker is None or holds(requirement.marker)
        return Pin(requirement.name, exact[0], tuple(_HASH.findall(line))) if needed else None
    except LockUnusable as error:
        raise LockUnusable(f"{name}: {error}") from error
